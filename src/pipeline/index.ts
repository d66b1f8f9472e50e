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
export { WhisperForConditionalGeneration, type GenerateOptions, type GenerateOutput } from "./model.ts";
export {
  WhisperPipeline,
  type ChunkedTranscribeOptions,
  type PipelineOptions,
  type SequentialTranscribeOptions,
  type TranscribedInput,
  type TranscribeManyOptions,
  type TranscribeOptions,
} from "./pipeline.ts";
export {
  WhisperProcessor,
  type BatchDecodeOptions,
  type LoadProcessorOptions,
  type ProcessorOptions,
} from "./processor.ts";
