import { describe, expect, it } from "vitest";

import { readInterleaved, readPlane, replaceNonFinite, type SampleFormat } from "./channels.ts";

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

const planesOf = (channels: number, frames: number) => Array.from({ length: channels }, () => new Float32Array(frames));

describe("readInterleaved()", () => {
  it.each(HALF)("reads %s", (format, bytes) => {
    const [mono] = planesOf(1, 2);
    expect(readInterleaved(bytes, format, 2, [mono])).toBe(0);
    expect([...mono]).toEqual([0.5, -0.5]);
  });

  it.each(HALF)("takes two channels of %s apart", (format, bytes) => {
    const planes = planesOf(2, 1);
    readInterleaved(bytes, format, 1, planes);
    expect(planes.map((plane) => [...plane])).toEqual([[0.5], [-0.5]]);
  });

  it("puts them where they are wanted", () => {
    const planes = planesOf(2, 3);
    readInterleaved(bytesOf(Float32Array.of(0.25, 0.5)), "f32", 1, planes, 2);
    expect(planes.map((plane) => [...plane])).toEqual([
      [0, 0, 0.25],
      [0, 0, 0.5],
    ]);
  });

  it("reads bytes that lie at an odd place", () => {
    const odd = new Uint8Array(5);
    odd.set(bytesOf(Int16Array.of(16384, 8192)), 1);
    const [mono] = planesOf(1, 2);
    readInterleaved(odd.subarray(1), "s16", 2, [mono]);
    expect([...mono]).toEqual([0.5, 0.25]);
  });

  it("counts NaN, infinities and absurd values as 0, of one channel alone", () => {
    const planes = planesOf(2, 3);
    const bytes = bytesOf(Float32Array.of(NaN, 0.5, 0.25, Infinity, 1e30, -1e30));
    expect(readInterleaved(bytes, "f32", 3, planes)).toBe(4);
    expect(planes.map((plane) => [...plane])).toEqual([
      [0, 0.25, 0],
      [0.5, 0, 0],
    ]);
  });
});

describe("readPlane()", () => {
  it.each(HALF)("reads %s", (format, bytes) => {
    const plane = new Float32Array(3);
    expect(readPlane(bytes, format, 2, plane, 1)).toBe(0);
    expect([...plane]).toEqual([0, 0.5, -0.5]);
  });

  it("counts NaN as 0", () => {
    const plane = new Float32Array(2);
    expect(readPlane(bytesOf(Float32Array.of(NaN, 1)), "f32", 2, plane)).toBe(1);
    expect([...plane]).toEqual([0, 1]);
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
