/** What a caller may ask of the chunked algorithm, checked once against the model before any audio is read. */
import { APPEND_PUNCTUATIONS, PREPEND_PUNCTUATIONS } from "../alignment/index.ts";
import {
  resolveDecoding,
  type DecodingDefaults,
  type DecodingOptions,
  type DecodingTokenizer,
  type ResolvedDecoding,
} from "../decoding/index.ts";
import type { Engine } from "../engine/engine.ts";
import { OptionError, quote } from "../errors.ts";
import { windowFrames, type Head } from "../model/index.ts";
import type { Task } from "../tokenizer/index.ts";
import type { WordOptions } from "./piece-words.ts";
import type { Segment } from "./transcript.ts";
import { windowLayout, type WindowLayout } from "./windows.ts";

/** Batches above this gain nothing on any device, and their audio and caches fill the memory. */
const MAX_BATCH_SIZE = 1024;

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
  /** Default false: one segment holds the whole text. */
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

/** Names of all options, for whoever has to refuse others. */
export const CHUNKED_OPTIONS: readonly (keyof ChunkedOptions)[] = [
  "task",
  "language",
  "maxLength",
  "sampleLength",
  "suppressTokens",
  "suppressNumerals",
  "suppressBlank",
  "maxInitialTimestamp",
  "returnTimestamps",
  "returnLanguage",
  "languagePerWindow",
  "wordTimestamps",
  "prependPunctuations",
  "appendPunctuations",
  "chunkLength",
  "strideLength",
  "batchSize",
  "signal",
  "onProgress",
  "onSegment",
];

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

/** openai/whisper's warning (facts 2.3.15). */
export function wordWarnings(words: WordOptions | null, task: Task): string[] {
  return words !== null && task === "translate" ? ["Times of words in translations may not be reliable"] : [];
}

/**
 * Checks the options and fills in what is missing.
 *
 * @throws {OptionError} for a value that does not exist, is out of range, or contradicts another
 */
export function resolveChunked(context: TranscriptionContext, options: ChunkedOptions): ResolvedChunked {
  const { engine, tokenizer, generation } = context;
  const returnTimestamps = options.returnTimestamps ?? false;
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
  const batchSize = options.batchSize ?? Math.min(engine.batchSize, MAX_BATCH_SIZE);
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > MAX_BATCH_SIZE) {
    throw new OptionError(
      "batchSize",
      `Batches cannot hold ${quote(batchSize)} windows, expected a whole number from 1 to ${MAX_BATCH_SIZE}`,
    );
  }
  if (options.chunkLength === 0 && options.strideLength !== undefined) {
    throw new OptionError("strideLength", "Windows cannot overlap when chunking is off (chunkLength 0)");
  }
  const words = resolveWords(options);
  return {
    decoding,
    layout:
      options.chunkLength === 0
        ? null
        : windowLayout(options.chunkLength, options.strideLength, windowFrames(engine.dimensions) / 100),
    batchSize,
    returnTimestamps,
    returnLanguage: options.returnLanguage ?? false,
    languagePerWindow,
    words,
    warnings: wordWarnings(words, decoding.task),
  };
}
