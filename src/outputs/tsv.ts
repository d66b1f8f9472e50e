/** Tab-separated values: start and end in whole milliseconds, and the text. */

import type { Transcript } from "../transcription/index.ts";
import { assertTimes } from "./assert-times.ts";
import { segmentTimes } from "./cues.ts";
import { toMilliseconds } from "./format-timestamp.ts";
import { strip } from "./python-space.ts";

/**
 * A transcript as rows of `start`, `end` (milliseconds) and `text` below a header. Tabs in a text become spaces; so do line
 * ends, which openai/whisper leaves and which would break the row in two.
 *
 * @throws {OptionError} for a transcript without times
 * @throws {RangeError} if a time is negative or not finite
 * @see openai/whisper utils.py `WriteTSV` (v20250625; facts 2.6.1, 6.7 S3)
 */
export function toTsv(transcript: Transcript): string {
  assertTimes(transcript, "tsv", null);
  let out = "start\tend\ttext\n";
  for (const segment of transcript.segments) {
    const { start, end } = segmentTimes(segment, transcript.duration);
    const text = strip(segment.text).replace(/\t|\r\n|\r|\n/g, " ");
    out += `${toMilliseconds(start)}\t${toMilliseconds(end)}\t${text}\n`;
  }
  return out;
}
