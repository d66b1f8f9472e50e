/** The flags that shape subtitles: openai/whisper's, which need word times (facts 2.1.2, 2.6.4). */

import type { Command } from "commander";
import type { SubtitleOptions } from "../outputs/index.ts";
import { conflict, missing, orNone, parseBoolean, parseWhole } from "./arguments.ts";

export const SUBTITLE_BOOLEANS: readonly string[] = ["--highlight_words", "--readable"];

const LIMITS = [
  ["max_line_width", "maxLineWidth", "most characters per line of a subtitle"],
  ["max_line_count", "maxLineCount", "most lines per subtitle; needs max_line_width"],
  ["max_words_per_line", "maxWordsPerLine", "most words per subtitle; not with max_line_width"],
] as const;

/** Declares the flags. */
export function addSubtitleFlags(command: Command): void {
  command.option(
    "--readable [bool]",
    "subtitles of two lines of 42 characters and 1 to 7 s; False = a subtitle per segment (default: True; False for algorithm sequential or with a limit below)",
  );
  command.option("--highlight_words [bool]", "underline each word as it is spoken (srt, vtt)", "False");
  for (const [name, , help] of LIMITS) command.option(`--${name} <n>`, help);
}

/**
 * Reads the flags of a parsed command.
 *
 * @param hasWords whether words with times were asked for
 * @param isReadable whether subtitles are divided for reading where no flag says anything of it
 * @throws {OptionError} if a value does not exist, or there are no word times to go by
 */
export function readSubtitleFlags(
  command: Command,
  hasWords: boolean,
  isReadable: boolean,
): { readonly subtitles: SubtitleOptions; readonly warnings: readonly string[] } {
  const given = (name: string): string | undefined => command.getOptionValue(name) as string | undefined;
  const subtitles: { -readonly [K in keyof SubtitleOptions]: SubtitleOptions[K] } = {};
  const readable = given("readable");
  if (readable !== undefined) subtitles.readable = parseBoolean("--readable", readable);
  else if (!isReadable) subtitles.readable = false;
  const read = orNone((option, word) => parseWhole(option, word, 1));
  if (parseBoolean("--highlight_words", given("highlight_words") ?? "False")) {
    if (!hasWords) missing("--highlight_words", "--word_timestamps True");
    subtitles.highlightWords = true;
  }
  for (const [name, option] of LIMITS) {
    const value = read(`--${name}`, given(name) ?? "None");
    if (value === null) continue;
    if (!hasWords && subtitles.readable !== true) missing(`--${name}`, "--word_timestamps True");
    subtitles[option] = value;
  }
  const { maxLineWidth, maxLineCount, maxWordsPerLine } = subtitles;
  if (subtitles.readable === true && maxWordsPerLine !== undefined) {
    const hint = "--max_line_width and --max_line_count limit readable subtitles";
    conflict("--readable True", "--max_words_per_line", hint);
  }
  const warnings: string[] = [];
  if (maxLineCount !== undefined && maxLineWidth === undefined && subtitles.readable !== true) {
    warnings.push("--max_line_count has no effect without --max_line_width");
    delete subtitles.maxLineCount;
  }
  if (maxWordsPerLine !== undefined && maxLineWidth !== undefined) {
    warnings.push("--max_words_per_line has no effect with --max_line_width");
    if (maxLineCount !== undefined) delete subtitles.maxWordsPerLine;
  }
  return { subtitles, warnings };
}
