/**
 * The native engine: int8 kernels of our own for x86-64 processors with AVX-512 VNNI, on AMX tiles where there are any (native/).
 *
 * Every call uses all threads, so calls run one after the other. Weights are packed once into a file that all processes map.
 */
import { join } from "node:path";

import { windowFrames, type ModelDimensions, type ParameterSource } from "../../model/index.ts";
import { NotFiniteError } from "../../errors.ts";
import { assertShape, type Tensor } from "../../tensor/index.ts";
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
import { processorBatchSize } from "../batch-size.ts";
import { KeptAudio, ownAudio, ownDecoder } from "../kept-audio.ts";
import { PackedFile } from "../packed-file.ts";
import { packHistory } from "../token-rules.ts";
import { runToEnd } from "../generation.ts";
import { NativeGeneration } from "./generation.ts";
import { packRules } from "./rules.ts";
import type { EngineHandle, Kernels, NativeRequest, RowsHandle, WindowHandle } from "./kernels.ts";
import { addParts, dimensionsOf, LAYOUT_VERSION } from "./layout.ts";

/**
 * Rows that are generated side by side; when one ends, the next request takes its place. Weights are read once for all of them,
 * but each has caches of its own to read. More than a batch, so that rows of another caller join one that is under way.
 */
const MAX_ROWS = 32;

/**
 * Packs the weights if the cache has no file of them, and maps them.
 *
 * @throws {EngineUnavailableError} if the weights can be written nowhere
 */
export async function createNativeEngine(
  parameters: ParameterSource,
  kernels: Kernels,
  { threads, cacheDir }: { readonly threads: number; readonly cacheDir?: string | undefined },
): Promise<Engine> {
  const { dimensions } = parameters;
  const key = `native ${LAYOUT_VERSION} ${parameters.fingerprint}`;
  const file = new PackedFile(key, (path, length) => kernels.checksumFile(path, length));
  const offsets = Float64Array.from(addParts(file, parameters, kernels));
  const path = join(await file.ready(cacheDir), file.name);
  const handle = kernels.open(path, file.length, dimensionsOf(dimensions), offsets, threads);
  return new NativeEngine(dimensions, kernels, handle, threads);
}

class NativeDecoderState implements DecoderState {
  #handle: RowsHandle | null;
  length = 0;

  constructor(
    readonly owner: NativeEngine,
    private readonly kernels: Kernels,
    handle: RowsHandle,
    readonly rows: number,
    readonly windows: number,
  ) {
    this.#handle = handle;
  }

  /** @throws {Error} if the state has been disposed */
  get handle(): RowsHandle {
    if (this.#handle === null) throw new Error("Cannot use a decoder state after its dispose()");
    return this.#handle;
  }

  dispose(): void {
    if (this.#handle !== null) this.kernels.releaseRows(this.#handle);
    this.#handle = null;
  }
}

class NativeEngine implements Engine {
  readonly device = "cpu";
  readonly dtype = "int8";
  readonly parallelism: number;
  readonly batchSize: number;
  readonly #kernels: Kernels;
  readonly #handle: EngineHandle;
  #last: Promise<unknown> = Promise.resolve();
  #disposed = false;

  constructor(
    readonly dimensions: ModelDimensions,
    kernels: Kernels,
    handle: EngineHandle,
    threads: number,
  ) {
    this.#kernels = kernels;
    this.#handle = handle;
    this.parallelism = threads;
    this.batchSize = processorBatchSize(dimensions, threads);
  }

  /** Runs a call after those that came before it. */
  #queue<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      this.#check();
      const value = await call();
      this.#check();
      return value;
    });
    this.#last = result.catch(() => {});
    return result;
  }

  #check(): void {
    if (this.#disposed) throw new Error("Cannot use an engine after its dispose()");
  }

  async encode(mel: Tensor, options: EncodeOptions = {}): Promise<AudioState> {
    this.#check();
    const { nMels, nAudioCtx, nAudioState } = this.dimensions;
    const frames = windowFrames(this.dimensions);
    assertShape("mel", mel, ["batch", nMels, frames]);
    const batch = mel.dims[0];
    const keepFeatures = options.keepFeatures ?? false;
    const size = nMels * frames;
    const windows: WindowHandle[] = [];
    const release = (): void => windows.forEach((window) => this.#kernels.releaseWindow(window));
    const features = keepFeatures ? new Float32Array(batch * nAudioCtx * nAudioState) : null;
    try {
      for (let i = 0; i < batch; i++) {
        const own = mel.data.subarray(i * size, (i + 1) * size);
        const encoded = await this.#queue(() => this.#kernels.encode(this.#handle, own, keepFeatures));
        windows.push(encoded.window);
        if (!encoded.finite) throw new NotFiniteError(this.device, this.dtype, "the encoder's numbers");
        if (encoded.features !== null) features?.set(encoded.features, i * nAudioCtx * nAudioState);
        options.onEncoded?.(i + 1);
      }
    } catch (error) {
      release();
      throw error;
    }
    const kept = features === null ? null : { data: features, dims: [batch, nAudioCtx, nAudioState] };
    return KeptAudio.of(this, windows, kept, release);
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
    const generation = new NativeGeneration(this.#kernels, this.#kernels.startGeneration(this.#handle, MAX_ROWS), {
      requestsOf: (state, asked) => this.#requests(state, asked),
      checked: (generated) => finiteGenerated(this, generated),
      advance: (handle, steps) => this.#queue(() => this.#kernels.advance(this.#handle, handle, steps)),
    });
    generation.add(audio, requests);
    return generation;
  }

  #requests(audio: AudioState, requests: readonly GenerateRequest[]): NativeRequest[] {
    const state = this.#audio(audio);
    checkRequests(requests, state.batch, this.dimensions);
    return requests.map(({ window, prompt, sotIndex, noSpeech, maxNewTokens, rules }) => ({
      window: state.window(window),
      prompt: Int32Array.from(prompt),
      sotIndex,
      noSpeech,
      maxNewTokens,
      rules: packRules(rules),
    }));
  }

  async startDecoder(
    audio: AudioState,
    rows: readonly DecoderRow[],
    at?: readonly number[],
  ): Promise<{ state: DecoderState; logits: Float32Array }> {
    const encoded = this.#audio(audio);
    const windows = checkRows(rows, at, encoded.batch, this.dimensions);
    const length = rows[0].prompt.length;
    const positions = at ?? [length - 1];
    const handle = this.#kernels.startRows(
      this.#handle,
      rows.map(({ window }) => encoded.window(window)),
    );
    const state = new NativeDecoderState(this, this.#kernels, handle, rows.length, windows.length);
    const rowOfToken = rows.flatMap(({ prompt }, row) => prompt.map(() => row));
    const tokens = rows.flatMap(({ prompt }) => prompt);
    const wanted = rows.flatMap((_, row) => positions.map((position) => row * length + position));
    const logits = await this.#run(handle, rowOfToken, tokens, wanted);
    state.length = length;
    return { state, logits };
  }

  async #run(
    rows: RowsHandle,
    rowOfToken: readonly number[],
    tokens: Iterable<number>,
    wanted: readonly number[],
  ): Promise<Float32Array> {
    const [row, ids, indices] = [rowOfToken, tokens, wanted].map((values) => Int32Array.from(values));
    const logits = await this.#queue(() => this.#kernels.run(this.#handle, rows, row, ids, indices));
    return finiteLogits(this, logits);
  }

  async step(state: DecoderState, tokens: Int32Array): Promise<Float32Array> {
    const decoder = this.#decoder(state);
    checkStep(tokens, decoder.rows, decoder.length, this.dimensions);
    const all = Array.from(tokens, (_, row) => row);
    const logits = await this.#run(decoder.handle, all, tokens, all);
    decoder.length++;
    return logits;
  }

  async stepRanked(state: DecoderState, request: RankRequest): Promise<RankedTokens> {
    const decoder = this.#decoder(state);
    checkRank(request, decoder.rows, decoder.length, this.dimensions);
    const { generated, rules, k } = request;
    const tokens = Int32Array.from(request.tokens);
    const history = packHistory(generated, rules);
    const { handle } = decoder;
    const ranked = await this.#queue(() =>
      this.#kernels.stepTop(this.#handle, handle, tokens, history, packRules(rules), k),
    );
    decoder.length++;
    return finiteRanked(this, ranked);
  }

  async reorder(state: DecoderState, from: Int32Array): Promise<void> {
    const decoder = this.#decoder(state);
    checkReorder(from, decoder.rows, decoder.windows);
    const { handle } = decoder;
    const rows = Int32Array.from(from);
    await this.#queue(async () => this.#kernels.reorder(handle, rows));
  }

  async attend(
    audio: AudioState,
    requests: readonly AttendRequest[],
    heads: readonly (readonly [layer: number, head: number])[],
  ): Promise<Attention[]> {
    const state = this.#audio(audio);
    checkAttend(requests, heads, state.batch, this.dimensions);
    const pairs = Int32Array.from(heads.flat());
    const attended = await Promise.all(
      requests.map(async ({ window, tokens, from, eot }) => {
        const handle = state.window(window);
        const ids = Int32Array.from(tokens);
        const { scores, tokenProbs } = await this.#queue(() =>
          this.#kernels.attend(this.#handle, handle, ids, from, eot, pairs),
        );
        const dims = [heads.length, tokens.length, this.dimensions.nAudioCtx];
        return { scores: { data: scores, dims }, tokenProbs };
      }),
    );
    return finiteAttention(this, attended);
  }

  #audio(state: AudioState): KeptAudio<WindowHandle> {
    this.#check();
    return ownAudio(this, state);
  }

  #decoder(state: DecoderState): NativeDecoderState {
    this.#check();
    return ownDecoder(this, state, NativeDecoderState);
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#last;
    this.#kernels.close(this.#handle);
  }
}
