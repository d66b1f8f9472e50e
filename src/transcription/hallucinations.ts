/**
 * Finds text that was probably made up, by how its words look, and skips the silence around it (openai/whisper's
 * `hallucination_silence_threshold`, facts 2.3.9).
 */
import { APPEND_PUNCTUATIONS, PREPEND_PUNCTUATIONS, speechEnd } from "../alignment/index.ts";
import { roundHalfEven } from "../tensor/index.ts";
import { FRAMES_PER_SECOND } from "./clips.ts";
import type { Word } from "./transcript.ts";
import { frameTime } from "./window-segments.ts";

const PUNCTUATION = PREPEND_PUNCTUATIONS + APPEND_PUNCTUATIONS;

/** Words of a segment that are looked at. */
const WORDS_JUDGED = 8;

/** Below it a word is unlikely. */
const LEAST_PROBABILITY = 0.15;
/** Seconds below which nobody speaks a word. */
const LEAST_DURATION = 0.133;
/** Seconds above which nobody does. */
const MOST_DURATION = 2;

/** Within so many seconds of the border of a window there is no silence to be seen. */
const NEAR_BORDER = 2;

export interface WordedSegment {
  readonly start: number;
  readonly end: number;
  readonly words: readonly Word[];
}

/** Where a window lies, in frames, and what was found in it. */
export interface WordedWindow<S extends WordedSegment> {
  /** First frame. */
  readonly seek: number;
  /** Frames that are sound. */
  readonly size: number;
  /** Frames of a window, padding included. */
  readonly windowFrames: number;
  /** Frames of the recording. */
  readonly contentFrames: number;
  readonly segments: readonly S[];
  /** Where the next window would begin. */
  readonly nextSeek: number;
  readonly isSingleEnding: boolean;
  /** Seconds at which the last word before this window ended. */
  readonly lastSpeech: number;
}

export interface Skipped<S> {
  /** Segments that are kept. Null: none, and the window begins again at `nextSeek`. */
  readonly segments: readonly S[] | null;
  readonly nextSeek: number;
}

/** How unlike a spoken word it is: 0 for nothing unusual. */
export function wordAnomaly({ start, end, probability }: Word): number {
  const duration = end - start;
  let score = 0;
  if (probability < LEAST_PROBABILITY) score += 1;
  if (duration < LEAST_DURATION) score += (LEAST_DURATION - duration) * 15;
  if (duration > MOST_DURATION) score += duration - MOST_DURATION;
  return score;
}

/** Whether a segment looks made up. One without words does not. */
export function isAnomalous(segment: WordedSegment | undefined): boolean {
  if (segment === undefined || segment.words.length === 0) return false;
  const words = segment.words.filter(({ word }) => !PUNCTUATION.includes(word)).slice(0, WORDS_JUDGED);
  const score = words.reduce((sum, word) => sum + wordAnomaly(word), 0);
  return score >= 3 || score + 0.01 >= words.length;
}

/**
 * Leaves out segments that look made up and stand in silence, and moves the next window to skip it.
 *
 * @param threshold seconds of silence
 */
export function skipHallucinations<S extends WordedSegment>(window: WordedWindow<S>, threshold: number): Skipped<S> {
  const { seek, size, segments, isSingleEnding } = window;
  const offset = frameTime(seek);
  const windowEnd = frameTime(seek + window.windowFrames);
  let { nextSeek } = window;

  if (!isSingleEnding) {
    const spoken = speechEnd(segments);
    if (spoken !== null && spoken > offset) {
      nextSeek = windowEnd - spoken > threshold ? toFrame(spoken) : seek + size;
    }
  }

  const first = segments.find(({ words }) => words.length > 0);
  if (first !== undefined && isAnomalous(first)) {
    const gap = first.start - offset;
    if (gap > threshold) return { segments: null, nextSeek: seek + toFrame(gap) };
  }

  let lastEnd = window.lastSpeech;
  for (const [i, segment] of segments.entries()) {
    if (segment.words.length === 0) continue;
    if (isAnomalous(segment)) {
      const next = segments.slice(i + 1).find(({ words }) => words.length > 0);
      const nextStart = next === undefined ? offset + frameTime(size) : next.words[0].start;
      const isAfterSilence =
        segment.start - lastEnd > threshold || segment.start < threshold || segment.start - offset < NEAR_BORDER;
      const isBeforeSilence =
        nextStart - segment.end > threshold || isAnomalous(next) || windowEnd - segment.end < NEAR_BORDER;
      if (isAfterSilence && isBeforeSilence) {
        const isLast = frameTime(window.contentFrames) - segment.end < threshold;
        return {
          segments: segments.slice(0, i),
          nextSeek: isLast ? window.contentFrames : toFrame(Math.max(offset + 1, segment.start)),
        };
      }
    }
    lastEnd = segment.end;
  }
  return { segments, nextSeek };
}

function toFrame(seconds: number): number {
  return roundHalfEven(seconds * FRAMES_PER_SECOND);
}
