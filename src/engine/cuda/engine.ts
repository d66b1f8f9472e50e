/**
 * The CUDA engine: kernels of our own on an NVIDIA GPU, through nothing but its driver.
 *
 * Calls run one after the other, since each fills the GPU. Weights and activations are float16, bfloat16 or float32; sums, the residual stream
 * and the statistics of norms are float32 always.
 */
import { IDLE } from "../token-scores.ts";
import { EngineUnavailableError, withHint } from "../../errors.ts";
import { windowFrames, type ModelDimensions, type ParameterSource } from "../../model/index.ts";
import { assertShape, tensor, type Tensor } from "../../tensor/index.ts";
import {
  checkAttend,
  checkCombine,
  checkRank,
  checkReorder,
  checkRequests,
  checkRows,
  checkStep,
  finiteAttention,
  finiteGenerated,
  finiteLogits,
  finiteRanked,
} from "../checks.ts";
import { checkWeights } from "../finite-weights.ts";
import type {
  AttendRequest,
  Attention,
  AudioState,
  AudioWindowRef,
  DecoderRow,
  DecoderState,
  EncodeOptions,
  Engine,
  Generated,
  GenerateRequest,
  OnGenerated,
  RankedTokens,
  RankRequest,
} from "../engine.ts";
import { reportAll } from "../generation.ts";
import { KeptAudio, ownAudio, ownDecoder } from "../kept-audio.ts";
import { packHistory } from "../token-rules.ts";
import { DecoderRuns, type RunRows } from "./decoder-runs.ts";
import { withBuffers } from "./buffers.ts";
import { CudaDevice } from "./device.ts";
import { CudaError } from "./driver.ts";
import type { CudaDType } from "./dtypes.ts";
import { EncoderRuns, ENCODER_WINDOWS, type EncodedWindows } from "./encoder-runs.ts";
import { Generation } from "./generate.ts";
import { HEAD_SIZE, Kernels } from "./kernels.ts";
import { LanePool, Lanes, type Row } from "./lanes.ts";
import { DeviceRules } from "./token-rules.ts";
import { DeviceWeights } from "./weights.ts";

export interface CudaEngineOptions {
  /** Default float16. */
  readonly dtype?: CudaDType;
  /** Which GPU, in the driver's order. Default 0. */
  readonly ordinal?: number;
  /** Most sequences that are generated at a time. Default 256, or as many as the memory has room for. */
  readonly maxSequences?: number;
}

/** Sequences generated at a time. */
const MAX_SLOTS = 256;

/** Windows of a batch: enough for the decoder to read its weights seldom, and few enough that audio need not be read long before the first is computed. */
const BATCH_WINDOWS = 64;

/** Share of the free memory that one kind of caches may take. */
const CACHE_SHARE = 0.4;

/**
 * Copies a checkpoint to a GPU.
 *
 * @throws {EngineUnavailableError} if there is no GPU that can be used, or the model does not fit it
 */
export async function createCudaEngine(parameters: ParameterSource, options: CudaEngineOptions = {}): Promise<Engine> {
  const { nTextState, nTextHead, nAudioState, nAudioHead, nTextCtx } = parameters.dimensions;
  if (nTextState !== HEAD_SIZE * nTextHead || nAudioState !== HEAD_SIZE * nAudioHead) {
    throw new EngineUnavailableError("cuda", "the checkpoint's attention heads are not 64 wide", {
      hint: 'use device "reference"',
    });
  }
  if (nTextState > MAX_STATE || nAudioState > MAX_STATE || nTextCtx > MAX_TEXT_CTX) {
    throw new EngineUnavailableError(
      "cuda",
      `the checkpoint has states ${Math.max(nTextState, nAudioState)} wide and ${nTextCtx} positions, expected at most ${MAX_STATE} and ${MAX_TEXT_CTX}`,
    );
  }
  await checkWeights(parameters);
  const device = CudaDevice.open(options.ordinal ?? 0);
  try {
    const kernels = new Kernels(device, options.dtype ?? "float16");
    const weights = await DeviceWeights.load(parameters, kernels);
    return new CudaEngine(parameters.dimensions, kernels, weights, options.maxSequences ?? MAX_SLOTS);
  } catch (error) {
    device.close();
    throw outOfMemory(error, "a smaller model, or dtype float16, takes less") ?? error;
  }
}

/** What the kernels were made for: kernels/layer_norm.cuh, kernels/self_attention.cuh. */
const MAX_STATE = 1280;
const MAX_TEXT_CTX = 448;

/** An error in words, if it says that the GPU's memory is full. */
function outOfMemory(error: unknown, hint: string): Error | null {
  if (!(error instanceof CudaError) || error.code !== "CUDA_ERROR_OUT_OF_MEMORY") return null;
  return new Error(withHint(error.message, hint), { cause: error });
}

/** What a caller is told of an error. */
function inWords(error: unknown): unknown {
  return outOfMemory(error, "a smaller batchSize takes less") ?? error;
}

/** What is kept of a window: where its cross-attention caches are, T [layer][2][nHead][nAudioCtx][64]. */
type WindowAddress = number;

class CudaDecoderState implements DecoderState {
  length = 0;
  #lanes: Lanes | null;

  constructor(
    readonly owner: CudaEngine,
    lanes: Lanes,
    readonly rows: number,
    readonly windows: number,
    private readonly pool: LanePool,
  ) {
    this.#lanes = lanes;
  }

  /** @throws {Error} if the state has been disposed */
  get lanes(): Lanes {
    if (this.#lanes === null) throw new Error("Cannot use a decoder state after its dispose()");
    return this.#lanes;
  }

  /** The window, by order, that a row listens to. */
  windowOf(row: number): number {
    return Math.floor(row / (this.rows / this.windows));
  }

  dispose(): void {
    if (this.#lanes !== null) this.pool.give(this.#lanes);
    this.#lanes = null;
  }
}

class CudaEngine implements Engine {
  readonly device = "cuda";
  readonly dtype: CudaDType;
  readonly parallelism = ENCODER_WINDOWS;
  readonly joinsRows = true;
  readonly batchSize: number;
  readonly #device: CudaDevice;
  readonly #kernels: Kernels;
  readonly #weights: DeviceWeights;
  readonly #encoder: EncoderRuns;
  readonly #runs: DecoderRuns;
  readonly #pool: LanePool;
  readonly #maxSlots: number;
  #last: Promise<unknown> = Promise.resolve();
  #encoding: Promise<unknown> = Promise.resolve();
  #generation: Generation | null = null;
  #generating: Promise<unknown> = Promise.resolve();
  #disposed = false;

  constructor(
    readonly dimensions: ModelDimensions,
    kernels: Kernels,
    weights: DeviceWeights,
    maxSequences: number,
  ) {
    const { device, dtype } = kernels;
    this.dtype = dtype;
    this.#device = device;
    this.#kernels = kernels;
    this.#weights = weights;
    this.#encoder = new EncoderRuns(kernels, weights, dimensions);
    this.#runs = new DecoderRuns(kernels, weights, dimensions);
    this.#pool = new LanePool(device, dtype, dimensions);
    device.onPressure(() => this.#pool.trim());
    const fitting = (bytes: number): number => Math.floor((CACHE_SHARE * device.freeMemory) / bytes);
    const slots = fitting(Lanes.bytesPerSlot(dtype, dimensions));
    this.#maxSlots = powerOfTwoBelow(Math.max(1, Math.min(MAX_SLOTS, maxSequences, slots)));
    this.batchSize = Math.max(1, Math.min(BATCH_WINDOWS, this.#maxSlots, fitting(this.#encoder.windowBytes)));
  }

  /** Runs a call after those that came before it. */
  #queue<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      this.#check();
      try {
        const value = await call();
        this.#check();
        return value;
      } catch (error) {
        throw inWords(error);
      }
    });
    this.#last = result.catch(() => {});
    return result;
  }

  #check(): void {
    if (this.#disposed) throw new Error("Cannot use an engine after its dispose()");
  }

  async encode(mel: Tensor, options: EncodeOptions = {}): Promise<AudioState> {
    this.#check();
    assertShape("mel", mel, ["batch", this.dimensions.nMels, windowFrames(this.dimensions)]);
    const state = await this.#encode(mel.dims[0], () => this.#encoder.encodeMel(mel, options.keepFeatures ?? false));
    options.onEncoded?.(state.batch);
    return state;
  }

  async encodeSamples(
    windows: readonly Float32Array[],
    options: Pick<EncodeOptions, "onEncoded"> = {},
  ): Promise<AudioState> {
    this.#check();
    const most = this.#encoder.windowSamples;
    const tooLong = windows.find(({ length }) => length > most);
    if (tooLong !== undefined) {
      throw new RangeError(`Cannot encode a window of ${tooLong.length} samples, expected at most ${most}`);
    }
    const state = await this.#encode(windows.length, () => this.#encoder.encodeSamples(windows));
    options.onEncoded?.(state.batch);
    return state;
  }

  async #encode(batch: number, ask: () => Promise<EncodedWindows>): Promise<AudioState> {
    const { caches, features, done } = await this.#queue(async () => {
      const asked = await ask();
      this.#encoding = Promise.allSettled([this.#encoding, asked.done]);
      return asked;
    });
    // Others have their turn while the GPU encodes.
    const free = (): void => this.#device.free(caches);
    try {
      await done;
      this.#check();
    } catch (error) {
      free();
      throw inWords(error);
    }
    const { windowBytes } = this.#encoder;
    const windows = Array.from({ length: batch }, (_, i): WindowAddress => caches.address + i * windowBytes);
    const { nAudioCtx, nAudioState } = this.dimensions;
    return KeptAudio.of(this, windows, features && tensor(features, [batch, nAudioCtx, nAudioState]), free);
  }

  combine(windows: readonly AudioWindowRef[]): AudioState {
    const parts = windows.map(({ audio, window }) => ({ audio: this.#audio(audio), window }));
    checkCombine(parts);
    return KeptAudio.combine(this, parts);
  }

  async generate(
    audio: AudioState,
    requests: readonly GenerateRequest[],
    onGenerated?: OnGenerated,
  ): Promise<Generated[]> {
    const state = this.#audio(audio);
    checkRequests(requests, state.batch, this.dimensions);
    if (requests.length === 0) return [];
    const windows = requests.map(({ window }) => state.window(window));
    const copies = requests.map((request) => ({ ...request, prompt: [...request.prompt] }));
    // What was asked before comes first; then the call joins those that are under way.
    return this.#queue(async () => ({ generated: this.#openGeneration().add(copies, windows) })).then(
      async ({ generated }) => {
        const results = await generated.catch((error: unknown) => {
          throw inWords(error);
        });
        this.#check();
        return reportAll(finiteGenerated(this, results), onGenerated);
      },
    );
  }

  /** The generation that calls can join, begun if there is none. */
  #openGeneration(): Generation {
    if (this.#generation?.isOpen === true) return this.#generation;
    const lanes = this.#pool.take(this.#maxSlots);
    const generation = new Generation(this.#runs, lanes, (work) => this.#queue(work));
    this.#generation = generation;
    this.#generating = this.#generating.then(() => generation.run()).finally(() => this.#pool.give(lanes));
    return generation;
  }

  /** Lends lanes to a piece of work. */
  async #lend<T>(slots: number, work: (lanes: Lanes) => Promise<T>): Promise<T> {
    const lanes = this.#pool.take(slots);
    try {
      return await work(lanes);
    } finally {
      this.#pool.give(lanes);
    }
  }

  async startDecoder(
    audio: AudioState,
    rows: readonly DecoderRow[],
    at?: readonly number[],
  ): Promise<{ state: DecoderState; logits: Float32Array }> {
    const encoded = this.#audio(audio);
    const windows = checkRows(rows, at, encoded.batch, this.dimensions);
    const addresses = rows.map(({ window }) => encoded.window(window));
    const prompts = rows.map(({ prompt }) => [...prompt]);
    return this.#queue(async () => {
      const state = new CudaDecoderState(this, this.#pool.take(rows.length), rows.length, windows.length, this.#pool);
      try {
        state.lanes.listen(addresses);
        const logits = await this.#prompts(state, prompts, at ?? [prompts[0].length - 1]);
        state.length = prompts[0].length;
        return { state, logits: finiteLogits(this, logits) };
      } catch (error) {
        state.dispose();
        throw error;
      }
    });
  }

  /** Runs prompts of one length. @returns logits [rows, at.length, nVocab] */
  async #prompts(
    state: CudaDecoderState,
    prompts: readonly (readonly number[])[],
    at: readonly number[],
  ): Promise<Float32Array> {
    const { nVocab } = this.dimensions;
    const { length } = prompts[0];
    const atOnce = Math.floor(this.#runs.maxRows / length);
    const logits = new Float32Array(prompts.length * at.length * nVocab);
    for (let first = 0; first < prompts.length; first += atOnce) {
      const some = prompts.slice(first, first + atOnce);
      const rows = some.flatMap((prompt, i) =>
        prompt.map((token, position): Row => ({ token, position, slot: first + i })),
      );
      const run = this.#runs.prompts(state.lanes, rows, (slot) => state.windowOf(slot));
      const wanted = some.flatMap((_, i) => at.map((position) => i * length + position));
      await this.#readLogits(run, wanted, logits.subarray(first * at.length * nVocab));
    }
    return logits;
  }

  /** Reads the logits of some rows into an array. */
  async #readLogits(run: RunRows, wanted: readonly number[], into: Float32Array): Promise<void> {
    const { nVocab } = this.dimensions;
    for (let first = 0; first < wanted.length; first += this.#runs.maxLogitRows) {
      const some = wanted.slice(first, first + this.#runs.maxLogitRows);
      const address = run.logits(some);
      await this.#device.finished();
      this.#device.read(address, into.subarray(first * nVocab, (first + some.length) * nVocab));
    }
  }

  async step(state: DecoderState, tokens: Int32Array): Promise<Float32Array> {
    const decoder = this.#decoder(state);
    checkStep(tokens, decoder.rows, decoder.length, this.dimensions);
    const given = Int32Array.from(tokens);
    return this.#queue(async () => {
      const logits = new Float32Array(decoder.rows * this.dimensions.nVocab);
      const run = this.#step(decoder, given);
      await this.#readLogits(
        run,
        Array.from(given, (_, row) => row),
        logits,
      );
      decoder.length++;
      return finiteLogits(this, logits);
    });
  }

  #step(decoder: CudaDecoderState, tokens: Int32Array): RunRows {
    const rows = Array.from(tokens, (token, slot): Row => ({ token, position: decoder.length, slot }));
    return this.#runs.step(decoder.lanes, rows, (slot) => decoder.windowOf(slot));
  }

  async stepRanked(state: DecoderState, request: RankRequest): Promise<RankedTokens> {
    const decoder = this.#decoder(state);
    checkRank(request, decoder.rows, decoder.length, this.dimensions);
    const { rules, k } = request;
    // A step is a captured graph of all rows: idle ones are computed with the others.
    const tokens = request.tokens.map((token) => (token === IDLE ? rules.eot : token));
    const idle = [...request.tokens.keys()].filter((row) => request.tokens[row] === IDLE);
    const history = packHistory(request.generated, rules);
    return this.#queue(async () => {
      const ranked = await this.#rank(this.#step(decoder, tokens), tokens.length, history, rules, k);
      decoder.length++;
      for (const row of idle) {
        ranked.ids.fill(-1, row * k, (row + 1) * k);
        ranked.logprobs.fill(-Infinity, row * k, (row + 1) * k);
      }
      return finiteRanked(this, ranked);
    });
  }

  async #rank(
    run: RunRows,
    rows: number,
    history: Int32Array,
    rules: RankRequest["rules"],
    k: number,
  ): Promise<RankedTokens> {
    const { nVocab } = this.dimensions;
    const device = this.#device;
    return withBuffers(device, async (buffers) => {
      const record = buffers.upload(new DeviceRules(buffers, [rules], nVocab).record(rules));
      const histories = buffers.upload(history);
      const ids = buffers.alloc(4 * rows * k);
      const logprobs = buffers.alloc(4 * rows * k);
      for (let first = 0; first < rows; first += this.#runs.maxLogitRows) {
        const count = Math.min(this.#runs.maxLogitRows, rows - first);
        this.#kernels.rankTokens({
          logits: run.logits(Array.from({ length: count }, (_, i) => first + i)),
          history: histories + 16 * first,
          rules: record,
          ids: ids + 4 * first * k,
          logprobs: logprobs + 4 * first * k,
          ...{ rows: count, nVocab, k },
        });
      }
      const ranked = {
        ids: await device.download(ids, Int32Array, rows * k),
        logprobs: await device.download(logprobs, Float32Array, rows * k),
      };
      // A row without a possible token: by the rules, or because its logits are no numbers, which a maximum passes over.
      const empty = Array.from({ length: rows }, (_, row) => row).filter((row) => ranked.ids[row * k] < 0);
      const logits = new Float32Array(empty.length * nVocab);
      await this.#readLogits(run, empty, logits);
      finiteLogits(this, logits);
      return ranked;
    });
  }

  async reorder(state: DecoderState, from: Int32Array): Promise<void> {
    const decoder = this.#decoder(state);
    checkReorder(from, decoder.rows, decoder.windows);
    const order = Int32Array.from(from);
    const rows = order.length;
    await this.#queue(() =>
      withBuffers(this.#device, async (buffers) => {
        const { places, freshPlaces } = decoder.lanes;
        const { nTextCtx } = this.dimensions;
        this.#kernels.reorderPlaces({
          from: buffers.upload(order),
          to: buffers.upload(Int32Array.from(order, (_, row) => row)),
          ...{ old: places, fresh: freshPlaces },
          ...{ rows, length: decoder.length, nTextCtx },
        });
        this.#device.copy(places, freshPlaces, 4 * rows * nTextCtx);
      }),
    );
  }

  async attend(
    audio: AudioState,
    requests: readonly AttendRequest[],
    heads: readonly (readonly [layer: number, head: number])[],
  ): Promise<Attention[]> {
    const state = this.#audio(audio);
    checkAttend(requests, heads, state.batch, this.dimensions);
    const asked = requests.map((request) => ({ ...request, address: state.window(request.window) }));
    return this.#queue(async () => {
      const results: Attention[] = [];
      for (const request of asked) results.push(await this.#attendOne(request, heads));
      return finiteAttention(this, results);
    });
  }

  #attendOne(
    { tokens, from, eot, address }: AttendRequest & { address: WindowAddress },
    heads: readonly (readonly [layer: number, head: number])[],
  ): Promise<Attention> {
    const { nAudioCtx, nTextHead } = this.dimensions;
    const numbers = tokens.length * nAudioCtx;
    return this.#lend(1, (lanes) =>
      withBuffers(this.#device, async (buffers) => {
        const scores = buffers.alloc(4 * heads.length * numbers);
        lanes.listen([address]);
        const rows = tokens.map((token, position): Row => ({ token, position, slot: 0 }));
        const run = this.#runs.prompts(
          lanes,
          rows,
          () => 0,
          (layer, query, slot) =>
            heads.forEach(([wanted, head], i) => {
              if (wanted !== layer) return;
              const out = scores + 4 * i * numbers;
              const sizes = { rows: rows.length, head, nHead: nTextHead, nCtx: nAudioCtx };
              const { slotAudio } = lanes;
              this.#kernels.attentionScores({ query, slotAudio, layer, slot, out, ...sizes });
            }),
        );
        const tokenProbs = await this.#tokenProbs(run, tokens, from, eot);
        const data = await this.#device.download(scores, Float32Array, heads.length * numbers);
        return { scores: tensor(data, [heads.length, tokens.length, nAudioCtx]), tokenProbs };
      }),
    );
  }

  /** Probability of each text token where it is predicted. */
  #tokenProbs(run: RunRows, tokens: readonly number[], from: number, eot: number): Promise<Float32Array> {
    const text = tokens.slice(from + 1, -1);
    return withBuffers(this.#device, (buffers) => {
      const ids = buffers.upload(Int32Array.from(text));
      const probs = buffers.alloc(4 * text.length);
      for (let first = 0; first < text.length; first += this.#runs.maxLogitRows) {
        const rows = Math.min(this.#runs.maxLogitRows, text.length - first);
        this.#kernels.tokenProbabilities({
          logits: run.logits(Array.from({ length: rows }, (_, i) => from + first + i)),
          ids: ids + 4 * first,
          out: probs + 4 * first,
          ...{ rows, nVocab: this.dimensions.nVocab, limit: eot },
        });
      }
      return this.#device.download(probs, Float32Array, text.length);
    });
  }

  #audio(state: AudioState): KeptAudio<WindowAddress> {
    this.#check();
    return ownAudio(this, state);
  }

  #decoder(state: DecoderState): CudaDecoderState {
    this.#check();
    return ownDecoder(this, state, CudaDecoderState);
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#last;
    await this.#encoding;
    await this.#generating;
    this.#pool.trim();
    this.#runs.free();
    await this.#encoder.free();
    this.#weights.free();
    this.#kernels.dispose();
    this.#device.close();
  }
}

const powerOfTwoBelow = (n: number): number => 2 ** Math.floor(Math.log2(n));
