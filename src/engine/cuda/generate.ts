/**
 * Greedy generation with continuous batching: prompts are run together, then steps over all sequences, which are one graph each: embedding, network,
 * rules, choice, and which sequences go on are decided on the device. The host asks for some steps ahead and reads now and then which have
 * ended; their places go to those that wait, of whichever call they are.
 */
import type { Generated, GenerateRequest } from "../engine.ts";
import { Buffers, nextPowerOfTwo, withBuffers } from "./buffers.ts";
import type { Graph } from "./device.ts";
import type { DecoderRuns } from "./decoder-runs.ts";
import type { Lanes, Row, SlotState } from "./lanes.ts";
import { DeviceRules } from "./token-rules.ts";

/** Steps that are asked for at a time: more would run on when all have ended, fewer would make the device wait. */
const STEPS = 8;

/** The requests of one call. */
interface Batch {
  readonly requests: readonly GenerateRequest[];
  /** Device addresses of the windows' cross-attention caches, by request. */
  readonly windows: readonly number[];
  readonly rules: DeviceRules;
  /** What the rules lie in. */
  readonly buffers: Buffers;
  readonly results: Generated[];
  left: number;
  readonly resolve: (results: Generated[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A request, and what is known of it. */
interface Sequence {
  readonly batch: Batch;
  readonly index: number;
  noSpeechProb: number;
}

interface Running extends Sequence {
  readonly slot: number;
}

/** The states of the slots have been asked for. */
interface Question {
  readonly done: Promise<void>;
  readonly half: 0 | 1;
}

export class Generation {
  readonly #runs: DecoderRuns;
  readonly #lanes: Lanes;
  readonly #turn: <T>(work: () => Promise<T>) => Promise<T>;
  /** Device address of the window of each slot. */
  readonly #audio: number[];
  readonly #batches = new Set<Batch>();
  readonly #waiting: Sequence[] = [];
  readonly #free: number[];
  #running: Running[] = [];
  #states: readonly SlotState[] = [];
  #asked: Question | null = null;
  #isOpen = true;

  /**
   * @param turn does a piece of work while nobody else uses the memory that runs share; others have their turn between the pieces
   */
  constructor(runs: DecoderRuns, lanes: Lanes, turn: <T>(work: () => Promise<T>) => Promise<T>) {
    this.#runs = runs;
    this.#lanes = lanes;
    this.#turn = turn;
    this.#free = Array.from({ length: Math.min(lanes.slots, runs.maxLogitRows) }, (_, slot) => slot);
    this.#audio = Array.from({ length: lanes.slots }, () => 0);
  }

  /** Whether calls may still be added: until the last sequence has ended. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Adds a call; its sequences begin as soon as places are free.
   *
   * @param windows device addresses of the windows' cross-attention caches, by request
   * @returns one result a request, in order
   */
  add(requests: readonly GenerateRequest[], windows: readonly number[]): Promise<Generated[]> {
    return new Promise((resolve, reject) => {
      const { kernels, dimensions } = this.#runs;
      const all = requests.map(({ rules }) => rules);
      const buffers = new Buffers(kernels.device);
      const rules = new DeviceRules(buffers, all, dimensions.nVocab);
      const batch: Batch = { requests, windows, rules, buffers, results: [], left: requests.length, resolve, reject };
      this.#batches.add(batch);
      requests.forEach((_, index) => this.#waiting.push({ batch, index, noSpeechProb: 0 }));
    });
  }

  /** Runs until all sequences of all calls have ended. Errors go to the calls. */
  async run(): Promise<void> {
    try {
      for (;;) {
        if (this.#waiting.length > 0) {
          await this.#settle();
          await this.#admit();
        }
        if (this.#running.length > 0) await this.#advance();
        else if (this.#waiting.length === 0) break;
      }
    } catch (error) {
      for (const batch of this.#batches) batch.reject(error);
    } finally {
      this.#isOpen = false;
      for (const batch of this.#batches) batch.buffers.free();
      await this.#runs.kernels.device.finished().catch(() => {});
    }
  }

  /** Gives free slots to those that wait, and runs their prompts. */
  #admit(): Promise<void> {
    return this.#turn(async () => {
      const { device } = this.#runs.kernels;
      const newcomers = this.#waiting
        .splice(0, this.#free.length)
        .map((sequence): Running => ({ ...sequence, slot: this.#free.shift()! }));
      if (newcomers.length === 0) return;
      for (const { batch, index, slot } of newcomers) {
        const { prompt, maxNewTokens, rules } = batch.requests[index];
        this.#audio[slot] = batch.windows[index];
        this.#lanes.begin(slot, prompt.length, maxNewTokens, batch.rules.record(rules));
      }
      this.#lanes.listen(this.#audio);

      await withBuffers(device, async (buffers) => {
        const probabilities = buffers.alloc(4 * newcomers.length);
        for (let done = 0; done < newcomers.length;) {
          const some = this.#fitting(newcomers, done);
          this.#prompts(some, probabilities + 4 * done, buffers);
          done += some.length;
        }
        const read = await device.download(probabilities, Float32Array, newcomers.length);
        newcomers.forEach((one, i) => (one.noSpeechProb = read[i]));
      });

      // Whoever wants no token is ready.
      const wantsTokens = (one: Running): boolean => one.batch.requests[one.index].maxNewTokens > 0;
      for (const one of newcomers.filter((other) => !wantsTokens(other))) {
        this.#finish(one, new Int32Array(0), new Float32Array(0), "length");
      }
      this.#running.push(...newcomers.filter(wantsTokens));
      this.#lanes.setLive(this.#running.map(({ slot }) => slot));
    });
  }

  /** As many newcomers as one run of prompts has room for. */
  #fitting(newcomers: readonly Running[], from: number): Running[] {
    const fitting: Running[] = [];
    let rows = 0;
    for (const one of newcomers.slice(from, from + this.#runs.maxLogitRows)) {
      rows += one.batch.requests[one.index].prompt.length;
      if (rows > this.#runs.maxRows && fitting.length > 0) break;
      fitting.push(one);
    }
    return fitting;
  }

  /** Runs prompts, and chooses the first token of each. */
  #prompts(some: readonly Running[], probabilities: number, buffers: Buffers): void {
    const { kernels, dimensions } = this.#runs;
    const { nVocab, nTextCtx } = dimensions;
    const asked = some.map(({ batch, index }) => batch.requests[index]);
    const rows: Row[] = [];
    const begins = some.map(({ slot }, i) => {
      const begin = rows.length;
      asked[i].prompt.forEach((token, position) => rows.push({ token, position, slot }));
      return begin;
    });
    // No two sequences share a group, though they may share a window.
    const run = this.#runs.prompts(this.#lanes, rows, (slot) => slot);

    const ids = buffers.upload(Int32Array.from(asked, ({ noSpeech }) => noSpeech));
    const atSot = run.logits(asked.map(({ sotIndex }, i) => begins[i] + sotIndex));
    kernels.tokenProbabilities({
      ...{ logits: atSot, ids, out: probabilities },
      ...{ rows: some.length, nVocab, limit: nVocab },
    });

    const choosing = some.flatMap(({ slot }, i) =>
      asked[i].maxNewTokens > 0 ? [{ slot, last: begins[i] + asked[i].prompt.length - 1 }] : [],
    );
    if (choosing.length === 0) return;
    const slots = buffers.upload(Int32Array.from(choosing, ({ slot }) => slot));
    kernels.chooseTokens({
      ...{ logits: run.logits(choosing.map(({ last }) => last)), rowSlot: slots, rowCount: null },
      ...this.#choice,
      ...{ rows: choosing.length, nVocab, nTextCtx },
    });
  }

  /** Where choices are written. */
  get #choice(): { slots: number; rules: number; tokens: number; logprobs: number } {
    const { states, rules, tokens, logprobs } = this.#lanes;
    return { slots: states, rules, tokens, logprobs };
  }

  /** Asks for some steps, and reads what has become of the sequences. */
  async #advance(): Promise<void> {
    const before = this.#asked;
    this.#asked = await this.#turn(() => this.#steps());
    this.#asked.done.catch(() => {}); // awaited when it is read
    // Where somebody waits, places are given as soon as they are free; else the device never waits for the host.
    const read = this.#waiting.length > 0 ? this.#asked : before;
    if (read !== null) await this.#read(read);
    const isDone = (batch: Batch): boolean =>
      this.#waiting.every((one) => one.batch !== batch) &&
      this.#running.every((one) => one.batch !== batch || this.#hasEnded(one));
    if ([...this.#batches].some(isDone)) await this.#settle();
  }

  async #steps(): Promise<Question> {
    const live = this.#running.filter((one) => !this.#hasEnded(one)).length;
    const graph = this.#stepGraph(Math.max(1, live));
    for (let i = 0; i < STEPS; i++) graph.launch();
    const half = this.#asked?.half === 0 ? 1 : 0;
    this.#lanes.askStates(half);
    return { done: this.#runs.kernels.device.finished(), half };
  }

  #hasEnded({ slot }: Running): boolean {
    return (this.#states[slot]?.finished ?? "no") !== "no";
  }

  async #read({ done, half }: Question): Promise<void> {
    await done;
    this.#states = this.#lanes.readStates(half);
  }

  /** Waits for all that was asked for, and takes out what has ended. */
  async #settle(): Promise<void> {
    const asked = this.#asked;
    if (asked === null) return;
    await this.#read(asked);
    this.#asked = null;
    const ended = this.#running.filter((one) => this.#hasEnded(one));
    if (ended.length > 0) {
      const { nTextCtx } = this.#runs.dimensions;
      const { tokens, logprobs } = await this.#lanes.results();
      for (const one of ended) {
        const { generated, finished } = this.#states[one.slot];
        const begin = one.slot * nTextCtx;
        const stop = finished === "eot" ? "eot" : "length";
        const entries = stop === "eot" ? generated + 1 : generated;
        this.#finish(one, tokens.slice(begin, begin + generated), logprobs.slice(begin, begin + entries), stop);
      }
      this.#running = this.#running.filter((one) => !ended.includes(one));
    }
    this.#states = [];
  }

  #finish(one: Running, tokens: Int32Array, tokenLogprobs: Float32Array, stop: Generated["stop"]): void {
    const { batch, index, noSpeechProb, slot } = one;
    this.#free.push(slot);
    batch.results[index] = { tokens, tokenLogprobs, noSpeechProb, stop };
    if (--batch.left > 0) return;
    this.#batches.delete(batch);
    batch.buffers.free();
    batch.resolve(batch.results);
  }

  /** The step for so many live slots: of the next power of two, so that few graphs serve all. */
  #stepGraph(live: number): Graph {
    const { kernels, dimensions } = this.#runs;
    const lanes = this.#lanes;
    const m = Math.min(nextPowerOfTwo(live), this.#runs.maxLogitRows);
    const { nVocab, nTextCtx } = dimensions;
    return this.#runs.liveStep(lanes, m, (logits) =>
      kernels.chooseTokens({
        ...{ logits, rowSlot: lanes.rows.slot, rowCount: lanes.rows.count },
        ...this.#choice,
        ...{ rows: m, nVocab, nTextCtx },
      }),
    );
  }
}
