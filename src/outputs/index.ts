/** outputs/: transcripts as files that other programs read. */

export { formatTimestamp, type FormatTimestampOptions } from "./format-timestamp.ts";
export { toJson } from "./json.ts";
export { toSrt } from "./srt.ts";
export { toTsv } from "./tsv.ts";
export { toTxt } from "./txt.ts";
export { toVtt } from "./vtt.ts";
export { OUTPUT_FORMATS, type OutputFormat, writeTranscript } from "./write-transcript.ts";
