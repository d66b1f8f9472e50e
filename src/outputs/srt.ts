/** SubRip subtitles. */

import type { Transcript } from "../transcription/index.ts";
import { assertTimes } from "./assert-times.ts";
import { cues, renderCue } from "./cues.ts";
import { formatTimestamp } from "./format-timestamp.ts";
import { assertSubtitleOptions, type SubtitleOptions } from "./subtitle-options.ts";

/**
 * A transcript as SubRip: cues counted from 1, hours always written, a comma before the milliseconds.
 *
 * @throws {OptionError} for options that cannot be, and a transcript without times
 * @throws {RangeError} if a time is negative or not finite
 * @see openai/whisper utils.py `WriteSRT` (v20250625; facts 2.6.1, 6.7); differences: `cues`
 */
export function toSrt(transcript: Transcript, options: SubtitleOptions = {}): string {
  assertSubtitleOptions(options, transcript);
  assertTimes(transcript, "srt", options);
  const time = (seconds: number): string => formatTimestamp(seconds, { alwaysIncludeHours: true, decimalMarker: "," });
  let out = "";
  let index = 1;
  for (const cue of cues(transcript, options)) {
    out += `${index++}\n${time(cue.start)} --> ${time(cue.end)}\n${renderCue(cue)}\n\n`;
  }
  return out;
}
