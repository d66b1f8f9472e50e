export type {
  AttendRequest,
  Attention,
  AudioState,
  AudioWindowRef,
  DecoderRow,
  DecoderState,
  Engine,
  Generated,
  GenerateRequest,
  RankedTokens,
  RankRequest,
} from "./engine.ts";
export { applyTokenRules, argmax, logSumExp, type TimestampRules, type TokenRules } from "./token-rules.ts";
export {
  createCpuEngine,
  fastestDType,
  probeCpu,
  THREAD_OPTIONS,
  usesNativeKernels,
  type CpuEngineOptions,
  type CpuInfo,
} from "./cpu.ts";
export { createCudaEngine, listGpus, type CudaEngineOptions, type GpuInfo } from "./cuda/index.ts";
export { createReferenceEngine } from "./reference/index.ts";
