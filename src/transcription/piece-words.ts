/**
 * Words for the chunked algorithm. Each window's text is aligned with its audio while that is at hand; once stitching has
 * decided which window's tokens a piece is made of, their times are those of its words.
 */
import { alignTokens, wordsOfSegments, type Heads, type TokenTiming } from "../alignment/index.ts";
import { SAMPLE_RATE } from "../audio/constants.ts";
import type { DecodingResult, DecodingTokenizer } from "../decoding/index.ts";
import type { AudioState, Engine } from "../engine/engine.ts";
import { HOP_LENGTH } from "../features/index.ts";
import { windowFrames } from "../model/index.ts";
import type { TimedPiece } from "./timeline.ts";
import type { Word } from "./transcript.ts";
import type { WindowSpan } from "./windows.ts";

/** Which marks are joined to which word. */
export interface WordOptions {
  /** Joined to the word after them. */
  readonly prependPunctuations: string;
  /** Joined to the word before them. */
  readonly appendPunctuations: string;
}

/** A decoded window whose text is to be timed. */
export interface UntimedWindow {
  /** Its index in the audio state. */
  readonly window: number;
  readonly span: WindowSpan;
  readonly result: DecodingResult;
}

/**
 * When each text token of decoded windows is spoken.
 *
 * @returns for each window one entry a text token, in seconds from the start of the recording
 */
export async function alignWindows(
  engine: Engine,
  audio: AudioState,
  tokenizer: DecodingTokenizer,
  heads: Heads,
  windows: readonly UntimedWindow[],
): Promise<TokenTiming[][]> {
  const { special } = tokenizer;
  const requests = windows.map(({ window, span, result: { tokens, language, task } }) => ({
    window,
    startSequence: tokenizer.sotSequence({ language, task, timestamps: true }),
    textTokens: tokens.filter((token) => token < special.eot),
    frames: Math.min(Math.floor(span.length / HOP_LENGTH), windowFrames(engine.dimensions)),
  }));
  const timings = await alignTokens(engine, audio, requests, heads, special);
  return timings.map((ofWindow, i) => {
    const offset = windows[i].span.start / SAMPLE_RATE;
    return ofWindow.map((timing) => ({ ...timing, start: offset + timing.start, end: offset + timing.end }));
  });
}

/** A piece with its words; they lie in it, and it begins and ends with them. */
export interface WordedPiece extends TimedPiece {
  readonly words: readonly Word[];
}

export class PieceWords {
  readonly #tokenizer: DecodingTokenizer;
  readonly #options: WordOptions;
  readonly #timings: TokenTiming[] = [];
  /** Seconds at which the piece before ended. */
  #saidUntil = 0;

  constructor(tokenizer: DecodingTokenizer, options: WordOptions) {
    this.#tokenizer = tokenizer;
    this.#options = options;
  }

  /** @param timings of all text tokens of the next window */
  add(timings: readonly TokenTiming[]): void {
    for (const timing of timings) this.#timings.push(timing);
  }

  /**
   * Gives the next piece its words. Windows do not agree on times to the last frame: a word that would begin before the
   * piece before has ended begins where it ends.
   *
   * @param audioEnd seconds of audio known so far
   */
  timed(piece: TimedPiece, audioEnd: number): WordedPiece {
    const within = (time: number): number => Math.min(Math.max(time, this.#saidUntil), audioEnd);
    const timings = piece.sources.map((source) => {
      const { start, end, ...rest } = this.#timings[source];
      return { ...rest, start: within(start), end: within(end) };
    });
    const options = { ...this.#options, lastSpeech: this.#saidUntil };
    const language = piece.language ?? undefined;
    const [found] = wordsOfSegments([{ ...piece, timings }], this.#tokenizer, language, options);
    // The corrections may reach beyond again.
    const words = found.words.map((word) => ({ ...word, start: within(word.start), end: within(word.end) }));
    const start = words.at(0)?.start ?? within(piece.start);
    const end = words.at(-1)?.end ?? within(piece.end);
    this.#saidUntil = end;
    return { ...piece, start, end, words };
  }
}
