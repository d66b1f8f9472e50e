import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { i32, ptr } from "../../src/engine/cuda/arguments.ts";
import type { CudaDevice, DeviceBuffer } from "../../src/engine/cuda/device.ts";
import { packHistory } from "../../src/engine/token-rules.ts";
import { topTokens } from "../../src/engine/token-scores.ts";
import { applyTokenRules, argmax, logSumExp, max, type TokenRules } from "../../src/engine/token-rules.ts";
import { Random } from "../helpers/random.ts";
import { deviceFor, poisoned } from "./precisions.ts";

/** A vocabulary of 250 words, endoftext, nine specials and some 40 timestamps; of odd length, so that rows begin anywhere. */
const [EOT, NO_TIMESTAMPS, BEGIN] = [250, 259, 260];
const SPECIALS = [251, 252, 253, 254, 255, 256, 257, 258];
const NO_RULES: TokenRules = { eot: EOT, timestampBegin: BEGIN, suppress: [], suppressAtBegin: [], timestamps: null };

const RULES: readonly TokenRules[] = [
  NO_RULES,
  { ...NO_RULES, suppress: [...SPECIALS, NO_TIMESTAMPS, 31, 32, 63, 127], suppressAtBegin: [5, EOT] },
  { ...NO_RULES, timestamps: { noTimestamps: NO_TIMESTAMPS, maxInitialTimestampIndex: null } },
  {
    ...NO_RULES,
    suppress: SPECIALS,
    suppressAtBegin: [5, EOT, BEGIN],
    timestamps: { noTimestamps: NO_TIMESTAMPS, maxInitialTimestampIndex: 6 },
  },
  {
    ...NO_RULES,
    suppress: SPECIALS,
    timestamps: { noTimestamps: NO_TIMESTAMPS, maxInitialTimestampIndex: 2 ** 31 - 1 },
  },
];

/** The device's structures of rules, and what they point to. */
function uploadRules(device: CudaDevice, all: readonly TokenRules[], nVocab: number): DeviceBuffer {
  const bitset = (ids: readonly number[]): bigint => {
    const words = new Uint32Array(Math.ceil(nVocab / 32));
    for (const id of ids) words[id >> 5] |= 1 << (id & 31);
    return BigInt(device.upload(words).address);
  };
  const bytes = new DataView(new ArrayBuffer(all.length * 40));
  all.forEach((rules, i) => {
    bytes.setBigUint64(40 * i, bitset(rules.suppress), true);
    bytes.setBigUint64(40 * i + 8, bitset(rules.suppressAtBegin), true);
    const { timestamps } = rules;
    const first = timestamps?.maxInitialTimestampIndex ?? -1;
    const ints = [rules.eot, rules.timestampBegin, Number(timestamps !== null), timestamps?.noTimestamps ?? -1, first];
    ints.forEach((value, j) => bytes.setInt32(40 * i + 16 + 4 * j, value, true));
  });
  return device.upload(bytes);
}

/** Ways for logits to be: close together, with ties, mostly impossible, wholly so, or sure of a timestamp, the end, or anything. */
const SHAPES: readonly ((random: Random, id: number) => number)[] = [
  (random) => 3 * random.normal(),
  (random) => random.below(4),
  (random) => (random.below(40) === 0 ? random.below(3) : -Infinity),
  () => -Infinity,
  (random, id) => random.normal() + (id >= BEGIN ? 4 : 0),
  (random, id) => random.normal() + (id === EOT ? 5 : 0),
  (random) => 25 * random.normal() - 100,
];

/** Logits that leave no doubt whether the timestamps outweigh the text: float32 and float64 must come to the same end. */
function drawLogits(random: Random, nVocab: number, generated: readonly number[], rules: TokenRules): Float32Array {
  for (;;) {
    const shape = SHAPES[random.below(SHAPES.length)];
    const logits = Float32Array.from({ length: nVocab }, (_, id) => shape(random, id));
    if (rules.timestamps === null) return logits;
    const [text, timestamps] = [logits.slice().fill(-Infinity, BEGIN), logits.slice().fill(-Infinity, 0, BEGIN)];
    for (const either of [text, timestamps]) applyTokenRules(either, generated, rules);
    const gap = Math.abs(logSumExp(timestamps, BEGIN) - max(text, 0, BEGIN));
    if (gap === 0 || !(gap < 1e-4)) return logits;
  }
}

/** What openai/whisper's rules choose; the logits are changed. */
function choose(
  logits: Float32Array,
  generated: readonly number[],
  rules: TokenRules,
): { id: number; logprob: number } {
  applyTokenRules(logits, generated, rules);
  const id = argmax(logits);
  return { id, logprob: logits[id] - logSumExp(logits) };
}

interface Sequence {
  readonly slot: number;
  readonly rules: number;
  readonly promptLength: number;
  readonly maxNewTokens: number;
  readonly tokens: number[];
  readonly logprobs: number[];
  finished: number;
}

const SLOT_INTS = 16;

function uploadSlots(device: CudaDevice, sequences: readonly Sequence[], count: number): DeviceBuffer {
  const slots = new Int32Array(count * SLOT_INTS).fill(-1);
  for (const { slot, rules, promptLength, maxNewTokens } of sequences) {
    // Position: of the prompt's last token, which has been run.
    slots.set([promptLength - 1, -1, 0, maxNewTokens, rules, 0, 1, -1, 0], slot * SLOT_INTS);
  }
  return device.upload(slots);
}

describe("choose_tokens", () => {
  const [SLOTS, N_TEXT_CTX] = [8, 31];

  /** Lets sequences run on the device and by the reference, the same logits for both, until all have finished. */
  async function run(device: CudaDevice, seed: number, nVocab: number, sequences: Sequence[]): Promise<void> {
    const random = new Random(seed);
    const slots = uploadSlots(device, sequences, SLOTS);
    const rules = uploadRules(device, RULES, nVocab);
    const capacity = sequences.length + 1;
    const live = device.upload(Int32Array.from({ length: capacity }, (_, i) => sequences[i]?.slot ?? 0));
    const liveCount = device.upload(Int32Array.of(sequences.length));
    const [rowToken, rowPosition, rowSlot, groupFirst, groupRows] = Array.from({ length: 5 }, () =>
      device.alloc(capacity * 4),
    );
    const tokens = poisoned(device, SLOTS * N_TEXT_CTX * 4);
    const logprobs = poisoned(device, SLOTS * N_TEXT_CTX * 4);

    for (let step = 0; ; step++) {
      const lists = [live, liveCount, rowToken, rowPosition, rowSlot, groupFirst, groupRows];
      device.launch("begin_step", { grid: [1, 1, 1], block: 32 }, [slots, ...lists].map(ptr));
      const running = sequences.filter(({ finished }) => finished === 0);
      expect(await device.download(liveCount, Int32Array, 1)).toEqual(Int32Array.of(running.length));
      if (running.length === 0) break;
      if (step > 0) {
        // What the next step of the network reads: the token chosen last, at the place after what there was.
        const lastTokens = running.map((sequence) => sequence.tokens[sequence.tokens.length - 1]);
        const positions = running.map((sequence) => sequence.promptLength + sequence.tokens.length - 1);
        expect([...(await device.download(rowToken, Int32Array, running.length))]).toEqual(lastTokens);
        expect([...(await device.download(rowPosition, Int32Array, running.length))]).toEqual(positions);
      }
      const logits = new Float32Array(capacity * nVocab).fill(NaN);
      running.forEach((sequence, row) => {
        const own = drawLogits(random, nVocab, sequence.tokens, RULES[sequence.rules]);
        logits.set(own, row * nVocab);
        const { id, logprob } = choose(own, sequence.tokens, RULES[sequence.rules]);
        sequence.logprobs.push(logprob);
        if (id === EOT) sequence.finished = 1;
        else sequence.tokens.push(id);
        if (sequence.finished === 0 && sequence.tokens.length === sequence.maxNewTokens) sequence.finished = 2;
      });
      device.launch("choose_tokens", { grid: [capacity, 1, 1], block: 64 }, [
        ...[device.upload(logits), rowSlot, liveCount, slots, rules, tokens, logprobs].map(ptr),
        ...[capacity, nVocab, N_TEXT_CTX].map(i32),
      ]);
    }

    const after = await device.download(slots, Int32Array, SLOTS * SLOT_INTS);
    const allTokens = await device.download(tokens, Int32Array, SLOTS * N_TEXT_CTX);
    const allLogprobs = await device.download(logprobs, Float32Array, SLOTS * N_TEXT_CTX);
    for (let slot = 0; slot < SLOTS; slot++) {
      const sequence = sequences.find((candidate) => candidate.slot === slot);
      const [chosen, scores] = [allTokens, allLogprobs].map((all) => [
        ...all.subarray(slot * N_TEXT_CTX, (slot + 1) * N_TEXT_CTX),
      ]);
      const fields = [...after.subarray(slot * SLOT_INTS, (slot + 1) * SLOT_INTS)];
      if (sequence === undefined) {
        expect(new Set([...fields, ...chosen])).toEqual(new Set([-1]));
        continue;
      }
      const { length } = sequence.tokens;
      expect(chosen).toEqual([...sequence.tokens, ...new Array<number>(N_TEXT_CTX - length).fill(-1)]);
      for (const [i, logprob] of sequence.logprobs.entries()) {
        // Sums in float32: the contract of the exact mode.
        if (Number.isNaN(logprob)) expect(scores[i]).toBeNaN();
        else expect(Math.abs(scores[i] - logprob)).toBeLessThan(1e-5);
      }
      expect(scores.slice(sequence.logprobs.length).every(Number.isNaN)).toBe(true);
      const history = packHistory([sequence.tokens], RULES[sequence.rules]);
      expect([fields[2], ...fields.slice(5, 8), fields[8]]).toEqual([...history, sequence.finished]);
    }
  }

  it("goes as applyTokenRules() and argmax() do, from the prompt to the end of each row", async (ctx) => {
    const device = deviceFor(ctx);
    const sequence = fc.record({
      rules: fc.nat(RULES.length - 1),
      promptLength: fc.integer({ min: 1, max: 8 }),
      maxNewTokens: fc.integer({ min: 1, max: 12 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.integer({ min: 297, max: 305 }),
        fc.array(sequence, { minLength: 1, maxLength: 5 }),
        async (seed, nVocab, given) => {
          const order = new Random(seed).order(SLOTS);
          const make = (slot: number) => ({ slot, tokens: [], logprobs: [], finished: 0 });
          await run(
            device,
            seed,
            nVocab,
            given.map((each, i) => ({ ...each, ...make(order[i]) })),
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  it("chooses from a whole vocabulary with all the threads of a block", async (ctx) => {
    const device = deviceFor(ctx);
    const [nVocab, begin, rows] = [51865, 50364, 3];
    const rules: TokenRules = {
      eot: 50257,
      timestampBegin: begin,
      suppress: Array.from({ length: 50362 - 50257 }, (_, i) => 50258 + i),
      suppressAtBegin: [220, 50257],
      timestamps: { noTimestamps: 50363, maxInitialTimestampIndex: 50 },
    };
    const random = new Random(9);
    const logits = random.normals(rows * nVocab, 4);
    // Row 0: its first token. Row 1: two words, equally likely, in the share of one thread. Row 2: timestamps together.
    logits[nVocab + 30_000] = logits[nVocab + 46_384] = 60;
    logits.fill(16, 2 * nVocab + begin);
    const histories = [[], [begin, 1000], [begin, 1000]];
    const slots = new Int32Array(rows * SLOT_INTS);
    histories.forEach((history, slot) => {
      slots.set([10, 0, history.length, 100, 0, ...packHistory([history], rules).subarray(1), 0], slot * SLOT_INTS);
    });
    const tokens = poisoned(device, rows * N_TEXT_CTX * 4);
    const logprobs = poisoned(device, rows * N_TEXT_CTX * 4);
    device.launch("choose_tokens", { grid: [rows, 1, 1], block: 1024 }, [
      ptr(device.upload(logits)),
      ptr(device.upload(Int32Array.of(0, 1, 2))),
      ptr(null),
      ptr(device.upload(slots)),
      ptr(uploadRules(device, [rules], nVocab)),
      ptr(tokens),
      ptr(logprobs),
      ...[rows, nVocab, N_TEXT_CTX].map(i32),
    ]);
    const chosen = await device.download(tokens, Int32Array, rows * N_TEXT_CTX);
    const scores = await device.download(logprobs, Float32Array, rows * N_TEXT_CTX);
    for (const [row, history] of histories.entries()) {
      const expected = choose(logits.subarray(row * nVocab, (row + 1) * nVocab), history, rules);
      expect(chosen[row * N_TEXT_CTX + history.length]).toBe(expected.id);
      expect(Math.abs(scores[row * N_TEXT_CTX + history.length] - expected.logprob)).toBeLessThan(1e-5);
    }
    expect(chosen[N_TEXT_CTX + 2]).toBe(30_000);
    expect(chosen[2 * N_TEXT_CTX + 2]).toBe(begin + 1);
  });
});

describe("rank_tokens", () => {
  async function rank(
    device: CudaDevice,
    { logits, texts, rules, k, threads }: RankCase,
  ): Promise<{ ids: Int32Array; logprobs: Float32Array }> {
    const rows = texts.length;
    const ids = poisoned(device, (rows * k + 1) * 4);
    const logprobs = poisoned(device, (rows * k + 1) * 4);
    const nVocab = logits.length / rows;
    device.launch("rank_tokens", { grid: [rows, 1, 1], block: threads }, [
      ptr(device.upload(logits)),
      ptr(device.upload(packHistory(texts, rules))),
      ptr(uploadRules(device, [rules], nVocab)),
      ptr(ids),
      ptr(logprobs),
      ...[rows, nVocab, k].map(i32),
    ]);
    return {
      ids: await device.download(ids, Int32Array, rows * k + 1),
      logprobs: await device.download(logprobs, Float32Array, rows * k + 1),
    };
  }

  interface RankCase {
    readonly logits: Float32Array;
    readonly texts: readonly (readonly number[])[];
    readonly rules: TokenRules;
    readonly k: number;
    readonly threads: number;
  }

  async function check(device: CudaDevice, given: RankCase): Promise<void> {
    const { ids, logprobs } = await rank(device, given);
    const { logits, texts, rules, k } = given;
    const nVocab = logits.length / texts.length;
    for (const [row, text] of texts.entries()) {
      const own = logits.slice(row * nVocab, (row + 1) * nVocab);
      applyTokenRules(own, text, rules);
      const top = topTokens(own, k);
      const missing = k - top.ids.length;
      expect([...ids.subarray(row * k, (row + 1) * k)]).toEqual([...top.ids, ...new Array<number>(missing).fill(-1)]);
      const scores = logprobs.subarray(row * k, (row + 1) * k);
      // Of a very unlikely token the log-probability itself is rounded to float32.
      top.logprobs.forEach((logprob, i) => {
        expect(Math.abs(scores[i] - logprob)).toBeLessThan(1e-5 * Math.max(1, Math.abs(logprob) / 10));
      });
      expect([...scores.subarray(top.ids.length)]).toEqual(new Array<number>(missing).fill(-Infinity));
    }
    expect(ids[texts.length * k]).toBe(-1);
    expect(logprobs[texts.length * k]).toBeNaN();
  }

  it("ranks as applyTokenRules() and topTokens() do", async (ctx) => {
    const device = deviceFor(ctx);
    const token = fc.oneof(fc.nat(EOT - 1), fc.integer({ min: BEGIN, max: 296 }));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.integer({ min: 297, max: 305 }),
        fc.nat(RULES.length - 1),
        fc.array(fc.array(token, { maxLength: 5 }), { minLength: 1, maxLength: 4 }),
        fc.constantFrom(1, 2, 6, 11, 320),
        async (seed, nVocab, which, texts, k) => {
          const random = new Random(seed);
          const rules = RULES[which];
          const rows = texts.map((text) => drawLogits(random, nVocab, text, rules));
          const logits = new Float32Array(rows.flatMap((row) => [...row]));
          await check(device, { logits, texts, rules, k, threads: 64 });
        },
      ),
      { numRuns: 100 },
    );
  });

  it("ranks a whole vocabulary with all the threads of a block", async (ctx) => {
    const logits = new Random(4).normals(2 * 51865, 3);
    // One thread's share holds several of the likeliest, of which two are equally likely.
    logits.set([40, 41, 39, 41], 51865 + 20_004);
    await check(deviceFor(ctx), {
      logits,
      texts: [[7], [7]],
      rules: { ...NO_RULES, suppress: [20_006] },
      k: 6,
      threads: 1024,
    });
  });
});

describe("token_probabilities", () => {
  it.for([
    { rows: 3, nVocab: 301, limit: 250, threads: 64 },
    { rows: 2, nVocab: 51865, limit: 50257, threads: 1024 },
  ])("gives the softmax of the ids below the limit: %o", async ({ rows, nVocab, limit, threads }, ctx) => {
    const device = deviceFor(ctx);
    const random = new Random(nVocab);
    const logits = random.normals(rows * nVocab, 3);
    const ids = Int32Array.from({ length: rows }, () => random.below(limit));
    for (let row = 0; row < rows; row++) logits.fill(90, row * nVocab + limit, (row + 1) * nVocab); // not to be seen
    const out = poisoned(device, (rows + 1) * 4);
    device.launch("token_probabilities", { grid: [rows, 1, 1], block: threads }, [
      ...[device.upload(logits), device.upload(ids), out].map(ptr),
      ...[rows, nVocab, limit].map(i32),
    ]);
    const actual = await device.download(out, Float32Array, rows + 1);
    for (let row = 0; row < rows; row++) {
      const own = logits.subarray(row * nVocab, row * nVocab + limit);
      const expected = Math.exp(own[ids[row]] - logSumExp(own));
      expect(Math.abs(actual[row] / expected - 1)).toBeLessThan(1e-5);
    }
    expect(actual[rows]).toBeNaN();
  });
});
