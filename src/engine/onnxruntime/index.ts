export { createCpuEngine, type CpuEngineOptions } from "./engine.ts";
