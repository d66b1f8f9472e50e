import { describe, expect, it } from "vitest";
import { i32, i64, ptr } from "../../src/engine/cuda/arguments.ts";
import { Random } from "../helpers/random.ts";
import { deviceFor, poisoned, PRECISIONS, type Precision } from "./precisions.ts";

const PAIRS = PRECISIONS.flatMap((from) => PRECISIONS.map((to) => [from, to] as const));
const LARGEST_F16 = 65504;

/** What a stored weight becomes in another type; both conversions are exact roundings. */
function converted(stored: Float32Array, to: Precision): Float32Array {
  const inRange = to.suffix === "f16" ? stored.map((x) => Math.min(Math.max(x, -LARGEST_F16), LARGEST_F16)) : stored;
  return to.round(inRange);
}

describe("cast", () => {
  it.for(PAIRS.flatMap((pair) => [0, 1, 4].map((offset) => [...pair, offset] as const)))(
    "$0.suffix to $1.suffix, from element $2 of a file",
    async ([from, to, offset], ctx) => {
      const device = deviceFor(ctx);
      const n = 1003;
      const weights = new Random(n).normals(offset + n);
      weights.set([70000, -1e6, 0, 65519, 6e-8, -1e-40], offset + 100); // past float16 both ways, and hardly anything
      const out = poisoned(device, (n + 1) * to.bytes);
      const file = device.upload(from.store(weights));
      device.launch(`cast_${from.suffix}_${to.suffix}`, { grid: [3, 1, 1], block: 64 }, [
        ptr(file.address + offset * from.bytes),
        ptr(out),
        i64(n),
      ]);
      const expected = converted(from.round(weights).subarray(offset), to);
      const actual = await to.download(device, out, n + 1);
      expect(actual.subarray(0, n)).toEqual(expected);
      expect(actual[n]).toBeNaN();
    },
  );
});

describe("cast_conv", () => {
  it.for(PAIRS)(
    "$0.suffix to $1.suffix brings the taps of a convolution before its inputs",
    async ([from, to], ctx) => {
      const device = deviceFor(ctx);
      const [nOut, nIn] = [7, 12];
      const weights = new Random(3).normals(nOut * nIn * 3 + 1);
      const out = poisoned(device, nOut * nIn * 3 * to.bytes);
      const file = device.upload(from.store(weights));
      device.launch(`cast_conv_${from.suffix}_${to.suffix}`, { grid: [2, 1, 1], block: 64 }, [
        ptr(file.address + from.bytes),
        ptr(out),
        i32(nOut),
        i32(nIn),
      ]);
      const stored = from.round(weights).subarray(1);
      const expected = new Float32Array(nOut * 3 * nIn);
      for (let o = 0; o < nOut; o++) {
        for (let tap = 0; tap < 3; tap++) {
          for (let i = 0; i < nIn; i++) expected[(o * 3 + tap) * nIn + i] = stored[(o * nIn + i) * 3 + tap];
        }
      }
      expect(await to.download(device, out, expected.length)).toEqual(converted(expected, to));
    },
  );
});
