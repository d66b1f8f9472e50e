import { expect, it } from "vitest";
import { roundHalfEven } from "./round-half-even.ts";

it.each([
  [0.5, 0],
  [1.5, 2],
  [2.5, 2],
  [-0.5, 0],
  [-1.5, -2],
  [2.4999, 2],
  [2.5001, 3],
  [80000.5, 80000],
  [7, 7],
])("roundHalfEven(%d) is %d, as in Python", (value, expected) => {
  expect(roundHalfEven(value) + 0).toBe(expected);
});
