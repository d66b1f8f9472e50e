/** Which segment and which word is heard at a time. */

import type { Segment } from "../../../src/transcription/transcript.ts";

/**
 * Index of the last item that starts at or before a time; -1 before the first. Items are in the order of their starts.
 */
export function lastStarted(items: readonly { readonly start: number }[], time: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** How long after its end a segment still counts as the current one, in seconds: pauses do not make the page flicker. */
const LINGER = 1;

/** The segment and word at a time; -1 for none. Between two words the last one stays lit. */
export function positionAt(segments: readonly Segment[], time: number): { segment: number; word: number } {
  const segment = lastStarted(segments, time);
  if (segment < 0 || time > segments[segment].end + LINGER) return { segment: -1, word: -1 };
  const { words } = segments[segment];
  return { segment, word: words === undefined ? -1 : lastStarted(words, time) };
}
