export { loadRuntime } from "./runtime.ts";
export { createOnnxEngine, type OnnxEngineOptions } from "./engine.ts";
