import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sigmoid, tanh } from "./activations.ts";

/** The exponential's relative error of r^4 / 24 for r = 1/128, in a sigmoid at most a quarter of that; twice it in tanh. */
const TOLERANCE = 2e-10;

const numbers = fc.oneof(fc.double({ noNaN: true }), fc.double({ min: -40, max: 40, noNaN: true }));

describe("sigmoid() and tanh()", () => {
  it("are those of Math.exp and Math.tanh", () => {
    fc.assert(
      fc.property(numbers, (x) => {
        expect(Math.abs(sigmoid(x) - 1 / (1 + Math.exp(-x)))).toBeLessThan(TOLERANCE);
        expect(Math.abs(tanh(x) - Math.tanh(x))).toBeLessThan(TOLERANCE);
      }),
      { numRuns: 2000, examples: [[-32], [32], [0], [Infinity], [-Infinity]] },
    );
  });
});
