/**
 * What the subtitle formats share: one cue per segment, with times that can always be written and text that cannot be
 * taken for the format's own marks. Line shaping and word highlighting are not done here.
 */

import type { Segment, Transcript } from "../transcription/index.ts";

/** Text between two times, in seconds, `0 <= start <= end`. */
export interface Cue {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

// str.isspace() of Python, which differs from trim(): it takes the separators 1C-1F and NEL, and leaves U+FEFF alone.
const PYTHON_SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const OUTER_SPACE = new RegExp(`^[${PYTHON_SPACE}]+|[${PYTHON_SPACE}]+$`, "g");

/** Removes the white space around a text, as Python's `str.strip()`. */
export function strip(text: string): string {
  return text.replace(OUTER_SPACE, "");
}

/**
 * A segment's times, in seconds, fit to be written. An end that is missing (the model never closed the segment) is the end
 * of the audio; an end before the start is the start.
 */
export function segmentTimes(segment: Segment, duration: number): { start: number; end: number } {
  const { start } = segment;
  const given: number | null | undefined = segment.end;
  const end = typeof given === "number" && !Number.isNaN(given) ? given : duration;
  return { start, end: Math.max(start, end) };
}

/**
 * The cues of a transcript. A transcript whose first segment has words takes the times and the text of the words, and skips
 * segments without any, as openai/whisper does (facts 2.6.4).
 *
 * Differences from openai/whisper, all where its file would not parse back: `-->` is replaced in cues with words too
 * (facts 2.6.2) and where it hides in a longer arrow (`--->`), and lines that are blank inside a text, which would end the
 * cue, are left out.
 */
export function* cues(transcript: Transcript): Generator<Cue> {
  const fromWords = transcript.segments[0]?.words !== undefined;
  for (const segment of transcript.segments) {
    if (!fromWords) {
      yield { ...segmentTimes(segment, transcript.duration), text: escapeCue(strip(segment.text)) };
      continue;
    }
    const words = segment.words ?? [];
    if (words.length === 0) continue;
    const { start } = words[0];
    const { end } = segmentTimes({ ...segment, start, end: words[words.length - 1].end }, transcript.duration);
    const text = words.map(({ word }, index) => (index === 0 ? strip(word) : word)).join("");
    yield { start, end, text: escapeCue(text) };
  }
}

function escapeCue(text: string): string {
  return text
    .replace(/--+>/g, "->")
    .replace(/(?:\r\n|\r|\n)(?:[ \t]*(?:\r\n|\r|\n))*/g, "\n")
    .replace(/\n$/, "");
}
