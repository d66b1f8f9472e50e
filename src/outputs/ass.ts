/**
 * Advanced SubStation Alpha subtitles, in which each word lights up when it is spoken: karaoke. whisper-cli makes a shell
 * script for ffmpeg of it (`-owts`); this file is what players and ffmpeg's `subtitles` filter read themselves.
 */

import type { Transcript, Word } from "../transcription/index.ts";
import { assertTimes } from "./assert-times.ts";
import { segmentTimes } from "./cues.ts";
import { toCentiseconds } from "./format-timestamp.ts";
import { strip } from "./python-space.ts";
import { READABLE_LINE_COUNT, READABLE_LINE_WIDTH, readableCues } from "./readable-cues.ts";
import { shapeWords } from "./shape-words.ts";
import { assertSubtitleOptions, isReadable, type SubtitleOptions } from "./subtitle-options.ts";

// Colours are &HAABBGGRR. Karaoke writes words yet to come in the second colour: grey; and turns them into the first:
// light green. These are whisper-cli's.
const HEADER = `[Script Info]
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288
ScaledBorderAndShadow: yes
WrapStyle: 0

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&H00FFFFFF,&H00FFFFFF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1
Style: Karaoke,Arial,16,&H0090EE90,&H00BEBEBE,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
`;

/**
 * A transcript as ASS. Subtitles are shaped as in SubRip and WebVTT; where there are words, each is preceded by how long it
 * lasts (`{\k40}`, in hundredths of a second), pauses too. Speakers, where known, are the names of the lines.
 *
 * @param options `highlightWords` is without effect: words always light up
 * @throws {OptionError} for options that cannot be, and a transcript without times
 * @throws {RangeError} if a time is negative or not finite
 */
export function toAss(transcript: Transcript, options: SubtitleOptions = {}): string {
  assertSubtitleOptions(options, transcript);
  assertTimes(transcript, "ass", options);
  let out = HEADER;
  for (const event of events(transcript, { ...options, highlightWords: undefined })) out += line(event);
  return out;
}

interface Event {
  readonly start: number;
  readonly end: number;
  /** With the format's own marks. */
  readonly text: string;
  readonly style: "Default" | "Karaoke";
  readonly speaker?: string | undefined;
}

function* events({ segments, duration }: Transcript, options: SubtitleOptions): Generator<Event> {
  const hasWords = segments[0]?.words !== undefined;
  const timed = (words: readonly Word[]): Word[] => words.map((word) => ({ ...word, ...segmentTimes(word, duration) }));
  if (isReadable(options)) {
    const { maxLineWidth = READABLE_LINE_WIDTH, maxLineCount = READABLE_LINE_COUNT } = options;
    for (const { start, end, words, speaker } of readableCues(segments, duration, { maxLineWidth, maxLineCount })) {
      // Times that were estimated light up nothing.
      const text = hasWords ? karaoke(timed(words)) : escape(words.map(({ word }) => word).join(""));
      yield { start, end, text, speaker, style: hasWords ? "Karaoke" : "Default" };
    }
    return;
  }
  if (!hasWords) {
    for (const segment of segments) {
      const { text, speaker } = segment;
      yield { ...segmentTimes(segment, duration), text: escape(strip(text)), speaker, style: "Default" };
    }
    return;
  }
  const spoken = segments.map(({ words = [], speaker }) => ({ words: words.map((word) => ({ ...word, speaker })) }));
  for (const words of shapeWords(spoken, options)) {
    const own = timed(words);
    const end = Math.max(...own.map((word) => word.end));
    yield { start: own[0].start, end, text: karaoke(own), speaker: words[0].speaker, style: "Karaoke" };
  }
}

/** The words, each with its share of the time since the first one began. */
function karaoke(words: readonly Word[]): string {
  let at = toCentiseconds(words[0].start);
  let out = "";
  for (const { start, end, word } of words) {
    const from = Math.max(at, toCentiseconds(start));
    const to = Math.max(from, toCentiseconds(end));
    if (from > at) out += `{\\k${from - at}}`;
    out += `{\\k${to - from}}${escape(word)}`;
    at = to;
  }
  return out;
}

function line({ start, end, style, text, speaker = "" }: Event): string {
  const name = speaker.replace(/[,\r\n]/g, " ");
  return `Dialogue: 0,${clock(start)},${clock(end)},${style},${name},0,0,0,,${text}\n`;
}

function clock(seconds: number): string {
  const total = toCentiseconds(seconds);
  const pad = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(total / 360_000);
  return `${hours}:${pad(Math.floor(total / 6000) % 60)}:${pad(Math.floor(total / 100) % 60)}.${pad(total % 100)}`;
}

/**
 * Text that says itself. A backslash makes a line break or a space of some letters after it and cannot be escaped, so an
 * invisible word joiner keeps the two apart.
 */
function escape(text: string): string {
  return text
    .replaceAll("\\", "\\\u2060")
    .replace(/[{}]/g, "\\$&")
    .replace(/\r\n|\r|\n/g, "\\N");
}
