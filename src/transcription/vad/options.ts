/** What a caller may ask of the vad algorithm, checked once against the model before any audio is read. */
import { SAMPLE_RATE } from "../../audio/constants.ts";
import {
  assertSearch,
  DECODING_OPTIONS,
  resolveDecoding,
  SEARCH_OPTIONS,
  searchAtTemperature,
  unusedSearchOptions,
  type DecodingOptions,
  type ResolvedDecoding,
  type SearchOptions,
} from "../../decoding/index.ts";
import { OptionError } from "../../errors.ts";
import { windowFrames } from "../../model/index.ts";
import { anyOf, assertOptions, listOf, number, text, type OptionKind } from "../../options/index.ts";
import { VAD_OPTIONS, resolveVad, type VadOptions } from "../../vad/index.ts";
import {
  BATCH_SIZE,
  COMMON_OPTIONS,
  commonWarnings,
  MAX_BATCH_SIZE,
  resolveWords,
  type Progress,
  type TranscriptionContext,
} from "../chunked-options.ts";
import type { Thresholds } from "../fallback.ts";
import type { WordOptions } from "../piece-words.ts";
import {
  DEFAULT_MAX_INITIAL_TIMESTAMP,
  MAX_TEMPERATURES,
  resolveTemperatures,
  resolveThresholds,
  threshold,
} from "../sequential-options.ts";
import type { Segment } from "../transcript.ts";
import type { PackerLayout } from "./packer.ts";

/** Beams find 2 points of word error rate that greedy decoding loses (base, real recordings), for a third more time. */
const DEFAULT_BEAM_SIZE = 5;
/** Samples of which the best is taken at a temperature above 0, as openai/whisper's command line has it. */
const DEFAULT_BEST_OF = 5;

/** Silence that ends speech: faster-whisper's value for batches (facts 3.4). Windows may end wherever speech does. */
const DEFAULT_MIN_SILENCE_MS = 160;
/** Longest pause that a window keeps as it is, in seconds: what people make between sentences. */
const LONGEST_PAUSE = 2;

/**
 * Names and meaning are openai/whisper's (facts 2.3, 2.4.1), those of voice activity faster-whisper's (facts 3.3). `vadSpeechPadMs` is the silence
 * that a window keeps before and after its speech.
 */
export interface VadTranscriptionOptions
  extends
    Omit<DecodingOptions, "withoutTimestamps">,
    Omit<SearchOptions, "temperature" | "prompt" | "prefix">,
    Omit<VadOptions, "vadMaxSpeechDurationS"> {
  /** Temperatures that are tried until a window is good enough. Default 0, 0.2, 0.4, 0.6, 0.8, 1. */
  readonly temperature?: number | readonly number[] | undefined;
  /** Text that compresses better than this repeats itself, and is decoded again. Default 2.4; null turns the rule off. */
  readonly compressionRatioThreshold?: number | null | undefined;
  /** Text whose mean log-probability is lower is decoded again. Default -1; null turns the rule off. */
  readonly logprobThreshold?: number | null | undefined;
  /**
   * A window is taken for silence if its no-speech probability is higher and its mean log-probability is not above
   * `logprobThreshold`. Default 0.6; null turns the rule off.
   */
  readonly noSpeechThreshold?: number | null | undefined;
  /** Text that the model is told as if it stood before each window. */
  readonly initialPrompt?: string | undefined;
  /** Lets each window have its own language where the evidence is clear, for recordings that change it. Default false. */
  readonly languagePerWindow?: boolean | undefined;
  /** Gives segments words with times. Default false. */
  readonly wordTimestamps?: boolean | undefined;
  /** Marks that are joined to the word after them. */
  readonly prependPunctuations?: string | undefined;
  /** Marks that are joined to the word before them. */
  readonly appendPunctuations?: string | undefined;
  /** Most windows computed together. Default: as many as suit the engine. */
  readonly batchSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Called with each segment as soon as nothing can change it. */
  readonly onSegment?: ((segment: Segment) => void) | undefined;
}

const { withoutTimestamps: _, ...DECODING } = DECODING_OPTIONS;
const { temperature, prompt: _prompt, prefix: _prefix, ...SEARCH } = SEARCH_OPTIONS;
const { vadMaxSpeechDurationS: _max, ...VAD } = VAD_OPTIONS;

/** All options, and the values that each takes, whatever the model. */
export const VAD_TRANSCRIPTION_OPTIONS = {
  ...DECODING,
  ...SEARCH,
  ...VAD,
  ...COMMON_OPTIONS,
  temperature: anyOf(temperature, listOf(temperature, "such numbers", { from: 1, to: MAX_TEMPERATURES })),
  compressionRatioThreshold: threshold(number({ from: 0 })),
  logprobThreshold: threshold(number()),
  noSpeechThreshold: threshold(number({ from: 0, to: 1 })),
  initialPrompt: text,
  batchSize: BATCH_SIZE,
} as const satisfies Readonly<Record<keyof VadTranscriptionOptions, OptionKind>>;

export interface ResolvedVadTranscription {
  readonly decoding: ResolvedDecoding;
  /** For each temperature of the ladder, how a window is searched. */
  readonly searches: readonly SearchOptions[];
  readonly thresholds: Thresholds;
  readonly vad: VadOptions;
  readonly layout: PackerLayout;
  readonly batchSize: number;
  readonly languagePerWindow: boolean;
  /** Tokens of the initial prompt. */
  readonly initialPrompt: readonly number[];
  /** Null where no words are wanted. */
  readonly words: WordOptions | null;
  readonly warnings: readonly string[];
}

/**
 * Checks the options and fills in what is missing.
 *
 * @throws {OptionError} for a value that does not exist, is out of range, or contradicts another
 */
export function resolveVadTranscription(
  context: TranscriptionContext,
  options: VadTranscriptionOptions,
): ResolvedVadTranscription {
  assertOptions("transcribeVad", options, VAD_TRANSCRIPTION_OPTIONS);
  const { engine, tokenizer, generation } = context;
  const { nTextCtx } = engine.dimensions;
  const { maxInitialTimestamp = DEFAULT_MAX_INITIAL_TIMESTAMP, languagePerWindow = false } = options;
  const decoding = resolveDecoding(tokenizer, nTextCtx, { ...options, maxInitialTimestamp }, generation);
  const search = searchOptions(options);
  const searches = resolveTemperatures(options.temperature).map((one) => searchAtTemperature(search, one));
  const initialPrompt = options.initialPrompt === undefined ? [] : tokenizer.encode(` ${options.initialPrompt.trim()}`);
  // Speech that has no text yet is told the text before it, of any length.
  const prompt = new Array<number>(nTextCtx).fill(tokenizer.special.eot);
  for (const one of searches) assertSearch(tokenizer, nTextCtx, decoding, { ...one, prompt });
  if (languagePerWindow && options.language !== undefined) {
    throw new OptionError("languagePerWindow", "Languages cannot be detected per window when the language is given", {
      hint: "leave out one of language and languagePerWindow",
    });
  }
  const { vadThreshold, vadNegThreshold, vadMinSpeechDurationMs, vadSpeechPadMs } = options;
  const { vadMinSilenceDurationMs = DEFAULT_MIN_SILENCE_MS } = options;
  const vad = { vadThreshold, vadNegThreshold, vadMinSpeechDurationMs, vadMinSilenceDurationMs };
  const { speechPadMs } = resolveVad({ vadSpeechPadMs });
  const seconds = windowFrames(engine.dimensions) / 100;
  if (speechPadMs / 1000 > seconds / 4) {
    throw new OptionError(
      "vadSpeechPadMs",
      `Silence of ${speechPadMs} ms on both sides leaves a window of ${seconds} s too little room`,
      {
        hint: `choose at most ${seconds * 250}`,
      },
    );
  }
  return {
    decoding,
    searches,
    thresholds: resolveThresholds(options),
    vad,
    layout: {
      window: seconds * SAMPLE_RATE,
      edge: (speechPadMs / 1000) * SAMPLE_RATE,
      pause: LONGEST_PAUSE * SAMPLE_RATE,
      // A window has one language, and whoever speaks another lets a pause be before it.
      separation: languagePerWindow ? LONGEST_PAUSE * SAMPLE_RATE : Infinity,
    },
    batchSize: options.batchSize ?? Math.min(engine.batchSize, MAX_BATCH_SIZE),
    languagePerWindow,
    initialPrompt,
    words: resolveWords(options),
    warnings: [
      ...commonWarnings(context, options, decoding),
      ...unusedSearchOptions({ ...search, beamSize: options.beamSize, bestOf: options.bestOf }, searches, nTextCtx),
    ],
  };
}

function searchOptions(options: VadTranscriptionOptions): SearchOptions {
  const { patience, lengthPenalty, entropyThreshold, seed, hotwords, allowedPhrases } = options;
  const { beamSize = DEFAULT_BEAM_SIZE, bestOf = DEFAULT_BEST_OF } = options;
  return { beamSize, bestOf, patience, lengthPenalty, entropyThreshold, seed, hotwords, allowedPhrases };
}
