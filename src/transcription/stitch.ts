/**
 * Makes one text of the windows' tokens: Hugging Face's `_decode_asr`, which Whisper JAX relies on (facts 1.12), as a
 * machine that is fed one window at a time and gives each piece of text as soon as nothing can change it.
 *
 * Where windows overlap, timestamps inside the strides are not trusted: text waits until a timestamp outside of both
 * strides closes it, and is then merged by its longest common sequence. The last timestamp of every window but the last
 * is always taken for one of those (facts 1.12.3), and its partner in the next window with it.
 *
 * Differences, where a window ends with the start of a sentence that it leaves to the next one, `..<24.5><25.2>`, so that
 * no text is waiting: no partner of that timestamp is dropped from the next window, and what the next window closes inside
 * its left stride is dropped if a piece given already covers the middle of it. Hugging Face drops a timestamp too many
 * there, after which ends are taken for starts, and says the overlap twice.
 */
import { TIME_PRECISION, type SpecialTokens } from "../tokenizer/index.ts";
import { mergeTokens } from "./merge.ts";
import { roundToHundredths } from "./round-to-hundredths.ts";

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
  /** Code. */
  readonly language: string | null;
  /** Number of the window that gave most of the tokens: 0 for the first one pushed. */
  readonly window: number;
  /** Seconds from the first to the last window whose tokens went into it; times for a piece that has none. */
  readonly span: readonly [from: number, to: number];
}

export interface StitcherOptions {
  readonly special: Pick<SpecialTokens, "eot" | "timestampBegin" | "languages">;
  /** Whether timestamps were asked for: without, a change of language ends a piece. */
  readonly returnTimestamps: boolean;
}

interface PendingTokens {
  readonly window: number;
  readonly span: readonly [number, number];
  readonly tokens: number[];
}

/** Feed it with `push`, in order, and call `finish` once. */
export class Stitcher {
  readonly #special: StitcherOptions["special"];
  readonly #returnTimestamps: boolean;
  readonly #languageOf: ReadonlyMap<number, string>;
  #windows = 0;
  #timeOffset = 0;
  #start: number | null = null;
  #language: string | null = null;
  #lastLanguage: string | null = null;
  /** Token lists of the open piece, one a window, waiting to be merged. */
  #pending: PendingTokens[] = [];
  /** Whether the next timestamp is the partner of a dropped one. */
  #skip = false;
  /** End of the last piece. */
  #saidUntil = -Infinity;

  constructor({ special, returnTimestamps }: StitcherOptions) {
    this.#special = special;
    this.#returnTimestamps = returnTimestamps;
    this.#languageOf = new Map([...special.languages].map(([code, id]) => [id, code]));
  }

  /** @returns the pieces that this window completes, in order */
  push({ tokens, stride, language }: DecodedWindow): Piece[] {
    const { eot, timestampBegin } = this.#special;
    const window = this.#windows++;
    const [length, left, right] = stride ?? [0, 0, 0];
    this.#timeOffset -= left;
    // Fractional where the stride is no multiple of a timestamp.
    const firstTimestamp = left === 0 ? timestampBegin : left / TIME_PRECISION + timestampBegin;
    const lastTimestamp = right === 0 ? null : firstUntrusted(tokens, timestampBegin, length - right);

    const span = [this.#timeOffset + left, this.#timeOffset + length] as const;
    const pieces: Piece[] = [];
    let current: PendingTokens = { window, span, tokens: [] };
    const close = (end: number | null): void => {
      this.#pending.push(current);
      current = { window, span, tokens: [] };
      pieces.push(this.#takePiece(end));
    };
    const speak = (code: string): void => {
      if (this.#lastLanguage !== null && code !== this.#lastLanguage && !this.#returnTimestamps) {
        if (current.tokens.length > 0 || this.#isWaiting()) close(null);
      }
      this.#language = code;
      this.#lastLanguage = code;
    };

    if (language !== undefined) speak(language);
    for (let i = 0; i < tokens.length; i++) {
      const id = tokens[i];
      if (id < eot) {
        current.tokens.push(id);
      } else if (id < timestampBegin) {
        const code = this.#languageOf.get(id);
        if (code !== undefined) speak(code);
      } else {
        const time = roundToHundredths((id - timestampBegin) * TIME_PRECISION + this.#timeOffset);
        if (lastTimestamp !== null && id >= lastTimestamp) {
          this.#skip = true;
        } else if (this.#skip || (this.#pending.length > 0 && id < firstTimestamp)) {
          this.#skip = false;
        } else if (this.#start === null) {
          this.#start = time;
        } else if (time !== this.#start) {
          const isSaid = id < firstTimestamp && (this.#start + time) / 2 < this.#saidUntil;
          if (isSaid) {
            current = { window, span, tokens: [] };
            this.#reset();
          } else {
            close(time);
            this.#saidUntil = time;
          }
        }
      }
    }

    this.#timeOffset += length - right;
    if (current.tokens.length > 0) {
      this.#pending.push(current);
    } else if (!this.#isWaiting()) {
      this.#reset();
      this.#skip = false;
    }
    return pieces;
  }

  /** @returns the piece still open, whose end is null: none, or one */
  finish(): Piece[] {
    return this.#pending.length === 0 ? [] : [this.#takePiece(null)];
  }

  #isWaiting(): boolean {
    return this.#pending.some(({ tokens }) => tokens.length > 0);
  }

  #reset(): void {
    this.#pending = [];
    this.#start = null;
    this.#language = this.#lastLanguage;
  }

  #takePiece(end: number | null): Piece {
    const { tokens, contributed } = mergeTokens(this.#pending.map((list) => list.tokens));
    const given = new Map<number, number>();
    for (const [i, { window }] of this.#pending.entries()) given.set(window, (given.get(window) ?? 0) + contributed[i]);
    let main = this.#pending[0].window;
    for (const [window, count] of given) if (count > (given.get(main) ?? 0)) main = window;
    const spans = this.#pending.filter((list) => list.tokens.length > 0).map((list) => list.span);
    const span = [spans[0]?.[0] ?? 0, spans.at(-1)?.[1] ?? 0] as const;
    const piece = { start: this.#start, end, tokens, language: this.#language, window: main, span };
    this.#reset();
    return piece;
  }
}

/**
 * The earliest timestamp of the trailing ones that lie in the right stride; the very last timestamp always counts as one.
 *
 * @param rightStart seconds from the window's start
 */
function firstUntrusted(tokens: ArrayLike<number>, timestampBegin: number, rightStart: number): number | null {
  let found: number | null = null;
  for (let i = tokens.length - 1; i >= 0; i--) {
    const id = tokens[i];
    if (id < timestampBegin) continue;
    if (found !== null && (id - timestampBegin) * TIME_PRECISION < rightStart) break;
    found = id;
  }
  return found;
}
