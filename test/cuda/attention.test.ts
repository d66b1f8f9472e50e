import { describe, expect, it } from "vitest";
import { i32, i64, ptr } from "../../src/engine/cuda/arguments.ts";
import { Random } from "../helpers/random.ts";
import { deviceFor, poisoned, PRECISIONS, relativeError } from "./precisions.ts";

const HEAD = 64;
const STATE = HEAD + 2;

const head = (values: Float32Array, at: number): Float32Array => values.subarray(at, at + HEAD);
const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, i) => sum + x * b[i], 0);

/** Attention of one query of one head. */
function attention(query: Float32Array, keys: readonly Float32Array[], values: readonly Float32Array[]): Float32Array {
  const scores = keys.map((key) => dot(query, key) / 8);
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((score) => Math.exp(score - largest));
  const total = weights.reduce((a, b) => a + b, 0);
  return Float32Array.from(
    { length: HEAD },
    (_, e) => weights.reduce((sum, w, t) => sum + w * values[t][e], 0) / total,
  );
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** How many numbers are not the same, NaN being the same as NaN. */
const differing = (a: Float32Array, b: Float32Array): number =>
  a.reduce((count, x, i) => count + (Object.is(x, b[i]) ? 0 : 1), 0);

/** Numbers that grow along the rows of 64, so that each row's weights have an order and the largest scores come late. */
function rising(random: Random, rows: number, scale: number): Float32Array {
  return random.normals(rows * HEAD).map((x, i) => x * scale * (0.5 + Math.floor(i / HEAD) / rows));
}

describe.each(PRECISIONS)("encoder_attention_$suffix", (precision) => {
  it.for([
    { batch: 1, nCtx: 1, nHead: 1, scale: 1 },
    { batch: 2, nCtx: 30, nHead: 2, scale: 1 },
    { batch: 1, nCtx: 64, nHead: 1, scale: 1 },
    { batch: 2, nCtx: 65, nHead: 3, scale: 1 },
    { batch: 1, nCtx: 130, nHead: 2, scale: 3 },
    { batch: 1, nCtx: 321, nHead: 1, scale: 4 },
  ])("sees every position of its own window: %o", async ({ batch, nCtx, nHead, scale }, ctx) => {
    const device = deviceFor(ctx);
    const width = nHead * HEAD;
    const random = new Random(nCtx + nHead);
    const length = batch * nCtx * 3 * width;
    // Behind the last window lie numbers that spoil whatever they touch.
    const qkv = new Float32Array(length + 64 * 3 * width).fill(NaN);
    qkv.set(precision.round(rising(random, length / HEAD, scale)));
    const out = poisoned(device, (batch * nCtx + 64) * width * precision.bytes);
    const [queries, threads] = precision.suffix === "f32" ? [64, 256] : [128, 128];
    device.launch(
      `encoder_attention_${precision.suffix}`,
      { grid: [Math.ceil(nCtx / queries), nHead, batch], block: threads },
      [ptr(device.upload(precision.store(qkv))), ptr(out), i32(nCtx), i32(nHead)],
    );
    const actual = await precision.download(device, out, (batch * nCtx + 64) * width);
    const expected = new Float32Array(batch * nCtx * width);
    for (const b of range(batch)) {
      for (const h of range(nHead)) {
        const part = (t: number, index: number): Float32Array =>
          head(qkv, ((b * nCtx + t) * 3 + index) * width + h * HEAD);
        const keys = range(nCtx).map((t) => part(t, 1));
        const values = range(nCtx).map((t) => part(t, 2));
        for (const t of range(nCtx)) {
          expected.set(attention(part(t, 0), keys, values), (b * nCtx + t) * width + h * HEAD);
        }
      }
    }
    expect(relativeError(actual.subarray(0, expected.length), expected)).toBeLessThan(precision.tolerance);
    expect(actual.subarray(expected.length).every(Number.isNaN)).toBe(true);
  });
});

describe.each(PRECISIONS)("self_attention_$suffix", (precision) => {
  interface Case {
    readonly slots: number;
    readonly nHead: number;
    readonly nTextCtx: number;
    /** Slot and position of each row. */
    readonly rows: readonly (readonly [slot: number, position: number])[];
    readonly live?: number;
  }

  async function run(given: Case, append: boolean, ctx: Parameters<typeof deviceFor>[0]): Promise<void> {
    const device = deviceFor(ctx);
    const { slots, nHead, nTextCtx, rows } = given;
    const live = Math.min(given.live ?? rows.length, rows.length);
    const width = nHead * HEAD;
    const random = new Random(slots * nTextCtx + rows.length);
    const qkv = precision.round(random.normals(rows.length * 3 * width));
    // What beams have in common lies in the slot that wrote it; what is written now is seen by its own slot alone.
    const places = Int32Array.from({ length: slots * nTextCtx }, (_, i) => {
      const place = random.below(slots);
      const own = Math.floor(i / nTextCtx);
      return rows.some(([slot, position]) => position === i % nTextCtx && (slot === place || slot === own))
        ? own
        : place;
    });
    const cache = precision.round(random.normals(2 * slots * nHead * nTextCtx * HEAD));
    const at = (part: number, slot: number, h: number, t: number): number =>
      (((part * slots + slot) * nHead + h) * nTextCtx + t) * HEAD;
    // Entries that no row sees.
    for (const part of [0, 1]) {
      for (const slot of range(slots)) {
        for (const h of range(nHead)) cache.fill(NaN, at(part, slot, h, nTextCtx - 1), at(part, slot, h, nTextCtx));
      }
    }
    const after = cache.slice();
    for (const [row, [slot, position]] of rows.slice(0, live).entries()) {
      for (const h of range(nHead)) {
        for (const part of [0, 1]) {
          after.set(head(qkv, (row * 3 + 1 + part) * width + h * HEAD), at(part, slot, h, position));
        }
      }
    }

    const rowSlot = ptr(device.upload(Int32Array.from(rows, ([slot]) => slot)));
    const rowPosition = ptr(device.upload(Int32Array.from(rows, ([, position]) => position)));
    const rowCount = ptr(given.live === undefined ? null : device.upload(Int32Array.of(live)));
    const input = ptr(device.upload(precision.store(qkv)));
    const stored = device.upload(precision.store(cache));
    const out = poisoned(device, rows.length * width * precision.bytes);
    if (!append) {
      device.launch(`self_append_${precision.suffix}`, { grid: [Math.ceil(nHead / 4), rows.length, 1], block: 128 }, [
        input,
        rowSlot,
        rowPosition,
        rowCount,
        ptr(stored),
        i32(rows.length),
        i32(slots),
        i32(nHead),
        i32(nTextCtx),
      ]);
    }
    device.launch(`self_attention_${precision.suffix}`, { grid: [nHead, rows.length, 1], block: 128 }, [
      input,
      rowSlot,
      rowPosition,
      rowCount,
      ptr(stored),
      ptr(device.upload(places)),
      ptr(out),
      i32(rows.length),
      i32(slots),
      i32(nHead),
      i32(nTextCtx),
      i32(append ? 1 : 0),
    ]);
    expect(differing(await precision.download(device, stored, cache.length), after)).toBe(0);

    const actual = await precision.download(device, out, rows.length * width);
    const expected = new Float32Array(live * width);
    for (const [row, [slot, position]] of rows.slice(0, live).entries()) {
      for (const h of range(nHead)) {
        const seen = (part: number): Float32Array[] =>
          range(position + 1).map((t) => head(after, at(part, places[slot * nTextCtx + t], h, t)));
        expected.set(attention(head(qkv, row * 3 * width + h * HEAD), seen(0), seen(1)), row * width + h * HEAD);
      }
    }
    if (live > 0) {
      expect(relativeError(actual.subarray(0, expected.length), expected)).toBeLessThan(precision.tolerance);
    }
    expect(actual.subarray(expected.length).every(Number.isNaN)).toBe(true);
  }

  it.for<Case>([
    { slots: 1, nHead: 1, nTextCtx: 31, rows: [[0, 0]] },
    { slots: 3, nHead: 2, nTextCtx: 31, rows: [[2, 17], [0, 3], [1, 29]] }, // prettier-ignore
    { slots: 3, nHead: 5, nTextCtx: 448, rows: [[2, 100], [1, 0], [0, 446]], live: 9 }, // prettier-ignore
    { slots: 4, nHead: 2, nTextCtx: 64, rows: [[3, 62], [1, 5], [0, 31]], live: 2 }, // prettier-ignore
    { slots: 2, nHead: 2, nTextCtx: 40, rows: [[0, 5], [1, 5]], live: 0 }, // prettier-ignore
  ])("puts a step's keys and values into the cache and sees them: %o", (given, ctx) => run(given, true, ctx));

  it.for<Case>([
    { slots: 2, nHead: 2, nTextCtx: 31, rows: range(20).map((t) => [1, t] as const) },
    { slots: 3, nHead: 6, nTextCtx: 60, rows: range(9).map((t) => [t % 3, 40 + Math.floor(t / 3)] as const), live: 7 },
  ])("sees what self_append put there for the rows of a prompt: %o", (given, ctx) => run(given, false, ctx));
});

interface Windows {
  readonly nHead: number;
  readonly nCtx: number;
}

/** Cross caches of three windows of two layers, the second layer meant, and slots that listen to them; nobody may look at what slot 1 has. */
function windows(
  random: Random,
  { nHead, nCtx }: Windows,
): { layerOffset: number; data: Float32Array[]; slotWindow: number[] } {
  const layer = 2 * nHead * nCtx * HEAD;
  const data = range(3).map(() => {
    const both = new Float32Array(2 * layer).fill(NaN);
    both.set(rising(random, 2 * nHead * nCtx, 2), layer);
    return both;
  });
  return { layerOffset: layer, data, slotWindow: [2, -1, 0, 1, 0] };
}

describe.each(PRECISIONS)("cross_attention_$suffix", (precision) => {
  interface Case extends Windows {
    /** Slots of the rows of each group; those above `live` are finished. */
    readonly groups: readonly (readonly number[])[];
    readonly live?: number;
    readonly splits: number;
  }

  async function run(most: 1 | 8, given: Case, ctx: Parameters<typeof deviceFor>[0]): Promise<void> {
    const device = deviceFor(ctx);
    const { nHead, nCtx, groups, live = groups.length, splits } = given;
    const width = nHead * HEAD;
    const random = new Random(nCtx * nHead + splits);
    const { layerOffset, data, slotWindow } = windows(random, given);
    const rounded = data.map((window) => precision.round(window));
    const addresses = rounded.map((window) => device.upload(precision.store(window)).address);
    // Groups in another order than their rows.
    const firsts = groups.map((_, g) => groups.slice(g + 1).reduce((sum, group) => sum + group.length, 0));
    const rows = groups.reduce((sum, group) => sum + group.length, 0);
    const rowSlot = new Int32Array(rows);
    for (const [g, group] of groups.entries()) rowSlot.set(group, firsts[g]);
    const q = precision.round(random.normals(rows * width));
    const counters = device.upload(new Int32Array(groups.length * nHead));
    const partials = poisoned(device, groups.length * nHead * splits * most * STATE * 4);
    const out = poisoned(device, rows * width * precision.bytes);
    const args = [
      ptr(device.upload(precision.store(q))),
      ptr(device.upload(BigUint64Array.from(slotWindow, (w) => BigInt(w < 0 ? 0 : addresses[w])))),
      i64(layerOffset),
      ptr(device.upload(rowSlot)),
      ptr(device.upload(Int32Array.from(firsts))),
      ptr(device.upload(Int32Array.from(groups, (group) => group.length))),
      ptr(given.live === undefined ? null : device.upload(Int32Array.of(live))),
      ptr(out),
      ptr(partials),
      ptr(counters),
      i32(groups.length),
      i32(nHead),
      i32(nCtx),
      i32(splits),
    ];
    const shape = { grid: [nHead, groups.length, splits] as const, block: 256 };
    device.launch(`cross_attention${most}_${precision.suffix}`, shape, args);
    const first = await precision.download(device, out, rows * width);
    device.fill(out.address, 0xff, rows * width * precision.bytes);
    device.launch(`cross_attention${most}_${precision.suffix}`, shape, args);
    const actual = await precision.download(device, out, rows * width);
    // The second launch finds the workspace as the first left it, and adds in the same order.
    expect(differing(actual, first)).toBe(0);
    expect(await device.download(counters, Int32Array, groups.length * nHead)).toEqual(
      new Int32Array(groups.length * nHead),
    );

    const expected = new Float32Array(rows * width).fill(NaN);
    const isLive = new Uint8Array(rows * width);
    for (const [g, group] of groups.slice(0, live).entries()) {
      const window = rounded[slotWindow[group[0]]];
      for (const h of range(nHead)) {
        const part = (index: number): Float32Array[] =>
          range(nCtx).map((t) => head(window, layerOffset + ((index * nHead + h) * nCtx + t) * HEAD));
        const [keys, values] = [part(0), part(1)];
        for (const r of range(group.length)) {
          const at = (firsts[g] + r) * width + h * HEAD;
          expected.set(attention(head(q, at), keys, values), at);
          isLive.fill(1, at, at + HEAD);
        }
      }
    }
    const liveOnly = (values: Float32Array): Float32Array => values.filter((_, i) => isLive[i] === 1);
    if (live > 0) expect(relativeError(liveOnly(actual), liveOnly(expected))).toBeLessThan(precision.tolerance);
    expect(actual.filter((_, i) => isLive[i] === 0).every(Number.isNaN)).toBe(true);
  }

  it.for<Case>([
    { nHead: 1, nCtx: 1, groups: [[0]], splits: 1 },
    { nHead: 2, nCtx: 30, groups: [[0], [2], [3]], splits: 1 },
    { nHead: 3, nCtx: 257, groups: [[4], [2]], splits: 2, live: 7 },
    { nHead: 1, nCtx: 1500, groups: [[3], [0]], splits: 12 },
    { nHead: 2, nCtx: 900, groups: [[3], [0]], splits: 5 },
    { nHead: 2, nCtx: 555, groups: [[2], [0], [3], [1], [1]], splits: 1, live: 3 },
    { nHead: 2, nCtx: 600, groups: [[2], [1], [1], [1], [1]], splits: 1, live: 1 },
    { nHead: 1, nCtx: 40, groups: [[1], [1]], splits: 3, live: 0 },
  ])("lets each live row hear its window, in any number of parts: %o", (given, ctx) => run(1, given, ctx));

  it.for<Case>([
    { nHead: 1, nCtx: 1, groups: [[0, 0]], splits: 1 },
    { nHead: 2, nCtx: 30, groups: [[0, 0, 0, 0, 0], [2], [3, 3, 3]], splits: 1 }, // prettier-ignore
    { nHead: 2, nCtx: 300, groups: [[0, 0, 0, 0, 0, 0, 0, 0]], splits: 2 },
    { nHead: 1, nCtx: 1200, groups: [[4, 4, 4, 4, 4], [2, 2]], splits: 9 }, // prettier-ignore
    { nHead: 2, nCtx: 500, groups: [[3, 3, 3], [1, 1], [1]], splits: 1, live: 1 },
  ])("reads a window once for up to 8 rows: %o", (given, ctx) => run(8, given, ctx));
});

describe.each(PRECISIONS)("attention_scores_$suffix", (precision) => {
  it.for([
    { nHead: 2, nCtx: 1, h: 1, slots: [0] },
    { nHead: 3, nCtx: 70, h: 0, slots: [0, 0, 3, 2, 4] },
    { nHead: 4, nCtx: 300, h: 2, slots: [2, 3] },
  ])("gives the scores of one head: %o", async ({ nHead, nCtx, h, slots }, ctx) => {
    const device = deviceFor(ctx);
    const random = new Random(nCtx);
    const { layerOffset, data, slotWindow } = windows(random, { nHead, nCtx });
    const rounded = data.map((window) => precision.round(window));
    const addresses = rounded.map((window) => device.upload(precision.store(window)).address);
    const q = precision.round(random.normals(slots.length * nHead * HEAD));
    const scores = poisoned(device, (slots.length * nCtx + 64) * 4);
    device.launch(
      `attention_scores_${precision.suffix}`,
      { grid: [Math.ceil(nCtx / 128), slots.length, 1], block: 128 },
      [
        ptr(device.upload(precision.store(q))),
        ptr(device.upload(BigUint64Array.from(slotWindow, (w) => BigInt(w < 0 ? 0 : addresses[w])))),
        i64(layerOffset),
        ptr(device.upload(Int32Array.from(slots))),
        ptr(scores),
        i32(slots.length),
        i32(h),
        i32(nHead),
        i32(nCtx),
      ],
    );
    const actual = await device.download(scores, Float32Array, slots.length * nCtx + 64);
    const expected = slots.flatMap((slot, row) =>
      range(nCtx).map(
        (t) =>
          dot(head(q, (row * nHead + h) * HEAD), head(rounded[slotWindow[slot]], layerOffset + (h * nCtx + t) * HEAD)) /
          8,
      ),
    );
    // Inputs are exact and sums are float32 in every type.
    expect(relativeError(actual.subarray(0, expected.length), expected)).toBeLessThan(1e-5);
    expect(actual.subarray(expected.length).every(Number.isNaN)).toBe(true);
  });
});
