import { expect, it } from "vitest";
import { noSpeechProbability } from "./scores.ts";

it("noSpeechProbability() is the softmax over the whole vocabulary, safe for large logits", () => {
  const logits = Float32Array.from([1000, 1000, 1000, 1000 + Math.log(3)]);
  expect(noSpeechProbability(logits, 3)).toBeCloseTo(0.5, 4);
  expect(noSpeechProbability(logits, 0)).toBeCloseTo(1 / 6, 4);
});
