/** Loads onnxruntime's library, whose binary may be missing for a platform or may not fit the system. */
import { createRequire } from "node:module";
import type * as ort from "onnxruntime-node";

import { EngineUnavailableError } from "../../errors.ts";
import { loadFault } from "../load-fault.ts";

/** The part of onnxruntime-node that is used. */
export type Runtime = Pick<typeof ort, "InferenceSession" | "Tensor">;

/**
 * Loads it, or gives what has been loaded in this thread.
 *
 * @throws {EngineUnavailableError} with the reason
 */
export function loadRuntime(): Runtime {
  try {
    return createRequire(import.meta.url)("onnxruntime-node") as Runtime;
  } catch (error) {
    throw new EngineUnavailableError("cpu", `onnxruntime cannot be loaded: ${loadFault(error)}`, {
      cause: error,
      hint: 'use device "reference", which is slow but runs everywhere',
    });
  }
}
