import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BLOCK_SIZE, quantizeBlocks, quantizeColumns } from "./quantize.ts";

const weights = (length: number): fc.Arbitrary<Float32Array> =>
  fc
    .array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: length, maxLength: length })
    .map((values) => Float32Array.from(values));

describe("quantizeColumns()", () => {
  it("is wrong by at most half a step of its column, and transposes", () => {
    fc.assert(
      fc.property(weights(6 * 5), (weight) => {
        const [nOut, nIn] = [6, 5];
        const quantized = new Int8Array(nOut * nIn);
        const scales = new Float32Array(nOut);
        quantizeColumns(weight, nOut, nIn, quantized, scales);
        for (let o = 0; o < nOut; o++) {
          for (let i = 0; i < nIn; i++) {
            const error = Math.abs(quantized[i * nOut + o] * scales[o] - weight[o * nIn + i]);
            expect(error).toBeLessThanOrEqual(scales[o] * 0.5001 + 1e-37);
          }
        }
      }),
    );
  });

  it("gives the largest weight of a column the largest step", () => {
    const quantized = new Int8Array(4);
    const scales = new Float32Array(2);
    quantizeColumns(Float32Array.of(0.5, -1, 0.25, 0.125), 2, 2, quantized, scales);
    expect([...quantized]).toEqual([64, 127, -127, 64]);
    expect([...scales]).toEqual([1 / 127, 0.25 / 127].map(Math.fround));
  });

  it("keeps a column of zeros", () => {
    const quantized = Int8Array.of(5, 5);
    quantizeColumns(new Float32Array(2), 1, 2, quantized, new Float32Array(1));
    expect([...quantized]).toEqual([0, 0]);
  });
});

describe("quantizeBlocks()", () => {
  it("is wrong by at most half a step of its block", () => {
    fc.assert(
      fc.property(weights(3 * BLOCK_SIZE), (weight) => {
        const quantized = new Uint8Array(weight.length);
        const scales = new Float32Array(3);
        quantizeBlocks(weight, quantized, scales);
        weight.forEach((value, i) => {
          const scale = scales[Math.floor(i / BLOCK_SIZE)];
          expect(Math.abs((quantized[i] - 128) * scale - value)).toBeLessThanOrEqual(scale * 0.5001 + 1e-37);
        });
      }),
    );
  });

  it("gives zero the middle value", () => {
    const quantized = new Uint8Array(BLOCK_SIZE);
    quantizeBlocks(new Float32Array(BLOCK_SIZE), quantized, new Float32Array(1));
    expect(new Set(quantized)).toEqual(new Set([128]));
  });
});
