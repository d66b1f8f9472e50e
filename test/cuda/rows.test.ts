import { describe, expect, it } from "vitest";
import { i32, ptr } from "../../src/engine/cuda/arguments.ts";
import { Random } from "../helpers/random.ts";
import { deviceFor, poisoned } from "./precisions.ts";

const SLOT_INTS = 16;
const [POSITION, TOKEN, FINISHED] = [0, 1, 8];

describe("begin_step", () => {
  it.for([
    [0, 32],
    [1, 32],
    [31, 1024],
    [64, 32],
    [257, 64],
    [1024, 1024],
    [2500, 1024],
  ])("drops finished ones of %d slots, keeping the order, with %d threads", async ([count, threads], ctx) => {
    const device = deviceFor(ctx);
    const random = new Random(count);
    const all = count + 3;
    const slots = new Int32Array(all * SLOT_INTS);
    for (let slot = 0; slot < all; slot++) {
      slots[slot * SLOT_INTS + POSITION] = 1000 + slot;
      slots[slot * SLOT_INTS + TOKEN] = 9000 + slot;
      slots[slot * SLOT_INTS + FINISHED] = Math.max(0, random.below(5) - 2);
    }
    const before = Int32Array.from(random.order(all).slice(0, count));
    const live = device.upload(Int32Array.of(...before, -7, -7));
    const liveCount = device.upload(Int32Array.of(count));
    const outputs = Array.from({ length: 5 }, () => poisoned(device, (count + 1) * 4));
    device.launch("begin_step", { grid: [1, 1, 1], block: threads }, [
      ptr(device.upload(slots)),
      ptr(live),
      ptr(liveCount),
      ...outputs.map(ptr),
    ]);

    const left = [...before].filter((slot) => slots[slot * SLOT_INTS + FINISHED] === 0);
    expect(await device.download(liveCount, Int32Array, 1)).toEqual(Int32Array.of(left.length));
    const after = await device.download(live, Int32Array, count + 2);
    expect([...after.subarray(0, left.length)]).toEqual(left);
    expect([...after.subarray(count)]).toEqual([-7, -7]);
    const rows = left.map((_, row) => row);
    const expected = [
      left.map((slot) => 9000 + slot), // tokens
      left.map((slot) => 1000 + slot), // positions
      left, // slots
      rows, // first rows of groups
      rows.map(() => 1), // rows of groups
    ];
    for (const [i, output] of outputs.entries()) {
      const actual = await device.download(output, Int32Array, count + 1);
      expect([...actual.subarray(0, left.length)]).toEqual(expected[i]);
      expect(actual.subarray(left.length).every((value) => value === -1)).toBe(true);
    }
  });
});

describe("reorder_places", () => {
  it.for([
    [1, 1, 1],
    [7, 31, 1],
    [300, 448, 2],
  ])("copies %d places of %d, with %d blocks a row", async ([length, nTextCtx, blocks], ctx) => {
    const device = deviceFor(ctx);
    const slots = 6;
    const from = [3, 3, 0];
    const to = [1, 3, 5];
    const old = Int32Array.from({ length: slots * nTextCtx }, (_, i) => i);
    const fresh = poisoned(device, old.byteLength);
    device.launch("reorder_places", { grid: [blocks, from.length, 1], block: 256 }, [
      ptr(device.upload(Int32Array.from(from))),
      ptr(device.upload(Int32Array.from(to))),
      ptr(device.upload(old)),
      ptr(fresh),
      i32(from.length),
      i32(length),
      i32(nTextCtx),
    ]);
    const expected = new Int32Array(old.length).fill(-1);
    for (const [i, slot] of to.entries()) {
      const source = from[i] * nTextCtx;
      expected.set(old.subarray(source, source + length), slot * nTextCtx);
    }
    expect(await device.download(fresh, Int32Array, expected.length)).toEqual(expected);
  });
});
