/** How the words of a transcript become subtitles: openai/whisper's options, which need word times. */
import { OptionError } from "../errors.ts";
import { assertOption, flag, whole, type OptionKind } from "../options/index.ts";
import type { Transcript } from "../transcription/index.ts";

/** They need a transcript with words. */
export interface SubtitleOptions {
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
  maxLineWidth: whole(1),
  maxLineCount: whole(1),
  maxWordsPerLine: whole(1),
  highlightWords: flag,
} as const satisfies Readonly<Record<keyof SubtitleOptions, OptionKind>>;

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
  if (maxLineCount !== undefined && maxLineWidth === undefined) {
    throw new OptionError("maxLineCount", "Cannot use maxLineCount without maxLineWidth: lines would never be full");
  }
  if (maxWordsPerLine !== undefined && maxLineCount !== undefined) {
    throw new OptionError("maxWordsPerLine", "Cannot use maxWordsPerLine together with maxLineWidth and maxLineCount", {
      hint: "leave out maxWordsPerLine, or maxLineCount",
    });
  }
  const asked = names.find((name) => options[name] !== undefined && options[name] !== false);
  if (asked !== undefined && segments.length > 0 && segments.every(({ words }) => words === undefined)) {
    throw new OptionError(asked, `Cannot use ${asked}: the transcript has no words with times`, {
      hint: "transcribe it with wordTimestamps",
    });
  }
}
