export { evenBatches, streamBatches } from "./batches.ts";
export { transcribeChunked, transcribeManyChunked, type ManyChunkedOptions } from "./chunked.ts";
export {
  BATCH_SIZE,
  CHUNKED_OPTIONS,
  type ChunkedOptions,
  type Progress,
  type TranscriptionContext,
  type TranscriptionDefaults,
} from "./chunked-options.ts";
export { mergeTokens, type MergedTokens } from "./merge.ts";
export type { AudioSource } from "./recording.ts";
export { transcribeManySequential, transcribeSequential, type ManySequentialOptions } from "./sequential.ts";
export { SEQUENTIAL_OPTIONS, type SequentialOptions } from "./sequential-options.ts";
export { createStitcher, type DecodedWindow, type Piece, type Stitcher, type StitchTokens } from "./stitcher.ts";
export type { FailedAttempt, FallbackReason, Segment, Transcript, TranscriptChunk, Word } from "./transcript.ts";
export {
  chunkWindows,
  streamWindows,
  windowLayout,
  type AudioWindow,
  type WindowLayout,
  type WindowSpan,
} from "./windows.ts";
