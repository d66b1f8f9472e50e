/**
 * Greedy generation: prompts are run together, then steps over all sequences, which are one graph each: embedding, network, rules, choice, and
 * which sequences go on are decided on the device. The host asks for some steps ahead and reads now and then which have ended; their
 * places go to those that wait.
 */
import type { Generated, GenerateRequest } from "../engine.ts";
import type { DecoderRuns } from "./decoder-runs.ts";
import type { Lanes, Row, SlotState } from "./lanes.ts";
import { DeviceRules } from "./token-rules.ts";

/** Steps that are asked for at a time: more would run on when all have ended, fewer would make the device wait. */
const STEPS = 8;

/** The states of the slots have been asked for. */
interface Question {
  readonly done: Promise<void>;
  readonly half: 0 | 1;
}

/** A sequence under way. */
interface Running {
  readonly index: number;
  readonly slot: number;
}

export class Generation {
  readonly #runs: DecoderRuns;
  readonly #lanes: Lanes;
  readonly #requests: readonly GenerateRequest[];
  readonly #windows: readonly number[];
  readonly #rules: DeviceRules;
  /** Device address of the window of each slot. */
  readonly #audio: number[];
  readonly #waiting: number[];
  #free: number[];
  #running: Running[] = [];
  readonly #results: Generated[] = [];
  readonly #noSpeech: number[] = [];

  /** @param windows device addresses of the windows' cross-attention caches, by index of a request */
  constructor(runs: DecoderRuns, lanes: Lanes, requests: readonly GenerateRequest[], windows: readonly number[]) {
    const { device } = runs.kernels;
    this.#runs = runs;
    this.#lanes = lanes;
    this.#requests = requests;
    this.#windows = windows;
    this.#rules = new DeviceRules(
      device,
      requests.map(({ rules }) => rules),
      runs.dimensions.nVocab,
    );
    this.#waiting = requests.map((_, i) => i);
    const slots = Math.min(lanes.slots, runs.maxLogitRows);
    this.#free = Array.from({ length: slots }, (_, slot) => slot);
    this.#audio = Array.from({ length: lanes.slots }, () => windows[0]);
  }

  /** One result a request, in order. */
  async run(): Promise<Generated[]> {
    try {
      while (this.#waiting.length > 0 || this.#running.length > 0) {
        await this.#admit();
        await this.#advance();
      }
    } finally {
      await this.#runs.kernels.device.finished().catch(() => {});
      this.#rules.free();
    }
    return this.#results;
  }

  /** Gives free slots to those that wait, and runs their prompts. */
  async #admit(): Promise<void> {
    const { device } = this.#runs.kernels;
    const newcomers = this.#waiting
      .splice(0, this.#free.length)
      .map((index): Running => ({ index, slot: this.#free.shift()! }));
    if (newcomers.length === 0) return;
    for (const { index, slot } of newcomers) {
      const { prompt, maxNewTokens, rules } = this.#requests[index];
      this.#audio[slot] = this.#windows[index];
      this.#lanes.begin(slot, prompt.length, maxNewTokens, this.#rules.record(rules));
    }
    this.#lanes.listen(this.#audio);

    const probabilities = device.alloc(4 * newcomers.length);
    for (let done = 0; done < newcomers.length;) {
      const batch = this.#fitting(newcomers, done);
      this.#prompts(batch, probabilities.address + 4 * done);
      done += batch.length;
    }
    const read = await device.download(probabilities, Float32Array, newcomers.length);
    device.free(probabilities);
    newcomers.forEach(({ index }, i) => (this.#noSpeech[index] = read[i]));

    // Whoever wants no token is ready.
    const ready = newcomers.filter(({ index }) => this.#requests[index].maxNewTokens === 0);
    for (const { index, slot } of ready) {
      this.#finish(index, new Int32Array(0), new Float32Array(0), "length");
      this.#free.push(slot);
    }
    this.#running.push(...newcomers.filter((one) => !ready.includes(one)));
    this.#lanes.setLive(this.#running.map(({ slot }) => slot));
  }

  /** As many newcomers as one run of prompts has room for. */
  #fitting(newcomers: readonly Running[], from: number): Running[] {
    const fitting: Running[] = [];
    let rows = 0;
    for (const one of newcomers.slice(from, from + this.#runs.maxLogitRows)) {
      rows += this.#requests[one.index].prompt.length;
      if (rows > this.#runs.maxRows && fitting.length > 0) break;
      fitting.push(one);
    }
    return fitting;
  }

  /** Runs prompts, and chooses the first token of each. */
  #prompts(batch: readonly Running[], probabilities: number): void {
    const { kernels, dimensions } = this.#runs;
    const { device } = kernels;
    const { nVocab, nTextCtx } = dimensions;
    const asked = batch.map(({ index }) => this.#requests[index]);
    const rows: Row[] = [];
    const begins = batch.map(({ slot }, i) => {
      const begin = rows.length;
      asked[i].prompt.forEach((token, position) => rows.push({ token, position, slot }));
      return begin;
    });
    // A slot's prompt may be all of its window's rows: groups end with it.
    const run = this.#runs.prompts(this.#lanes, rows, (slot) => slot);

    const ids = device.upload(Int32Array.from(asked, ({ noSpeech }) => noSpeech));
    const atSot = run.logits(asked.map(({ sotIndex }, i) => begins[i] + sotIndex));
    kernels.tokenProbabilities({
      ...{ logits: atSot, ids: ids.address, out: probabilities },
      ...{ rows: batch.length, nVocab, limit: nVocab },
    });
    device.free(ids);

    const choosing = batch.flatMap(({ slot }, i) =>
      asked[i].maxNewTokens > 0 ? [{ slot, last: begins[i] + asked[i].prompt.length - 1 }] : [],
    );
    if (choosing.length === 0) return;
    const slots = device.upload(Int32Array.from(choosing, ({ slot }) => slot));
    kernels.chooseTokens({
      ...{ logits: run.logits(choosing.map(({ last }) => last)), rowSlot: slots.address, rowCount: null },
      ...this.#choice,
      ...{ rows: choosing.length, nVocab, nTextCtx },
    });
    device.free(slots);
  }

  /** Where choices are written. */
  get #choice(): { slots: number; rules: number; tokens: number; logprobs: number } {
    const { states, rules, tokens, logprobs } = this.#lanes;
    return { slots: states, rules, tokens, logprobs };
  }

  /** Steps until all have ended, or until others can have the places of some that have. */
  async #advance(): Promise<void> {
    const { device } = this.#runs.kernels;
    const lanes = this.#lanes;
    let live = this.#running.length;
    let asked: Question | null = null;
    let half: 0 | 1 = 0;
    let states: SlotState[] = [];
    const look = async ({ done, half }: Question): Promise<void> => {
      await done;
      states = lanes.readStates(half);
      live = this.#running.filter(({ slot }) => states[slot].finished === "no").length;
    };
    while (live > 0) {
      const before: Question | null = asked;
      device.enter();
      const graph = this.#stepGraph(live);
      for (let i = 0; i < STEPS; i++) graph.launch();
      half = half === 0 ? 1 : 0;
      lanes.askStates(half);
      asked = { done: device.finished(), half };
      asked.done.catch(() => {}); // awaited below
      // Where somebody waits, places are given as soon as they are free; else the device never waits for the host.
      if (this.#waiting.length > 0) {
        await look(asked);
        if (live < this.#running.length) break;
      } else if (before !== null) await look(before);
    }
    if (asked !== null) await look(asked);
    await this.#collect(states);
  }

  /** The step for so many live slots: of the next power of two, so that few graphs serve all. */
  #stepGraph(live: number): { launch(): void } {
    const { kernels, dimensions } = this.#runs;
    const lanes = this.#lanes;
    const m = Math.min(2 ** Math.ceil(Math.log2(live)), this.#runs.maxLogitRows);
    const { nVocab, nTextCtx } = dimensions;
    return this.#runs.liveStep(lanes, m, (logits) =>
      kernels.chooseTokens({
        ...{ logits, rowSlot: lanes.rows.slot, rowCount: lanes.rows.count },
        ...this.#choice,
        ...{ rows: m, nVocab, nTextCtx },
      }),
    );
  }

  /** Reads what those have generated that have ended. */
  async #collect(states: readonly SlotState[]): Promise<void> {
    const ended = this.#running.filter(({ slot }) => states[slot]?.finished !== "no");
    if (ended.length === 0) return;
    const { nTextCtx } = this.#runs.dimensions;
    const { tokens, logprobs } = await this.#lanes.results();
    for (const { index, slot } of ended) {
      const { generated, finished } = states[slot];
      const begin = slot * nTextCtx;
      const stop = finished === "eot" ? "eot" : "length";
      const entries = stop === "eot" ? generated + 1 : generated;
      this.#finish(index, tokens.slice(begin, begin + generated), logprobs.slice(begin, begin + entries), stop);
      this.#free.push(slot);
    }
    this.#running = this.#running.filter((one) => !ended.includes(one));
  }

  #finish(index: number, tokens: Int32Array, tokenLogprobs: Float32Array, stop: Generated["stop"]): void {
    this.#results[index] = { tokens, tokenLogprobs, noSpeechProb: this.#noSpeech[index], stop };
  }
}
