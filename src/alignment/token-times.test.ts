import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Attention, AttendRequest, AudioState } from "../engine/engine.ts";
import type { ModelDimensions } from "../model/index.ts";
import { assertAllClose } from "../../test/helpers/close.ts";
import { tensor, type Tensor } from "../tensor/index.ts";
import { alignmentMatrix, alignTokens, tokenTimes, type AligningEngine } from "./token-times.ts";

const EOT = 50257;
const NO_TIMESTAMPS = 50363;
const N_AUDIO_CTX = 120;
const AUDIO: AudioState = { batch: 4, features: null, dispose: () => {} };

function noise(length: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => (state = (state * 48271) % 0x7fffffff) / 0x7fffffff);
}

/** Scores of two heads that look at `positions[i]` and the four after while token i + 1 is predicted. */
function lookingAt(positions: readonly number[], from: number, nTokens: number): Tensor {
  const data = noise(2 * nTokens * N_AUDIO_CTX);
  for (let head = 0; head < 2; head++) {
    for (const [i, position] of positions.entries()) {
      const row = (head * nTokens + from + i) * N_AUDIO_CTX;
      for (let p = position; p < (positions[i + 1] ?? N_AUDIO_CTX); p++) data[row + p] += 6;
    }
  }
  return tensor(data, [2, nTokens, N_AUDIO_CTX]);
}

describe("tokenTimes()", () => {
  it("begins each token where the model first looks for it, and ends it where the next begins (facts 2.5.3)", () => {
    // Three text tokens; the fourth position is where endoftext is predicted.
    const scores = lookingAt([10, 30, 45, 80], 3, 8);
    const probs = Float32Array.of(0.5, 0.25, 1);
    expect(tokenTimes({ scores, tokenProbs: probs }, [7, 8, 9], 3, 240)).toEqual([
      { token: 7, start: 0, end: 0.6, probability: 0.5 },
      { token: 8, start: 0.6, end: 0.9, probability: 0.25 },
      { token: 9, start: 0.9, end: 1.6, probability: 1 },
    ]);
  });

  it("looks at sound alone: padding after `frames` counts for nothing", () => {
    const scores = lookingAt([10, 30, 45, 80], 3, 8);
    const timings = tokenTimes({ scores, tokenProbs: new Float32Array(3) }, [7, 8, 9], 3, 121);
    expect(timings[2].end).toBeLessThan(1.2);
    expect(timings[0].end).toBe(0.6);
  });

  it.each([0, 1, 2, 7])("stands %i frames of sound", (frames) => {
    const scores = lookingAt([10, 30, 45, 80], 3, 8);
    const timings = tokenTimes({ scores, tokenProbs: new Float32Array(3) }, [7, 8, 9], 3, frames);
    for (const { start, end } of timings) {
      expect(start).toBeGreaterThanOrEqual(0);
      expect(end).toBeGreaterThanOrEqual(start);
      expect(end).toBeLessThanOrEqual(0.06);
    }
  });

  it("never goes back, whatever the scores are", () => {
    const value = fc.float({ noNaN: true, min: -80, max: 80 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(value, { minLength: 50, maxLength: 400 }), (n, values) => {
        const nTokens = n + 4;
        const data = Float32Array.from({ length: 3 * nTokens * 20 }, (_, i) => values[i % values.length]);
        const text = Array.from({ length: n }, (_, i) => i);
        const timings = tokenTimes(
          { scores: tensor(data, [3, nTokens, 20]), tokenProbs: new Float32Array(n) },
          text,
          2,
          40,
        );
        let last = 0;
        for (const { start, end } of timings) {
          expect(start).toBeGreaterThanOrEqual(last);
          expect(end).toBeGreaterThanOrEqual(start);
          last = start;
        }
      }),
    );
  });

  it("refuses scores of another text", () => {
    const scores = lookingAt([10, 30, 45, 80], 3, 8);
    expect(() => tokenTimes({ scores, tokenProbs: new Float32Array(2) }, [7, 8], 3, 240)).toThrow("scores");
  });
});

describe("alignmentMatrix()", () => {
  it("is softmax over time, standardised over the tokens, filtered, averaged over heads (facts 2.5.1)", () => {
    const [nHeads, nTokens, nPositions, from] = [3, 6, 9, 2];
    const scores = tensor(
      noise(nHeads * nTokens * 12).map((x) => 4 * x),
      [nHeads, nTokens, 12],
    );
    const expected = Array.from({ length: (nTokens - from - 1) * nPositions }, () => 0);
    for (let head = 0; head < nHeads; head++) {
      const weights = Array.from({ length: nTokens }, (_, token) => {
        const at = (head * nTokens + token) * 12;
        const powers = Array.from(scores.data.subarray(at, at + nPositions), Math.exp);
        const sum = powers.reduce((a, b) => a + b);
        return powers.map((power) => power / sum);
      });
      for (let p = 0; p < nPositions; p++) {
        const column = weights.map((row) => row[p]);
        const mean = column.reduce((a, b) => a + b) / nTokens;
        const deviation = Math.sqrt(column.reduce((a, b) => a + (b - mean) ** 2, 0) / nTokens);
        for (const row of weights) row[p] = (row[p] - mean) / deviation;
      }
      for (let i = 0; i < nTokens - from - 1; i++) {
        const row = weights[from + i];
        for (let p = 0; p < nPositions; p++) {
          const window = [-3, -2, -1, 0, 1, 2, 3].map((d) => {
            const at = Math.abs(p + d);
            return row[at < nPositions ? at : 2 * (nPositions - 1) - at];
          });
          expected[i * nPositions + p] += window.sort((a, b) => a - b)[3] / nHeads;
        }
      }
    }
    const { data, dims } = alignmentMatrix(scores, from, 2 * nPositions + 1);
    expect(dims).toEqual([nTokens - from - 1, nPositions]);
    assertAllClose(data, expected, { absolute: 2e-6 });
  });

  it("is 0, not NaN, where all tokens look alike", () => {
    const row = noise(10);
    const scores = tensor(
      Float32Array.from({ length: 50 }, (_, i) => row[i % 10]),
      [1, 5, 10],
    );
    expect([...alignmentMatrix(scores, 1, 20).data].every((value) => value === 0)).toBe(true);
  });
});

/** An engine that gives noise, and remembers what it was asked. */
function noisyEngine(nTextCtx: number, parallelism: number): AligningEngine & { calls: AttendRequest[][] } {
  const calls: AttendRequest[][] = [];
  return {
    calls,
    parallelism,
    dimensions: { nTextCtx, nAudioCtx: 30 } as ModelDimensions,
    attend: async (_, requests, heads): Promise<Attention[]> => {
      calls.push([...requests]);
      return requests.map(({ tokens, from }, i) => ({
        scores: tensor(noise(heads.length * tokens.length * 30, i + 5), [heads.length, tokens.length, 30]),
        tokenProbs: noise(tokens.length - from - 2),
      }));
    },
  };
}

describe("alignTokens()", () => {
  const special = { eot: EOT, noTimestamps: NO_TIMESTAMPS };
  const heads = [[0, 1]] as const;

  it("runs the text between start sequence, notimestamps and endoftext, and asks for no more than fits side by side", async () => {
    const engine = noisyEngine(448, 2);
    const texts = [[1, 2], [], [3], [4, 5, 6]];
    const requests = texts.map((textTokens, window) => ({
      window,
      startSequence: [50258, 50259, 50359],
      textTokens,
      frames: 60,
    }));
    const results = await alignTokens(engine, AUDIO, requests, heads, special);
    const start = [50258, 50259, 50359, NO_TIMESTAMPS];
    expect(engine.calls).toEqual([
      [
        { window: 0, tokens: [...start, 1, 2, EOT], from: 3, eot: EOT },
        { window: 2, tokens: [...start, 3, EOT], from: 3, eot: EOT },
      ],
      [{ window: 3, tokens: [...start, 4, 5, 6, EOT], from: 3, eot: EOT }],
    ]);
    expect(results.map((timings) => timings.map(({ token }) => token))).toEqual(texts);
  });

  it("aligns as much as the decoder holds; what is beyond lies at the end, with probability 0", async () => {
    const engine = noisyEngine(10, 1);
    const request = { window: 0, startSequence: [50257], textTokens: [1, 2, 3, 4, 5, 6, 7, 8, 9], frames: 60 };
    const [timings] = await alignTokens(engine, AUDIO, [request], heads, special);
    expect(engine.calls[0][0].tokens).toEqual([50257, NO_TIMESTAMPS, 1, 2, 3, 4, 5, 6, 7, EOT]);
    const { end } = timings[6];
    expect(timings.slice(7)).toEqual([8, 9].map((token) => ({ token, start: end, end, probability: 0 })));
  });

  it("counts times from where the request says", async () => {
    const request = { window: 0, startSequence: [50257], textTokens: [1, 2], frames: 60 };
    const align = (timeOffset?: number): Promise<unknown> =>
      alignTokens(noisyEngine(448, 1), AUDIO, [{ ...request, timeOffset }], heads, special).then(([timings]) =>
        timings.map(({ start, end }) => [start, end]),
      );
    const times = (await align()) as number[][];
    expect(await align(24.5)).toEqual(times.map(([start, end]) => [24.5 + start, 24.5 + end]));
  });

  it("asks nothing where there is no text", async () => {
    const engine = noisyEngine(448, 1);
    const request = { window: 0, startSequence: [50257], textTokens: [], frames: 60 };
    expect(await alignTokens(engine, AUDIO, [request], heads, special)).toEqual([[]]);
    expect(engine.calls).toEqual([]);
  });
});
