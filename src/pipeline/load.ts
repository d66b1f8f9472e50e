/** From a model's name to what runs: the checkpoint's folder, its tokenizer, and an engine for the device asked for. */
import { openCheckpoint, openProcessorFiles, type Checkpoint, type ProcessorFiles } from "../checkpoint/index.ts";
import {
  createCpuEngine,
  createCudaEngine,
  createReferenceEngine,
  fastestDType,
  type Engine,
} from "../engine/index.ts";
import { assertOneOf, OptionError } from "../errors.ts";
import { resolveModel, type HubOptions } from "../hub/index.ts";
import { Tokenizer } from "../tokenizer/index.ts";
import { deviceKind, DTYPES, gpuOf, type Device, type DTypeOption } from "./choices.ts";

export interface EngineOptions {
  /** Default "auto": the processor. "cuda" is an NVIDIA GPU, "cuda:1" the second. "reference" is slow and for tests. */
  readonly device?: Device | undefined;
  /**
   * Default "auto": int8 on the processor, except where a small model gains nothing by it; float16 on a GPU. "float32" is exact. The processor
   * knows float32 and int8, a GPU float32, float16 and bfloat16.
   */
  readonly dtype?: DTypeOption | undefined;
  /** Cores to use; default all. */
  readonly threads?: number | undefined;
  /** Worker threads that windows are spread over; default one a core. */
  readonly workers?: number | undefined;
}

export interface LoadOptions extends HubOptions, EngineOptions {}

/** Names of all options of `fromPretrained`, for whoever has to refuse others. */
export const LOAD_OPTIONS: readonly (keyof LoadOptions)[] = [
  "device",
  "dtype",
  "threads",
  "workers",
  "cacheDir",
  "token",
  "endpoint",
  "revision",
  "offline",
  "forceDownload",
  "signal",
  "onDownload",
  "onProgress",
  "timeoutMs",
];

/**
 * Finds or downloads a checkpoint and opens it.
 *
 * @param model a name ("tiny" ... "turbo", "nano"), a hub id, or a folder
 * @throws {HubError} if it cannot be had
 * @throws {CheckpointError} if it is damaged, or no Whisper checkpoint
 */
export async function loadCheckpoint(model: string, options: LoadOptions = {}): Promise<Checkpoint> {
  const { device: _device, dtype: _dtype, threads: _threads, workers: _workers, ...hub } = options;
  return openCheckpoint(await resolveModel(model, hub));
}

/**
 * Finds or downloads what a processor needs of a checkpoint: all but the weights.
 *
 * @param model a name, a hub id, or a folder
 * @throws {HubError} if it cannot be had
 * @throws {CheckpointError} if it is damaged, or of no Whisper checkpoint
 */
export async function loadProcessorFiles(model: string, options: HubOptions = {}): Promise<ProcessorFiles> {
  return openProcessorFiles(await resolveModel(model, options, "processor"));
}

/** @throws {CheckpointError} if the checkpoint has no tokenizer, or one that does not fit it */
export async function loadTokenizer(
  checkpoint: Pick<ProcessorFiles, "dimensions" | "tokenizerFiles">,
): Promise<Tokenizer> {
  return Tokenizer.fromFiles(await checkpoint.tokenizerFiles(), checkpoint.dimensions.nVocab);
}

/**
 * Checks the options of an engine: call it before anything is downloaded.
 *
 * @throws {OptionError} for a device or dtype that does not exist, or does not go with the other
 */
export function resolveEngineOptions(options: EngineOptions): ResolvedEngineOptions {
  const { device = "auto", dtype = "auto" } = options;
  const resolved = deviceKind(device);
  assertOneOf("dtype", dtype, DTYPES);
  const known: readonly DTypeOption[] = DEVICE_DTYPES[resolved];
  if (dtype !== "auto" && !known.includes(dtype)) {
    throw new OptionError("dtype", `Device "${device}" computes in ${known.join(", ")}, not in ${dtype}`);
  }
  return { device: resolved, gpu: gpuOf(device) ?? 0, dtype } as ResolvedEngineOptions;
}

/** What each device computes with. */
const DEVICE_DTYPES = {
  cpu: ["int8", "float32"],
  cuda: ["float16", "bfloat16", "float32"],
  reference: ["float32"],
} as const;

/** The dtype is one that the device has. */
type ResolvedEngineOptions = {
  [D in keyof typeof DEVICE_DTYPES]: {
    readonly device: D;
    /** Number of the GPU, where it is one. */
    readonly gpu: number;
    readonly dtype: "auto" | (typeof DEVICE_DTYPES)[D][number];
  };
}[keyof typeof DEVICE_DTYPES];

/** Makes a checkpoint ready on a device. @throws {OptionError} @throws {EngineUnavailableError} */
export async function openEngine(checkpoint: Checkpoint, options: EngineOptions = {}): Promise<Engine> {
  const resolved = resolveEngineOptions(options);
  if (resolved.device === "reference") return createReferenceEngine(checkpoint);
  if (resolved.device === "cuda") {
    const { gpu, dtype } = resolved;
    return createCudaEngine(checkpoint, { ordinal: gpu, ...(dtype !== "auto" && { dtype }) });
  }
  return createCpuEngine(checkpoint, {
    dtype: resolved.dtype === "auto" ? fastestDType(checkpoint.dimensions) : resolved.dtype,
    ...(options.threads !== undefined && { threads: options.threads }),
    ...(options.workers !== undefined && { workers: options.workers }),
  });
}
