/**
 * Files with several audio tracks: languages of a film, a commentary, each speaker of a call. One of them is read; which one is said.
 */

/** What a container says of an audio track. */
export interface Track {
  /** ISO 639 code. */
  readonly language: string | null;
  readonly title: string | null;
}

/** Tracks and characters of a title that are named in a warning; a file may claim thousands. */
const MAX_NAMED = 16;
const MAX_TITLE = 60;

const languageNames = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

/**
 * @param taken number of the track that is read, from 1
 * @returns null if there is no other
 */
export function tracksWarning(tracks: readonly Track[], taken: number): string | null {
  if (tracks.length < 2) return null;
  const names = tracks.slice(0, MAX_NAMED).map((track, i) => describeTrack(i + 1, track));
  if (tracks.length > MAX_NAMED) names.push("...");
  return `Track ${taken} of ${tracks.length} audio tracks was read (${names.join(", ")}): the option audioTrack (--audio_track) chooses another`;
}

/** Completes "Cannot read "x": ...". */
export function noSuchTrack(asked: number, count: number): string {
  return `it has ${count === 1 ? "1 audio track" : `${count} audio tracks`}, there is no track ${asked}`;
}

function describeTrack(number: number, { language, title }: Track): string {
  const about = [
    ...(language === null || language === "und" ? [] : [languageName(language)]),
    ...(title === null || title.trim() === "" ? [] : [`"${title.trim().slice(0, MAX_TITLE)}"`]),
  ];
  return [number, ...about].join(" ");
}

function languageName(code: string): string {
  try {
    return languageNames.of(code) ?? code;
  } catch {
    return code; // no code of a language
  }
}
