export { listGpus, type GpuInfo } from "./gpus.ts";
export { createCudaEngine, type CudaEngineOptions } from "./engine.ts";
