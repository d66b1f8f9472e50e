/**
 * Times where a file holds no audio, because it begins later than its film or nothing was recorded for a while. Nobody speaks there, whatever the
 * model writes: it likes text to begin with the window that it hears.
 */
import type { AudioGap } from "../audio/index.ts";

/** Anything with a beginning and an end, in seconds. */
interface Timed {
  readonly start: number;
  readonly end: number;
}

/**
 * Begins what begins in a gap where the gap ends, and ends what ends in one where it begins. What lies in a gap altogether, or around one, stays.
 *
 * @param gaps in order
 */
export function outsideGaps<T extends Timed>(timed: T, gaps: readonly AudioGap[]): T {
  let { start, end } = timed;
  for (const gap of gaps) {
    if (start >= gap.start && start < gap.end && end > gap.end) start = gap.end;
    if (end > gap.start && end <= gap.end && start < gap.start) end = gap.start;
  }
  return start === timed.start && end === timed.end ? timed : { ...timed, start, end };
}

/** Does the same with the words of a segment, which stay within it. */
export function wordsOutsideGaps<T extends Timed>(words: readonly T[], segment: Timed, gaps: readonly AudioGap[]): T[] {
  const within = (time: number): number => Math.min(Math.max(time, segment.start), segment.end);
  return words.map((word) => {
    const moved = outsideGaps(word, gaps);
    return { ...moved, start: within(moved.start), end: within(moved.end) };
  });
}
