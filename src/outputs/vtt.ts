/** WebVTT subtitles. */

import type { Transcript } from "../transcription/index.ts";
import { assertTimes } from "./assert-times.ts";
import { cues, renderCue } from "./cues.ts";
import { formatTimestamp } from "./format-timestamp.ts";
import { assertSubtitleOptions, type SubtitleOptions } from "./subtitle-options.ts";

// An ampersand that a WebVTT reader would take for the start of a character reference. "AT&T" and "R&D" are none.
const REFERENCE = /&(?=#|[A-Za-z][A-Za-z0-9]*;|(?:amp|lt|gt|quot|nbsp|copy|reg|AMP|LT|GT|QUOT|COPY|REG))/g;

/**
 * A transcript as WebVTT: hours written from one hour on, a full stop before the milliseconds.
 *
 * openai/whisper escapes nothing, so that a player swallows text after `<`; here `<`, and `&` where it would be read as a
 * character reference, are escaped. Everything else is the same bytes.
 *
 * @throws {OptionError} for options that cannot be, and a transcript without times
 * @throws {RangeError} if a time is negative or not finite
 * @see openai/whisper utils.py `WriteVTT` (v20250625; facts 2.6.1, 6.7); WebVTT, cue text tokenizer; `cues`
 */
export function toVtt(transcript: Transcript, options: SubtitleOptions = {}): string {
  assertSubtitleOptions(options, transcript);
  assertTimes(transcript, "vtt", options);
  let out = "WEBVTT\n\n";
  const escape = (text: string): string => text.replace(REFERENCE, "&amp;").replaceAll("<", "&lt;");
  for (const cue of cues(transcript, options)) {
    out += `${formatTimestamp(cue.start)} --> ${formatTimestamp(cue.end)}\n${renderCue(cue, escape)}\n\n`;
  }
  return out;
}
