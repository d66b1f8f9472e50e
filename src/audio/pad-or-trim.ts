/**
 * Brings samples to the length of one window. After openai/whisper audio.py `pad_or_trim`.
 */

import { N_SAMPLES } from "./constants.ts";

/**
 * Cuts `samples` to `length`, or appends zeros up to it.
 *
 * @param samples mono at 16 kHz; not modified
 * @param length in samples; 480000 (30 s) unless said
 * @returns a new array of exactly `length` samples; the very array given, if it has that length already
 * @throws {RangeError} if `length` is not a whole number of at least 0
 */
export function padOrTrim(samples: Float32Array, length: number = N_SAMPLES): Float32Array {
  if (!Number.isInteger(length) || length < 0) {
    throw new RangeError(`Cannot pad or trim to "${length}" samples, expected a whole number of at least 0`);
  }
  if (samples.length === length) return samples;
  if (samples.length > length) return samples.slice(0, length);
  const padded = new Float32Array(length);
  padded.set(samples);
  return padded;
}
