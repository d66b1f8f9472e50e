/** The text of a window of speech: its segments, by the model's timestamps, held to where somebody speaks; and what of the speech has no text. */
import { SAMPLE_RATE } from "../../audio/constants.ts";
import { TIME_PRECISION, type SpecialTokens } from "../../tokenizer/index.ts";
import { recordingTime, without, type Piece, type Span, type SpeechWindow } from "./speech-window.ts";

/** Text between two times, in seconds. */
export interface TimedText {
  readonly start: number;
  readonly end: number;
  /** With the timestamps. */
  readonly tokens: readonly number[];
}

/** By so much the model's times may miss the beginning and the end of speech, in samples: what lies so near a pause is meant to be there. */
const TOLERANCE = 0.25 * SAMPLE_RATE;

/** So far from a pause the border between two segments that touch may lie, in samples: it belongs there. */
const BORDER_TOLERANCE = 0.6 * SAMPLE_RATE;

/** Shorter speech that lies in no segment is a breath or the end of a word, in samples. */
const LEAST_UNCOVERED = 0.7 * SAMPLE_RATE;

/**
 * Cuts tokens into segments where timestamps stand. Text that the model did not end goes on to the end of the window.
 *
 * @param duration of the window, in seconds
 * @returns segments with text, in seconds of the window
 */
export function segmentsOf(
  tokens: readonly number[],
  duration: number,
  { timestampBegin }: Pick<SpecialTokens, "timestampBegin">,
): TimedText[] {
  const segments: TimedText[] = [];
  let start = 0;
  let open: number[] = [];
  let hasText = false;
  for (const token of tokens) {
    open.push(token);
    if (token < timestampBegin) {
      hasText = true;
      continue;
    }
    const time = Math.min((token - timestampBegin) * TIME_PRECISION, duration);
    if (hasText) segments.push({ start, end: Math.max(start, time), tokens: open });
    [open, hasText] = [hasText ? [] : [token], false];
    start = time;
  }
  if (hasText) segments.push({ start, end: Math.max(start, duration), tokens: open });
  return segments;
}

/** Times of the recording for those of a window: of segments, in order, which then begin and end with speech and do not overlap. */
export function inRecording<T extends Omit<TimedText, "tokens">>(
  segments: readonly T[],
  { pieces, speech }: Pick<SpeechWindow, "pieces" | "speech">,
): T[] {
  let last = 0;
  const placed = segments.map((segment) => {
    const span = onSpeech(spanOf(segment, pieces), speech);
    const start = Math.max(last, span.start);
    const end = Math.max(start, span.end);
    last = end;
    return { start, end };
  });
  for (const [i, next] of placed.slice(1).entries()) meetInPause(placed[i], next, speech);
  return segments.map((segment, i) => ({
    ...segment,
    start: placed[i].start / SAMPLE_RATE,
    end: placed[i].end / SAMPLE_RATE,
  }));
}

/** Moves the border between two segments that touch to the pause that is near it. */
function meetInPause(
  one: { start: number; end: number },
  next: { start: number; end: number },
  speech: readonly Span[],
): void {
  if (next.start - one.end > 1) return;
  let [best, nearest] = [-1, BORDER_TOLERANCE];
  for (let i = 1; i < speech.length; i++) {
    const [from, to] = [speech[i - 1].end, speech[i].start];
    const distance = Math.max(0, from - one.end, one.end - to);
    if (from > one.start && to < next.end && distance <= nearest) [best, nearest] = [i, distance];
  }
  if (best > 0) [one.end, next.start] = [speech[best - 1].end, speech[best].start];
}

/** Times of the recording for those of a segment's words; a word does not begin or end in a pause, and lies in its segment. */
export function wordsInRecording<T extends Omit<TimedText, "tokens">>(
  words: readonly T[],
  { pieces, speech }: Pick<SpeechWindow, "pieces" | "speech">,
  segment: Omit<TimedText, "tokens">,
): T[] {
  return words.map((word) => {
    const { start, end } = outsidePauses(spanOf(word, pieces), speech);
    const within = (sample: number): number => Math.min(Math.max(sample / SAMPLE_RATE, segment.start), segment.end);
    return { ...word, start: within(start), end: within(end) };
  });
}

function spanOf({ start, end }: Omit<TimedText, "tokens">, pieces: readonly Piece[]): Span {
  return {
    start: recordingTime(pieces, start, false) * SAMPLE_RATE,
    end: recordingTime(pieces, end, true) * SAMPLE_RATE,
  };
}

/** Moves a beginning that lies in a pause to the speech after it, and an end to the speech before it. */
function onSpeech({ start, end }: Span, speech: readonly Span[]): Span {
  const first = speech.find((span) => span.end > start + TOLERANCE);
  const last = speech.findLast((span) => span.start < end - TOLERANCE);
  if (first === undefined || last === undefined || first.start > last.start)
    return outsidePauses({ start, end }, speech);
  const begin = Math.max(start, first.start);
  return { start: begin, end: Math.max(begin, Math.min(end, last.end)) };
}

function outsidePauses({ start, end }: Span, speech: readonly Span[]): Span {
  const first = speech.find((span) => span.end > start);
  const last = speech.findLast((span) => span.start < end);
  const begin = first !== undefined && first.start < end ? Math.max(start, first.start) : start;
  return { start: begin, end: last !== undefined && last.end > begin ? Math.min(end, last.end) : Math.max(begin, end) };
}

/**
 * Longest speech without text of its own, in samples, that belongs to the segment beside it, and how far from it: the model often ends a segment
 * with its last vowel, or before its last word.
 */
const LONGEST_REST = 1.25 * SAMPLE_RATE;
const FARTHEST_REST = 0.6 * SAMPLE_RATE;

/**
 * Lets segments begin and end with the speech that they are part of, where little of it is left beside them.
 *
 * @param segments of the recording, in order
 */
export function withRest<T extends Omit<TimedText, "tokens">>(segments: readonly T[], speech: readonly Span[]): T[] {
  const spans = segments.map(({ start, end }) => ({ start: start * SAMPLE_RATE, end: end * SAMPLE_RATE }));
  for (const { start, end } of without(speech, spans)) {
    if (end - start > LONGEST_REST) continue;
    const before = spans.findLast((span) => span.end <= start + 1);
    const after = spans.find((span) => span.start >= end - 1);
    const toBefore = before === undefined ? Infinity : start - before.end;
    const toAfter = after === undefined ? Infinity : after.start - end;
    if (Math.min(toBefore, toAfter) > FARTHEST_REST) continue;
    if (before !== undefined && toBefore <= toAfter) before.end = end;
    else if (after !== undefined) after.start = start;
  }
  return segments.map((segment, i) => ({
    ...segment,
    start: spans[i].start / SAMPLE_RATE,
    end: spans[i].end / SAMPLE_RATE,
  }));
}

/** Speech that lies in no segment, in samples of the recording, in order. */
export function uncovered(segments: readonly Omit<TimedText, "tokens">[], speech: readonly Span[]): Span[] {
  const covered = segments.map(({ start, end }) => ({
    start: start * SAMPLE_RATE - TOLERANCE,
    end: end * SAMPLE_RATE + TOLERANCE,
  }));
  return without(speech, covered).filter(({ start, end }) => end - start >= LEAST_UNCOVERED);
}
