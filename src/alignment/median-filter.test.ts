import { describe, expect, it } from "vitest";
import { medianFilter } from "./median-filter.ts";

/** The definition: each window of the mirrored row, sorted. */
function byDefinition(data: Float32Array, length: number, width: number): number[] {
  const half = (width - 1) / 2;
  return Array.from(data, (_, at) => {
    const row = Math.floor(at / length) * length;
    const window = Array.from({ length: width }, (_, k) => {
      const i = Math.abs((at % length) - half + k);
      return data[row + (i < length ? i : 2 * (length - 1) - i)];
    });
    return window.sort((a, b) => a - b)[half];
  });
}

function noise(length: number): Float32Array {
  let seed = 12345;
  // Few different values, so that many are equal.
  return Float32Array.from({ length }, (_, i) => {
    seed = (seed * 48271) % 0x7fffffff;
    return i % 2 === 0 ? seed % 5 : seed / 0x7fffffff - 0.5;
  });
}

describe("medianFilter()", () => {
  const shapes = [[10], [1, 15], [4, 5, 345], [6, 12, 240, 512]];
  const widths = [3, 5, 7, 13];
  it.each(shapes.flatMap((shape) => widths.map((width) => [shape.join(" x "), width, shape] as const)))(
    "is the median of the mirrored rows: %s, width %i (facts 6.3 T6)",
    (_, width, shape) => {
      const length = shape[shape.length - 1];
      const rows = Math.min(
        40,
        shape.slice(0, -1).reduce((a, b) => a * b, 1),
      );
      const data = noise(rows * length);
      expect([...medianFilter(data, length, width)]).toEqual(byDefinition(data, length, width));
    },
  );

  it.each([1, 2, 3])("leaves rows of %i values as they are if they are too short to be mirrored", (length) => {
    const data = noise(3 * length);
    expect(medianFilter(data, length, 7)).toEqual(data);
  });

  it("mirrors a row that is just long enough", () => {
    // Mirrored: 4 3 2 | 1 2 3 4 | 3 2 1
    expect([...medianFilter(Float32Array.of(1, 2, 3, 4), 4, 7)]).toEqual([3, 3, 2, 2]);
  });

  it.each([0, 2, -1, 1.5, NaN])("refuses width %s", (width) => {
    expect(() => medianFilter(new Float32Array(4), 4, width)).toThrow(RangeError);
  });

  it("refuses rows that do not fill the data", () => {
    expect(() => medianFilter(new Float32Array(5), 4, 3)).toThrow(RangeError);
  });
});
