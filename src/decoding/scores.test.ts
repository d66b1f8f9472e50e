import { expect, it } from "vitest";
import { averageLogprob, noSpeechProbability } from "./scores.ts";

it("averageLogprob() divides by the tokens and endoftext (facts 2.4.8)", () => {
  expect(averageLogprob([-1, -2, -3], 2)).toBe(-2);
});

it("averageLogprob() divides by one more than the tokens of a text that was cut, too", () => {
  expect(averageLogprob([-1, -2], 2)).toBe(-1);
});

it("averageLogprob() of an empty window is the log-probability of endoftext", () => {
  expect(averageLogprob([-0.25], 0)).toBe(-0.25);
});

it("noSpeechProbability() is the softmax over the whole vocabulary, safe for large logits", () => {
  const logits = Float32Array.from([1000, 1000, 1000, 1000 + Math.log(3)]);
  expect(noSpeechProbability(logits, 3)).toBeCloseTo(0.5, 4);
  expect(noSpeechProbability(logits, 0)).toBeCloseTo(1 / 6, 4);
});
