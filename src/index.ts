/** The public surface of sotto. Single stages have entry points of their own: "sotto/audio", "sotto/features" ... */
export { loadAudio, SAMPLE_RATE, type AudioInput, type LoadAudioOptions } from "./audio/index.ts";
export type { DecodingOptions, LanguageDetection } from "./decoding/index.ts";
export type { Engine } from "./engine/index.ts";
export {
  CheckpointError,
  CheckpointSyntaxError,
  EngineUnavailableError,
  HubError,
  InputError,
  NotFiniteError,
  OptionError,
  ShapeError,
  UnsupportedAudioError,
} from "./errors.ts";
export {
  align,
  characterErrorRate,
  normalizeBasic,
  normalizeEnglish,
  wordErrorRate,
  type Alignment,
  type ErrorRate,
} from "./evaluation/index.ts";
export { cachedModels, MODELS, type HubOptions } from "./hub/index.ts";
export {
  formatTimestamp,
  OUTPUT_FORMATS,
  STANDARD_FORMATS,
  writeTranscript,
  type OutputFormat,
  type WriteOptions,
} from "./outputs/index.ts";
export {
  ALGORITHMS,
  DEVICES,
  defaultModel,
  DTYPES,
  loadSileroVad,
  WhisperForConditionalGeneration,
  WhisperPipeline,
  WhisperProcessor,
  type Algorithm,
  type BatchDecodeOptions,
  type ChunkedTranscribeOptions,
  type Device,
  type DTypeOption,
  type GenerateOptions,
  type GenerateOutput,
  type LoadOptions,
  type LoadProcessorOptions,
  type PipelineOptions,
  type ProcessorOptions,
  type SequentialTranscribeOptions,
  type TranscribedInput,
  type TranscribeManyOptions,
  type TranscribeOptions,
  type VadTranscribeOptions,
} from "./pipeline/index.ts";
export type { ComputeDType, Tensor } from "./tensor/index.ts";
export { LANGUAGES, TASKS, type Task } from "./tokenizer/index.ts";
export type {
  Coverage,
  Progress,
  Segment,
  TimeSpan,
  Transcript,
  TranscriptChunk,
  Word,
} from "./transcription/index.ts";
