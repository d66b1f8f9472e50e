/** The formats by name. */

import { assertOneOf } from "../errors.ts";
import { assertOptions, record } from "../options/index.ts";
import type { Transcript } from "../transcription/index.ts";
import { toAss } from "./ass.ts";
import { toCsv } from "./csv.ts";
import { toJsonFull, type RunDetails } from "./json-full.ts";
import { toJson } from "./json.ts";
import { toLrc } from "./lrc.ts";
import { toSrt } from "./srt.ts";
import { isReadable, SUBTITLE_OPTIONS, type SubtitleOptions } from "./subtitle-options.ts";
import { toTsv } from "./tsv.ts";
import { toTxt } from "./txt.ts";
import { toVtt } from "./vtt.ts";

/** openai/whisper's formats, which `--output_format all` means. */
export const STANDARD_FORMATS = ["txt", "vtt", "srt", "tsv", "json"] as const;

/** The formats a transcript can be written in: openai/whisper's, and after whisper-cli's. */
export const OUTPUT_FORMATS = [...STANDARD_FORMATS, "lrc", "csv", "json-full", "ass"] as const;

/** Name of a format. */
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** The formats that are made of cues, which are divided between words; a line of the others is a segment. */
const SUBTITLE_FORMATS: readonly string[] = ["srt", "vtt", "ass"] satisfies OutputFormat[];

/** Whether a format wants a transcript with word times: without them readable cues, and words that light up, go by estimates. */
export function wantsWordTimes(format: string, options: SubtitleOptions = {}): boolean {
  return SUBTITLE_FORMATS.includes(format) && isReadable(options);
}

/** Options of `writeTranscript`; each format takes those that concern it. */
export interface WriteOptions extends SubtitleOptions {
  /** For json-full: what the transcript does not say about itself. */
  readonly details?: RunDetails | undefined;
}

const WRITERS: Readonly<Record<OutputFormat, (transcript: Transcript, options: WriteOptions) => string>> = {
  txt: toTxt,
  vtt: toVtt,
  srt: toSrt,
  tsv: toTsv,
  json: toJson,
  lrc: toLrc,
  csv: toCsv,
  "json-full": (transcript, { details }) => toJsonFull(transcript, details),
  ass: toAss,
};

const OPTIONS = { ...SUBTITLE_OPTIONS, details: record };

/** Extension of a format's files, without its dot: the name, but "full.json" for json-full, so as not to meet json's. */
export function formatExtension(format: OutputFormat): string {
  return format === "json-full" ? "full.json" : format;
}

/**
 * The contents of a file in the given format, to be stored as UTF-8.
 *
 * @param options how subtitles are shaped, for the formats that have them; they need a transcript with words
 * @throws {OptionError} if there is no such format or option, the message lists those there are; if an option cannot be; if the
 * format has times (all but txt, json and json-full) and the transcript has none
 * @throws {RangeError} if a time of the transcript is negative or not finite
 */
export function writeTranscript(transcript: Transcript, format: OutputFormat, options: WriteOptions = {}): string {
  assertOneOf("output format", format, OUTPUT_FORMATS);
  assertOptions("writeTranscript", options, OPTIONS);
  return WRITERS[format](transcript, options);
}
