/** What a caller may ask of the vad algorithm, checked once against the model before any audio is read. */
import {
  assertSearch,
  DECODING_OPTIONS,
  resolveDecoding,
  SEARCH_OPTIONS,
  searchAtTemperature,
  type DecodingOptions,
  type ResolvedDecoding,
  type SearchOptions,
} from "../decoding/index.ts";
import { OptionError } from "../errors.ts";
import { windowFrames } from "../model/index.ts";
import { anyOf, assertOptions, listOf, number, orNull, type OptionKind } from "../options/index.ts";
import { SAMPLE_RATE } from "../audio/constants.ts";
import {
  BATCH_SIZE,
  COMMON_OPTIONS,
  commonWarnings,
  resolveWords,
  type Progress,
  type TranscriptionContext,
} from "./chunked-options.ts";
import type { Thresholds } from "./fallback.ts";
import type { WordOptions } from "./piece-words.ts";
import type { PackerLayout } from "./speech-packer.ts";
import type { SpeechThresholds } from "./speech-windows.ts";
import type { Segment } from "./transcript.ts";

const DEFAULT_TEMPERATURES: readonly number[] = [0, 0.2, 0.4, 0.6, 0.8, 1];
const DEFAULT_BEAM_SIZE = 5;
const DEFAULT_BEST_OF = 5;

export interface VadOptions
  extends Omit<DecodingOptions, "withoutTimestamps">, Omit<SearchOptions, "temperature" | "prompt" | "prefix"> {
  readonly temperature?: number | readonly number[] | undefined;
  readonly compressionRatioThreshold?: number | null | undefined;
  readonly logprobThreshold?: number | null | undefined;
  readonly noSpeechThreshold?: number | null | undefined;
  readonly languagePerWindow?: boolean | undefined;
  readonly wordTimestamps?: boolean | undefined;
  readonly prependPunctuations?: string | undefined;
  readonly appendPunctuations?: string | undefined;
  readonly batchSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly onSegment?: ((segment: Segment) => void) | undefined;
}

const threshold = (kind: OptionKind): OptionKind => orNull(kind, "no threshold");
const { withoutTimestamps: _, ...DECODING } = DECODING_OPTIONS;
const { temperature, prompt: _prompt, prefix: _prefix, ...SEARCH } = SEARCH_OPTIONS;

export const VAD_ALGORITHM_OPTIONS = {
  ...DECODING,
  ...SEARCH,
  ...COMMON_OPTIONS,
  temperature: anyOf(temperature, listOf(temperature, "such numbers", { from: 1, to: 100 })),
  compressionRatioThreshold: threshold(number({ from: 0 })),
  logprobThreshold: threshold(number()),
  noSpeechThreshold: threshold(number({ from: 0, to: 1 })),
  batchSize: BATCH_SIZE,
} as const satisfies Readonly<Record<keyof VadOptions, OptionKind>>;

export interface ResolvedVad {
  readonly decoding: ResolvedDecoding;
  readonly searches: readonly SearchOptions[];
  readonly thresholds: Thresholds;
  readonly layout: PackerLayout;
  readonly speech: SpeechThresholds;
  readonly batchSize: number;
  readonly languagePerWindow: boolean;
  readonly words: WordOptions | null;
  readonly warnings: readonly string[];
}

const T = JSON.parse(process.env.SOTTO_VAD ?? "{}") as Record<string, number>;

export function resolveVad(context: TranscriptionContext, options: VadOptions): ResolvedVad {
  assertOptions("transcribeVad", options, VAD_ALGORITHM_OPTIONS);
  const { engine, tokenizer, generation } = context;
  const { nTextCtx } = engine.dimensions;
  const decoding = resolveDecoding(
    tokenizer,
    nTextCtx,
    { ...options, maxInitialTimestamp: options.maxInitialTimestamp === undefined ? 1 : options.maxInitialTimestamp },
    generation,
  );
  const { beamSize = DEFAULT_BEAM_SIZE, bestOf = DEFAULT_BEST_OF, patience, lengthPenalty, entropyThreshold } = options;
  const { seed, hotwords, allowedPhrases } = options;
  const search = { beamSize, bestOf, patience, lengthPenalty, entropyThreshold, seed, hotwords, allowedPhrases };
  const asked = options.temperature ?? DEFAULT_TEMPERATURES;
  const searches = (typeof asked === "number" ? [asked] : asked).map((one) => searchAtTemperature(search, one));
  for (const one of searches) assertSearch(tokenizer, nTextCtx, decoding, one);
  const languagePerWindow = options.languagePerWindow ?? false;
  if (languagePerWindow && options.language !== undefined) {
    throw new OptionError("languagePerWindow", "Languages cannot be detected per window when the language is given", {
      hint: "leave out one of language and languagePerWindow",
    });
  }
  const orDefault = (value: number | null | undefined, ifMissing: number): number | null =>
    value === undefined ? ifMissing : value;
  return {
    decoding,
    searches,
    thresholds: {
      compressionRatio: orDefault(options.compressionRatioThreshold, 2.4),
      entropy: options.entropyThreshold ?? null,
      logprob: orDefault(options.logprobThreshold, -1),
      noSpeech: orDefault(options.noSpeechThreshold, 0.6),
    },
    layout: {
      window: (windowFrames(engine.dimensions) / 100) * (T.fill ?? 1) * SAMPLE_RATE,
      edge: (T.edge ?? 0.4) * SAMPLE_RATE,
      pause: (T.pause ?? 1) * SAMPLE_RATE,
    },
    speech: {
      begin: T.begin ?? 0.5,
      end: T.end ?? 0.35,
      silence: (T.silence ?? 0.16) * SAMPLE_RATE,
      least: (T.least ?? 0) * SAMPLE_RATE,
    },
    batchSize: options.batchSize ?? Math.min(engine.batchSize, 16),
    languagePerWindow,
    words: resolveWords(options),
    warnings: commonWarnings(context, options, decoding),
  };
}
