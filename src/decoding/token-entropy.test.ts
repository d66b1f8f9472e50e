import { describe, expect, it } from "vitest";
import { tokenEntropy } from "./token-entropy.ts";

const SPECIAL = { timestampBegin: 1000, eot: 900 };
const range = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => from + i);
const entropy = (tokens: number[], stop: "eot" | "length" = "eot"): number | null =>
  tokenEntropy({ tokens, stop }, SPECIAL);

describe("tokenEntropy()", () => {
  it.each<[what: string, tokens: number[], expected: number | null]>([
    ["is ln 32 where no token comes twice", [...range(40), 1100], Math.log(32)],
    ["is that of the last 32 tokens alone", [...new Array<number>(50).fill(7), ...range(31), 1100], Math.log(32)],
    ["is low in a loop of four tokens", [1000, ...range(60).map((i) => i % 4), 1100], 2.1],
    ["is 0 where all are the same", [...new Array<number>(33).fill(1100)], 0],
    ["says nothing of 32 tokens", [...range(31), 1100], null],
    ["counts from 33", [...range(32), 1100], Math.log(32)],
    ["leaves out what no timestamp ends", [...range(20), 1100, ...new Array<number>(40).fill(5)], null],
    ["takes 0.00 for no end", [1000, ...range(40)], Math.log(32)],
    ["counts endoftext where there are no timestamps", range(32), Math.log(32)],
  ])("%s", (_, tokens, expected) => {
    if (expected === null) expect(entropy(tokens)).toBeNull();
    else if (expected === 2.1) {
      expect(entropy(tokens)).toBeGreaterThan(1.3);
      expect(entropy(tokens)).toBeLessThan(1.6); // ln 4 and the timestamp at the end
    } else expect(entropy(tokens)).toBeCloseTo(expected, 12);
  });

  it("does not count an endoftext that never came", () => {
    expect(entropy(range(32), "length")).toBeNull();
    expect(entropy(range(33), "length")).toBeCloseTo(Math.log(32), 12);
  });
});
