/**
 * One worker's sessions and what they keep: encoded windows and token sequences under way. Runs in a worker thread, because
 * a run blocks its thread's event loop (docs/engines.md).
 */
import type * as ort from "onnxruntime-node";

import { windowFrames } from "../../model/index.ts";
import { allFinite } from "../../tensor/index.ts";
import type { AttendRequest, Generated, GenerateRequest, RankedTokens, RankRequest } from "../engine.ts";
import { IDLE, rankRows } from "../token-scores.ts";
import { scoresGraph, tokenProbsGraph } from "./attention-graphs.ts";
import { stackRows, takeRows } from "./batch.ts";
import { crossQueryPorts, ROW_STATE, selfCachePorts } from "./decoder-graph.ts";
import { crossCachePorts, type Port } from "./encoder-graph.ts";
import type { WorkerSetup } from "./protocol.ts";
import { ruleMasks, type RuleMasks } from "./rule-masks.ts";
import type { Runtime } from "./runtime.ts";
import { collect, finish, isFinished, type RunningRow } from "./running-row.ts";

/** A batch is packed anew when at most this share of its rows is still running. */
const COMPACT_BELOW = 0.75;

type Feeds = Record<string, ort.Tensor>;

interface DecoderBatch {
  rows: number;
  cross: Feeds;
  past: Feeds;
  /** Rows of the caller that are left, where others have become idle. */
  kept?: readonly number[];
}

/** Rows with prompts of one length, in one batch. */
interface GenerationGroup {
  /** A request of the group: in what all have in common. */
  readonly common: GenerateRequest;
  running: readonly RunningRow[];
  masks: RuleMasks;
  cross: Feeds;
  past: Feeds;
  state: Feeds;
  /** What is read next, of each row. */
  tokens: readonly (readonly number[])[];
  hasBegun: boolean;
}

export class Sessions {
  readonly #runtime: Runtime;
  readonly #setup: WorkerSetup;
  readonly #crossPorts: Port[];
  readonly #selfPorts: Port[];
  readonly #windows = new Map<number, Feeds>();
  readonly #decoders = new Map<number, DecoderBatch>();
  readonly #generations = new Map<number, readonly GenerationGroup[]>();
  #stopped = false;
  #encoder: Promise<ort.InferenceSession> | null = null;
  #decoder: Promise<ort.InferenceSession> | null = null;
  #scores: Promise<ort.InferenceSession> | null = null;
  #tokenProbs: Promise<ort.InferenceSession> | null = null;

  constructor(runtime: Runtime, setup: WorkerSetup) {
    this.#runtime = runtime;
    this.#setup = setup;
    this.#crossPorts = crossCachePorts(setup.dimensions, setup.quantized).flat();
    this.#selfPorts = selfCachePorts(setup.dimensions);
  }

  #session(model: Uint8Array<ArrayBuffer>): Promise<ort.InferenceSession> {
    const { threads, folder } = this.#setup;
    return this.#runtime.InferenceSession.create(model, {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      // x64quantprecision: weights go to u8 where products of u8 and s8 would saturate (AVX2 without VNNI).
      extra: { session: { model_external_initializers_file_folder_path: folder, x64quantprecision: "1" } },
    });
  }

  async encode(windows: readonly number[], mel: Float32Array, keepFeatures: boolean): Promise<Float32Array | null> {
    const session = await (this.#encoder ??= this.#session(this.#setup.encoder));
    const { nMels, nAudioCtx, nAudioState } = this.#setup.dimensions;
    const frames = windowFrames(this.#setup.dimensions);
    const size = nMels * frames;
    const features = keepFeatures ? new Float32Array(windows.length * nAudioCtx * nAudioState) : null;
    const fetches = this.#crossPorts.map(({ name }) => name);
    if (keepFeatures) fetches.push("features");
    // One by one: on a CPU a batch gains nothing (docs/engines.md).
    for (let i = 0; i < windows.length; i++) {
      const input = new this.#runtime.Tensor("float32", mel.subarray(i * size, (i + 1) * size), [1, nMels, frames]);
      const outputs = await this.#run(session, { mel: input }, fetches);
      features?.set(outputs["features"].data as Float32Array, i * nAudioCtx * nAudioState);
      this.#windows.set(windows[i], Object.fromEntries(this.#crossPorts.map(({ name }) => [name, outputs[name]])));
    }
    return features;
  }

  /** Makes running and later calls fail at their next run of a session. */
  stop(): void {
    this.#stopped = true;
  }

  /** Runs a session, after the messages that have come in: runs block them. */
  async #run(session: ort.InferenceSession, feeds: Feeds, fetches: string[]): Promise<Feeds> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#stopped) throw new Error("Cannot use an engine after its dispose()");
    return (await session.run(feeds, fetches)) as Feeds;
  }

  release(windows: readonly number[], decoders: readonly number[]): void {
    for (const handle of windows) this.#windows.delete(handle);
    for (const handle of decoders) {
      this.#decoders.delete(handle);
      this.#generations.delete(handle);
    }
  }

  async startDecoder(
    handle: number,
    windows: readonly number[],
    prompts: readonly (readonly number[])[],
    at: readonly number[],
  ): Promise<Float32Array> {
    const distinct = [...new Set(windows)];
    const each = windows.length / distinct.length;
    // Rows of a window that begin alike, as beams do, are computed once.
    const alike = prompts.every((prompt, i) => {
      const first = prompts[i - (i % each)];
      return prompt.every((token, j) => token === first[j]);
    });
    const read = alike ? prompts.filter((_, i) => i % each === 0) : prompts;
    const batch: DecoderBatch = { rows: read.length, cross: this.#cross(distinct), past: {} };
    batch.past = this.#emptyPast(batch.rows);
    let { logits } = await this.#advance(batch, read, at);
    if (read.length < windows.length) {
      const from = windows.map((_, i) => Math.floor(i / each));
      batch.past = this.#takeEach(batch.past, from);
      logits = takeRows(this.#runtime.Tensor, logits, from);
      batch.rows = windows.length;
    }
    this.#decoders.set(handle, batch);
    return logits.data as Float32Array;
  }

  async step(handle: number, tokens: Int32Array): Promise<Float32Array> {
    const rows = Array.from(tokens, (token) => [token]);
    const { logits } = await this.#advance(this.#batch(handle), rows, [0]);
    return logits.data as Float32Array;
  }

  /** Rules and ranking are plain passes here: five rows take 5 ms, a third of what their logits cost on the way to the caller. */
  async stepRanked(handle: number, request: RankRequest): Promise<RankedTokens> {
    const batch = this.#batch(handle);
    const { tokens, generated, rules, k } = request;
    const ids = new Int32Array(tokens.length * k).fill(-1);
    const logprobs = new Float32Array(tokens.length * k).fill(-Infinity);
    const rows = this.#dropIdle(batch, tokens);
    if (rows.length === 0) return { ids, logprobs };
    const own = Int32Array.from(rows, (row) => tokens[row]);
    const logits = await this.step(handle, own);
    const isFinite = allFinite(logits);
    const ranked = rankRows(logits, { tokens: own, generated: rows.map((row) => generated[row]), rules, k });
    for (const [i, row] of rows.entries()) {
      ids.set(ranked.ids.subarray(i * k, (i + 1) * k), row * k);
      logprobs.set(ranked.logprobs.subarray(i * k, (i + 1) * k), row * k);
    }
    // A ranking passes over what is no number: the log-probabilities tell the engine.
    if (!isFinite) logprobs.fill(NaN);
    return { ids, logprobs };
  }

  /** Takes the rows of windows that are idle out of the batch. @returns the rows that are left, by the caller's numbers */
  #dropIdle(batch: DecoderBatch, tokens: Int32Array): readonly number[] {
    const rows = batch.kept ?? Array.from(tokens, (_, row) => row);
    const left = [...rows.keys()].filter((i) => tokens[rows[i]] !== IDLE);
    if (left.length === rows.length) return rows;
    const kept = left.map((i) => rows[i]);
    batch.kept = kept;
    batch.rows = kept.length;
    if (kept.length === 0) return kept;
    const windows = Object.values(batch.cross)[0].dims[0];
    const each = rows.length / windows;
    batch.past = this.#takeEach(batch.past, left);
    batch.cross = this.#takeEach(batch.cross, [...new Set(left.map((i) => Math.floor(i / each)))]);
    return kept;
  }

  async attend(
    requests: readonly AttendRequest[],
    heads: readonly (readonly [layer: number, head: number])[],
  ): Promise<{ scores: Float32Array; tokenProbs: Float32Array }[]> {
    const results: { scores: Float32Array; tokenProbs: Float32Array }[] = [];
    for (const request of requests) results.push(await this.#attendOne(request, heads));
    return results;
  }

  async #attendOne(
    { window, tokens, from, eot }: AttendRequest,
    heads: readonly (readonly [layer: number, head: number])[],
  ): Promise<{ scores: Float32Array; tokenProbs: Float32Array }> {
    const { dimensions, quantized } = this.#setup;
    const cross = this.#cross([window]);
    const batch: DecoderBatch = { rows: 1, cross, past: this.#emptyPast(1) };
    const text = tokens.slice(from + 1, -1);
    const at = text.length === 0 ? [0] : text.map((_, i) => from + i);
    const layers = [...new Set(heads.map(([layer]) => layer))];
    const queryNames = crossQueryPorts(dimensions).map(({ name }) => name);
    const outputs = await this.#advance(
      batch,
      [tokens],
      at,
      layers.map((layer) => queryNames[layer]),
    );
    const scores = new Float32Array(heads.length * tokens.length * dimensions.nAudioCtx);
    const size = tokens.length * dimensions.nAudioCtx;
    const keyPorts = crossCachePorts(dimensions, quantized).map((ports) => ports.slice(0, quantized ? 2 : 1));
    this.#scores ??= this.#session(scoresGraph(dimensions, keyPorts[0]));
    for (const layer of layers) {
      const [key, scale] = keyPorts[layer].map(({ name }) => cross[name]);
      const feeds = { query: outputs[queryNames[layer]], key, ...(scale !== undefined && { scale }) };
      const all = (await this.#run(await this.#scores, feeds, ["scores"]))["scores"].data as Float32Array;
      heads.forEach(([headLayer, head], i) => {
        if (headLayer === layer) scores.set(all.subarray(head * size, (head + 1) * size), i * size);
      });
    }
    if (text.length === 0) return { scores, tokenProbs: new Float32Array(0) };
    this.#tokenProbs ??= this.#session(tokenProbsGraph(dimensions));
    const feeds = {
      logits: outputs["logits"],
      ids: this.#ints(text, [1, text.length, 1]),
      eot: this.#ints([eot], []),
    };
    const { probs } = await this.#run(await this.#tokenProbs, feeds, ["probs"]);
    return { scores, tokenProbs: probs.data as Float32Array };
  }

  reorder(handle: number, from: Int32Array): void {
    const batch = this.#batch(handle);
    const { kept } = batch;
    if (kept === undefined) batch.past = this.#takeEach(batch.past, from);
    else if (kept.length > 0)
      batch.past = this.#takeEach(
        batch.past,
        Int32Array.from(kept, (row) => kept.indexOf(from[row])),
      );
  }

  #batch(handle: number): DecoderBatch {
    const batch = this.#decoders.get(handle);
    if (batch === undefined) throw new Error("Cannot use a decoder state after its dispose()");
    return batch;
  }

  #cross(windows: readonly number[]): Feeds {
    const kept = windows.map((handle) => {
      const window = this.#windows.get(handle);
      if (window === undefined) throw new Error("Cannot use an audio state after its dispose()");
      return window;
    });
    return Object.fromEntries(
      this.#crossPorts.map(({ name }) => [
        name,
        stackRows(
          this.#runtime.Tensor,
          kept.map((window) => window[name]),
        ),
      ]),
    );
  }

  #takeEach(feeds: Feeds, from: ArrayLike<number>): Feeds {
    return Object.fromEntries(
      Object.entries(feeds).map(([name, tensor]) => [name, takeRows(this.#runtime.Tensor, tensor, from)]),
    );
  }

  #emptyPast(rows: number): Feeds {
    const { nTextHead, nTextState } = this.#setup.dimensions;
    const dims = [rows, nTextHead, 0, nTextState / nTextHead];
    return Object.fromEntries(
      this.#selfPorts.map(({ name }) => [
        `past_${name}`,
        new this.#runtime.Tensor("float32", new Float32Array(0), dims),
      ]),
    );
  }

  #pastOf(outputs: Feeds): Feeds {
    return Object.fromEntries(this.#selfPorts.map(({ name }) => [`past_${name}`, outputs[`present_${name}`]]));
  }

  #ints(values: readonly number[], dims: readonly number[]): ort.Tensor {
    return new this.#runtime.Tensor("int64", BigInt64Array.from(values, BigInt), dims);
  }

  #bools(values: readonly boolean[], dims: readonly number[]): ort.Tensor {
    return new this.#runtime.Tensor("bool", Uint8Array.from(values, Number), dims);
  }

  #initialState(rows: number, begin: boolean): Feeds {
    const all = (value: boolean): ort.Tensor => this.#bools(new Array<boolean>(rows).fill(value), [rows]);
    return {
      begin: this.#bools([begin], []),
      lastTimestamp: this.#ints(new Array<number>(rows).fill(-1), [rows]),
      lastIsTimestamp: all(false),
      penultimateIsTimestamp: all(true),
      done: all(false),
    };
  }

  /**
   * One plain turn without rules: adds tokens [rows, length].
   *
   * @param also names of outputs wanted beside the logits [rows, at.length, nVocab]
   */
  async #advance(
    batch: DecoderBatch,
    tokens: readonly (readonly number[])[],
    at: readonly number[],
    also: readonly string[] = [],
  ): Promise<Feeds> {
    const session = await (this.#decoder ??= this.#session(this.#setup.decoder));
    const { rows } = batch;
    const length = tokens[0].length;
    const outputs = await this.#run(
      session,
      {
        turns: this.#ints([1], []),
        tokens: this.#ints(tokens.flat(), [rows, length]),
        select: this.#ints(at, [at.length]),
        ...this.#noRules(rows),
        ...this.#initialState(rows, false),
        ...batch.past,
        ...batch.cross,
      },
      ["logits", ...also, ...this.#selfPorts.map(({ name }) => `present_${name}`)],
    );
    batch.past = this.#pastOf(outputs);
    return outputs;
  }

  #noRulesMask: ort.Tensor | null = null;

  #noRules(rows: number): Feeds {
    const { nVocab } = this.#setup.dimensions;
    const mask = (this.#noRulesMask ??= new this.#runtime.Tensor("float32", new Float32Array(nVocab), [1, nVocab]));
    return {
      firstMask: mask,
      mask,
      timestampRules: this.#bools(new Array<boolean>(rows).fill(false), [rows]),
      eot: this.#ints([1], []),
      timestampBegin: this.#ints([nVocab - 1], []),
      noSpeech: this.#ints([0], []),
    };
  }

  /** Rows whose prompts are of one length go together. */
  startGeneration(handle: number, requests: readonly GenerateRequest[]): void {
    const groups = new Map<string, RunningRow[]>();
    for (const [index, request] of requests.entries()) {
      const { prompt, sotIndex, noSpeech, rules } = request;
      const key = [prompt.length, sotIndex, noSpeech, rules.eot, rules.timestampBegin].join(" ");
      const row = { index, request, tokens: [], logprobs: [], noSpeechProb: 0, isCancelled: false };
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
    this.#generations.set(
      handle,
      [...groups.values()].map((rows) => this.#startGroup(rows)),
    );
  }

  /** Adds at most `steps` tokens to each row; gives those that ended. */
  async advance(handle: number, steps: number): Promise<{ index: number; generated: Generated }[]> {
    const ended: { index: number; generated: Generated }[] = [];
    for (const group of this.#generations.get(handle) ?? []) {
      if (group.running.length === 0) continue;
      for (const row of await this.#advanceGroup(group, steps)) {
        if (!row.isCancelled) ended.push({ index: row.index, generated: finish(row) });
      }
    }
    return ended;
  }

  cancel(handle: number, index: number): void {
    for (const group of this.#generations.get(handle) ?? []) {
      for (const row of group.running) if (row.index === index) row.isCancelled = true;
    }
  }

  #startGroup(running: RunningRow[]): GenerationGroup {
    const windows = running.map(({ request }) => request.window);
    return {
      common: running[0].request,
      running,
      masks: this.#masksOf(running),
      cross: this.#cross(windows),
      past: this.#emptyPast(running.length),
      state: this.#initialState(running.length, true),
      tokens: running.map(({ request }) => [...request.prompt]),
      hasBegun: false,
    };
  }

  #masksOf(rows: readonly RunningRow[]): RuleMasks {
    return ruleMasks(
      rows.map(({ request }) => request.rules),
      this.#setup.dimensions.nVocab,
    );
  }

  async #advanceGroup(group: GenerationGroup, steps: number): Promise<RunningRow[]> {
    const session = await (this.#decoder ??= this.#session(this.#setup.decoder));
    const { nVocab } = this.#setup.dimensions;
    const { common, running, masks, tokens } = group;
    // At least one step, for the no-speech probability of rows that want no token.
    const left = Math.max(1, ...running.map((row) => row.request.maxNewTokens - row.tokens.length));
    const turns = Math.min(left, steps);
    const mask = (data: Float32Array): ort.Tensor => new this.#runtime.Tensor("float32", data, [masks.rows, nVocab]);
    const length = tokens[0].length;
    const begin = !group.hasBegun;
    const select = begin ? [common.sotIndex, length - 1] : [0];
    const fetches = ["generated", "logprobs", "noSpeechProb"];
    if (turns < left) {
      fetches.push(...ROW_STATE.map(({ name }) => `new_${name}`));
      fetches.push(...this.#selfPorts.map(({ name }) => `present_${name}`));
    }
    const outputs = await this.#run(
      session,
      {
        turns: this.#ints([turns], []),
        tokens: this.#ints(tokens.flat(), [running.length, length]),
        select: this.#ints(select, [select.length]),
        firstMask: mask(begin ? masks.first : masks.later),
        mask: mask(masks.later),
        timestampRules: this.#bools(
          running.map(({ request }) => request.rules.timestamps !== null),
          [running.length],
        ),
        eot: this.#ints([common.rules.eot], []),
        timestampBegin: this.#ints([common.rules.timestampBegin], []),
        noSpeech: this.#ints([common.noSpeech], []),
        ...group.state,
        ...group.past,
        ...group.cross,
      },
      fetches,
    );
    // Rows that had ended before stay in the batch until enough have; they are not reported again.
    const wereGoing = running.filter((row) => !group.hasBegun || !isFinished(row));
    collect(running, outputs, begin);
    group.hasBegun = true;

    const going = running.flatMap((row, i) => (isFinished(row) ? [] : [i]));
    if (going.length === 0 || turns === left) {
      group.running = [];
      return wereGoing;
    }
    group.state = Object.fromEntries(ROW_STATE.map(({ name }) => [name, outputs[`new_${name}`]]));
    group.past = this.#pastOf(outputs);
    if (going.length <= running.length * COMPACT_BELOW) {
      group.running = going.map((i) => running[i]);
      group.masks = this.#masksOf(group.running);
      const { begin: scalar, ...perRow } = group.state;
      group.state = { begin: scalar, ...this.#takeEach(perRow, going) };
      group.past = this.#takeEach(group.past, going);
      group.cross = this.#takeEach(group.cross, going);
    }
    group.tokens = group.running.map((row) => [row.tokens.at(-1) ?? common.rules.eot]);
    return wereGoing.filter(isFinished);
  }
}
