export { createNativeEngine } from "./engine.ts";
export { loadKernels, type Kernels, type KernelsOrReason } from "./kernels.ts";
