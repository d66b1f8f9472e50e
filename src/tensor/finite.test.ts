import { expect, it } from "vitest";

import { toFloat16, type StoredDType } from "./dtype.ts";
import { allFinite, firstNotFinite } from "./finite.ts";

const bytesOf = (values: ArrayBufferView): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** The upper halves of float32 numbers. */
const bfloat16 = (values: number[]): Uint16Array =>
  Uint16Array.from(new Uint32Array(Float32Array.from(values).buffer), (bits) => bits >>> 16);

const stored: Readonly<Record<StoredDType, (values: number[]) => ArrayBufferView>> = {
  float32: (values) => Float32Array.from(values),
  float16: (values) => toFloat16(Float32Array.from(values)),
  bfloat16,
};

for (const [dtype, make] of Object.entries(stored) as [StoredDType, (values: number[]) => ArrayBufferView][]) {
  it.each([NaN, Infinity, -Infinity])(`firstNotFinite() finds %s in ${dtype}`, (value) => {
    expect(firstNotFinite(bytesOf(make([0, -1, 65504, value, NaN])), dtype)).toBe(3);
  });

  it(`firstNotFinite() lets every finite number of ${dtype} pass`, () => {
    expect(firstNotFinite(bytesOf(make([0, -0, 1e-8, -65504, 3])), dtype)).toBe(-1);
    expect(firstNotFinite(new Uint8Array(0), dtype)).toBe(-1);
  });
}

it("allFinite() reads a view from its own begin to its own end", () => {
  const values = Float32Array.of(NaN, 1, 2, Infinity);
  expect(allFinite(values.subarray(1, 3))).toBe(true);
  expect(allFinite(values.subarray(1))).toBe(false);
  expect(allFinite(values.subarray(0, 2))).toBe(false);
});
