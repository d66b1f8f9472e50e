/** outputs/: transcripts as files that other programs read. */

export { toAss } from "./ass.ts";
export { toCsv } from "./csv.ts";
export { formatTimestamp, type FormatTimestampOptions } from "./format-timestamp.ts";
export { toJsonFull, type ModelSizes, type RunDetails } from "./json-full.ts";
export { toJson } from "./json.ts";
export { toLrc } from "./lrc.ts";
export { toSrt } from "./srt.ts";
export { type SubtitleOptions } from "./subtitle-options.ts";
export { toTsv } from "./tsv.ts";
export { toTxt } from "./txt.ts";
export { toVtt } from "./vtt.ts";
export {
  formatExtension,
  OUTPUT_FORMATS,
  type OutputFormat,
  STANDARD_FORMATS,
  wantsWordTimes,
  type WriteOptions,
  writeTranscript,
} from "./write-transcript.ts";
export { coverageObject, segmentObject, transcriptObject } from "./transcript-object.ts";
