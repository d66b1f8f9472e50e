/** Formats that stand on times refuse transcripts that have none: a cue of a minute is no subtitle. */
import { OptionError } from "../errors.ts";
import type { Transcript } from "../transcription/index.ts";
import type { SubtitleOptions } from "./subtitle-options.ts";

/** No timestamp of the model is later in its window. */
const WINDOW_SECONDS = 30;

/**
 * Asserts that a format's times would mean something.
 *
 * @param format its name, for the message
 * @param options how words are divided, where the format is made of words; null where it is made of segments
 * @throws {OptionError} if the transcript has no times
 */
export function assertTimes(transcript: Transcript, format: string, options: SubtitleOptions | null): void {
  if (hasTimestamps(transcript)) return;
  const hasWords = transcript.segments.some(({ words }) => words !== undefined);
  if (hasWords && options !== null && dividesSegments(options)) return;
  const hint =
    hasWords && options !== null
      ? "its words have times: maxWordsPerLine, or maxLineWidth with maxLineCount, makes subtitles of them"
      : "transcribe it with timestamps (returnTimestamps, which is on by default); txt and json need none";
  throw new OptionError("returnTimestamps", `Cannot write ${format}: the transcript has no times of its segments`, {
    hint,
  });
}

/**
 * A transcript from before there was the field is taken at its word, unless its only segment is longer than a window: none of the
 * model's is.
 */
function hasTimestamps({ hasTimestamps: known, segments, chunks, duration }: Transcript): boolean {
  if (known !== undefined) return known;
  const [only, ...others] = segments;
  if (only === undefined || others.length > 0) return true;
  const isDivided = only.seek !== undefined || only.words !== undefined || chunks !== undefined;
  return isDivided || only.start > 0 || !(only.end >= duration && duration > WINDOW_SECONDS);
}

/** Whether words are spread over more subtitles than there are segments. */
function dividesSegments({ maxLineWidth, maxLineCount, maxWordsPerLine }: SubtitleOptions): boolean {
  return maxWordsPerLine !== undefined || (maxLineWidth !== undefined && maxLineCount !== undefined);
}
