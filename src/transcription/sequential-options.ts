/** What a caller may ask of the sequential algorithm, checked once against the model before any audio is read. */
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
} from "../decoding/index.ts";
import { OptionError } from "../errors.ts";
import { anyOf, assertOptions, flag, listOf, number, orNull, text, type OptionKind } from "../options/index.ts";
import {
  COMMON_OPTIONS,
  commonWarnings,
  resolveWords,
  type Progress,
  type TranscriptionContext,
} from "./chunked-options.ts";
import { parseClipTimes } from "./clips.ts";
import { REPETITIVE_COMPRESSION_RATIO, type Thresholds } from "./fallback.ts";
import type { WordOptions } from "./piece-words.ts";
import type { Segment } from "./transcript.ts";

/** openai/whisper's ladder (facts 2.3). */
const DEFAULT_TEMPERATURES: readonly number[] = [0, 0.2, 0.4, 0.6, 0.8, 1];

/** More attempts at one window than anybody waits for. */
export const MAX_TEMPERATURES = 100;

/** openai/whisper's default, whatever the checkpoint says (facts 2.4.1). */
export const DEFAULT_MAX_INITIAL_TIMESTAMP = 1;

/** Names, defaults and meaning are openai/whisper's `transcribe` and `DecodingOptions` (facts 2.3, 2.4.1). */
export interface SequentialOptions extends DecodingOptions, Omit<SearchOptions, "temperature" | "prompt"> {
  /** Temperatures that are tried until a window is good enough. Default 0, 0.2, 0.4, 0.6, 0.8, 1. */
  readonly temperature?: number | readonly number[] | undefined;
  /** Text that compresses better than this repeats itself, and is decoded again. Default 2.4; null turns the rule off. */
  readonly compressionRatioThreshold?: number | null | undefined;
  /**
   * Text whose last 32 tokens have a lower entropy, in nats, repeats itself, and is decoded again: whisper.cpp's rule, whose default is
   * 2.4. Default null: off. It comes beside `compressionRatioThreshold`, which whisper.cpp does not have.
   */
  readonly entropyThreshold?: number | null | undefined;
  /** Text whose mean log-probability is lower is decoded again. Default -1; null turns the rule off. */
  readonly logprobThreshold?: number | null | undefined;
  /**
   * A window is taken for silence if its no-speech probability is higher and its mean log-probability is not above
   * `logprobThreshold`. Default 0.6; null turns the rule off.
   */
  readonly noSpeechThreshold?: number | null | undefined;
  /** Tells the model at each window what it has written before. Default true. */
  readonly conditionOnPreviousText?: boolean | undefined;
  /** Text that the model is told as if it stood before the recording. */
  readonly initialPrompt?: string | undefined;
  /** Tells it at each window, not just until the context is first reset. Default false. */
  readonly carryInitialPrompt?: boolean | undefined;
  /**
   * Clips to transcribe: start, end, start, end ... in seconds; the last end defaults to that of the recording. Text
   * "0,5.5,10" or numbers. Default the whole recording. What lies past the end of the recording is left out with a warning.
   */
  readonly clipTimestamps?: string | readonly number[] | undefined;
  /** Gives segments words with times. Default false. */
  readonly wordTimestamps?: boolean | undefined;
  /** Marks that are joined to the word after them. */
  readonly prependPunctuations?: string | undefined;
  /** Marks that are joined to the word before them. */
  readonly appendPunctuations?: string | undefined;
  /** Skips silence longer than this, in seconds, around text that looks made up. Needs `wordTimestamps`. Default null: off. */
  readonly hallucinationSilenceThreshold?: number | null | undefined;
  /** Detects the language of each window instead of the recording's, for recordings that change it. Default false. */
  readonly languagePerWindow?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Called with each segment as soon as nothing can change it. */
  readonly onSegment?: ((segment: Segment) => void) | undefined;
}

/** null turns a rule off. */
export const threshold = (kind: OptionKind): OptionKind => orNull(kind, "no threshold");

const { temperature, prompt: _prompt, ...SEARCH } = SEARCH_OPTIONS;

/** All options, and the values that each takes, whatever the model. */
export const SEQUENTIAL_OPTIONS = {
  ...DECODING_OPTIONS,
  ...SEARCH,
  ...COMMON_OPTIONS,
  temperature: anyOf(temperature, listOf(temperature, "such numbers", { from: 1, to: MAX_TEMPERATURES })),
  compressionRatioThreshold: threshold(number({ from: 0 })),
  logprobThreshold: threshold(number()),
  noSpeechThreshold: threshold(number({ from: 0, to: 1 })),
  conditionOnPreviousText: flag,
  initialPrompt: text,
  carryInitialPrompt: flag,
  clipTimestamps: anyOf(text, listOf(number({ from: 0 }), "seconds, 0 or more: start, end, start, end ...")),
  hallucinationSilenceThreshold: threshold(number({ from: 0 })),
} as const satisfies Readonly<Record<keyof SequentialOptions, OptionKind>>;

export interface ResolvedSequential {
  readonly decoding: ResolvedDecoding;
  /** For each temperature of the ladder, how a window is searched. */
  readonly searches: readonly SearchOptions[];
  readonly thresholds: Thresholds;
  readonly conditionOnPreviousText: boolean;
  /** Tokens of the initial prompt. */
  readonly initialPrompt: readonly number[];
  readonly carryInitialPrompt: boolean;
  /** Starts and ends of clips in turn, in seconds; the last end may be missing. */
  readonly clipTimes: readonly number[];
  /** Null where no words are wanted. */
  readonly words: WordOptions | null;
  readonly hallucinationSilenceThreshold: number | null;
  readonly languagePerWindow: boolean;
  readonly warnings: readonly string[];
}

/**
 * Checks the options and fills in what is missing.
 *
 * @throws {OptionError} for a value that does not exist, is out of range, or contradicts another
 */
export function resolveSequential(context: TranscriptionContext, options: SequentialOptions): ResolvedSequential {
  assertOptions("transcribeSequential", options, SEQUENTIAL_OPTIONS);
  const { engine, tokenizer, generation } = context;
  const { nTextCtx } = engine.dimensions;
  const decoding = resolveDecoding(
    tokenizer,
    nTextCtx,
    {
      ...options,
      maxInitialTimestamp:
        options.maxInitialTimestamp === undefined ? DEFAULT_MAX_INITIAL_TIMESTAMP : options.maxInitialTimestamp,
    },
    generation,
  );
  const searches = resolveTemperatures(options.temperature).map((one) =>
    searchAtTemperature(searchOptions(options), one),
  );
  const conditionOnPreviousText = options.conditionOnPreviousText ?? true;
  const initialPrompt = options.initialPrompt === undefined ? [] : tokenizer.encode(` ${options.initialPrompt.trim()}`);
  // Told what was written before, a later window has a context of any length: refused now, and not after an hour.
  const prompt = conditionOnPreviousText ? new Array<number>(nTextCtx).fill(tokenizer.special.eot) : initialPrompt;
  for (const search of searches) assertSearch(tokenizer, nTextCtx, decoding, { ...search, prompt });
  const thresholds = resolveThresholds(options);
  const languagePerWindow = options.languagePerWindow ?? false;
  if (languagePerWindow && options.language !== undefined) {
    throw new OptionError("languagePerWindow", "Languages cannot be detected per window when the language is given", {
      hint: "leave out one of language and languagePerWindow",
    });
  }
  const words = resolveWords(options);
  return {
    decoding,
    searches,
    thresholds,
    conditionOnPreviousText,
    initialPrompt,
    carryInitialPrompt: options.carryInitialPrompt ?? false,
    clipTimes: parseClipTimes(options.clipTimestamps),
    words,
    hallucinationSilenceThreshold: resolveSilence(options.hallucinationSilenceThreshold, words !== null),
    languagePerWindow,
    warnings: [
      ...commonWarnings(context, options, decoding),
      ...unusedSearchOptions(searchOptions(options), searches, nTextCtx),
      ...contextWarnings(options),
    ],
  };
}

function searchOptions(options: SequentialOptions): SearchOptions {
  const { beamSize, bestOf, patience, lengthPenalty, entropyThreshold, prefix, seed, hotwords, allowedPhrases } =
    options;
  return { beamSize, bestOf, patience, lengthPenalty, entropyThreshold, prefix, seed, hotwords, allowedPhrases };
}

/** The thresholds asked for, with openai/whisper's defaults. */
export function resolveThresholds(
  options: Pick<
    SequentialOptions,
    "compressionRatioThreshold" | "entropyThreshold" | "logprobThreshold" | "noSpeechThreshold"
  >,
): Thresholds {
  return {
    compressionRatio: orDefault(options.compressionRatioThreshold, REPETITIVE_COMPRESSION_RATIO),
    entropy: orDefault(options.entropyThreshold, null),
    logprob: orDefault(options.logprobThreshold, -1),
    noSpeech: orDefault(options.noSpeechThreshold, 0.6),
  };
}

/** The ladder of temperatures. */
export function resolveTemperatures(asked: SequentialOptions["temperature"] = DEFAULT_TEMPERATURES): readonly number[] {
  return typeof asked === "number" ? [asked] : asked;
}

/** null stays: it turns a rule off. */
function orDefault(value: number | null | undefined, ifMissing: number | null): number | null {
  return value === undefined ? ifMissing : value;
}

function resolveSilence(seconds: number | null | undefined, hasWords: boolean): number | null {
  if (seconds === null || seconds === undefined) return null;
  const option = "hallucinationSilenceThreshold";
  if (!hasWords) {
    throw new OptionError(option, `Cannot use ${option} without times of words`, { hint: "turn on wordTimestamps" });
  }
  return seconds;
}

/** Of what the model is told before a window. */
function contextWarnings({ carryInitialPrompt, initialPrompt = "" }: SequentialOptions): string[] {
  const hasPrompt = initialPrompt.trim() !== "";
  return carryInitialPrompt === true && !hasPrompt ? ['"carryInitialPrompt" has no effect without initialPrompt'] : [];
}
