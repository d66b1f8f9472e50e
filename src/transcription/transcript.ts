/** What a transcription gives: one type for the library, the command line, servers and files. Times are in seconds. */

export interface Word {
  readonly start: number;
  readonly end: number;
  /** With its leading space, as openai/whisper has it: joined words are the text. */
  readonly word: string;
  readonly probability: number;
}

/** What was wrong with a window: it repeated itself, the model was unsure of it, or nobody says so many words in its time. */
export type FallbackReason = "compressionRatio" | "avgLogprob" | "entropy" | "speechRate";

/** A decoding of a window that was not good enough. */
export interface FailedAttempt {
  readonly temperature: number;
  /** At least one. */
  readonly reasons: readonly FallbackReason[];
}

export interface Segment {
  /** 0, 1, 2 ... */
  readonly id: number;
  /** Start of the window it was decoded in, in frames of 10 ms, where the algorithm moves its window. */
  readonly seek?: number;
  readonly start: number;
  readonly end: number;
  /** With its leading space: joined segments are the text of the transcript. */
  readonly text: string;
  /** Text tokens, and timestamps where the algorithm keeps them. */
  readonly tokens: readonly number[];
  readonly temperature: number;
  /**
   * Attempts at its window that were not good enough, in order, where there were any. The last of them is the segment's own
   * if nothing was left to try.
   */
  readonly fallback?: readonly FailedAttempt[];
  /** Mean log-probability of the tokens of the window it was decoded in, endoftext included. */
  readonly avgLogprob: number;
  /** UTF-8 bytes of the text over its zlib-compressed bytes: above 2.4 it probably repeats itself. */
  readonly compressionRatio: number;
  /** Probability that the window it was decoded in holds no speech. */
  readonly noSpeechProb: number;
  /** Code of the language, where it may differ from the transcript's: detected per window. */
  readonly language?: string;
  readonly words?: readonly Word[];
  readonly speaker?: string;
}

/** A piece of text as the Hugging Face pipeline gives it: `end` is null if the model never closed it. */
export interface TranscriptChunk {
  readonly timestamp: readonly [start: number, end: number | null];
  readonly text: string;
  /** Code of the language; only where asked. */
  readonly language?: string;
}

/** Part of a recording, in seconds. */
export interface TimeSpan {
  readonly start: number;
  readonly end: number;
}

/** How much of the speech that was found in a recording has text. */
export interface Coverage {
  /** Speech found. */
  readonly speechSeconds: number;
  /** Speech that has text. */
  readonly transcribedSeconds: number;
  /** Stretches of speech without text, in order; shorter ones than 0.7 s are not told. */
  readonly untranscribed: readonly TimeSpan[];
}

export interface Transcript {
  /** Not stripped: begins with the model's own leading space. */
  readonly text: string;
  /** Code: "en", "de" ... */
  readonly language: string;
  /** Probability of the language where it was detected; null where it was given. */
  readonly languageProbability: number | null;
  /** Of the audio, in seconds. */
  readonly duration: number;
  readonly segments: readonly Segment[];
  /**
   * Whether the times of segments are the model's. Without timestamps a segment spans all that it was decoded from, up to the whole
   * recording, and no subtitles can be made of it. Missing in transcripts that were written before there was this field.
   */
  readonly hasTimestamps?: boolean;
  /** Where timestamps or languages were asked for: unless `returnTimestamps` was false. */
  readonly chunks?: readonly TranscriptChunk[];
  /** Where speech was found before it was transcribed. */
  readonly coverage?: Coverage;
  /** What the user should know: audio that could only be read in part, options without effect, text cut at the limit. */
  readonly warnings: readonly string[];
}
