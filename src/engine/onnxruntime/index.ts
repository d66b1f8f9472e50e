export { createOnnxEngine, type OnnxEngineOptions } from "./engine.ts";
