export { evenBatches, streamBatches } from "./batches.ts";
export { transcribeChunked, transcribeManyChunked, type ManyChunkedOptions } from "./chunked.ts";
export { CHUNKED_OPTIONS, type ChunkedOptions, type Progress, type TranscriptionContext } from "./chunked-options.ts";
export { mergeTokens, type MergedTokens } from "./merge.ts";
export type { AudioSource } from "./recording.ts";
export { Stitcher, type DecodedWindow, type Piece, type StitcherOptions } from "./stitch.ts";
export type { Segment, Transcript, TranscriptChunk, Word } from "./transcript.ts";
export {
  chunkWindows,
  streamWindows,
  windowLayout,
  type AudioWindow,
  type WindowLayout,
  type WindowSpan,
} from "./windows.ts";
