/** Numbers that weights and activations are kept in; sums are float32 always. */
import type { StoredDType } from "../../tensor/index.ts";

export type CudaDType = StoredDType;

/** How the names of kernels end that are compiled for each number format. */
export const SUFFIX = { float32: "f32", float16: "f16", bfloat16: "bf16" } as const;
