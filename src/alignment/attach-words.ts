/**
 * Gives segments their words, and corrects times that alignment gets wrong: words that take in the silence beside them,
 * and segments whose times the words know better.
 *
 * After openai/whisper's timing.py `add_word_timestamps` (v20250625; facts 2.5.5, 2.5.7), constants and all. The order of the
 * steps is part of the result.
 */
import { roundHalfEven } from "../tensor/index.ts";
import { APPEND_PUNCTUATIONS, mergePunctuation, PREPEND_PUNCTUATIONS } from "./merge-punctuation.ts";
import { isAmong } from "./python-text.ts";
import type { WordTiming } from "./word-times.ts";

/** A word of a segment, times in seconds from the start of the recording. */
export interface SegmentWord {
  readonly start: number;
  readonly end: number;
  readonly word: string;
  readonly probability: number;
}

/** What of a segment words need. */
export interface WordlessSegment {
  /** Seconds from the start of the recording. */
  readonly start: number;
  /** Seconds from the start of the recording. */
  readonly end: number;
  readonly tokens: readonly number[];
}

export interface AttachOptions {
  /** Id of endoftext: the tokens below it are text. */
  readonly eot: number;
  /** Seconds from the start of the recording to where the times of the alignment begin: the window's start. Default 0. */
  readonly timeOffset?: number | undefined;
  /** Where the last word of the segments before these ended, in seconds from the start of the recording. Default 0. */
  readonly lastSpeech?: number | undefined;
  /** Default PREPEND_PUNCTUATIONS. */
  readonly prependPunctuations?: string | undefined;
  /** Default APPEND_PUNCTUATIONS. */
  readonly appendPunctuations?: string | undefined;
}

type Times = { -readonly [K in keyof SegmentWord]: SegmentWord[K] };

const SENTENCE_END_MARKS = ".。!！?？";
/** Longest median duration of a word that is believed, in seconds. */
const MAX_MEDIAN = 0.7;
/** By how much a segment's word may lie outside it before it is the word that gives way, in seconds. */
const MAX_OVERHANG = 0.5;

/**
 * Shares out words among the segments that were aligned together, and corrects times of both.
 *
 * Words go to segments by counting tokens; a word that reaches into the next segment goes to the first. Times are rounded
 * to 0.01 s, but for those that a correction sets.
 *
 * @param segments in order, with all text tokens that were aligned and no others; not modified
 * @param alignment their words, from `wordTimes`, punctuation not yet merged
 * @returns the segments with words, and with times of the words where those are to be believed
 */
export function attachWords<S extends WordlessSegment>(
  segments: readonly S[],
  alignment: readonly WordTiming[],
  options: AttachOptions,
): (S & { readonly words: readonly SegmentWord[] })[] {
  const { eot, timeOffset = 0, lastSpeech = 0 } = options;
  const { prependPunctuations = PREPEND_PUNCTUATIONS, appendPunctuations = APPEND_PUNCTUATIONS } = options;
  const durations = alignment.map(({ start, end }) => end - start).filter((duration) => duration !== 0);
  const medianDuration = Math.min(MAX_MEDIAN, median(durations));
  const maxDuration = medianDuration * 2;
  const clamped = durations.length > 0 ? clampAtSentenceEnds(alignment, maxDuration) : alignment;
  const timings = mergePunctuation(clamped, prependPunctuations, appendPunctuations);

  let spoken = lastSpeech;
  let next = 0;
  return segments.map((segment) => {
    const nTokens = segment.tokens.reduce((count, token) => (token < eot ? count + 1 : count), 0);
    const words: Times[] = [];
    for (let taken = 0; next < timings.length && taken < nTokens; next++) {
      const { word, start, end, probability, tokens } = timings[next];
      if (word !== "") {
        words.push({ word, start: round(timeOffset + start), end: round(timeOffset + end), probability });
      }
      taken += tokens.length;
    }
    if (words.length === 0) return { ...segment, words };
    clampAfterPause(words, spoken, medianDuration);
    const start = snapStart(segment, words[0], medianDuration);
    const end = snapEnd(segment, words[words.length - 1], medianDuration);
    spoken = end;
    return { ...segment, start, end, words };
  });
}

/**
 * Where speech ends in these segments: the end of the last word, or of the last segment if there are no words; null if there
 * is no segment either.
 *
 * @see openai/whisper utils.py `get_end` (v20250625)
 */
export function speechEnd(
  segments: readonly { readonly end: number; readonly words?: readonly SegmentWord[] | undefined }[],
): number | null {
  const last = segments.findLast(({ words }) => words !== undefined && words.length > 0);
  return last?.words?.at(-1)?.end ?? segments.at(-1)?.end ?? null;
}

/** Cuts a long mark at the end of a sentence, or the long word after one, which has taken in the pause. */
function clampAtSentenceEnds(alignment: readonly WordTiming[], maxDuration: number): WordTiming[] {
  const clamped = [...alignment];
  for (let i = 1; i < clamped.length; i++) {
    const { word, start, end } = clamped[i];
    if (!(end - start > maxDuration)) continue;
    if (isAmong(word, SENTENCE_END_MARKS)) clamped[i] = { ...clamped[i], end: start + maxDuration };
    else if (isAmong(clamped[i - 1].word, SENTENCE_END_MARKS)) {
      clamped[i] = { ...clamped[i], start: end - maxDuration };
    }
  }
  return clamped;
}

/** Cuts the first word after a pause, and the second, which may have taken in a part of the pause each. */
function clampAfterPause(words: readonly Times[], lastSpeech: number, medianDuration: number): void {
  const maxDuration = medianDuration * 2;
  const [first, second] = words as readonly [Times, ...(readonly (Times | undefined)[])];
  if (!(first.end - lastSpeech > medianDuration * 4)) return;
  const isLong = first.end - first.start > maxDuration;
  if (!isLong && !(second !== undefined && second.end - first.start > maxDuration * 2)) return;
  if (second !== undefined && second.end - second.start > maxDuration) {
    // openai/whisper takes the larger of this and half of the end, which never is: the end is beyond 4 medians.
    const boundary = second.end - maxDuration;
    first.end = boundary;
    second.start = boundary;
  }
  first.start = Math.max(0, first.end - maxDuration);
}

/** Where the segment starts: with its first word, unless that starts much too early; then the word is cut. */
function snapStart(segment: WordlessSegment, first: Times, medianDuration: number): number {
  if (!(segment.start < first.end && segment.start - MAX_OVERHANG > first.start)) return first.start;
  first.start = Math.max(0, Math.min(first.end - medianDuration, segment.start));
  return segment.start;
}

/** Where the segment ends: with its last word, unless that ends much too late; then the word is cut. */
function snapEnd(segment: WordlessSegment, last: Times, medianDuration: number): number {
  if (!(segment.end > last.start && segment.end + MAX_OVERHANG < last.end)) return last.end;
  last.end = Math.max(last.start + medianDuration, segment.end);
  return segment.end;
}

/** Of no values it is 0. */
function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** To 0.01, as numpy rounds. */
function round(seconds: number): number {
  return roundHalfEven(seconds * 100) / 100;
}
