import { describe, expect, it } from "vitest";

import { padOrTrim } from "./pad-or-trim.ts";

describe("padOrTrim()", () => {
  it("makes 30 s of anything", () => {
    expect(padOrTrim(new Float32Array(0))).toHaveLength(480000);
    expect(padOrTrim(new Float32Array(500000))).toHaveLength(480000);
  });

  it.each([
    [[1, 2, 3], 2, [1, 2]],
    [[1, 2, 3], 3, [1, 2, 3]],
    [[1, 2, 3], 5, [1, 2, 3, 0, 0]],
    [[1], 0, []],
  ])("%j to %i is %j", (samples, length, wanted) => {
    expect([...padOrTrim(Float32Array.from(samples), length)]).toEqual(wanted);
  });

  it.each([-1, 1.5, NaN])("refuses a length of %d", (length) => {
    expect(() => padOrTrim(new Float32Array(1), length)).toThrow(RangeError);
  });
});
