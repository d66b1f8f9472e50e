/**
 * The words that a caller chooses among, and the types that they make. Nothing but the error classes is imported here, so that the command
 * line lists them in its help, and refuses others, without loading an engine.
 */
import { assertOneOf } from "../errors.ts";

/** Where a model runs. */
export const DEVICES = ["auto", "cpu", "cuda", "reference"] as const;

/** One of `DEVICES`; "cuda:1" is the second GPU. */
export type Device = (typeof DEVICES)[number] | `cuda:${number}`;

const NUMBERED_GPU = /^cuda:(\d{1,3})$/;

/** Number of the GPU that a device names, in the driver's order; null for other devices. */
export function gpuOf(device: string): number | null {
  const number = device === "cuda" ? "0" : NUMBERED_GPU.exec(device)?.[1];
  return number === undefined ? null : Number(number);
}

/** @throws {OptionError} unless the device exists */
export function assertDevice(device: unknown): asserts device is Device {
  if (typeof device === "string" && gpuOf(device) !== null) return;
  assertOneOf("device", device, DEVICES);
}

/**
 * The kind of device that a choice stands for: the GPU only where it is named.
 *
 * @throws {OptionError} unless the device exists
 */
export function deviceKind(device: Device): "cpu" | "cuda" | "reference" {
  assertDevice(device);
  if (gpuOf(device) !== null) return "cuda";
  return device === "reference" ? "reference" : "cpu";
}

/** Numbers that a model computes with. */
export const DTYPES = ["auto", "float32", "float16", "bfloat16", "int8"] as const;
export type DTypeOption = (typeof DTYPES)[number];

/**
 * The way through long recordings. `vad`, the default: speech is found first and packed into windows that end in pauses, many computed at once; what
 * the model leaves out is decoded anew. `chunked`: fixed windows that overlap, many at once (Whisper JAX, Hugging Face). `sequential`: one window
 * after the other, each knowing the text before it (openai/whisper).
 */
export const ALGORITHMS = ["vad", "chunked", "sequential"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/**
 * Whether subtitles of an algorithm's transcripts are divided for reading unless the caller says otherwise. Not those of `sequential`, whose
 * files are openai/whisper's: a subtitle per segment. Dividing them takes word times, with which openai/whisper's windows begin elsewhere and
 * its text is another.
 */
export function dividesSubtitles(algorithm: Algorithm): boolean {
  return algorithm !== "sequential";
}

/** The bundled model: it is in the package, so nothing is downloaded. It knows synthetic speech only, and is never a default. */
export const BUNDLED_MODEL = "nano";

/**
 * The model that is used where none is named. Both understand people in 99 languages: `base` keeps up with speech on two cores,
 * and `turbo`, eleven times its size, on a GPU.
 */
export function defaultModel(device: Device = "auto"): "base" | "turbo" {
  return deviceKind(device) === "cuda" ? "turbo" : "base";
}
