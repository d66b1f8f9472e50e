/** Segments that reach across a long pause are cut there, where their words tell which of them stand on which side. */
import type { WordTiming } from "../../alignment/index.ts";
import { SAMPLE_RATE } from "../../audio/constants.ts";
import { windowTime, type SpeechWindow } from "./speech-window.ts";
import type { TimedText } from "./window-text.ts";

/** Pauses from so many samples on end a segment: somebody else may speak after them. */
const LEAST_PAUSE = 0.8 * SAMPLE_RATE;
/** Seconds by which a segment must reach beyond a pause to lie around it. */
const REACH = 0.2;

/** Less speech than this, in seconds, between pauses within a segment is a noise that alignment has put a word on. */
const LEAST_SPEECH = 0.35;

/** A pause, or speech, in seconds of the window. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** The long pauses of a window, in order. */
export function longPauses({ pieces, speech }: Pick<SpeechWindow, "pieces" | "speech">): Stretch[] {
  return speech.slice(1).flatMap((span, i) => {
    const { end } = speech[i];
    return span.start - end < LEAST_PAUSE
      ? []
      : [{ start: windowTime(pieces, end), end: windowTime(pieces, span.start) }];
  });
}

/** The pauses that a segment lies around. */
export function pausesWithin({ start, end }: Stretch, pauses: readonly Stretch[]): Stretch[] {
  return pauses.filter((pause) => pause.start > start + REACH && pause.end < end - REACH);
}

/** Seconds of speech between two times. */
export function speechWithin(speech: readonly Stretch[], start: number, end: number): number {
  return speech.reduce((sum, span) => sum + Math.max(0, Math.min(end, span.end) - Math.max(start, span.start)), 0);
}

/**
 * Cuts segments at pauses. A segment all of whose words stand on one side stays as it is.
 *
 * @param segments in seconds of the window, in order
 * @param words of all text tokens of the segments, in seconds of the window
 * @param pauses the long ones, in order
 * @param speech in seconds of the window
 */
export function splitAtPauses(
  segments: readonly TimedText[],
  words: readonly WordTiming[],
  pauses: readonly Stretch[],
  speech: readonly Stretch[],
  eot: number,
): TimedText[] {
  const split: TimedText[] = [];
  let at = 0;
  const places = words.map((word) => {
    const place = at;
    at += word.tokens.length;
    return { place, middle: (word.start + word.end) / 2 };
  });
  let first = 0;
  for (const segment of segments) {
    const end = first + segment.tokens.filter((token) => token < eot).length;
    let rest = heldToSpeech(segment, pauses, speech);
    let from = first;
    for (const pause of pausesWithin(rest, pauses)) {
      const middle = (pause.start + pause.end) / 2;
      const after = places.find((word) => word.place > from && word.place < end && word.middle > middle);
      // Words before this pause, and text of the segment after it.
      if (after === undefined || places.some(({ place, middle: m }) => place === from && m > middle)) continue;
      const cut = indexOfText(rest.tokens, after.place - from, eot);
      split.push({ start: rest.start, end: pause.start, tokens: rest.tokens.slice(0, cut) });
      rest = { start: pause.end, end: rest.end, tokens: rest.tokens.slice(cut) };
      from = after.place;
    }
    split.push(rest);
    first = end;
  }
  return split;
}

/** A segment without the noises at its ends that long pauses part from it. */
function heldToSpeech(segment: TimedText, pauses: readonly Stretch[], speech: readonly Stretch[]): TimedText {
  let { start, end } = segment;
  for (const pause of pausesWithin(segment, pauses)) {
    if (speechWithin(speech, start, pause.start) < LEAST_SPEECH) start = pause.end;
  }
  for (const pause of pausesWithin({ start, end }, pauses).reverse()) {
    if (speechWithin(speech, pause.end, end) < LEAST_SPEECH) end = pause.start;
  }
  return { ...segment, start, end };
}

/** Index of the text token that `count` others come before. */
export function indexOfText(tokens: readonly number[], count: number, eot: number): number {
  let seen = 0;
  for (const [i, token] of tokens.entries()) if (token < eot && seen++ === count) return i;
  return tokens.length;
}
