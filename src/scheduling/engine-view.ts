/** The engine as one client of the scheduler sees it: calls become calls that wait for their turn. */
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
} from "../engine/engine.ts";
import { checkCombine } from "../engine/checks.ts";
import { KeptAudio, ownAudio, ownDecoder } from "../engine/kept-audio.ts";
import { windowFrames, type ModelDimensions } from "../model/index.ts";
import { assertShape, type ComputeDType, type Tensor } from "../tensor/index.ts";
import {
  windowCount,
  type Account,
  type AnyCall,
  type EncodeCall,
  type GenerateCall,
  type OtherCall,
  type ProbeCall,
  type WindowInputs,
} from "./account.ts";
import type { AudioView, EncodedWindow } from "./audio-view.ts";

/** A call that no other shares reads all weights for its few rows: in windows, from the bench of base on a CPU. */
const COST_OF_A_CALL = 1 / 16;
const COST_OF_A_ROW = 1 / 50;

export interface WindowRef {
  readonly audio: AudioView;
  readonly window: number;
}

/** What a view needs of its scheduler. */
export interface Dispatcher {
  /** Number of a new call. */
  newOrder(): number;
  /** Takes notice of a call that was added to an account. */
  wake(account: Account): void;
  /**
   * Makes a call of the engine over windows of a client, which live until it ends.
   *
   * @throws {Error} if a state has been disposed
   */
  withWindows<T>(windows: readonly WindowRef[], call: (audio: AudioState) => Promise<T>): Promise<T>;
}

/** Rows of the general path. Those of a probe exist in the engine only once they go on. */
class ViewDecoder implements DecoderState {
  #isDisposed = false;
  /** Calls of the engine that are at it: it is freed after them. */
  #users = 0;
  length: number;

  constructor(
    readonly owner: object,
    readonly rows: number,
    length: number,
    /** Opens the engine's state, or gives the one that is open. */
    private state: DecoderState | (() => Promise<DecoderState>),
    private readonly onDispose: (decoder: ViewDecoder) => void,
  ) {
    this.length = length;
  }

  /**
   * Makes a call of the engine.
   *
   * @throws {Error} if it has been disposed
   */
  async use<T>(call: (own: DecoderState) => Promise<T>): Promise<T> {
    if (this.#isDisposed) throw new Error("Cannot use a decoder state after its dispose()");
    this.#users++;
    try {
      if (typeof this.state === "function") this.state = await this.state();
      return await call(this.state);
    } finally {
      this.#users--;
      this.#free();
    }
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#free();
    this.onDispose(this);
  }

  #free(): void {
    if (this.#isDisposed && this.#users === 0 && typeof this.state !== "function") this.state.dispose();
  }
}

/** See `EngineScheduler.client`, which makes it. */
export class EngineView implements Engine {
  readonly #engine: Engine;
  readonly #dispatcher: Dispatcher;
  readonly #account: Account;
  readonly #signal: AbortSignal | undefined;
  readonly #onDispose: () => void;
  /** As the engine has it. */
  readonly encodeSamples?: NonNullable<Engine["encodeSamples"]>;
  readonly #states = new Set<{ dispose(): void }>();
  readonly #forget = (state: { dispose(): void }): void => void this.#states.delete(state);
  readonly #onAbort = (): void => this.#account.drop(this.#signal?.reason);
  #isDisposed = false;

  constructor(
    engine: Engine,
    dispatcher: Dispatcher,
    account: Account,
    signal: AbortSignal | undefined,
    onDispose: () => void,
  ) {
    this.#engine = engine;
    this.#dispatcher = dispatcher;
    this.#account = account;
    this.#signal = signal;
    this.#onDispose = onDispose;
    if (engine.encodeSamples !== undefined) {
      this.encodeSamples = async (samples, { onEncoded } = {}) => {
        this.#check();
        return this.#encodeWindows({ samples }, null, onEncoded);
      };
    }
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get dimensions(): ModelDimensions {
    return this.#engine.dimensions;
  }

  get device(): string {
    return this.#engine.device;
  }

  get dtype(): ComputeDType {
    return this.#engine.dtype;
  }

  get parallelism(): number {
    return this.#engine.parallelism;
  }

  get batchSize(): number {
    return this.#engine.batchSize;
  }

  async encode(mel: Tensor, options: EncodeOptions = {}): Promise<AudioState> {
    this.#check();
    const { nMels, nAudioCtx, nAudioState } = this.dimensions;
    assertShape("mel", mel, ["batch", nMels, windowFrames(this.dimensions)]);
    const batch = mel.dims[0];
    const keepFeatures = options.keepFeatures === true;
    const features = keepFeatures ? new Float32Array(batch * nAudioCtx * nAudioState) : null;
    return this.#encodeWindows({ mel }, features, options.onEncoded);
  }

  async #encodeWindows(
    inputs: WindowInputs,
    features: Float32Array | null,
    onEncoded: EncodeOptions["onEncoded"],
  ): Promise<AudioState> {
    const { nAudioCtx, nAudioState } = this.dimensions;
    const batch = windowCount(inputs);
    const windows =
      batch === 0
        ? []
        : await this.#ask<readonly EncodedWindow[], EncodeCall>(this.#account.encodes, {
            windows: inputs,
            onEncoded,
            reported: 0,
            features,
            next: 0,
            encoded: [],
            left: batch,
            ended: false,
          });
    const kept = features === null ? null : { data: features, dims: [batch, nAudioCtx, nAudioState] };
    const audio: AudioView = KeptAudio.of(this, windows, kept, () => {
      for (const { batch } of windows) batch.release();
      this.#forget(audio);
    });
    return this.#keep(audio);
  }

  combine(windows: readonly AudioWindowRef[]): AudioState {
    this.#check();
    const parts = windows.map(({ audio, window }) => ({ audio: this.#audio(audio), window }));
    checkCombine(parts);
    return KeptAudio.combine(this, parts);
  }

  async generate(
    audio: AudioState,
    requests: readonly GenerateRequest[],
    onGenerated?: OnGenerated,
  ): Promise<Generated[]> {
    const view = this.#audio(audio);
    if (requests.length === 0) return [];
    // The engine has the words for what is wrong.
    if (!requests.every(({ window }) => hasWindow(view, window))) {
      return this.#whole(view, requests.length, (whole) => this.#engine.generate(whole, requests));
    }
    return this.#ask<Generated[], GenerateCall>(this.#account.generates, {
      audio: view,
      requests,
      onGenerated,
      next: 0,
      results: [],
      left: requests.length,
      ended: false,
    });
  }

  async startDecoder(
    audio: AudioState,
    rows: readonly DecoderRow[],
    at?: readonly number[],
  ): Promise<{ state: DecoderState; logits: Float32Array }> {
    const view = this.#audio(audio);
    if (isProbe(view, rows, at)) {
      const logits = await this.#ask<Float32Array, ProbeCall>(this.#account.probes, { audio: view, rows });
      // Most callers want nothing more; who does gets rows of its own then.
      const open = async (): Promise<DecoderState> =>
        (await this.#inTurn(view, (all) => this.#engine.startDecoder(all, rows, at))).state;
      return { state: this.#keep(new ViewDecoder(this, rows.length, 1, open, this.#forget)), logits };
    }
    return this.#whole(view, rows.length, async (whole) => {
      const { state, logits } = await this.#engine.startDecoder(whole, rows, at);
      // Kept before the caller gets it, who may have gone meanwhile.
      return { state: this.#keep(new ViewDecoder(this, state.rows, state.length, state, this.#forget)), logits };
    });
  }

  async step(state: DecoderState, tokens: Int32Array): Promise<Float32Array> {
    return this.#advance(state, (own) => this.#engine.step(own, tokens));
  }

  async stepRanked(state: DecoderState, request: RankRequest): Promise<RankedTokens> {
    return this.#advance(state, (own) => this.#engine.stepRanked(own, request));
  }

  async reorder(state: DecoderState, from: Int32Array): Promise<void> {
    const decoder = this.#decoder(state);
    await this.#other(0, () => decoder.use((own) => this.#engine.reorder(own, from)));
  }

  async attend(
    audio: AudioState,
    requests: readonly AttendRequest[],
    heads: readonly (readonly [layer: number, head: number])[],
  ): Promise<Attention[]> {
    const view = this.#audio(audio);
    return this.#whole(view, requests.length, (whole) => this.#engine.attend(whole, requests, heads));
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#account.drop(disposedError());
    for (const state of this.#states) state.dispose();
    this.#onDispose();
  }

  /** Makes a call over all windows of a state, when it is the client's turn. */
  #whole<T>(audio: AudioView, rows: number, call: (whole: AudioState) => Promise<T>): Promise<T> {
    return this.#other(COST_OF_A_CALL + rows * COST_OF_A_ROW, () => this.#inTurn(audio, call));
  }

  /** The same, when it is its turn already. */
  #inTurn<T>(audio: AudioView, call: (whole: AudioState) => Promise<T>): Promise<T> {
    const windows = Array.from({ length: audio.batch }, (_, window) => ({ audio, window }));
    return this.#dispatcher.withWindows(windows, call);
  }

  async #advance<T>(state: DecoderState, call: (own: DecoderState) => Promise<T>): Promise<T> {
    const decoder = this.#decoder(state);
    return this.#other(COST_OF_A_CALL + decoder.rows * COST_OF_A_ROW, () =>
      decoder.use(async (own) => {
        const result = await call(own);
        decoder.length = own.length;
        return result;
      }),
    );
  }

  #other<T>(cost: number, run: () => Promise<T>): Promise<T> {
    return this.#ask<unknown, OtherCall>(this.#account.others, { run, cost }) as Promise<T>;
  }

  /** Adds a call to a queue of the account and waits for its answer. */
  async #ask<T, C extends AnyCall>(queue: C[], what: Omit<C, "account" | "order" | "resolve" | "reject">): Promise<T> {
    this.#check();
    let call: C | undefined;
    const answer = new Promise<T>((resolve, reject) => {
      call = { ...what, account: this.#account, order: this.#dispatcher.newOrder(), resolve, reject } as unknown as C;
    });
    queue.push(call as C);
    this.#account.open.add(call as C);
    this.#dispatcher.wake(this.#account);
    try {
      return await answer;
    } finally {
      this.#account.open.delete(call as C);
    }
  }

  #keep<S extends { dispose(): void }>(state: S): S {
    this.#states.add(state);
    if (this.#isDisposed) state.dispose();
    return state;
  }

  /** @throws the signal's reason */
  #check(): void {
    if (this.#isDisposed) throw disposedError();
    this.#signal?.throwIfAborted();
  }

  #audio(state: AudioState): AudioView {
    this.#check();
    return ownAudio(this, state);
  }

  #decoder(state: DecoderState): ViewDecoder {
    this.#check();
    return ownDecoder(this, state, ViewDecoder);
  }
}

const disposedError = (): Error => new Error("Cannot use an engine after its dispose()");

function hasWindow({ batch }: AudioState, window: number): boolean {
  return Number.isInteger(window) && window >= 0 && window < batch;
}

/** Whether rows ask for the logits of one-token prompts, each of a window of its own: those of several clients go together. */
function isProbe(audio: AudioView, rows: readonly DecoderRow[], at: readonly number[] | undefined): boolean {
  return (
    rows.length > 0 &&
    (at === undefined || (at.length === 1 && at[0] === 0)) &&
    rows.every(({ window, prompt }) => hasWindow(audio, window) && prompt.length === 1) &&
    new Set(rows.map(({ window }) => window)).size === rows.length
  );
}
