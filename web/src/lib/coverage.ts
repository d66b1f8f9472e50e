/** How much of the speech has text, in words. */
import type { Coverage } from "../../../src/transcription/transcript.ts";
import { clock } from "./format.ts";

/** `Speech 5:12, all of it with text`; where some has none, how much has, and that places follow. */
export function coverageSummary({ speechSeconds, transcribedSeconds, untranscribed }: Coverage): string {
  if (speechSeconds === 0) return "No speech found";
  const speech = `Speech ${clock(speechSeconds)}`;
  if (untranscribed.length === 0) return `${speech}, all of it with text`;
  return `${speech}, with text ${clock(transcribedSeconds)}; without text:`;
}
