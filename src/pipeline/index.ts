export {
  BUNDLED_MODEL,
  DEVICES,
  DTYPES,
  loadCheckpoint,
  loadTokenizer,
  openEngine,
  type Device,
  type DTypeOption,
  type EngineOptions,
  type LoadOptions,
} from "./load.ts";
export { WhisperForConditionalGeneration, type GenerateOptions, type GenerateOutput } from "./model.ts";
export {
  ALGORITHMS,
  WhisperPipeline,
  type Algorithm,
  type ChunkedTranscribeOptions,
  type PipelineOptions,
  type SequentialTranscribeOptions,
  type TranscribedInput,
  type TranscribeManyOptions,
  type TranscribeOptions,
} from "./pipeline.ts";
export { WhisperProcessor, type BatchDecodeOptions, type ProcessorOptions } from "./processor.ts";
