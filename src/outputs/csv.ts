/** Comma-separated values (RFC 4180, but for line ends). */

import type { Transcript } from "../transcription/index.ts";
import { assertTimes } from "./assert-times.ts";
import { segmentTimes } from "./cues.ts";
import { toMilliseconds } from "./format-timestamp.ts";

/**
 * A transcript as rows of `start`, `end` (milliseconds) and `text` below a header; where speakers are known, `speaker`
 * before the text. Texts are quoted, with their leading space, and quotes in them doubled.
 *
 * @throws {OptionError} for a transcript without times
 * @throws {RangeError} if a time is negative or not finite
 * @see whisper.cpp examples/cli/cli.cpp `output_csv` (facts 4b.4)
 */
export function toCsv(transcript: Transcript): string {
  assertTimes(transcript, "csv", null);
  const hasSpeakers = transcript.segments.some(({ speaker }) => speaker !== undefined);
  let out = hasSpeakers ? "start,end,speaker,text\n" : "start,end,text\n";
  for (const segment of transcript.segments) {
    const { start, end } = segmentTimes(segment, transcript.duration);
    const speaker = hasSpeakers ? `${cell(segment.speaker ?? "")},` : "";
    out += `${toMilliseconds(start)},${toMilliseconds(end)},${speaker}${quoted(segment.text)}\n`;
  }
  return out;
}

/** Bare where it can be, as whisper-cli has its speakers. */
function cell(text: string): string {
  return /[",\r\n]/.test(text) ? quoted(text) : text;
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
