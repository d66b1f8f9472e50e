/**
 * Stitches windows with timestamps. In the half of an overlap that lies nearer to its own middle, each window is believed;
 * what it says beyond waits for the next window, and is merged with that by the longest common sequence (facts 1.12).
 *
 * It gives the answers of Hugging Face's `_decode_asr`, which Whisper JAX relies on, to the vectors of facts 6.8. That machine
 * forgets which timestamps open and which close, and merges text without regard to time: after a gap at the border of two windows it takes ends for starts until the next border, and says again what the
 * window before has said. Here sentences are kept whole instead:
 * - the sentences that wait keep their own times, and the merged one gets the start of the left and the end of the right;
 * - a sentence inside the left stride that a piece given already covers is dropped;
 * - text is merged only where the times of the two windows agree;
 * - where no text agrees, each window is believed on its side of the border, as far as the other has heard anything there.
 */
import { findOverlap } from "./merge.ts";
import { readSentences, type Sentence, type WindowTimes } from "./sentences.ts";
import type { DecodedWindow, Piece, StitchTokens, Stitcher } from "./stitcher.ts";

/** By how much two windows may differ about the time of the same words, in seconds. */
const TOLERANCE = 1;

export class SentenceStitcher implements Stitcher {
  readonly #special: StitchTokens;
  #windows = 0;
  /** Text tokens so far. */
  #tokens = 0;
  #timeOffset = 0;
  #language: string | null = null;
  /** Sentences of the windows so far that the next window may change. */
  #open: Sentence[] = [];
  /** Right stride of the last window. */
  #right = 0;
  /** End of the last piece. */
  #saidUntil = -Infinity;

  constructor(special: StitchTokens) {
    this.#special = special;
  }

  push(decoded: DecodedWindow): Piece[] {
    const window = this.#windows++;
    const [length, left, right] = decoded.stride ?? [0, 0, 0];
    const start = this.#timeOffset - left;
    const end = start + length;
    const times = { start, end, leftEnd: this.#timeOffset, rightStart: end - right };
    this.#timeOffset = times.rightStart;

    const language = decoded.language ?? this.#language;
    const all = readSentences(decoded.tokens, times, window, language, this.#special, this.#tokens);
    for (const { tokens } of all) this.#tokens += tokens.length;
    this.#language = all.at(-1)?.language ?? language;
    const sentences = all.filter((sentence) => !this.#isSaid(sentence, times));
    const joined = join(this.#open, sentences, left > 0 || this.#right > 0 ? times.leftEnd : null);
    this.#right = right;

    const firstOpen = joined.findIndex((sentence) => sentence.isOpen);
    const closed = firstOpen < 0 ? joined : joined.slice(0, firstOpen);
    this.#open = firstOpen < 0 ? [] : joined.slice(firstOpen);
    for (const sentence of closed) this.#saidUntil = endOf(sentence);
    return closed;
  }

  finish(): Piece[] {
    const rest = this.#open;
    this.#open = [];
    return rest;
  }

  #isSaid(sentence: Sentence, times: WindowTimes): boolean {
    const end = sentence.end ?? times.end;
    return end <= times.leftEnd && ((sentence.start ?? times.start) + end) / 2 < this.#saidUntil;
  }
}

/**
 * The open sentences of the windows before, and those of this window.
 *
 * @param border seconds where this window begins to be believed more than the one before; null if they do not overlap
 */
function join(left: readonly Sentence[], right: readonly Sentence[], border: number | null): Sentence[] {
  const settled = left.map((sentence) => ({ ...sentence, isOpen: false }));
  if (left.length === 0 || right.length === 0 || border === null) return [...settled, ...right];
  return mergeTexts(settled, right) ?? chooseByTime(settled, right, border);
}

/** Joins them where their texts agree, if they do. */
function mergeTexts(left: readonly Sentence[], right: readonly Sentence[]): Sentence[] | null {
  const overlap = findOverlap(
    left.flatMap(({ tokens }) => tokens),
    right.flatMap(({ tokens }) => tokens),
    ({ keep, skip }) => areNear(left[locate(left, keep).index], right[locate(right, skip).index]),
  );
  if (overlap === null) return null;
  const l = locate(left, overlap.keep);
  const r = locate(right, overlap.skip);
  const [a, b] = [left[l.index], right[r.index]];
  const before = left.slice(0, l.index);
  const after = right.slice(r.index + 1);
  const head = take(a, 0, l.offset);
  const tail = take(b, r.offset);
  // Only the right window hears a sentence begin here, and it had heard what came before.
  if (l.offset > 0 && r.offset === 0 && r.index > 0) {
    return [...before, { ...a, ...head, end: Math.min(endOf(a), startOf(b)) }, b, ...after];
  }
  const merged = {
    ...b,
    start: a.start,
    ...joined(head, tail),
    span: [a.span[0], b.span[1]] as const,
    window: head.tokens.length >= tail.tokens.length ? a.window : b.window,
  };
  return [...before, merged, ...after];
}

/** Believes each window on its side of the border, and on the other where it alone has heard something. */
function chooseByTime(left: readonly Sentence[], right: readonly Sentence[], border: number): Sentence[] {
  const before = left.filter((sentence) => !right.some((other) => yields(sentence, other, border, false)));
  const after = right.filter((sentence) => !left.some((other) => yields(sentence, other, border, true)));
  const [a, b] = [before.at(-1), after.at(0)];
  // One sentence, of which each has heard a part.
  if (a !== undefined && b !== undefined && startOf(b) < endOf(a) - TOLERANCE) {
    const window = a.tokens.length >= b.tokens.length ? a.window : b.window;
    const span = [a.span[0], b.span[1]] as const;
    const one = { ...b, start: a.start, ...joined(a, b), span, window };
    return [...before.slice(0, -1), one, ...after.slice(1)];
  }
  return [...before, ...after];
}

/**
 * Whether a sentence of one window is left out for one of the other window, which says something else in the same time.
 *
 * @param isRight whether the sentence is of the later window, which is believed after the border
 */
function yields(sentence: Sentence, other: Sentence, border: number, isRight: boolean): boolean {
  const [from, to] = [startOf(sentence), endOf(sentence)];
  const both = Math.min(to, endOf(other)) - Math.max(from, startOf(other));
  const either = Math.max(to, endOf(other)) - Math.min(from, startOf(other));
  // The same sentence in other words: one that the window's end has cut yields, else the side of its middle decides.
  if (both > either / 2) {
    if ((sentence.end === null) !== (other.end === null)) return sentence.end === null;
    return isRight === (from + to + startOf(other) + endOf(other)) / 4 < border;
  }
  // Part of one of which the other window has heard more.
  if (both > 0.9 * (to - from) && other.tokens.length > sentence.tokens.length) return true;
  // Part of any, on the side where the other window is believed.
  return both > (to - from) / 2 && (isRight ? to <= border : from >= border);
}

type Text = Pick<Piece, "tokens" | "sources">;

function take({ tokens, sources }: Text, from: number, to?: number): Text {
  return { tokens: tokens.slice(from, to), sources: sources.slice(from, to) };
}

function joined(a: Text, b: Text): Text {
  return { tokens: [...a.tokens, ...b.tokens], sources: [...a.sources, ...b.sources] };
}

/** The sentence that holds the token of this number, and the token's place in it. */
function locate(sentences: readonly Sentence[], position: number): { index: number; offset: number } {
  let offset = position;
  let index = 0;
  while (offset >= sentences[index].tokens.length) offset -= sentences[index++].tokens.length;
  return { index, offset };
}

function areNear(a: Sentence, b: Sentence): boolean {
  return startOf(a) - TOLERANCE <= endOf(b) && startOf(b) - TOLERANCE <= endOf(a);
}

function startOf({ start, span }: Piece): number {
  return start ?? span[0];
}

function endOf({ end, span }: Piece): number {
  return end ?? span[1];
}
