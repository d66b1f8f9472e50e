import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { float16ToFloat32, float32ToFloat16, toFloat16, toFloat32 } from "./dtype.ts";

/** Value of a float16 by its definition: sign, 5 bits of exponent, 10 bits of fraction (IEEE 754). */
function float16ByDefinition(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

const HALVES = Array.from({ length: 65536 }, (_, half) => half);

describe("float16ToFloat32()", () => {
  it("gives the value of every bit pattern", () => {
    const wrong = HALVES.filter((half) => !Object.is(float16ToFloat32(half), float16ByDefinition(half)));
    expect(wrong).toEqual([]);
  });
});

describe("float32ToFloat16()", () => {
  it("gives back every bit pattern that is a number", () => {
    const wrong = HALVES.filter((half) => {
      const value = float16ByDefinition(half);
      return !Number.isNaN(value) && float32ToFloat16(value) !== half;
    });
    expect(wrong).toEqual([]);
  });

  it.each([
    [1 + 2 ** -11, 0x3c00, "a tie goes to the even neighbour below"],
    [1 + 3 * 2 ** -11, 0x3c02, "a tie goes to the even neighbour above"],
    [1 + 2 ** -11 + 2 ** -20, 0x3c01, "just above a tie"],
    [2 - 2 ** -12, 0x4000, "rounds up into the next exponent"],
    [65519, 0x7bff, "rounds down to the largest"],
    [65520, 0x7c00, "rounds up to infinity"],
    [-1e9, 0xfc00, "too large and negative"],
    [2 ** -25, 0x0000, "half of the smallest: a tie, to zero"],
    [2 ** -25 * 1.0001, 0x0001, "above half of the smallest"],
    [3 * 2 ** -25, 0x0002, "a tie among subnormals"],
    [2 ** -14 - 2 ** -26, 0x0400, "rounds up out of the subnormals"],
    [-0, 0x8000, "negative zero"],
    [1e-30, 0x0000, "far too small"],
    [Infinity, 0x7c00, "infinity"],
  ])("%d is 0x%s: %s", (value, half) => {
    expect(float32ToFloat16(value).toString(16)).toBe(half.toString(16));
  });

  it("keeps NaN", () => {
    expect(float16ToFloat32(float32ToFloat16(NaN))).toBeNaN();
  });

  it("gives the nearest float16", () => {
    fc.assert(
      fc.property(fc.float({ min: -65504, max: 65504, noNaN: true }), (value) => {
        const half = float32ToFloat16(value);
        const error = Math.abs(float16ByDefinition(half) - value);
        for (const neighbour of [half - 1, half + 1]) {
          const other = float16ByDefinition(neighbour & 0xffff);
          if (Number.isFinite(other)) expect(Math.abs(other - value)).toBeGreaterThanOrEqual(error);
        }
      }),
    );
  });
});

describe("toFloat16()", () => {
  it("converts each value of an array, and of a part of one", () => {
    const values = Float32Array.from({ length: 100 }, (_, i) => (i - 50) * 1.2345 ** (i - 60));
    expect(toFloat16(values)).toEqual(Uint16Array.from(values, float32ToFloat16));
    expect(toFloat16(values.subarray(3, 40))).toEqual(Uint16Array.from(values.subarray(3, 40), float32ToFloat16));
  });
});

describe("toFloat32()", () => {
  const floats = Float32Array.of(1.5, -2, 0, 1e-40, Infinity);

  it("reads float32", () => {
    const bytes = new Uint8Array(floats.buffer);
    const values = toFloat32(bytes, "float32");
    expect(values).toEqual(floats);
    values[0] = 7;
    expect(floats[0], "the result is a copy").toBe(1.5);
  });

  it("reads bfloat16, the upper half of float32", () => {
    const halves = Uint16Array.of(0x3fc0, 0xc000, 0x0000, 0x7f80, 0x0001);
    expect(toFloat32(new Uint8Array(halves.buffer), "bfloat16")).toEqual(
      Float32Array.of(1.5, -2, 0, Infinity, 2 ** -133),
    );
  });

  it("reads float16", () => {
    const halves = Uint16Array.of(0x3e00, 0xc000, 0x0000, 0x7c00, 0x0001);
    expect(toFloat32(new Uint8Array(halves.buffer), "float16")).toEqual(
      Float32Array.of(1.5, -2, 0, Infinity, 2 ** -24),
    );
  });

  it.each(["float32", "float16", "bfloat16"] as const)("reads %s at any byte offset", (dtype) => {
    const content = new Uint8Array(8 * 4).map((_, i) => (37 * i) % 120);
    const expected = toFloat32(content, dtype);
    for (const offset of [1, 2, 3, 5]) {
      const shifted = new Uint8Array(content.length + 8);
      shifted.set(content, offset);
      expect(toFloat32(shifted.subarray(offset, offset + content.length), dtype)).toEqual(expected);
    }
  });

  it("reads nothing as nothing", () => {
    expect(toFloat32(new Uint8Array(0), "float16")).toHaveLength(0);
  });
});
