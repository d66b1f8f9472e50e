export {
  ALGORITHMS,
  BUNDLED_MODEL,
  assertDevice,
  defaultModel,
  DEVICES,
  DTYPES,
  type Algorithm,
  type Device,
  type DTypeOption,
} from "./choices.ts";
export { loadCheckpoint, loadTokenizer, openEngine, type EngineOptions, type LoadOptions } from "./load.ts";
export { loadSileroVad } from "./load-vad.ts";
export { WhisperForConditionalGeneration, type GenerateOptions, type GenerateOutput } from "./model.ts";
export { WhisperPipeline, type PipelineOptions, type TranscribedInput } from "./pipeline.ts";
export type {
  ChunkedTranscribeOptions,
  SequentialTranscribeOptions,
  TranscribeManyOptions,
  TranscribeOptions,
  VadTranscribeOptions,
} from "./transcribe-options.ts";
export {
  WhisperProcessor,
  type BatchDecodeOptions,
  type LoadProcessorOptions,
  type ProcessorOptions,
} from "./processor.ts";
