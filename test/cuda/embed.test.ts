import { describe, expect, it } from "vitest";
import { i32, ptr } from "../../src/engine/cuda/arguments.ts";
import { Random } from "../helpers/random.ts";
import { deviceFor, poisoned, PRECISIONS } from "./precisions.ts";

const [N_VOCAB, N_TEXT_CTX, SLOTS] = [301, 31, 6];

describe.each(PRECISIONS)("embed_$suffix", (precision) => {
  it.for([
    { rows: 4, live: null, size: 64 },
    { rows: 6, live: 3, size: 384 },
    { rows: 2, live: 2, size: 1280 },
  ])("adds token and position, and notes who wrote the position: %o", async ({ rows, live, size }, ctx) => {
    const device = deviceFor(ctx);
    const random = new Random(size);
    const tokens = Int32Array.from({ length: rows }, () => random.below(N_VOCAB));
    const positions = Int32Array.from({ length: rows }, () => random.below(N_TEXT_CTX));
    const slots = Int32Array.from(random.order(SLOTS).slice(0, rows));
    const tokenEmbedding = random.normals(N_VOCAB * size);
    const positionalEmbedding = random.normals(N_TEXT_CTX * size);
    const x = poisoned(device, rows * size * 4);
    const places = poisoned(device, SLOTS * N_TEXT_CTX * 4);
    device.launch(`embed_${precision.suffix}`, { grid: [rows, 1, 1], block: 128 }, [
      ...[tokens, positions, slots].map((list) => ptr(device.upload(list))),
      ptr(live === null ? null : device.upload(Int32Array.of(live))),
      ptr(device.upload(precision.store(tokenEmbedding))),
      ptr(device.upload(positionalEmbedding)),
      ptr(x),
      ptr(places),
      i32(rows),
      i32(size),
      i32(N_TEXT_CTX),
    ]);

    const stored = precision.round(tokenEmbedding);
    const expectedX = new Float32Array(rows * size).fill(NaN);
    const expectedPlaces = new Int32Array(SLOTS * N_TEXT_CTX).fill(-1);
    for (let row = 0; row < (live ?? rows); row++) {
      for (let i = 0; i < size; i++) {
        expectedX[row * size + i] = stored[tokens[row] * size + i] + positionalEmbedding[positions[row] * size + i];
      }
      expectedPlaces[slots[row] * N_TEXT_CTX + positions[row]] = slots[row];
    }
    // One sum in float32, which has one result.
    expect(await device.download(x, Float32Array, rows * size)).toEqual(expectedX);
    expect(await device.download(places, Int32Array, expectedPlaces.length)).toEqual(expectedPlaces);
  });
});
