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
export type {
  Coverage,
  FailedAttempt,
  FallbackReason,
  Segment,
  TimeSpan,
  Transcript,
  TranscriptChunk,
  Word,
} from "./transcript.ts";
export { transcribeManyVad, transcribeVad, type ManyVadTranscriptionOptions } from "./vad/transcribe.ts";
export { VAD_TRANSCRIPTION_OPTIONS, type VadTranscriptionOptions } from "./vad/options.ts";
export {
  chunkWindows,
  streamWindows,
  windowLayout,
  type AudioWindow,
  type WindowLayout,
  type WindowSpan,
} from "./windows.ts";
