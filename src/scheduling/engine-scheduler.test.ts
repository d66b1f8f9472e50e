import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type {
  AttendRequest,
  Attention,
  AudioState,
  AudioWindowRef,
  DecoderRow,
  DecoderState,
  Engine,
  Generated,
  GenerateRequest,
  Generation,
  RankedTokens,
} from "../engine/engine.ts";
import type { ModelDimensions } from "../model/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { EngineScheduler } from "./index.ts";

const DIMENSIONS: ModelDimensions = {
  nMels: 1,
  nAudioCtx: 1,
  nAudioState: 2,
  nAudioHead: 1,
  nAudioLayer: 1,
  nVocab: 4,
  nTextCtx: 8,
  nTextState: 2,
  nTextHead: 1,
  nTextLayer: 1,
};

interface FakeAudio extends AudioState {
  /** What stood in the log-Mel of each window. */
  readonly ids: readonly number[];
  readonly isDisposed: () => boolean;
  /** Of one window: whether the state it comes from has been. */
  readonly isFreed: (window: number) => boolean;
}

/** Gives windows back what was in their log-Mel, so that a test sees whose window was decoded; checks lifetimes. */
class FakeEngine implements Engine {
  readonly dimensions = DIMENSIONS;
  readonly device = "fake";
  readonly dtype = "float32";
  readonly calls: string[] = [];
  alive = 0;
  underWay = 0;
  /** A window whose encoding, and one whose decoding fails. */
  badMel = -1;
  badRow = -1;
  /** Waits for it before every call ends. */
  gate: Promise<unknown> = Promise.resolve();

  readonly batchSize: number;
  /** Rows of generate under way, and the most there were. */
  rows = 0;
  mostRows = 0;

  constructor(
    readonly parallelism = 2,
    readonly joinsRows = false,
  ) {
    this.batchSize = 8 * parallelism;
  }

  protected async during<T>(call: string, audio: AudioState | null, result: () => T): Promise<T> {
    this.calls.push(call);
    const joins = this.joinsRows && call.startsWith("generate");
    const rows = joins ? (audio?.batch ?? 0) : 0;
    this.rows += rows;
    this.mostRows = Math.max(this.mostRows, this.rows);
    this.underWay += joins ? 0 : 1;
    if (this.underWay > 1) throw new Error("Two calls at once");
    try {
      await new Promise((resolve) => setImmediate(resolve));
      await this.gate;
      if (audio !== null && (audio as FakeAudio).isDisposed()) throw new Error("Freed while in use");
      return result();
    } finally {
      this.underWay -= joins ? 0 : 1;
      this.rows -= rows;
    }
  }

  #audio(ids: readonly number[], sources: readonly FakeAudio[] | null, features: Tensor | null = null): FakeAudio {
    let isDisposed = false;
    if (sources === null) this.alive++;
    return {
      batch: ids.length,
      features,
      ids,
      isDisposed: () => isDisposed || (sources?.some((source) => source.isDisposed()) ?? false),
      isFreed: (window) => sources?.[window].isDisposed() ?? isDisposed,
      dispose: () => {
        if (!isDisposed && sources === null) this.alive--;
        isDisposed = true;
      },
    };
  }

  encode(mel: Tensor, { keepFeatures = false } = {}): Promise<AudioState> {
    const ids = Array.from({ length: mel.dims[0] }, (_, i) => mel.data[2 * i]);
    return this.during(`encode ${ids.join(" ")}`, null, () => {
      if (ids.includes(this.badMel)) throw new Error(`Bad mel ${this.badMel}`);
      const data = Float32Array.from(ids.flatMap((id) => [id, -id]));
      return this.#audio(ids, null, keepFeatures ? { data, dims: [ids.length, 1, 2] } : null);
    });
  }

  combine(windows: readonly AudioWindowRef[]): AudioState {
    const sources = windows.map(({ audio }) => audio as FakeAudio);
    if (sources.some((source) => source.isDisposed())) throw new Error("Disposed");
    return this.#audio(
      windows.map(({ audio, window }) => (audio as FakeAudio).ids[window]),
      sources,
    );
  }

  generate(audio: AudioState, requests: readonly GenerateRequest[]): Promise<Generated[]> {
    const ids = requests.map(({ window }) => (audio as FakeAudio).ids[window]);
    return this.during(`generate ${ids.join(" ")}`, audio, () => {
      if (ids.includes(this.badRow)) throw new Error(`Bad row ${this.badRow}`);
      return requests.map(({ prompt }, i) => ({
        tokens: Int32Array.of(ids[i], ...prompt),
        tokenLogprobs: Float32Array.of(0, 0),
        noSpeechProb: 0,
        stop: "eot" as const,
      }));
    });
  }

  async startDecoder(
    audio: AudioState,
    rows: readonly DecoderRow[],
  ): Promise<{ state: DecoderState; logits: Float32Array }> {
    const ids = rows.map(({ window }) => (audio as FakeAudio).ids[window]);
    return this.during(`start ${ids.join(" ")}`, audio, () => {
      this.alive++;
      const state = { rows: rows.length, length: rows[0].prompt.length, dispose: () => void this.alive-- };
      return { state, logits: Float32Array.from(ids.flatMap((id) => [id, id, id, id])) };
    });
  }

  step(state: DecoderState, tokens: Int32Array): Promise<Float32Array> {
    return this.during(`step ${tokens.join(" ")}`, null, () => new Float32Array(4 * state.rows));
  }

  stepRanked(): Promise<RankedTokens> {
    return Promise.reject(new Error("Not asked for here"));
  }

  reorder(): Promise<void> {
    return this.during("reorder", null, () => {});
  }

  attend(audio: AudioState, requests: readonly AttendRequest[]): Promise<Attention[]> {
    const ids = requests.map(({ window }) => (audio as FakeAudio).ids[window]);
    return this.during(`attend ${ids.join(" ")}`, audio, () => []);
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}

/** Generates a few tokens at a time; a row of window n takes n % 3 + 1 turns. */
class TurnsEngine extends FakeEngine {
  constructor(
    parallelism: number,
    private readonly takesMore: boolean,
  ) {
    super(parallelism);
  }

  startGeneration(audio: AudioState, requests: readonly GenerateRequest[]): Generation {
    const rows = new Map<number, { id: number; isFreed: () => boolean; prompt: readonly number[]; left: number }>();
    let added = 0;
    const add = (more: AudioState, asked: readonly GenerateRequest[]): number => {
      const source = more as FakeAudio;
      const ids = asked.map(({ window }) => source.ids[window]);
      if (ids.includes(this.badRow)) throw new Error(`Bad row ${this.badRow}`);
      for (const [i, { prompt, window }] of asked.entries()) {
        rows.set(added++, { id: ids[i], isFreed: () => source.isFreed(window), prompt, left: (ids[i] % 3) + 1 });
      }
      return added - asked.length;
    };
    add(audio, requests);
    this.alive++;
    return {
      ...(this.takesMore && { add }),
      get rows(): number {
        return rows.size;
      },
      advance: () => {
        const going = [...rows];
        this.mostRows = Math.max(this.mostRows, going.length);
        return this.during(`advance ${going.map(([, { id }]) => id).join(" ")}`, null, () =>
          going.flatMap(([index, row]) => {
            if (row.isFreed()) throw new Error("Freed while in use");
            if (--row.left > 0 || !rows.delete(index)) return [];
            const tokens = Int32Array.of(row.id, ...row.prompt);
            return [
              {
                index,
                generated: { tokens, tokenLogprobs: Float32Array.of(0, 0), noSpeechProb: 0, stop: "eot" as const },
              },
            ];
          }),
        );
      },
      cancel: (index) => void rows.delete(index),
      dispose: () => void this.alive--,
    };
  }
}

const mel = (...ids: number[]): Tensor => ({
  data: Float32Array.from(ids.flatMap((id) => [id, 0])),
  dims: [ids.length, 1, 2],
});

const request = (window: number, prompt: readonly number[] = [1]): GenerateRequest => ({
  window,
  prompt,
  sotIndex: 0,
  noSpeech: 0,
  rules: { eot: 3, timestampBegin: 3, suppress: [], suppressAtBegin: [], timestamps: null },
  maxNewTokens: 4,
});

/** One window a lane in each call, so that the order can be seen. */
const schedulerOf = (fake: FakeEngine): EngineScheduler => new EngineScheduler(fake, { maxWindows: fake.parallelism });

/** Encodes and decodes windows, as a transcription of one batch does: first token of each. */
async function transcribe(engine: Engine, ids: readonly number[]): Promise<number[]> {
  const audio = await engine.encode(mel(...ids));
  try {
    const generated = await engine.generate(
      audio,
      ids.map((_, window) => request(window)),
    );
    return generated.map(({ tokens }) => tokens[0]);
  } finally {
    audio.dispose();
  }
}

describe("EngineScheduler", () => {
  it("puts windows and rows of several clients into common batches", async () => {
    const fake = new FakeEngine(2);
    const scheduler = schedulerOf(fake);
    const ids = [1, 2, 3, 4];
    const results = await Promise.all(ids.map((id) => transcribe(scheduler.client(), [id])));
    expect(results).toEqual([[1], [2], [3], [4]]);
    expect(fake.calls).toEqual(["encode 1 2", "encode 3 4", "generate 1 2 3 4"]);
    expect(scheduler.counters).toEqual({
      encodeCalls: 2,
      windows: 4,
      generateCalls: 1,
      rows: 4,
      waitingWindows: 0,
      waitingRows: 0,
    });
    expect(fake.alive).toBe(0);
  });

  it("grants windows in turn, however many a client asks for at once", async () => {
    const fake = new FakeEngine(2);
    const scheduler = schedulerOf(fake);
    const [a, b] = [scheduler.client(), scheduler.client()];
    await Promise.all([a.encode(mel(10, 11, 12, 13)), b.encode(mel(20, 21, 22, 23))]);
    expect(fake.calls).toEqual(["encode 10 20", "encode 11 21", "encode 12 22", "encode 13 23"]);
  });

  it("finishes a short recording before a long one that came first", async () => {
    const fake = new FakeEngine(2);
    const scheduler = schedulerOf(fake);
    const finished: string[] = [];
    const long = scheduler.client();
    const longDone = (async () => {
      for (let batch = 0; batch < 20; batch++) {
        await transcribe(
          long,
          Array.from({ length: 8 }, (_, i) => 100 + 8 * batch + i),
        );
      }
      finished.push("long");
    })();
    // It comes when the long one has had some batches.
    while (fake.calls.length < 12) await new Promise((resolve) => setImmediate(resolve));
    const before = fake.calls.length;
    await transcribe(scheduler.client(), [1]);
    finished.push("short");
    const waited = fake.calls.length - before;
    await longDone;
    expect(finished).toEqual(["short", "long"]);
    // The call at hand, its window, company for its row at most, its row.
    expect(waited).toBeLessThanOrEqual(8);
  });

  it("keeps nobody waiting for ever, however many short recordings come", async () => {
    const fake = new FakeEngine(1);
    const scheduler = schedulerOf(fake);
    let isDone = false;
    const long = transcribe(scheduler.client(), [100, 101, 102, 103]).then(() => (isDone = true));
    let shorts = 0;
    const stream = async (): Promise<void> => {
      while (!isDone && shorts < 1000) await transcribe(scheduler.client(), [++shorts]);
    };
    await Promise.all([long, stream(), stream(), stream()]);
    expect(isDone).toBe(true);
    expect(shorts).toBeLessThan(100);
  });

  it("serves a client of higher priority more", async () => {
    const fake = new FakeEngine(1);
    const scheduler = schedulerOf(fake);
    const [plain, preferred] = [scheduler.client(), scheduler.client({ priority: 3 })];
    await Promise.all([plain.encode(mel(1, 2, 3, 4)), preferred.encode(mel(10, 11, 12, 13))]);
    const order = fake.calls.map((call) => Number(call.split(" ")[1]));
    expect(order.indexOf(13)).toBeLessThan(order.indexOf(3));
  });

  it("detects languages of several clients in one call, and opens rows for those that go on", async () => {
    const fake = new FakeEngine(2);
    const scheduler = schedulerOf(fake);
    const [a, b] = [scheduler.client(), scheduler.client()];
    const [forA, forB] = await Promise.all([a.encode(mel(1)), b.encode(mel(2, 3))]);
    fake.calls.length = 0;
    const rows = (n: number): DecoderRow[] => Array.from({ length: n }, (_, window) => ({ window, prompt: [1] }));
    const [one, two] = await Promise.all([a.startDecoder(forA, rows(1)), b.startDecoder(forB, rows(2))]);
    expect(fake.calls).toEqual(["start 1 2 3"]);
    expect([...one.logits]).toEqual([1, 1, 1, 1]);
    expect([...two.logits]).toEqual([2, 2, 2, 2, 3, 3, 3, 3]);
    await b.step(two.state, Int32Array.of(7, 8));
    expect(fake.calls.slice(1)).toEqual(["start 2 3", "step 7 8"]);
    expect(two.state.length).toBe(1); // the fake engine's own
    for (const state of [one.state, two.state, forA, forB]) state.dispose();
    expect(fake.alive).toBe(0);
  });

  it("gives the encoder's output to those who ask for it alone", async () => {
    const fake = new FakeEngine(4);
    const scheduler = schedulerOf(fake);
    const [a, b] = [scheduler.client(), scheduler.client()];
    const [withFeatures, without] = await Promise.all([a.encode(mel(1, 2), { keepFeatures: true }), b.encode(mel(3))]);
    expect(fake.calls).toEqual(["encode 1 3 2"]);
    expect(withFeatures.features).toEqual({ data: Float32Array.of(1, -1, 2, -2), dims: [2, 1, 2] });
    expect(without.features).toBeNull();
  });

  it("lets the others be when one client's part fails", async () => {
    const fake = new FakeEngine(4);
    const scheduler = schedulerOf(fake);
    fake.badMel = 2;
    fake.badRow = 4;
    const results = await Promise.allSettled([1, 2, 3, 4, 5].map((id) => transcribe(scheduler.client(), [id])));
    expect(results.map((result) => (result.status === "fulfilled" ? result.value : String(result.reason)))).toEqual([
      [1],
      "Error: Bad mel 2",
      [3],
      "Error: Bad row 4",
      [5],
    ]);
    expect(fake.alive).toBe(0);
  });

  it("drops what a client waits for when its signal is aborted, and refuses what it asks later", async () => {
    const fake = new FakeEngine(1);
    const scheduler = schedulerOf(fake);
    const leaving = new AbortController();
    const [a, b] = [scheduler.client({ signal: leaving.signal }), scheduler.client()];
    let open = (): void => {};
    fake.gate = new Promise<void>((resolve) => (open = resolve));
    const cancelled = a.encode(mel(1, 2, 3));
    const other = transcribe(b, [9]);
    while (fake.underWay === 0) await new Promise((resolve) => setImmediate(resolve));
    const reason = new Error("gone");
    leaving.abort(reason);
    await expect(cancelled).rejects.toBe(reason); // at once, though a window of it is under way
    await expect(a.encode(mel(4))).rejects.toBe(reason);
    open();
    expect(await other).toEqual([9]);
    expect(fake.calls).toEqual(["encode 1", "encode 9", "generate 9"]);
    await scheduler.dispose();
    expect(fake.alive).toBe(0);
  });

  it("frees what a client has not freed, when the client is disposed", async () => {
    const fake = new FakeEngine(2);
    const client = schedulerOf(fake).client();
    const audio = await client.encode(mel(1, 2));
    await client.startDecoder(audio, [{ window: 0, prompt: [1, 2] }]);
    expect(fake.alive).toBe(2);
    await client.dispose();
    expect(fake.alive).toBe(0);
    await expect(client.encode(mel(1))).rejects.toThrow("dispose");
    await expect(client.generate(audio, [request(0)])).rejects.toThrow("dispose");
  });

  it("keeps an audio state alive while the engine reads it", async () => {
    const fake = new FakeEngine(2);
    const client = schedulerOf(fake).client();
    const audio = await client.encode(mel(1));
    let open = (): void => {};
    fake.gate = new Promise<void>((resolve) => (open = resolve));
    const generating = client.generate(audio, [request(0)]);
    while (fake.underWay === 0) await new Promise((resolve) => setImmediate(resolve));
    audio.dispose();
    open();
    expect((await generating)[0].tokens[0]).toBe(1);
    expect(fake.alive).toBe(0);
  });

  it("refuses states of other clients, and requests that name no window", async () => {
    const scheduler = new EngineScheduler(new FakeEngine());
    const [a, b] = [scheduler.client(), scheduler.client()];
    const audio = await a.encode(mel(1));
    await expect(b.generate(audio, [request(0)])).rejects.toThrow(TypeError);
    expect(() => b.combine([{ audio, window: 0 }])).toThrow(TypeError);
    expect(() => a.combine([{ audio, window: 1 }])).toThrow(RangeError);
    expect(() => a.combine([])).toThrow(RangeError);
  });

  it("answers each client with its own windows, whatever comes in whatever order, and leaves nothing behind", async () => {
    const job = fc.record({
      windows: fc.integer({ min: 1, max: 7 }),
      batches: fc.integer({ min: 1, max: 3 }),
      delay: fc.integer({ min: 0, max: 20 }),
      priority: fc.constantFrom(1, 1, 4),
      steps: fc.integer({ min: 0, max: 3 }),
      abortAfter: fc.option(fc.integer({ min: 0, max: 30 }), { nil: null, freq: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(job, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom("whole", "joins", "turns", "turns and joins"),
        async (jobs, n, kind) => {
          const fake = kind.startsWith("turns")
            ? new TurnsEngine(n, kind === "turns and joins")
            : new FakeEngine(n, kind === "joins");
          const scheduler = schedulerOf(fake);
          const turns = async (count: number): Promise<void> => {
            for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
          };
          const run = async (
            { windows, batches, delay, priority, steps, abortAfter }: (typeof jobs)[0],
            index: number,
          ) => {
            await turns(delay);
            const abort = new AbortController();
            const client = scheduler.client({ priority, signal: abort.signal });
            if (abortAfter !== null) void turns(abortAfter).then(() => abort.abort(new Error("left")));
            try {
              for (let batch = 0; batch < batches; batch++) {
                const ids = Array.from({ length: windows }, (_, i) => 1000 * index + 100 * batch + i);
                const audio = await client.encode(mel(...ids));
                const { state, logits } = await client.startDecoder(
                  audio,
                  ids.map((_, window) => ({ window, prompt: [1] })),
                );
                expect(ids.map((_, i) => logits[4 * i])).toEqual(ids);
                for (let i = 0; i < steps; i++) await client.step(state, new Int32Array(ids.length));
                const order = ids.map((_, window) => ids.length - 1 - window);
                const generated = await client.generate(
                  audio,
                  order.map((window) => request(window, [index])),
                );
                expect(generated.map(({ tokens }) => [...tokens])).toEqual(order.map((window) => [ids[window], index]));
              }
            } catch (error) {
              if (!abort.signal.aborted) throw error;
              expect(error).toBe(abort.signal.reason);
            } finally {
              await client.dispose();
            }
          };
          await Promise.all(jobs.map(run));
          await scheduler.dispose();
          expect(fake.alive).toBe(0);
          expect([fake.underWay, fake.rows]).toEqual([0, 0]);
          expect(fake.mostRows).toBeLessThanOrEqual(kind.startsWith("turns") ? 2 * fake.batchSize : fake.batchSize);
          const { waitingRows, waitingWindows } = scheduler.counters;
          expect([waitingRows, waitingWindows]).toEqual([0, 0]);
        },
      ),
      { numRuns: 120 },
    );
  });

  it("lets rows join those under way where the engine can, as many as it has room for", async () => {
    const fake = new FakeEngine(1, true);
    const scheduler = new EngineScheduler(fake, { maxRows: 3 });
    const clients = [1, 2, 3].map(() => scheduler.client());
    const audios = await Promise.all(clients.map((client, i) => client.encode(mel(10 * i, 10 * i + 1))));
    let open = (): void => {};
    fake.gate = new Promise((resolve) => (open = () => resolve(undefined)));
    const turns = async (): Promise<void> => {
      for (let i = 0; i < 9; i++) await new Promise((resolve) => setImmediate(resolve));
    };
    const first = clients[0].generate(audios[0], [request(0), request(1)]);
    await turns();
    const second = clients[1].generate(audios[1], [request(0), request(1)]);
    await turns();
    expect(fake.calls.filter((call) => call.startsWith("generate"))).toEqual(["generate 0 1", "generate 10"]);
    const third = clients[2].encode(mel(7)); // not held up by rows that have no room
    await turns();
    expect(fake.calls.at(-1)).toBe("encode 7");
    open();
    await Promise.all([first, second, third]);
    expect((await second).map(({ tokens }) => tokens[0])).toEqual([10, 11]);
    expect(fake.mostRows).toBe(3);
    await scheduler.dispose();
  });

  it("gives each row as it ends", async () => {
    for (const fake of [new FakeEngine(2), new TurnsEngine(2, false), new TurnsEngine(2, true)]) {
      const client = schedulerOf(fake).client();
      const audio = await client.encode(mel(2, 1, 0));
      const seen: [number, number][] = [];
      const generated = client.generate(audio, [request(0), request(1), request(2)], (index, { tokens }) =>
        seen.push([index, tokens[0]]),
      );
      if (fake instanceof TurnsEngine) {
        while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
        expect(seen).toEqual([[2, 0]]);
      }
      expect((await generated).map(({ tokens }) => tokens[0])).toEqual([2, 1, 0]);
      expect(seen.sort()).toEqual([
        [0, 2],
        [1, 1],
        [2, 0],
      ]);
    }
  });

  it("tells of windows as they are encoded", async () => {
    const client = schedulerOf(new FakeEngine(2)).client();
    const seen: number[] = [];
    await client.encode(mel(1, 2, 3, 4, 5), { onEncoded: (windows) => seen.push(windows) });
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  it("lets a short recording overtake a long one whose rows are under way", async () => {
    for (const joins of [false, true]) {
      const fake = new TurnsEngine(1, joins);
      const scheduler = schedulerOf(fake);
      const finished: string[] = [];
      // All of its windows are one batch, whose rows take three turns each: more than its share.
      const long = transcribe(scheduler.client(), [2, 5, 8, 11, 14, 17, 20, 23]).then(() => finished.push("long"));
      while (!fake.calls.some((call) => call.startsWith("advance"))) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      const before = fake.calls.length;
      await transcribe(scheduler.client(), [3]);
      finished.push("short");
      const waited = fake.calls.length - before;
      await long;
      expect(finished).toEqual(["short", "long"]);
      // The call at hand, its window, its row.
      expect(waited).toBeLessThanOrEqual(3);
      expect(fake.alive).toBe(0);
    }
  });

  it("answers a client that leaves at once, and gives up its rows", async () => {
    for (const fake of [new FakeEngine(1), new TurnsEngine(1, false), new TurnsEngine(1, true)]) {
      const scheduler = schedulerOf(fake);
      const leaving = new AbortController();
      const client = scheduler.client({ signal: leaving.signal });
      const audio = await client.encode(mel(2, 5));
      let open = (): void => {};
      fake.gate = new Promise<void>((resolve) => (open = resolve));
      const generating = client.generate(audio, [request(0), request(1)]);
      const encoding = client.encode(mel(9));
      while (fake.underWay === 0) await new Promise((resolve) => setImmediate(resolve));
      const reason = new Error("gone");
      leaving.abort(reason);
      // The engine is still at its rows.
      await expect(generating).rejects.toBe(reason);
      await expect(encoding).rejects.toBe(reason);
      await client.dispose();
      const other = transcribe(scheduler.client(), [9]);
      open();
      expect(await other).toEqual([9]);
      expect(fake.calls.filter((call) => / [25]\b/.test(call)).length).toBeLessThanOrEqual(3);
      await scheduler.dispose();
      expect(fake.alive).toBe(0);
    }
  });
});
