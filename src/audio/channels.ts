/**
 * Stored samples of any format -> float32, a plane for each channel.
 */

import { aLawTable, muLawTable } from "./g711.ts";

/** How one sample is stored; integers of more than 8 bits are signed little-endian. */
export type SampleFormat = "u8" | "s16" | "s24" | "s32" | "s64" | "f32" | "f64" | "alaw" | "mulaw";

/** Bytes of one stored sample. */
export const BYTES_PER_SAMPLE: Readonly<Record<SampleFormat, number>> = {
  u8: 1,
  s16: 2,
  s24: 3,
  s32: 4,
  s64: 8,
  f32: 4,
  f64: 8,
  alaw: 1,
  mulaw: 1,
};

/**
 * Loudest magnitude believed; full scale is 1. Larger values, NaN and the infinities are no sound, and would poison the
 * resampler's whole reach and the window's maximum after it. 1e10 leaves room for floats scaled as int32.
 */
const MAX_MAGNITUDE = 1e10;

let aLaw: Int16Array | undefined;
let muLaw: Int16Array | undefined;

type Values = Uint8Array | Int16Array | Int32Array | BigInt64Array | Float32Array | Float64Array;

/** Typed view of stored samples, and how a value becomes a number in [-1, 1]: (value - offset) * scale. */
interface View {
  readonly values: Exclude<Values, BigInt64Array>;
  readonly offset: number;
  readonly scale: number;
}

function view(bytes: Uint8Array, format: SampleFormat, count: number): View {
  const size = BYTES_PER_SAMPLE[format];
  // A typed array must start at a multiple of its element size; a slice of a stream need not.
  const aligned = size === 3 || bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset } = aligned;
  switch (format) {
    case "u8":
      return { values: aligned, offset: 128, scale: 1 / 128 };
    case "s16":
      return { values: new Int16Array(buffer, byteOffset, count), offset: 0, scale: 2 ** -15 };
    case "s24": {
      const values = new Int32Array(count);
      for (let i = 0, at = 0; i < count; i++, at += 3) {
        values[i] = (aligned[at] << 8) | (aligned[at + 1] << 16) | (aligned[at + 2] << 24);
      }
      return { values, offset: 0, scale: 2 ** -31 };
    }
    case "s32":
      return { values: new Int32Array(buffer, byteOffset, count), offset: 0, scale: 2 ** -31 };
    case "s64":
      return {
        values: Float64Array.from(new BigInt64Array(buffer, byteOffset, count), Number),
        offset: 0,
        scale: 2 ** -63,
      };
    case "f32":
      return { values: new Float32Array(buffer, byteOffset, count), offset: 0, scale: 1 };
    case "f64":
      return { values: new Float64Array(buffer, byteOffset, count), offset: 0, scale: 1 };
    case "alaw":
      return { values: expand(aligned, count, (aLaw ??= aLawTable())), offset: 0, scale: 2 ** -15 };
    case "mulaw":
      return { values: expand(aligned, count, (muLaw ??= muLawTable())), offset: 0, scale: 2 ** -15 };
  }
}

function expand(bytes: Uint8Array, count: number, table: Int16Array): Int16Array {
  const values = new Int16Array(count);
  for (let i = 0; i < count; i++) values[i] = table[bytes[i]];
  return values;
}

/**
 * Takes interleaved channels apart.
 *
 * @param bytes `frames * planes.length` stored samples, channel by channel within a frame; not modified
 * @param planes receive `frames` samples each, from index `at`
 * @returns how many stored samples were NaN, infinite or beyond 1e10; each became 0
 */
export function readInterleaved(
  bytes: Uint8Array,
  format: SampleFormat,
  frames: number,
  planes: readonly Float32Array[],
  at = 0,
): number {
  const channels = planes.length;
  const stored = view(bytes, format, frames * channels);
  return planes.reduce((replaced, plane, channel) => replaced + copy(stored, channel, channels, frames, plane, at), 0);
}

/**
 * Reads one channel that is stored apart, as most decoders give them.
 *
 * @param bytes `frames` stored samples; not modified
 * @param plane receives `frames` samples from index `at`
 * @returns how many stored samples were NaN, infinite or beyond 1e10; each became 0
 */
export function readPlane(
  bytes: Uint8Array,
  format: SampleFormat,
  frames: number,
  plane: Float32Array,
  at = 0,
): number {
  return copy(view(bytes, format, frames), 0, 1, frames, plane, at);
}

function copy(
  { values, offset, scale }: View,
  from: number,
  step: number,
  frames: number,
  out: Float32Array,
  at: number,
): number {
  let replaced = 0;
  for (let i = 0, source = from; i < frames; i++, source += step) {
    const value = (values[source] - offset) * scale;
    if (value <= MAX_MAGNITUDE && value >= -MAX_MAGNITUDE) out[at + i] = value;
    else {
      out[at + i] = 0;
      replaced++;
    }
  }
  return replaced;
}

/**
 * Replaces what is no sound by 0: NaN, infinities, magnitudes beyond 1e10.
 *
 * @returns the very array given when it is clean, else a cleaned copy, with the count of replaced samples
 */
export function replaceNonFinite(samples: Float32Array): { samples: Float32Array; replaced: number } {
  let clean = samples;
  let replaced = 0;
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i];
    if (value <= MAX_MAGNITUDE && value >= -MAX_MAGNITUDE) continue;
    if (replaced++ === 0) clean = samples.slice();
    clean[i] = 0;
  }
  return { samples: clean, replaced };
}
