/** The languages a person can choose, by name. */

import type { Segment } from "../../src/transcription/transcript.ts";
import { LANGUAGES } from "../../src/tokenizer/languages.ts";

export const languages: readonly { readonly code: string; readonly name: string }[] = [...LANGUAGES]
  .map(([code, name]) => ({ code, name: capitalised(name) }))
  .sort((a, b) => a.name.localeCompare(b.name, "en"));

/** A language's name; the code itself where there is none. */
export function languageName(code: string): string {
  return capitalised(LANGUAGES.get(code) ?? code);
}

/**
 * Codes of the languages of a transcript, those with the most speech first.
 *
 * @param language of the recording as a whole: that of segments that do not name theirs
 */
export function spokenLanguages(segments: readonly Segment[], language: string): string[] {
  const seconds = new Map<string, number>();
  for (const segment of segments) {
    if (segment.text.trim() === "") continue;
    const code = segment.language ?? language;
    seconds.set(code, (seconds.get(code) ?? 0) + Math.max(0, segment.end - segment.start));
  }
  if (seconds.size === 0) return [language];
  return [...seconds].sort(([, a], [, b]) => b - a).map(([code]) => code);
}

/** The names of an entry's languages, as a person reads them. */
export function languageNames({
  language,
  languages = [language],
}: {
  language: string;
  languages?: readonly string[];
}): string {
  return languages
    .filter((code) => code !== "")
    .map(languageName)
    .join(", ");
}

function capitalised(name: string): string {
  return name.replace(/(^|\s)\p{L}/gu, (letter) => letter.toUpperCase());
}
