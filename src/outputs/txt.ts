/** Plain text: one segment a line. */

import type { Transcript } from "../transcription/index.ts";
import { strip } from "./python-space.ts";

/**
 * The text of a transcript, one stripped segment a line, with a newline after each.
 *
 * @see openai/whisper utils.py `WriteTXT` (v20250625; facts 2.6.1)
 */
export function toTxt(transcript: Transcript): string {
  return transcript.segments.map(({ text }) => `${strip(text)}\n`).join("");
}
