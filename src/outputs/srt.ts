/** SubRip subtitles. */

import type { Transcript } from "../transcription/index.ts";
import { cues } from "./cues.ts";
import { formatTimestamp } from "./format-timestamp.ts";

/**
 * A transcript as SubRip: cues counted from 1, hours always written, a comma before the milliseconds.
 *
 * @throws {RangeError} if a time is negative or not finite
 * @see openai/whisper utils.py `WriteSRT` (v20250625; facts 2.6.1, 6.7 S1); differences: `cues`
 */
export function toSrt(transcript: Transcript): string {
  const time = (seconds: number): string => formatTimestamp(seconds, { alwaysIncludeHours: true, decimalMarker: "," });
  let out = "";
  let index = 1;
  for (const { start, end, text } of cues(transcript)) {
    out += `${index++}\n${time(start)} --> ${time(end)}\n${text}\n\n`;
  }
  return out;
}
