export { createCpuEngine, type CpuEngineOptions } from "./onnxruntime/index.ts";
