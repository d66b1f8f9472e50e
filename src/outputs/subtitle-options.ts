/** How the words of a transcript become subtitles: openai/whisper's options, which need word times. */
import { OptionError, quote } from "../errors.ts";

/** Without effect on a transcript without words. */
export interface SubtitleOptions {
  /**
   * Most characters of a line. A word longer than that has a line of its own. Alone it breaks the lines of a segment, which
   * stays one subtitle.
   */
  readonly maxLineWidth?: number | undefined;
  /**
   * Most lines of a subtitle. With `maxLineWidth` subtitles flow across segments, and end early at a pause of more than 3 s
   * between the starts of two words; without it every segment stays a subtitle.
   */
  readonly maxLineCount?: number | undefined;
  /** Most words of a subtitle; without effect where both of the others are given. */
  readonly maxWordsPerLine?: number | undefined;
  /** One cue a word, in which the word is underlined. Default false. */
  readonly highlightWords?: boolean | undefined;
}

const LIMITS = ["maxLineWidth", "maxLineCount", "maxWordsPerLine"] as const;

/** @throws {OptionError} for a limit that is not a whole number from 1 on */
export function assertSubtitleOptions(options: SubtitleOptions): void {
  for (const name of LIMITS) {
    const value: unknown = options[name];
    if (value !== undefined && !(Number.isInteger(value) && (value as number) >= 1)) {
      throw new OptionError(
        name,
        `Cannot write subtitles: ${name} is ${quote(value)}, expected a whole number from 1 on`,
      );
    }
  }
}
