import { describe, expect, it } from "vitest";

import { mixInterleaved, mixPlanar, replaceNonFinite, type SampleFormat } from "./channels.ts";

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

const HALF: readonly (readonly [SampleFormat, Uint8Array])[] = [
  ["u8", Uint8Array.of(192, 64)],
  ["s16", bytesOf(Int16Array.of(16384, -16384))],
  ["s24", Uint8Array.of(0, 0, 0x40, 0, 0, 0xc0)],
  ["s32", bytesOf(Int32Array.of(2 ** 30, -(2 ** 30)))],
  ["s64", bytesOf(BigInt64Array.of(2n ** 62n, -(2n ** 62n)))],
  ["f32", bytesOf(Float32Array.of(0.5, -0.5))],
  ["f64", bytesOf(Float64Array.of(0.5, -0.5))],
];

describe("mixInterleaved()", () => {
  it.each(HALF)("reads %s", (format, bytes) => {
    const out = new Float32Array(2);
    mixInterleaved(bytes, format, 1, 2, out);
    expect([...out]).toEqual([0.5, -0.5]);
  });

  it.each(HALF)("averages two channels of %s", (format, bytes) => {
    const out = new Float32Array(1);
    mixInterleaved(bytes, format, 2, 1, out);
    expect(out[0]).toBe(0);
  });

  it("averages 50 channels", () => {
    const samples = Int16Array.from({ length: 100 }, (_, i) => (i % 50) * 100 + (i < 50 ? 0 : 50));
    const out = new Float32Array(2);
    mixInterleaved(bytesOf(samples), "s16", 50, 2, out);
    expect(out[0]).toBeCloseTo(2450 / 32768, 7);
    expect(out[1]).toBeCloseTo(2500 / 32768, 7);
  });

  it("reads bytes that lie at an odd place", () => {
    const odd = new Uint8Array(5);
    odd.set(bytesOf(Int16Array.of(16384, 8192)), 1);
    const out = new Float32Array(2);
    mixInterleaved(odd.subarray(1), "s16", 1, 2, out);
    expect([...out]).toEqual([0.5, 0.25]);
  });

  it("counts NaN, infinities and absurd values as 0, of one channel alone", () => {
    const out = new Float32Array(3);
    const bytes = bytesOf(Float32Array.of(NaN, 0.5, 0.25, Infinity, 1e30, -1e30));
    expect(mixInterleaved(bytes, "f32", 2, 3, out)).toBe(2); // the last two cancel out, and harm nobody
    expect([...out]).toEqual([0.25, 0.125, 0]);
  });
});

describe("mixPlanar()", () => {
  it.each(HALF)("averages planes of %s", (format, bytes) => {
    const out = new Float32Array(2);
    mixPlanar([bytes, bytes], format, 2, out);
    expect([...out]).toEqual([0.5, -0.5]);
  });

  it("counts NaN as 0", () => {
    const out = new Float32Array(2);
    const planes = [bytesOf(Float32Array.of(NaN, 1)), bytesOf(Float32Array.of(0.5, -Infinity))];
    expect(mixPlanar(planes, "f32", 2, out)).toBe(2);
    expect([...out]).toEqual([0.25, 0.5]);
  });
});

describe("replaceNonFinite()", () => {
  it("gives a clean array back as it is", () => {
    const samples = Float32Array.of(0, -1, 1);
    expect(replaceNonFinite(samples)).toEqual({ samples, replaced: 0 });
    expect(replaceNonFinite(samples).samples).toBe(samples);
  });

  it("cleans a copy", () => {
    const samples = Float32Array.of(0.5, NaN, Infinity, -Infinity, 2e10);
    const { samples: clean, replaced } = replaceNonFinite(samples);
    expect([...clean]).toEqual([0.5, 0, 0, 0, 0]);
    expect(replaced).toBe(4);
    expect(samples[1]).toBeNaN();
  });
});
