/** What a caller may ask of the chunked algorithm, checked once against the model before any audio is read. */
import { APPEND_PUNCTUATIONS, PREPEND_PUNCTUATIONS } from "../alignment/index.ts";
import {
  DECODING_OPTIONS,
  decodingWarnings,
  resolveDecoding,
  type DecodingDefaults,
  type DecodingOptions,
  type DecodingTokenizer,
  type ResolvedDecoding,
} from "../decoding/index.ts";
import type { Engine } from "../engine/engine.ts";
import { OptionError } from "../errors.ts";
import { windowFrames, type Head } from "../model/index.ts";
import {
  abortSignal,
  anyOf,
  assertOptions,
  callback,
  flag,
  listOf,
  number,
  text,
  whole,
  type OptionKind,
} from "../options/index.ts";
import type { SileroVad } from "../vad/index.ts";
import type { WordOptions } from "./piece-words.ts";
import type { Segment } from "./transcript.ts";
import { windowLayout, type WindowLayout } from "./windows.ts";

/** Batches above this gain nothing on any device, and their audio and caches fill the memory. */
export const MAX_BATCH_SIZE = 1024;

export interface TranscriptionDefaults extends DecodingDefaults {
  /** Heads that word times are made of. */
  readonly alignmentHeads?: readonly Head[] | null;
}

/** A checkpoint made ready, with what belongs to it. */
export interface TranscriptionContext {
  readonly engine: Engine;
  readonly tokenizer: DecodingTokenizer;
  /** What the checkpoint says of its decoding; fields that it lacks are null or missing. */
  readonly generation: TranscriptionDefaults;
  /** Finds speech, for the algorithms that need it. */
  readonly vad?: SileroVad | undefined;
}

/** How far a recording is transcribed. */
export interface Progress {
  /**
   * Of the recording; never decreases. The chunked algorithm, whose windows share batches, tells of each window twice: it counts half when
   * it is encoded, whole when its text is there.
   */
  readonly processedSeconds: number;
  /** What the container says, until the end is reached; null where it says nothing. Never less than `processedSeconds`. */
  readonly totalSeconds: number | null;
}

export interface ChunkedOptions extends Omit<DecodingOptions, "withoutTimestamps"> {
  /** Default true. Without timestamps one segment holds the whole text, and subtitles cannot be made of it. */
  readonly returnTimestamps?: boolean | undefined;
  /** Adds the language to each chunk. Default false. */
  readonly returnLanguage?: boolean | undefined;
  /** Detects the language of each window instead of the recording's, for recordings that change it. Default false. */
  readonly languagePerWindow?: boolean | undefined;
  /** Gives segments words with times. Default false. */
  readonly wordTimestamps?: boolean | undefined;
  /** Marks that are joined to the word after them. */
  readonly prependPunctuations?: string | undefined;
  /** Marks that are joined to the word before them. */
  readonly appendPunctuations?: string | undefined;
  /** Seconds of a window, 30 by default; 0 turns chunking off and takes recordings of at most 30 s. */
  readonly chunkLength?: number | undefined;
  /** Seconds by which windows overlap on either side, or left and right; default a sixth of the chunk. */
  readonly strideLength?: number | readonly [left: number, right: number] | undefined;
  /** Most windows computed together. Default: as many as suit the engine. */
  readonly batchSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Called with each segment as soon as nothing can change it. */
  readonly onSegment?: ((segment: Segment) => void) | undefined;
}

/** What both algorithms say of words, languages and events. */
export const COMMON_OPTIONS = {
  languagePerWindow: flag,
  wordTimestamps: flag,
  prependPunctuations: text,
  appendPunctuations: text,
  signal: abortSignal,
  onProgress: callback,
  onSegment: callback,
} as const satisfies Readonly<Partial<Record<keyof ChunkedOptions, OptionKind>>>;

const { signal, onProgress, onSegment } = COMMON_OPTIONS;
const EVENT_OPTIONS = { signal, onProgress, onSegment, onResult: callback };

/** @throws {OptionError} for a signal that is none, and events that are not functions */
export function assertEvents(events: Readonly<Record<keyof typeof EVENT_OPTIONS, unknown>>): void {
  assertOptions("a transcription", events, EVENT_OPTIONS);
}

const { withoutTimestamps: _, ...CHUNKED_DECODING } = DECODING_OPTIONS;

/** Most windows computed together. */
export const BATCH_SIZE: OptionKind = whole(1, MAX_BATCH_SIZE);

/** All options, and the values that each takes, whatever the model. */
export const CHUNKED_OPTIONS = {
  ...CHUNKED_DECODING,
  ...COMMON_OPTIONS,
  returnTimestamps: flag,
  returnLanguage: flag,
  chunkLength: number({ from: 0 }),
  strideLength: anyOf(
    number({ from: 0 }),
    listOf(number({ from: 0 }), "such numbers: left, right", { from: 2, to: 2 }),
  ),
  batchSize: BATCH_SIZE,
} as const satisfies Readonly<Record<keyof ChunkedOptions, OptionKind>>;

export interface ResolvedChunked {
  readonly decoding: ResolvedDecoding;
  /** Null: chunking is off. */
  readonly layout: WindowLayout | null;
  readonly batchSize: number;
  readonly returnTimestamps: boolean;
  readonly returnLanguage: boolean;
  readonly languagePerWindow: boolean;
  /** Null where no words are wanted. */
  readonly words: WordOptions | null;
  readonly warnings: readonly string[];
}

/** What the options say of words: null where none are wanted. */
export function resolveWords(
  options: Pick<ChunkedOptions, "wordTimestamps" | "prependPunctuations" | "appendPunctuations">,
): WordOptions | null {
  const { prependPunctuations = PREPEND_PUNCTUATIONS, appendPunctuations = APPEND_PUNCTUATIONS } = options;
  return options.wordTimestamps === true ? { prependPunctuations, appendPunctuations } : null;
}

/** What both algorithms warn of: options without effect, and openai/whisper's warning of words in translations (facts 2.3.15). */
export function commonWarnings(
  { engine, tokenizer }: TranscriptionContext,
  options: CommonOptions,
  decoding: ResolvedDecoding,
): string[] {
  const warnings = decodingWarnings(options, decoding, engine.dimensions);
  if (options.languagePerWindow === true && !tokenizer.multilingual) {
    warnings.push('"languagePerWindow" has no effect: the checkpoint is English-only');
  }
  const hasWords = options.wordTimestamps === true;
  for (const name of ["prependPunctuations", "appendPunctuations"] as const) {
    if (options[name] !== undefined && !hasWords) warnings.push(`"${name}" has no effect without wordTimestamps`);
  }
  if (hasWords && decoding.task === "translate") warnings.push("Times of words in translations may not be reliable");
  return warnings;
}

type CommonOptions = DecodingOptions &
  Pick<ChunkedOptions, Exclude<keyof typeof COMMON_OPTIONS, "onProgress" | "onSegment">>;

/**
 * Checks the options and fills in what is missing.
 *
 * @throws {OptionError} for a value that does not exist, is out of range, or contradicts another
 */
export function resolveChunked(context: TranscriptionContext, options: ChunkedOptions): ResolvedChunked {
  assertOptions("transcribeChunked", options, CHUNKED_OPTIONS);
  const { engine, tokenizer, generation } = context;
  const returnTimestamps = options.returnTimestamps ?? true;
  const decoding = resolveDecoding(
    tokenizer,
    engine.dimensions.nTextCtx,
    { ...options, withoutTimestamps: !returnTimestamps },
    generation,
  );
  const languagePerWindow = options.languagePerWindow ?? false;
  if (languagePerWindow && options.language !== undefined) {
    throw new OptionError("languagePerWindow", "Languages cannot be detected per window when the language is given", {
      hint: "leave out one of language and languagePerWindow",
    });
  }
  if (options.chunkLength === 0 && options.strideLength !== undefined) {
    throw new OptionError("strideLength", "Windows cannot overlap when chunking is off (chunkLength 0)");
  }
  return {
    decoding,
    layout:
      options.chunkLength === 0
        ? null
        : windowLayout(options.chunkLength, options.strideLength, windowFrames(engine.dimensions) / 100),
    batchSize: options.batchSize ?? Math.min(engine.batchSize, MAX_BATCH_SIZE),
    returnTimestamps,
    returnLanguage: options.returnLanguage ?? false,
    languagePerWindow,
    words: resolveWords(options),
    warnings: commonWarnings(context, options, decoding),
  };
}
