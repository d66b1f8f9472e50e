/** How the words of a transcript become subtitles: openai/whisper's options, which need word times. */
import { OptionError } from "../errors.ts";
import { assertOption, flag, whole, type OptionKind } from "../options/index.ts";
import type { Transcript } from "../transcription/index.ts";

/** All but `readable` need a transcript with words. */
export interface SubtitleOptions {
  /**
   * Divides the text into cues that can be read, whatever its segments are: at most two lines of 42 characters (`maxLineCount` and
   * `maxLineWidth` set others), 1 to 7 s, ending at sentence ends, else at commas and pauses. False is openai/whisper's way: a cue for each
   * segment. Default true, unless one of the other options is given, which are openai/whisper's.
   */
  readonly readable?: boolean | undefined;
  /**
   * Most characters of a line. A word longer than that has a line of its own. Alone it breaks the lines of a segment, which
   * stays one subtitle.
   */
  readonly maxLineWidth?: number | undefined;
  /**
   * Most lines of a subtitle; needs `maxLineWidth`. With both, subtitles flow across segments, and end early at a pause of more than
   * 3 s between the starts of two words.
   */
  readonly maxLineCount?: number | undefined;
  /** Most words of a subtitle; not together with both of the others. */
  readonly maxWordsPerLine?: number | undefined;
  /** One cue a word, in which the word is underlined. Default false. */
  readonly highlightWords?: boolean | undefined;
}

/** The values that each option takes. */
export const SUBTITLE_OPTIONS = {
  readable: flag,
  maxLineWidth: whole(1),
  maxLineCount: whole(1),
  maxWordsPerLine: whole(1),
  highlightWords: flag,
} as const satisfies Readonly<Record<keyof SubtitleOptions, OptionKind>>;

/** Whether subtitles are divided into cues that can be read: if that is asked for, or nothing else is. */
export function isReadable(options: SubtitleOptions): boolean {
  const { readable, maxLineWidth, maxLineCount, maxWordsPerLine, highlightWords = false } = options;
  return readable ?? (maxLineWidth ?? maxLineCount ?? maxWordsPerLine ?? (highlightWords || undefined)) === undefined;
}

/**
 * Asserts that subtitles can be shaped as asked.
 *
 * openai/whisper's command line says of the same that it needs words, or has no effect (facts 2.1.2); its library is silent.
 *
 * @throws {OptionError} for a value that is none of the option's; for options that would have no effect: without words in the
 * transcript, or on each other
 */
export function assertSubtitleOptions(options: SubtitleOptions, { segments }: Pick<Transcript, "segments">): void {
  const names = Object.keys(SUBTITLE_OPTIONS) as (keyof SubtitleOptions)[];
  for (const name of names) assertOption(name, options[name], SUBTITLE_OPTIONS[name]);
  const { maxLineWidth, maxLineCount, maxWordsPerLine } = options;
  const readable = isReadable(options);
  if (readable && maxWordsPerLine !== undefined) {
    throw new OptionError("maxWordsPerLine", "Cannot use maxWordsPerLine together with readable", {
      hint: "readable subtitles are limited by maxLineWidth and maxLineCount",
    });
  }
  if (!readable && maxLineCount !== undefined && maxLineWidth === undefined) {
    throw new OptionError("maxLineCount", "Cannot use maxLineCount without maxLineWidth: lines would never be full");
  }
  if (maxWordsPerLine !== undefined && maxLineCount !== undefined) {
    throw new OptionError("maxWordsPerLine", "Cannot use maxWordsPerLine together with maxLineWidth and maxLineCount", {
      hint: "leave out maxWordsPerLine, or maxLineCount",
    });
  }
  const needsWords = (name: keyof SubtitleOptions): boolean => !readable || name === "highlightWords";
  const asked = names.find((name) => options[name] !== undefined && options[name] !== false && needsWords(name));
  if (asked !== undefined && segments.length > 0 && segments.every(({ words }) => words === undefined)) {
    throw new OptionError(asked, `Cannot use ${asked}: the transcript has no words with times`, {
      hint: "transcribe it with wordTimestamps",
    });
  }
}
