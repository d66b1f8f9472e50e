import { expect, it } from "vitest";
import { roundToHundredths } from "./round-to-hundredths.ts";

it.each([
  [0.125, 0.12],
  [0.375, 0.38],
  [0.625, 0.62],
  [0.875, 0.88],
  [-0.125, -0.12],
  [2.675, 2.67], // below the tie as a double
  [1.005, 1],
  [20 + 0.02 * 3, 20.06],
  [29.98, 29.98],
  [0.1 + 0.2, 0.3],
  [-0.001, 0],
])("roundToHundredths(%d) is %d, as in Python", (value, expected) => {
  expect(roundToHundredths(value) + 0).toBe(expected);
});
