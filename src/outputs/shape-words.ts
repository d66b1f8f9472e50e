/** Words to subtitles: where lines and subtitles end. */

import type { Word } from "../transcription/index.ts";
import { strip } from "./python-space.ts";
import type { SubtitleOptions } from "./subtitle-options.ts";

/** Starts of words further apart, in seconds, are not of one subtitle where subtitles flow across segments. */
const LONG_PAUSE = 3;
/** Characters of a line, and words of a subtitle, where no limit is given. */
const NO_LIMIT = 1000;

/**
 * The words of each subtitle, in order. The first word of a line has lost its white space, and has a line break in front of
 * it where it is not the first of its subtitle: the words of a subtitle, joined, are its text. Segments without words give
 * nothing.
 *
 * Lines are measured in code points, and a word's leading space counts, except at the start of a line.
 *
 * @see openai/whisper utils.py `SubtitlesWriter.iterate_result` (v20250625; facts 2.6.4)
 */
export function* shapeWords<W extends Word>(
  segments: readonly { readonly words?: readonly W[] | undefined }[],
  options: SubtitleOptions,
): Generator<W[]> {
  const { maxLineWidth, maxLineCount, maxWordsPerLine = NO_LIMIT } = options;
  const keepsSegments = maxLineCount === undefined || maxLineWidth === undefined;
  const width = maxLineWidth ?? NO_LIMIT;
  let subtitle: W[] = [];
  let lineLength = 0;
  let lineCount = 1;
  let last = segments.flatMap(({ words = [] }) => words)[0]?.start ?? 0;
  for (const { words = [] } of segments) {
    for (const [i, word] of words.entries()) {
      const isLate = !keepsSegments && word.start - last > LONG_PAUSE;
      const isNext = keepsSegments && i % maxWordsPerLine === 0 && subtitle.length > 0;
      const length = codePoints(word.word);
      last = word.start;
      if (lineLength > 0 && lineLength + length <= width && !isLate && !isNext) {
        lineLength += length;
        subtitle.push(word);
        continue;
      }
      const text = strip(word.word);
      const isFull = maxLineCount !== undefined && (isLate || lineCount >= maxLineCount);
      const endsSubtitle = isNext || (subtitle.length > 0 && isFull);
      const breaksLine = !endsSubtitle && lineLength > 0;
      if (endsSubtitle) {
        yield subtitle;
        subtitle = [];
        lineCount = 1;
      } else if (breaksLine) lineCount++;
      subtitle.push({ ...word, word: breaksLine ? `\n${text}` : text });
      lineLength = codePoints(text);
    }
  }
  if (subtitle.length > 0) yield subtitle;
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
