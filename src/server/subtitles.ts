/** Subtitles as the protocols give them that have no fields for how they are divided. */
import { wantsWordTimes, type SubtitleOptions } from "../outputs/index.ts";
import { dividesSubtitles, type Algorithm } from "../pipeline/choices.ts";
import type { Task } from "../tokenizer/index.ts";

/** How subtitles of an algorithm's transcripts are divided. */
export function subtitleOptions(algorithm: Algorithm): SubtitleOptions {
  return { readable: dividesSubtitles(algorithm) };
}

/** Whether a transcript that is to be written in a format is to have word times. Words of translations have no sound of their own. */
export function wantsWords(
  format: string,
  { algorithm, task }: { readonly algorithm: Algorithm; readonly task: Task },
): boolean {
  return task === "transcribe" && wantsWordTimes(format, subtitleOptions(algorithm));
}
