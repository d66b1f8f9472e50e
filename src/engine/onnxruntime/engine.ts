/**
 * The onnxruntime engine: graphs of our own on onnxruntime-node, in worker threads.
 *
 * Windows are spread over workers of one thread each, which beats one session of several threads (docs/engines.md); a single
 * window gets a worker with all the threads. Workers start when they are first needed.
 */
import { parameterDims, windowFrames, type ModelDimensions, type ParameterSource } from "../../model/index.ts";
import { assertShape, type Tensor } from "../../tensor/index.ts";
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
  Generation,
  OnGenerated,
  RankedTokens,
  RankRequest,
} from "../engine.ts";
import {
  checkAttend,
  checkCombine,
  checkRank,
  checkReorder,
  checkRequests,
  checkRows,
  checkStep,
  finiteAttention,
  finiteLogits,
  finiteRanked,
} from "../checks.ts";
import { processorBatchSize } from "../batch-size.ts";
import { runToEnd } from "../generation.ts";
import { KeptAudio, ownAudio, ownDecoder } from "../kept-audio.ts";
import { decoderGraph } from "./decoder-graph.ts";
import { encoderGraph } from "./encoder-graph.ts";
import { EngineWorker } from "./engine-worker.ts";
import { OnnxGeneration } from "./generation.ts";
import type { WorkerSetup } from "./protocol.ts";
import { loadRuntime } from "./runtime.ts";
import { Weights } from "./weights.ts";

/** Options, resolved by cpu.ts. */
export interface OnnxEngineOptions {
  readonly dtype: "float32" | "int8";
  readonly threads: number;
  readonly workers: number | null;
  readonly cacheDir: string | undefined;
}

/**
 * Records the graphs of a checkpoint with heads 64 wide, and packs its weights if the cache has no packed file of them.
 *
 * @throws {EngineUnavailableError} if onnxruntime cannot be loaded, or the weights can be written nowhere
 */
export async function createOnnxEngine(parameters: ParameterSource, options: OnnxEngineOptions): Promise<Engine> {
  const { dimensions } = parameters;
  const { dtype, threads, workers, cacheDir } = options;
  loadRuntime(); // what keeps it from loading is known now, not when a worker starts within a transcription
  const weights = new Weights(parameters, dtype === "int8", parameterDims(dimensions).keys());
  const encoder = encoderGraph(dimensions, weights);
  const decoder = decoderGraph(dimensions, weights);
  const { folder } = await weights.ready(cacheDir);
  const setup = { dimensions, quantized: dtype === "int8", folder, encoder, decoder };
  return new OnnxEngine(dimensions, dtype, threads, workers, setup);
}

/** A window of an audio state: the worker that keeps it, and its name there. */
interface Place {
  readonly worker: EngineWorker;
  readonly handle: number;
}

/** The rows of a decoder state that one worker has. */
interface DecoderPart {
  readonly worker: EngineWorker;
  readonly handle: number;
  readonly rows: number[];
}

class OnnxDecoderState implements DecoderState {
  #parts: readonly DecoderPart[] | null;
  length: number;

  constructor(
    readonly owner: OnnxEngine,
    parts: readonly DecoderPart[],
    readonly rows: number,
    readonly windows: number,
    length: number,
  ) {
    this.#parts = parts;
    this.length = length;
  }

  /** @throws {Error} if the state has been disposed */
  get parts(): readonly DecoderPart[] {
    if (this.#parts === null) throw new Error("Cannot use a decoder state after its dispose()");
    return this.#parts;
  }

  dispose(): void {
    for (const { worker, handle } of this.#parts ?? []) {
      worker.call("release", { windows: [], decoders: [handle] }).catch(() => {}); // an ended worker has freed it
    }
    this.#parts = null;
  }
}

class OnnxEngine implements Engine {
  readonly device = "cpu";
  readonly parallelism: number;
  readonly batchSize: number;
  readonly #threads: number;
  readonly #setup: Omit<WorkerSetup, "threads">;
  /** Workers that windows are spread over. */
  readonly #narrow: EngineWorker[] = [];
  readonly #narrowThreads: number;
  /** The worker for single windows, with all threads; null if the number of workers was set. */
  #wide: EngineWorker | null = null;
  readonly #hasWide: boolean;
  #disposed = false;

  constructor(
    readonly dimensions: ModelDimensions,
    readonly dtype: "float32" | "int8",
    threads: number,
    workers: number | null,
    setup: Omit<WorkerSetup, "threads">,
  ) {
    this.#threads = threads;
    this.#setup = setup;
    this.parallelism = workers ?? threads;
    this.batchSize = processorBatchSize(dimensions, this.parallelism);
    this.#narrowThreads = workers === null ? 1 : Math.max(1, Math.floor(threads / workers));
    this.#hasWide = workers === null && threads > 1;
  }

  #workersFor(windows: number): EngineWorker[] {
    if (this.#disposed) throw new Error("Cannot use an engine after its dispose()");
    if (windows === 1 && this.#hasWide) {
      return [(this.#wide ??= new EngineWorker({ ...this.#setup, threads: this.#threads }))];
    }
    const count = Math.min(windows, this.parallelism);
    while (this.#narrow.length < count) {
      this.#narrow.push(new EngineWorker({ ...this.#setup, threads: this.#narrowThreads }));
    }
    return this.#narrow.slice(0, count);
  }

  async encode(mel: Tensor, options: EncodeOptions = {}): Promise<AudioState> {
    const { nMels, nAudioCtx, nAudioState } = this.dimensions;
    const frames = windowFrames(this.dimensions);
    assertShape("mel", mel, ["batch", nMels, frames]);
    const batch = mel.dims[0];
    const workers = this.#workersFor(batch);
    const places: Place[] = [];
    let encoded = 0;
    const calls = workers.map(async (worker, w) => {
      const from = Math.floor((batch * w) / workers.length);
      const to = Math.floor((batch * (w + 1)) / workers.length);
      const windows = Array.from({ length: to - from }, () => worker.newHandle());
      windows.forEach((handle, i) => (places[from + i] = { worker, handle }));
      const part = mel.data.slice(from * nMels * frames, to * nMels * frames);
      const keepFeatures = options.keepFeatures ?? false;
      const answer = await worker.call("encode", { windows, mel: part, keepFeatures }, [part.buffer]);
      encoded += to - from;
      options.onEncoded?.(encoded);
      return answer;
    });
    const parts = await Promise.all(calls);
    const release = (): void => {
      for (const { worker, handle } of places) {
        worker.call("release", { windows: [handle], decoders: [] }).catch(() => {}); // an ended worker has freed it
      }
    };
    if (options.keepFeatures !== true) return KeptAudio.of(this, places, null, release);
    const data = new Float32Array(batch * nAudioCtx * nAudioState);
    let offset = 0;
    for (const { features } of parts) {
      if (features === null) continue;
      data.set(features, offset);
      offset += features.length;
    }
    return KeptAudio.of(this, places, { data, dims: [batch, nAudioCtx, nAudioState] }, release);
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
    return runToEnd(this.startGeneration(audio, requests), requests.length, onGenerated);
  }

  startGeneration(audio: AudioState, requests: readonly GenerateRequest[]): Generation {
    const state = this.#audio(audio);
    checkRequests(requests, state.batch, this.dimensions);
    const parts = byWorker(requests, (request) => state.window(request.window));
    return new OnnxGeneration(
      this,
      [...parts].map(([worker, rows]) => ({
        worker,
        indices: rows.map(({ index }) => index),
        requests: rows.map(({ index, handle }) => ({ ...requests[index], window: handle })),
      })),
    );
  }

  async startDecoder(
    audio: AudioState,
    rows: readonly DecoderRow[],
    at?: readonly number[],
  ): Promise<{ state: DecoderState; logits: Float32Array }> {
    const encoded = this.#audio(audio);
    const windows = checkRows(rows, at, encoded.batch, this.dimensions);
    const length = rows[0].prompt.length;
    const positions = [...(at ?? [length - 1])];
    const size = positions.length * this.dimensions.nVocab;
    const logits = new Float32Array(rows.length * size);
    const groups = byWorker(rows, (row) => encoded.window(row.window));
    const parts = await Promise.all(
      [...groups].map(async ([worker, places]): Promise<DecoderPart> => {
        const handle = worker.newHandle();
        const part = await worker.call("startDecoder", {
          decoder: handle,
          windows: places.map((place) => place.handle),
          prompts: places.map(({ index }) => [...rows[index].prompt]),
          at: positions,
        });
        places.forEach(({ index }, i) => logits.set(part.subarray(i * size, (i + 1) * size), index * size));
        return { worker, handle, rows: places.map(({ index }) => index) };
      }),
    );
    const state = new OnnxDecoderState(this, parts, rows.length, windows.length, length);
    try {
      return { state, logits: finiteLogits(this, logits) };
    } catch (error) {
      state.dispose();
      throw error;
    }
  }

  async step(state: DecoderState, tokens: Int32Array): Promise<Float32Array> {
    const decoder = this.#decoder(state);
    const { nVocab } = this.dimensions;
    checkStep(tokens, decoder.rows, decoder.length, this.dimensions);
    const logits = new Float32Array(decoder.rows * nVocab);
    await Promise.all(
      decoder.parts.map(async ({ worker, handle, rows }) => {
        const local = Int32Array.from(rows, (row) => tokens[row]);
        const part = await worker.call("step", { decoder: handle, tokens: local });
        rows.forEach((row, i) => logits.set(part.subarray(i * nVocab, (i + 1) * nVocab), row * nVocab));
      }),
    );
    decoder.length++;
    return finiteLogits(this, logits);
  }

  async stepRanked(state: DecoderState, request: RankRequest): Promise<RankedTokens> {
    const decoder = this.#decoder(state);
    checkRank(request, decoder.rows, decoder.length, this.dimensions);
    const { tokens, generated, rules, k } = request;
    const ids = new Int32Array(decoder.rows * k);
    const logprobs = new Float32Array(decoder.rows * k);
    await Promise.all(
      decoder.parts.map(async ({ worker, handle, rows }) => {
        const local = {
          tokens: Int32Array.from(rows, (row) => tokens[row]),
          generated: rows.map((row) => [...generated[row]]),
          rules,
          k,
        };
        const ranked = await worker.call("stepRanked", { decoder: handle, request: local });
        rows.forEach((row, i) => {
          ids.set(ranked.ids.subarray(i * k, (i + 1) * k), row * k);
          logprobs.set(ranked.logprobs.subarray(i * k, (i + 1) * k), row * k);
        });
      }),
    );
    decoder.length++;
    return finiteRanked(this, { ids, logprobs });
  }

  async reorder(state: DecoderState, from: Int32Array): Promise<void> {
    const decoder = this.#decoder(state);
    checkReorder(from, decoder.rows, decoder.windows);
    await Promise.all(
      decoder.parts.map(({ worker, handle, rows }) => {
        const local = Int32Array.from(rows, (row) => rows.indexOf(from[row]));
        return worker.call("reorder", { decoder: handle, from: local });
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
    const results = new Array<Attention>(requests.length);
    const parts = byWorker(requests, (request) => state.window(request.window));
    await Promise.all(
      [...parts].map(async ([worker, rows]) => {
        const attended = await worker.call("attend", {
          requests: rows.map(({ index, handle }) => ({ ...requests[index], window: handle })),
          heads: heads.map(([layer, head]) => [layer, head]),
        });
        rows.forEach(({ index }, i) => {
          const { scores, tokenProbs } = attended[i];
          const dims = [heads.length, requests[index].tokens.length, this.dimensions.nAudioCtx];
          results[index] = { scores: { data: scores, dims }, tokenProbs };
        });
      }),
    );
    return finiteAttention(this, results);
  }

  #audio(state: AudioState): KeptAudio<Place> {
    return ownAudio(this, state);
  }

  #decoder(state: DecoderState): OnnxDecoderState {
    return ownDecoder(this, state, OnnxDecoderState);
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    const workers = this.#wide === null ? this.#narrow : [...this.#narrow, this.#wide];
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

/** Splits rows by the worker that keeps their window, in order. */
function byWorker<R>(
  rows: readonly R[],
  placeOf: (row: R) => Place,
): Map<EngineWorker, { index: number; handle: number }[]> {
  const groups = new Map<EngineWorker, { index: number; handle: number }[]>();
  rows.forEach((row, index) => {
    const { worker, handle } = placeOf(row);
    const group = groups.get(worker) ?? [];
    group.push({ index, handle });
    groups.set(worker, group);
  });
  return groups;
}
