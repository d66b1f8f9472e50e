/**
 * Makes one text of the windows' tokens. Two ways, as windows with and without timestamps differ in what they know; both
 * are fed one window at a time, in order, and give each piece of text as soon as nothing can change it.
 */
import type { SpecialTokens } from "../tokenizer/index.ts";
import { SentenceStitcher } from "./stitch-sentences.ts";
import { TextStitcher } from "./stitch-text.ts";

/** What a window was decoded to. */
export interface DecodedWindow {
  /** Generated ids: text, timestamps, special tokens. */
  readonly tokens: ArrayLike<number>;
  /** Length of the window and its overlaps, in seconds; null for a window that overlaps with nothing and moves no clock. */
  readonly stride: readonly [length: number, left: number, right: number] | null;
  /** Code of its language; a language token among `tokens` says the same. */
  readonly language?: string;
}

/** A piece of text that no later window changes. */
export interface Piece {
  /** Seconds, rounded to 0.01; null if no timestamp opened it. Not yet checked against the audio or its neighbours. */
  readonly start: number | null;
  /** Seconds, rounded to 0.01; null if no timestamp closed it. */
  readonly end: number | null;
  /** Text tokens. */
  readonly tokens: readonly number[];
  /** For each token, which of all text tokens of all windows it is: 0 for the first one pushed. */
  readonly sources: readonly number[];
  /** Code. */
  readonly language: string | null;
  /** Number of the window that gave most of the tokens: 0 for the first one pushed. */
  readonly window: number;
  /** Seconds from the first to the last window whose tokens went into it; times for a piece that has none. */
  readonly span: readonly [from: number, to: number];
}

/** The special tokens that stitching reads. */
export type StitchTokens = Pick<SpecialTokens, "eot" | "timestampBegin" | "languages">;

export interface Stitcher {
  /** @returns the pieces that this window completes, in order */
  push(window: DecodedWindow): Piece[];
  /** @returns the pieces still open, in order; call it once */
  finish(): Piece[];
}

/** @param returnTimestamps whether the windows were decoded with timestamps */
export function createStitcher(special: StitchTokens, returnTimestamps: boolean): Stitcher {
  return returnTimestamps ? new SentenceStitcher(special) : new TextStitcher(special);
}
