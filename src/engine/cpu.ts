/**
 * The engine for this machine's processor: kernels of our own where they are written for it and the weights are int8, onnxruntime
 * everywhere else.
 */
import { availableParallelism } from "node:os";

import { assertOneOf, EngineUnavailableError } from "../errors.ts";
import { assertOption, whole, type OptionKind } from "../options/index.ts";
import type { ModelDimensions, ParameterSource } from "../model/index.ts";
import type { Engine } from "./engine.ts";
import { createNativeEngine, loadKernels } from "./native/index.ts";

const KERNELS = ["auto", "native", "onnxruntime"] as const;

export interface CpuEngineOptions {
  /** `float32` is exact; `int8` is smaller and faster. Default int8. */
  readonly dtype?: "float32" | "int8";
  /** Cores to use; default all. */
  readonly threads?: number;
  /** onnxruntime's worker threads that windows are spread over; default one a core, and one of all cores for a single window. */
  readonly workers?: number;
  /** Folder for packed weights; default $SOTTO_CACHE, else sotto/ in the user's cache folder. */
  readonly cacheDir?: string;
  /**
   * What computes. "native": kernels of our own, for int8 on x86-64 Linux with AVX-512 VNNI. Default "auto": native where it can be, else
   * onnxruntime; $SOTTO_KERNELS sets another default.
   */
  readonly kernels?: (typeof KERNELS)[number];
}

/** Most cores that an option may ask for: a typing error should not start ten thousand threads. */
const MAX_THREADS = 1024;

/** The options that only this engine has, and the values that each takes. */
export const THREAD_OPTIONS = {
  threads: whole(1, MAX_THREADS),
  workers: whole(1, MAX_THREADS),
} as const satisfies Readonly<Partial<Record<keyof CpuEngineOptions, OptionKind>>>;

/** What computes on the CPU of this machine, all of it loaded to be sure. */
export interface CpuInfo {
  /** "native kernels (amx-int8)", "onnxruntime"; null if nothing does. */
  readonly kernels: string | null;
  /** Why the faster ones do not, or none of them; null if the fastest do. */
  readonly reason: string | null;
}

/** What $SOTTO_KERNELS asks for; empty is as good as unset. @throws {OptionError} for anything else */
function askedKernels(): (typeof KERNELS)[number] {
  const asked = process.env["SOTTO_KERNELS"] || "auto";
  assertOneOf("SOTTO_KERNELS", asked, KERNELS);
  return asked;
}

/** Loads the kernels, and onnxruntime where they are not for this machine. */
export async function probeCpu(): Promise<CpuInfo> {
  const native = askedKernels() === "onnxruntime" ? null : loadKernels();
  const { loadRuntime } = await import("./onnxruntime/index.ts");
  let fault: string | null = null;
  try {
    loadRuntime();
  } catch (error) {
    fault = (error as EngineUnavailableError).reason;
  }
  if (native !== null && "kernels" in native) {
    return { kernels: `native kernels (${native.kernels.isa})`, reason: fault === null ? null : `float32: ${fault}` };
  }
  const missing = native === null ? "SOTTO_KERNELS=onnxruntime" : `native kernels: ${native.reason}`;
  return { kernels: fault === null ? "onnxruntime" : null, reason: fault === null ? missing : `${missing}; ${fault}` };
}

let warned = false;

/** Says once in a process that a slower engine takes the place of kernels which should run here and do not. */
function warnOfFallback(reason: string): void {
  if (warned) return;
  warned = true;
  process.emitWarning(
    `The native kernels are not used, and onnxruntime, which is slower, takes their place: ${reason}`,
    {
      code: "SOTTO_NATIVE_KERNELS",
    },
  );
}

/** With onnxruntime, narrower models (the bundled one; tiny has 384) are no faster in int8. */
const INT8_FROM_WIDTH = 256;

/** The numbers in which a model is fastest on this machine. */
export function fastestDType({ nTextState }: ModelDimensions): "float32" | "int8" {
  return usesNativeKernels("int8") || nTextState >= INT8_FROM_WIDTH ? "int8" : "float32";
}

/** Whether kernels of our own compute in these numbers on this machine, where nothing else is asked for. */
export function usesNativeKernels(dtype: "float32" | "int8"): boolean {
  return dtype === "int8" && askedKernels() !== "onnxruntime" && "kernels" in loadKernels();
}

/**
 * Makes a checkpoint ready on the CPU, and packs its weights if the cache has no packed file of them.
 *
 * @throws {EngineUnavailableError} if this machine lacks what computes, or the weights cannot be packed
 * @throws {OptionError} for options out of range
 */
export async function createCpuEngine(parameters: ParameterSource, options: CpuEngineOptions = {}): Promise<Engine> {
  const { nTextState, nTextHead, nAudioState, nAudioHead } = parameters.dimensions;
  const dtype = options.dtype ?? "int8";
  const { threads = availableParallelism(), workers = null } = options;
  assertOption("threads", threads, THREAD_OPTIONS.threads);
  assertOption("workers", options.workers, THREAD_OPTIONS.workers);
  const wanted = options.kernels ?? askedKernels();
  assertOneOf("kernels", wanted, KERNELS);
  if (nTextState !== 64 * nTextHead || nAudioState !== 64 * nAudioHead) {
    throw new EngineUnavailableError("cpu", "the checkpoint's attention heads are not 64 wide", {
      hint: 'use device "reference"',
    });
  }
  if (wanted !== "onnxruntime" && dtype === "int8") {
    const found = loadKernels();
    if ("kernels" in found)
      return createNativeEngine(parameters, found.kernels, { threads, cacheDir: options.cacheDir });
    if (wanted === "native") throw new EngineUnavailableError("cpu", `no native kernels: ${found.reason}`);
    if (found.broken) warnOfFallback(found.reason);
  } else if (wanted === "native") {
    throw new EngineUnavailableError("cpu", `no native kernels: they compute in int8, not in ${dtype}`);
  }
  // Loaded only where it computes.
  const { createOnnxEngine } = await import("./onnxruntime/index.ts");
  return createOnnxEngine(parameters, { dtype, threads, workers, cacheDir: options.cacheDir });
}
