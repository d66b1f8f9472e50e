/**
 * Audio that is samples already: checked, and brought to 16 kHz.
 */

import { OptionError } from "../errors.ts";
import { roundHalfEven } from "../tensor/index.ts";
import { describe } from "./byte-source.ts";
import { MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, SAMPLE_RATE } from "./constants.ts";
import { replaceNonFinite } from "./channels.ts";
import { Resampler } from "./resample.ts";
import type { SampledAudio } from "./audio-input.ts";
import type { WarningList } from "./warnings.ts";

/** Samples resampled at once, so that a long array leaves room for other work. */
const BLOCK = 2 ** 19;

/** True for what is meant as `{ array, samplingRate }`, right or not. */
export function looksSampled(input: object): input is SampledAudio {
  return "array" in input || "samplingRate" in input || "sampling_rate" in input || "raw" in input;
}

/**
 * Checks `{ array, samplingRate, stride }`, by the rules of Hugging Face pipelines (facts 1.4.3).
 *
 * @returns the stride at 16 kHz, rounded half to even as Python rounds (facts 1.4.6); `null` without one
 * @throws {TypeError} if a part is missing or of another type
 * @throws {OptionError} if the rate is absurd or the stride is larger than the audio
 */
export function checkSampled(input: SampledAudio): readonly [number, number] | null {
  const { array, samplingRate, stride } = input;
  if (array === undefined || samplingRate === undefined) {
    const found = Object.keys(input).join(", ");
    throw new TypeError(`Cannot read audio from an object with ${found}, expected array and samplingRate`);
  }
  if (!(array instanceof Float32Array) && !(array instanceof Float64Array)) {
    throw new TypeError(
      `Cannot read audio: array is of type ${describe(array)}, expected a mono Float32Array or Float64Array`,
    );
  }
  if (typeof samplingRate !== "number") {
    throw new TypeError(
      `Cannot read audio: samplingRate is of type ${describe(samplingRate)}, expected a number of Hz`,
    );
  }
  if (!Number.isInteger(samplingRate) || samplingRate < MIN_SAMPLE_RATE || samplingRate > MAX_SAMPLE_RATE) {
    const range = `${MIN_SAMPLE_RATE} to ${MAX_SAMPLE_RATE}`;
    throw new OptionError(
      "samplingRate",
      `Cannot read audio at a samplingRate of "${samplingRate}" Hz, expected a whole number from ${range}`,
    );
  }
  if (stride === undefined) return null;
  const valid = Array.isArray(stride) && stride.length === 2 && stride.every((n) => Number.isInteger(n) && n >= 0);
  if (!valid) {
    throw new OptionError(
      "stride",
      `Cannot read audio with stride "${String(stride)}", expected [left, right] in whole samples of at least 0`,
    );
  }
  const [left, right] = stride;
  if (left + right > array.length) {
    throw new OptionError("stride", `Stride [${left}, ${right}] is too large: the audio has ${array.length} samples`);
  }
  const ratio = SAMPLE_RATE / samplingRate;
  return [roundHalfEven(left * ratio), roundHalfEven(right * ratio)];
}

/** The array at 16 kHz, in pieces. */
export async function* sampledPieces(
  array: Float32Array | Float64Array,
  rate: number,
  warnings: WarningList,
): AsyncGenerator<Float32Array> {
  const resampler = rate === SAMPLE_RATE ? null : new Resampler(rate);
  for (let at = 0; at < array.length; at += BLOCK) {
    const block = array.subarray(at, at + BLOCK);
    const { samples, replaced } = replaceNonFinite(block instanceof Float32Array ? block : Float32Array.from(block));
    warnings.addReplaced(replaced);
    yield resampler === null ? samples : resampler.push(samples);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (resampler !== null) yield resampler.flush();
}

/** Checks that every piece of an iterable is samples. */
export async function* checkedSamples(pieces: AsyncIterable<unknown>): AsyncGenerator<Float32Array> {
  for await (const piece of pieces) {
    if (!(piece instanceof Float32Array)) {
      throw new TypeError(`Cannot read audio: a piece is of type ${describe(piece)} after pieces of Float32Array`);
    }
    yield piece;
  }
}
