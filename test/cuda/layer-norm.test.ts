import { describe, expect, it } from "vitest";
import { i32, ptr } from "../../src/engine/cuda/arguments.ts";
import { Random } from "../helpers/random.ts";
import { deviceFor, poisoned, PRECISIONS, relativeError } from "./precisions.ts";

function layerNorm(x: Float32Array, weight: Float32Array, bias: Float32Array): Float32Array {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * weight[i] + bias[i]);
}

interface Case {
  readonly rows: number;
  readonly size: number;
  readonly live?: number;
  readonly rowIndex?: readonly number[];
  readonly threads?: number;
}

const CASES: readonly Case[] = [
  { rows: 1, size: 64 },
  { rows: 5, size: 384 },
  { rows: 9, size: 1280 },
  { rows: 6, size: 192, live: 5 },
  { rows: 3, size: 128, live: 9 },
  { rows: 4, size: 512, live: 0 },
  { rows: 3, size: 64, rowIndex: [4, 0, 4] },
  { rows: 6, size: 768, live: 2, rowIndex: [1, 3, 0, 0, 0, 0] },
  { rows: 5, size: 1024, threads: 32 },
];

describe.each(PRECISIONS)("layer_norm_$suffix", (precision) => {
  it.for(CASES)("normalizes the rows that count: %o", async (given, ctx) => {
    const device = deviceFor(ctx);
    const { rows, size, live = rows, rowIndex, threads = 128 } = given;
    const random = new Random(rows * size);
    // A mean of 30 deviations: statistics in one pass, E[x^2] - E[x]^2, would be off by more than the exact mode allows.
    const x = random.normals(Math.max(rows, 5) * size).map((value) => value + 30);
    const weight = random.normals(size).map((value) => 1 + 0.1 * value);
    const bias = random.normals(size, 0.1);
    const out = poisoned(device, rows * size * precision.bytes);
    device.launch(
      `layer_norm_${precision.suffix}`,
      { grid: [Math.ceil(rows / (threads / 32)), 1, 1], block: threads },
      [
        ptr(device.upload(x)),
        ptr(device.upload(weight)),
        ptr(device.upload(bias)),
        ptr(out),
        ptr(rowIndex === undefined ? null : device.upload(Int32Array.from(rowIndex))),
        ptr(given.live === undefined ? null : device.upload(Int32Array.of(live))),
        i32(rows),
        i32(size),
      ],
    );
    const actual = await precision.download(device, out, rows * size);
    for (let row = 0; row < rows; row++) {
      const own = actual.subarray(row * size, (row + 1) * size);
      if (row >= live) {
        expect(own.every(Number.isNaN)).toBe(true);
        continue;
      }
      const from = (rowIndex?.[row] ?? row) * size;
      const expected = layerNorm(x.subarray(from, from + size), weight, bias);
      expect(relativeError(own, expected)).toBeLessThan(precision.tolerance);
    }
  });
});
