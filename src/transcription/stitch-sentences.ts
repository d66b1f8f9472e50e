/**
 * Stitches windows with timestamps. In the half of an overlap that lies nearer to its own middle, each window is believed;
 * what it says beyond waits for the next window, and is merged with that by the longest common sequence (facts 1.12).
 *
 * The answers are those of Hugging Face's `_decode_asr`, which Whisper JAX relies on, wherever a window's sentences follow
 * each other without a gap. That machine forgets which timestamps open and which close, and merges text without regard to
 * time: after a gap at the border of two windows it takes ends for starts until the next border, and says again what the
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
  #timeOffset = 0;
  #language: string | null = null;
  /** Sentences of the windows so far that the next window may change. */
  #open: Sentence[] = [];
  /** End of the last window. */
  #heardUntil = 0;
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
    const all = readSentences(decoded, times, window, language, this.#special);
    this.#language = all.at(-1)?.language ?? language;
    const sentences = left > 0 ? all.filter((sentence) => !this.#isSaid(sentence, times)) : all;

    // Before this, the window before has heard something too.
    const border = sentences.findIndex((sentence) => (sentence.start ?? start) >= this.#heardUntil);
    const shared = left === 0 ? 0 : border < 0 ? sentences.length : border;
    const joined = [...join(this.#open, sentences.slice(0, shared), times.leftEnd), ...sentences.slice(shared)];
    this.#heardUntil = end;

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

/** The sentences of the window before that are open, and those that this window has heard in the same time. */
function join(left: readonly Sentence[], right: readonly Sentence[], border: number): Sentence[] {
  const settled = left.map((sentence) => ({ ...sentence, isOpen: false }));
  if (left.length === 0 || right.length === 0) return [...settled, ...right];
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
  const head = a.tokens.slice(0, l.offset);
  const tail = b.tokens.slice(r.offset);
  // Only the right window hears a sentence begin here, and it had heard what came before.
  if (l.offset > 0 && r.offset === 0 && r.index > 0) {
    return [...before, { ...a, tokens: head, end: Math.min(endOf(a), startOf(b)) }, b, ...after];
  }
  const merged = {
    ...b,
    start: a.start,
    tokens: [...head, ...tail],
    span: [a.span[0], b.span[1]] as const,
    window: head.length >= tail.length ? a.window : b.window,
  };
  return [...before, merged, ...after];
}

/** Believes each window on its side of the border, and on the other where it alone has heard something. */
function chooseByTime(left: readonly Sentence[], right: readonly Sentence[], border: number): Sentence[] {
  const middle = (sentence: Sentence): number => (startOf(sentence) + endOf(sentence)) / 2;
  const isHeard = (sentence: Sentence, others: readonly Sentence[], isBeyond: boolean): boolean => {
    const [from, to] = [startOf(sentence), endOf(sentence)];
    return others.some((other) => {
      const both = Math.min(to, endOf(other)) - Math.max(from, startOf(other));
      const either = Math.max(to, endOf(other)) - Math.min(from, startOf(other));
      // The same sentence in other words; or a part of a longer one, on the side where the other window is believed.
      return both > either / 2 || (isBeyond && both > (to - from) / 2);
    });
  };
  const before = left.filter((it) => middle(it) < border || !isHeard(it, right, startOf(it) >= border));
  const after = right.filter((it) => middle(it) >= border || !isHeard(it, left, endOf(it) <= border));
  const [a, b] = [before.at(-1), after.at(0)];
  // One sentence, of which each has heard a part.
  if (a !== undefined && b !== undefined && startOf(b) < endOf(a) - TOLERANCE) {
    const window = a.tokens.length >= b.tokens.length ? a.window : b.window;
    const span = [a.span[0], b.span[1]] as const;
    const one = { ...b, start: a.start, tokens: [...a.tokens, ...b.tokens], span, window };
    return [...before.slice(0, -1), one, ...after.slice(1)];
  }
  return [...before, ...after];
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
