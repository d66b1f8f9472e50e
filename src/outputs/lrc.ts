/** Lyrics, as music players show them along with a song. */

import type { Transcript } from "../transcription/index.ts";
import { assertTimes } from "./assert-times.ts";
import { toCentiseconds } from "./format-timestamp.ts";

/**
 * A transcript as LRC: a line `[by:sotto]`, then `[mm:ss.cc]text` for each segment, the text with its leading space; minutes
 * may pass 99. There are no ends in this format.
 *
 * whisper-cli names itself in the first line, and leaves line ends in a text, which would make lines without a time.
 *
 * @throws {OptionError} for a transcript without times
 * @throws {RangeError} if a time is negative or not finite
 * @see whisper.cpp examples/cli/cli.cpp `output_lrc` (facts 4b.4)
 */
export function toLrc(transcript: Transcript): string {
  assertTimes(transcript, "lrc", null);
  const pad = (value: number): string => String(value).padStart(2, "0");
  let out = "[by:sotto]\n";
  for (const { start, text } of transcript.segments) {
    const total = toCentiseconds(start);
    const time = `${pad(Math.floor(total / 6000))}:${pad(Math.floor(total / 100) % 60)}.${pad(total % 100)}`;
    out += `[${time}]${text.replace(/\r\n|\r|\n/g, " ")}\n`;
  }
  return out;
}
