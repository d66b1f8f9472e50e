/**
 * What the subtitle formats share: times that can always be written, and text that cannot be taken for the format's own
 * marks. Where lines end is decided in shape-words.ts.
 */

import type { Segment, Transcript, Word } from "../transcription/index.ts";
import { toMilliseconds } from "./format-timestamp.ts";
import { PYTHON_SPACE, strip } from "./python-space.ts";
import { isReadable, type SubtitleOptions } from "./subtitle-options.ts";
import { READABLE_LINE_COUNT, READABLE_LINE_WIDTH, readableCues } from "./readable-cues.ts";
import { shapeWords } from "./shape-words.ts";

/** Text between two times, in seconds, `0 <= start <= end`. */
export interface Cue {
  readonly start: number;
  readonly end: number;
  /** Joined they are the text. */
  readonly parts: readonly CuePart[];
}

export interface CuePart {
  readonly text: string;
  /** The word that is being spoken. */
  readonly isMarked: boolean;
}

// Python's r"^(\s*)(.*)$", which takes a line break at the very end of the text, but none within.
const MARKABLE = new RegExp(`^([${PYTHON_SPACE}]*)([^\\n]*)(\\n?)$`);

/**
 * A segment's times, in seconds, fit to be written. An end that is missing (the model never closed the segment) is the end
 * of the audio; an end before the start is the start.
 */
export function segmentTimes(
  segment: Pick<Segment, "start" | "end">,
  duration: number,
): { start: number; end: number } {
  const { start } = segment;
  const given: number | null | undefined = segment.end;
  const end = typeof given === "number" && !Number.isNaN(given) ? given : duration;
  return { start, end: Math.max(start, end) };
}

/**
 * The cues of a transcript. A transcript whose first segment has words takes the times and the text of the words, and skips
 * segments without any, as openai/whisper does (facts 2.6.4, 2.6.5).
 *
 * Differences from openai/whisper, all where its file would not parse back: `-->` is replaced in cues with words too
 * (facts 2.6.2) and where it hides in a longer arrow (`--->`), lines that are blank inside a text, which would end the cue,
 * are left out, and no cue fills the gap before a word that starts before the last one ends.
 *
 * @param options checked before
 */
export function* cues(transcript: Transcript, options: SubtitleOptions = {}): Generator<Cue> {
  const { segments, duration } = transcript;
  if (isReadable(options)) {
    const { maxLineWidth = READABLE_LINE_WIDTH, maxLineCount = READABLE_LINE_COUNT } = options;
    for (const { start, end, words } of readableCues(segments, duration, { maxLineWidth, maxLineCount })) {
      if (options.highlightWords === true) yield* highlighted(words, duration);
      else yield { ...segmentTimes({ start, end }, duration), parts: plain(textOf(words)) };
    }
    return;
  }
  if (segments[0]?.words === undefined) {
    for (const segment of segments) yield { ...segmentTimes(segment, duration), parts: plain(strip(segment.text)) };
    return;
  }
  for (const words of shapeWords(segments, options)) {
    if (options.highlightWords === true) yield* highlighted(words, duration);
    else {
      const { start } = words[0];
      const { end } = words[words.length - 1];
      yield { ...segmentTimes({ start, end }, duration), parts: plain(textOf(words)) };
    }
  }
}

/** A cue for each word, and for each gap between two. */
function* highlighted(words: readonly Word[], duration: number): Generator<Cue> {
  let last = words[0].start;
  for (const [i, word] of words.entries()) {
    const { start, end } = segmentTimes(word, duration);
    if (toMilliseconds(start) > toMilliseconds(last)) yield { start: last, end: start, parts: plain(textOf(words)) };
    const [before, after] = [textOf(words.slice(0, i)), textOf(words.slice(i + 1))];
    yield { start, end, parts: marked(before, word.word, after) };
    last = end;
  }
}

function textOf(words: readonly Word[]): string {
  return words.map(({ word }) => word).join("");
}

function plain(text: string): CuePart[] {
  return [{ text: escapeCue(text).replace(/\n$/, ""), isMarked: false }];
}

function marked(before: string, word: string, after: string): CuePart[] {
  const match = MARKABLE.exec(word);
  if (match === null) return plain(before + word + after);
  const [, space, body, lineEnd] = match;
  return [
    { text: escapeCue(before + space), isMarked: false },
    { text: escapeCue(body), isMarked: true },
    { text: escapeCue(lineEnd + after).replace(/\n$/, ""), isMarked: false },
  ];
}

function escapeCue(text: string): string {
  return text.replace(/--+>/g, "->").replace(/(?:\r\n|\r|\n)(?:[ \t]*(?:\r\n|\r|\n))*/g, "\n");
}

/**
 * A cue's text, the marked part underlined.
 *
 * @param escape what the format does to text
 */
export function renderCue({ parts }: Cue, escape: (text: string) => string = (text) => text): string {
  return parts.map(({ text, isMarked }) => (isMarked ? `<u>${escape(text)}</u>` : escape(text))).join("");
}
