/** From a model's name to what runs: the checkpoint's folder, its tokenizer, and an engine for the device asked for. */
import { openCheckpoint, openProcessorFiles, type Checkpoint, type ProcessorFiles } from "../checkpoint/index.ts";
import {
  createCpuEngine,
  createCudaEngine,
  createReferenceEngine,
  fastestDType,
  THREAD_OPTIONS,
  usesNativeKernels,
  type Engine,
} from "../engine/index.ts";
import { OptionError, quote } from "../errors.ts";
import { HUB_OPTIONS, resolveModel, unusedHubOptions, type HubOptions } from "../hub/index.ts";
import {
  assertOption,
  assertOptions,
  nonEmptyText,
  oneOf,
  type OptionKind,
  type OptionTable,
} from "../options/index.ts";
import { Tokenizer } from "../tokenizer/index.ts";
import { DEVICES, deviceKind, DTYPES, gpuOf, type Device, type DTypeOption } from "./choices.ts";

export interface EngineOptions {
  /** Default "auto": the processor. "cuda" is an NVIDIA GPU, "cuda:1" the second. "reference" is slow and for tests. */
  readonly device?: Device | undefined;
  /**
   * Default "auto": int8 on the processor, except where a small model gains nothing by it; float16 on a GPU. "float32" is exact. The processor
   * knows float32 and int8, a GPU float32, float16 and bfloat16.
   */
  readonly dtype?: DTypeOption | undefined;
  /** Cores to use; default all. For the CPU alone. */
  readonly threads?: number | undefined;
  /** Worker threads that windows are spread over; default one a core. For the CPU alone, where onnxruntime computes. */
  readonly workers?: number | undefined;
}

export interface LoadOptions extends HubOptions, EngineOptions {}

/** The values of `device`. */
export const DEVICE: OptionKind = {
  wanted: `one of ${DEVICES.join(", ")}`,
  accepts: (value) => typeof value === "string" && (DEVICES.some((name) => name === value) || gpuOf(value) !== null),
};

const ENGINE_OPTIONS = {
  device: DEVICE,
  dtype: oneOf(DTYPES),
  ...THREAD_OPTIONS,
} as const satisfies Readonly<Record<keyof EngineOptions, OptionKind>>;

/** All options of `fromPretrained`, and the values that each takes. */
export const LOAD_OPTIONS = {
  ...ENGINE_OPTIONS,
  ...HUB_OPTIONS,
} as const satisfies Readonly<Record<keyof LoadOptions, OptionKind>>;

/**
 * Checks what `fromPretrained` is given, before anything is downloaded.
 *
 * @param model undefined: the default
 * @param more options that a class has besides
 * @throws {OptionError} for names and values that do not exist, and options that do not go together
 */
export function assertLoadable(model: unknown, options: unknown, more: OptionTable = {}): void {
  if (model !== undefined) assertOption("model", model, nonEmptyText);
  assertOptions("fromPretrained", options, { ...LOAD_OPTIONS, ...more });
  resolveEngineOptions(options as LoadOptions);
}

/** What was asked for and has no effect, on this model or this machine. */
export async function loadWarnings(
  model: string,
  { device: _device, dtype: _dtype, threads: _threads, workers, ...hub }: LoadOptions,
  engine: Engine,
): Promise<readonly string[]> {
  const isNative = engine.device === "cpu" && usesNativeKernels(engine.dtype === "int8" ? "int8" : "float32");
  return [
    ...(workers !== undefined && isNative
      ? ['"workers" has no effect: the native kernels of this machine spread every window over all threads']
      : []),
    ...(await unusedHubOptions(model, hub)),
  ];
}

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
 * @throws {OptionError} for a device or dtype that does not exist, or does not go with the other; for threads or workers of a device
 * that has none
 */
export function resolveEngineOptions(options: EngineOptions): ResolvedEngineOptions {
  const { device = "auto", dtype = "auto" } = options;
  for (const [name, kind] of Object.entries(ENGINE_OPTIONS))
    assertOption(name, options[name as keyof EngineOptions], kind);
  const resolved = deviceKind(device);
  const known: readonly DTypeOption[] = DEVICE_DTYPES[resolved];
  if (dtype !== "auto" && !known.includes(dtype)) {
    throw new OptionError("dtype", `Device "${device}" computes in ${known.join(", ")}, not in ${dtype}`);
  }
  for (const name of ["threads", "workers"] as const) {
    if (resolved === "cpu" || options[name] === undefined) continue;
    throw new OptionError(name, `Cannot use ${name} with device ${quote(device)}: only the CPU engine has threads`);
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
