import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evenBatches, streamBatches } from "./batches.ts";

describe("evenBatches()", () => {
  it.each([
    [17, 16, [9, 8]],
    [16, 16, [16]],
    [1, 16, [1]],
    [0, 16, []],
    [5, 2, [2, 2, 1]],
    [7, 3, [3, 2, 2]],
    [180, 16, new Array<number>(12).fill(15)],
    [180, 32, new Array<number>(6).fill(30)],
  ])("splits %d by %d (facts 1.5.5)", (count, size, expected) => {
    expect(evenBatches(count, size)).toEqual(expected);
  });
});

describe("streamBatches()", () => {
  async function batchesOf(count: number, size: number) {
    let read = 0;
    const ahead: number[] = [];
    const batches: number[][] = [];
    const items = async function* () {
      for (; read < count; read++) yield await Promise.resolve(read);
    };
    let given = 0;
    for await (const batch of streamBatches(items(), size)) {
      ahead.push(read + 1 - given);
      given += batch.length;
      batches.push(batch);
    }
    return { batches, ahead };
  }

  it("splits evenly what two batches can hold", async () => {
    expect((await batchesOf(17, 16)).batches.map((batch) => batch.length)).toEqual([9, 8]);
    expect((await batchesOf(33, 16)).batches.map((batch) => batch.length)).toEqual([16, 9, 8]);
  });

  it("keeps the order, fills batches, and looks no further ahead than two of them and one item", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(100), fc.integer({ min: 1, max: 20 }), async (count, size) => {
        const { batches, ahead } = await batchesOf(count, size);
        expect(batches.flat()).toEqual(Array.from({ length: count }, (_, i) => i));
        expect(batches).toHaveLength(Math.ceil(count / size));
        expect(Math.max(0, ...batches.map((batch) => batch.length))).toBeLessThanOrEqual(size);
        expect(Math.max(0, ...ahead)).toBeLessThanOrEqual(2 * size + 1);
      }),
    );
  });
});
