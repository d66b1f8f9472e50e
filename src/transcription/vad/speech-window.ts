/**
 * A window of speech: stretches of the recording, laid one after the other with their long pauses shortened, and the way from its time back to
 * the recording's.
 */
import { SAMPLE_RATE } from "../../audio/constants.ts";

/** Part of a recording, in samples. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A stretch of the recording and its place in a window, in samples. */
export interface Piece extends Span {
  /** Where it begins in the window. */
  readonly at: number;
}

/** What the model hears at once. */
export interface SpeechWindow {
  /** Mono at 16 kHz, at most a window long. */
  readonly samples: Float32Array;
  /** In order, at least one; together they are the samples. */
  readonly pieces: readonly Piece[];
  /** Where somebody speaks, in samples of the recording, in order, each within a piece. */
  readonly speech: readonly Span[];
}

/** How much of the silence around speech is kept, in samples. */
export interface Margins {
  /** Before the first and after the last word of a window, where the recording has so much. */
  readonly edge: number;
  /** Longest pause that is kept whole; of a longer one half of it stays on either side. */
  readonly pause: number;
}

/**
 * The stretches of the recording that a window of these spans is made of.
 *
 * @param spans in order, at least one
 * @param within what may be used of the recording: the window ends before the speech of the next one
 */
export function piecesOf(spans: readonly Span[], { edge, pause }: Margins, within: Span): Piece[] {
  const stretches: { start: number; end: number }[] = [];
  for (const { start, end } of spans) {
    const last = stretches.at(-1);
    if (last !== undefined && start - last.end <= pause) last.end = end;
    else stretches.push({ start, end });
  }
  let at = 0;
  return stretches.map(({ start, end }, i) => {
    const [before, after] = [i === 0 ? edge : pause / 2, i === stretches.length - 1 ? edge : pause / 2];
    const piece = {
      start: Math.max(within.start, Math.floor(start - before)),
      end: Math.min(within.end, Math.ceil(end + after)),
      at,
    };
    at += piece.end - piece.start;
    return piece;
  });
}

/** Samples of a window of these pieces. */
export function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { start, end }) => sum + end - start, 0);
}

/**
 * Recording time of a window's time, both in seconds. Where two pieces meet the time is that of the later one's beginning, or, of an end, of the
 * earlier one's end.
 */
export function recordingTime(pieces: readonly Piece[], seconds: number, isEnd: boolean): number {
  const sample = seconds * SAMPLE_RATE;
  let found = pieces[0];
  for (const piece of pieces) if (isEnd ? piece.at < sample : piece.at <= sample) found = piece;
  return Math.min(found.start + Math.max(0, sample - found.at), found.end) / SAMPLE_RATE;
}

/** Time of a window, in seconds, for a sample of the recording; of one that the window leaves out, that of the next it has. */
export function windowTime(pieces: readonly Piece[], sample: number): number {
  const piece = pieces.find(({ end }) => end >= sample) ?? pieces[pieces.length - 1];
  return (piece.at + Math.min(Math.max(sample, piece.start), piece.end) - piece.start) / SAMPLE_RATE;
}

/** A window of some of another's speech, cut out of its samples. */
export function partOf(window: SpeechWindow, speech: readonly Span[], margins: Margins): SpeechWindow {
  const parts = window.pieces.map((piece) => ({ piece, spans: speech.filter((span) => overlaps(piece, span)) }));
  const pieces: Piece[] = [];
  let at = 0;
  for (const { piece, spans } of parts) {
    if (spans.length === 0) continue;
    for (const { start, end } of piecesOf(spans, margins, piece)) {
      pieces.push({ start, end, at });
      at += end - start;
    }
  }
  const samples = new Float32Array(at);
  for (const { start, end, at } of pieces) {
    const source = window.pieces.find((piece) => piece.start <= start && end <= piece.end) as Piece;
    const from = source.at + start - source.start;
    samples.set(window.samples.subarray(from, from + end - start), at);
  }
  return { samples, pieces, speech };
}

function overlaps(a: Span, b: Span): boolean {
  return a.start < b.end && b.start < a.end;
}

/** Speech that lies in none of the stretches, in order; what is left of a span may be several. */
export function without(speech: readonly Span[], stretches: readonly Span[]): Span[] {
  return speech.flatMap((span) => {
    let left: Span[] = [span];
    for (const stretch of stretches) {
      left = left.flatMap(({ start, end }) => {
        if (stretch.end <= start || stretch.start >= end) return [{ start, end }];
        return [
          { start, end: Math.min(end, stretch.start) },
          { start: Math.max(start, stretch.end), end },
        ].filter((part) => part.end > part.start);
      });
    }
    return left;
  });
}

export function totalOf(spans: readonly Span[]): number {
  return spans.reduce((sum, { start, end }) => sum + end - start, 0);
}
