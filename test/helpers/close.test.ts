import { describe, expect, it } from "vitest";
import { assertAllClose, relativeError } from "./close.ts";

describe("assertAllClose()", () => {
  it("passes within absolute plus relative tolerance", () => {
    assertAllClose([1, 100], [1.09, 100.9], { absolute: 0.05, relative: 0.05 });
  });

  it("names the worst index, both values, the number of differences and the tolerance", () => {
    const compare = (): void => assertAllClose([1, 2, 5, 3.5], [1, 2, 3, 3], { absolute: 0.25 }, "logits");
    expect(compare).toThrow("2 of 4 logits differ; worst at 2: got 5, expected 3, difference 2.00e+0");
    expect(compare).toThrow("tolerance 0.25 + 0 * |expected|");
  });

  it.each([
    ["lengths", [1], [1, 2]],
    ["a NaN", [NaN], [1]],
    ["a NaN that was expected", [1], [NaN]],
    ["infinity", [Infinity], [1]],
    ["the other infinity", [Infinity], [-Infinity]],
  ])("tells %s apart", (_, actual, expected) => {
    expect(() => assertAllClose(actual, expected, { absolute: 1e9 })).toThrow();
  });

  it("takes equal infinities and NaN for equal", () => {
    assertAllClose([Infinity, -Infinity, NaN], [Infinity, -Infinity, NaN], {});
  });
});

describe("relativeError()", () => {
  it("is the root mean square of the differences over that of the values", () => {
    expect(relativeError([3, 4], [3, 4])).toBe(0);
    expect(relativeError([3, 4.5], [3, 4])).toBeCloseTo(0.1, 12);
  });

  it("is infinite for other lengths and for NaN", () => {
    expect(relativeError([1], [1, 2])).toBe(Infinity);
    expect(relativeError([NaN], [1])).toBe(Infinity);
  });
});
