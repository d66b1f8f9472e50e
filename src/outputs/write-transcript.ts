/** The formats by name. */

import { assertOneOf } from "../errors.ts";
import type { Transcript } from "../transcription/index.ts";
import { toJson } from "./json.ts";
import { toSrt } from "./srt.ts";
import { toTsv } from "./tsv.ts";
import { toTxt } from "./txt.ts";
import { toVtt } from "./vtt.ts";

/** The formats a transcript can be written in; each name is also the extension of its files. */
export const OUTPUT_FORMATS = ["txt", "vtt", "srt", "tsv", "json"] as const;

/** Name of a format. */
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

const WRITERS: Readonly<Record<OutputFormat, (transcript: Transcript) => string>> = {
  txt: toTxt,
  vtt: toVtt,
  srt: toSrt,
  tsv: toTsv,
  json: toJson,
};

/**
 * The contents of a file in the given format, to be stored as UTF-8.
 *
 * @throws {OptionError} if there is no such format; the message lists those there are
 * @throws {RangeError} if a time of the transcript is negative or not finite
 */
export function writeTranscript(transcript: Transcript, format: OutputFormat): string {
  assertOneOf("output format", format, OUTPUT_FORMATS);
  return WRITERS[format](transcript);
}
