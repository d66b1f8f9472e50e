export { createReferenceEngine, type ReferenceEngine } from "./engine.ts";
export { ReferenceOps } from "./ops.ts";
