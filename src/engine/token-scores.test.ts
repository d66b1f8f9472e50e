import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { logSumExp } from "../engine/token-rules.ts";
import { randomFrom } from "../decoding/random.ts";
import { drawToken, topTokens } from "./token-scores.ts";

const rows = fc
  .array(fc.oneof(fc.float({ min: -60, max: 60, noNaN: true }), fc.constant(-Infinity), fc.constant(3)), {
    minLength: 1,
    maxLength: 80,
  })
  .map((values) => Float32Array.from(values));

describe("topTokens()", () => {
  it("gives the first of equally likely tokens first", () => {
    expect(topTokens(Float32Array.of(1, 3, -Infinity, 3, 2, 3), 3).ids).toEqual([1, 3, 5]);
    expect(topTokens(Float32Array.of(1, 3, -Infinity, 3, 2, 3), 4).ids).toEqual([1, 3, 5, 4]);
  });

  it("gives no impossible token", () => {
    expect(topTokens(Float32Array.of(-Infinity, 3, -Infinity), 2)).toEqual({ ids: [1], logprobs: [0] });
    expect(topTokens(new Float32Array(4).fill(-Infinity), 2)).toEqual({ ids: [], logprobs: [] });
  });

  it("is a sort, and a log-softmax", () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 12 }), (logits, k) => {
        const possible = [...logits.keys()].filter((id) => logits[id] > -Infinity);
        const expected = possible.sort((a, b) => logits[b] - logits[a]).slice(0, k);
        const { ids, logprobs } = topTokens(logits, k);
        expect(ids).toEqual(expected);
        const total = logSumExp(logits);
        for (const [i, id] of ids.entries()) expect(Math.abs(logprobs[i] - (logits[id] - total))).toBeLessThan(2e-7);
      }),
    );
  });

  it("loses less than 2e-6 on a vocabulary that lies just where it is left out", () => {
    const logits = new Float32Array(51865).fill(-24.01);
    logits[7] = 0;
    expect(Math.abs(topTokens(logits, 1).logprobs[0] + logSumExp(logits))).toBeLessThan(2e-6);
  });
});

describe("drawToken()", () => {
  const logits = Float32Array.from([-Infinity, 0.2, 0.3, -Infinity, 0.5, -Infinity], (p) => (p > 0 ? Math.log(p) : p));

  it.each([
    [0, 1],
    [0.19, 1],
    [0.21, 2],
    [0.49, 2],
    [0.51, 4],
    [1 - 2 ** -32, 4],
  ])("at %d is token %d", (random, expected) => {
    expect(drawToken(logits, 1, random).id).toBe(expected);
  });

  it("gives the log-probability at temperature 1", () => {
    for (const temperature of [0.1, 1, 5]) {
      expect(drawToken(logits, temperature, 0.999).logprob).toBeCloseTo(Math.log(0.5), 5);
    }
  });

  it("draws nothing where nothing is possible", () => {
    expect(drawToken(new Float32Array(3).fill(-Infinity), 1, 0.5)).toEqual({ id: -1, logprob: 0 });
  });

  it("draws as often as softmax(logits / temperature) says", () => {
    fc.assert(
      fc.property(
        rows,
        fc.double({ min: 0.1, max: 3, noNaN: true }),
        fc.double({ min: 0, max: 1 - 2 ** -32, noNaN: true }),
        (row, t, random) => {
          const scaled = row.map((logit) => logit / t);
          const total = logSumExp(scaled);
          fc.pre(total > -Infinity);
          const { id } = drawToken(row, t, random);
          let before = 0;
          for (let i = 0; i < id; i++) before += Math.exp(scaled[i] - total);
          expect(row[id]).toBeGreaterThan(-Infinity);
          expect(before).toBeLessThanOrEqual(random + 1e-4);
          expect(before + Math.exp(scaled[id] - total)).toBeGreaterThanOrEqual(random - 1e-4);
        },
      ),
    );
  });
});

describe("randomFrom()", () => {
  const take = (n: number, ...keys: number[]): number[] => {
    const random = randomFrom(...keys);
    return Array.from({ length: n }, random);
  };
  it("repeats itself for the same keys, and for no others", () => {
    expect(take(5, 1, 0.2, 3)).toEqual(take(5, 1, 0.2, 3));
    const firsts = [
      take(1, 0, 0, 0),
      take(1, 1, 0, 0),
      take(1, 0, 1, 0),
      take(1, 0, 0, 1),
      take(1, 0, 0.2, 0),
      take(1, 0, 0.4, 0),
    ];
    expect(new Set(firsts.map(([first]) => first)).size).toBe(6);
  });
  it("is even: shares of tenths, of one sequence and of the first numbers of many", () => {
    for (const numbers of [take(20_000, 1), Array.from({ length: 20_000 }, (_, seed) => take(1, seed, 0.2, 0)[0])]) {
      const tenths = new Array<number>(10).fill(0);
      for (const number of numbers) tenths[Math.floor(10 * number)]++;
      // Four deviations of a tenth of 20000.
      for (const tenth of tenths) expect(Math.abs(tenth - 2000)).toBeLessThan(4 * Math.sqrt(20_000 * 0.09));
    }
  });
});
