/** What one client of the scheduler has had, and what it waits for. Plain data: engine-scheduler.ts decides over it. */
import type { DecoderRow, Generated, GenerateRequest, OnGenerated } from "../engine/engine.ts";
import type { Tensor } from "../tensor/index.ts";
import type { AudioView, EncodedWindow } from "./audio-view.ts";

/** What every call has: somebody who waits for it. */
interface Call<T> {
  readonly account: Account;
  /** Number of the call among all: the oldest of equals goes first. */
  readonly order: number;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** What windows are encoded from: log-Mel [batch, nMels, frames], or the samples of each. */
export type WindowInputs = { readonly mel: Tensor } | { readonly samples: readonly Float32Array[] };

/** Windows to encode, granted one by one. */
export interface EncodeCall extends Call<readonly EncodedWindow[]> {
  readonly windows: WindowInputs;
  readonly onEncoded: ((windows: number) => void) | undefined;
  /** Windows that `onEncoded` was told of. */
  reported: number;
  /** Where the encoder's output goes, window by window; null if it is not wanted. */
  readonly features: Float32Array | null;
  /** Index of the next window to grant. */
  next: number;
  /** By window, as they are encoded. */
  readonly encoded: EncodedWindow[];
  left: number;
  /** It has been answered: what still comes is freed. */
  ended: boolean;
}

/** How many windows there are. */
export function windowCount(windows: WindowInputs): number {
  return "mel" in windows ? windows.mel.dims[0] : windows.samples.length;
}

/** Rows to generate, granted one by one. */
export interface GenerateCall extends Call<Generated[]> {
  readonly audio: AudioView;
  readonly requests: readonly GenerateRequest[];
  readonly onGenerated: OnGenerated | undefined;
  next: number;
  readonly results: Generated[];
  left: number;
  ended: boolean;
}

/** Logits of one-token prompts, as language detection wants them: granted together, also with those of other clients. */
export interface ProbeCall extends Call<Float32Array> {
  readonly audio: AudioView;
  readonly rows: readonly DecoderRow[];
}

/** Anything else: passed through whole. */
export interface OtherCall extends Call<unknown> {
  readonly run: () => Promise<unknown>;
  /** In windows. */
  readonly cost: number;
}

/** A row under way in an engine that generates a few tokens at a time. */
export interface RowUnderWay {
  /** Gives it up. */
  cancel(): void;
}

export type AnyCall = EncodeCall | GenerateCall | ProbeCall | OtherCall;

export class Account {
  /** Calls not yet answered, those that the engine is at included. */
  readonly open = new Set<AnyCall>();
  readonly rows = new Set<RowUnderWay>();
  readonly encodes: EncodeCall[] = [];
  readonly generates: GenerateCall[] = [];
  readonly probes: ProbeCall[] = [];
  readonly others: OtherCall[] = [];
  /** What it has had over its priority, in windows, since the time that clients are compared from. */
  served = 0;
  /** What it has had in all. */
  total = 0;

  constructor(readonly priority: number) {}

  get isWaiting(): boolean {
    return this.rows.size + this.encodes.length + this.generates.length + this.probes.length + this.others.length > 0;
  }

  /** @param cost in windows */
  charge(cost: number): void {
    this.served += cost / this.priority;
    this.total += cost;
  }

  /** Whether it is to be served before another: it has had less. */
  isBefore(other: Account): boolean {
    if (this.served !== other.served) return this.served < other.served;
    if (this.total !== other.total) return this.total < other.total;
    return this.#oldest() < other.#oldest();
  }

  #oldest(): number {
    const first = [this.encodes[0], this.generates[0], this.probes[0], this.others[0]];
    return Math.min(...first.map((call) => call?.order ?? Infinity));
  }

  /**
   * Answers everything that has been asked for with an error, at once: what waits is not done any more, what the engine is at is of no
   * use. Windows that are encoded already are freed.
   */
  drop(error: unknown): void {
    for (const queue of [this.encodes, this.generates, this.probes, this.others]) queue.length = 0;
    for (const row of [...this.rows]) row.cancel();
    for (const call of [...this.open]) {
      if ("encoded" in call) failEncode(call, error);
      else if ("requests" in call) failGenerate(call, error);
      else call.reject(error);
    }
  }
}

/** Answers an encode call with an error, and frees what of it is encoded. */
export function failEncode(call: EncodeCall, error: unknown): void {
  if (call.ended) return;
  call.ended = true;
  for (const window of call.encoded) window?.batch.release();
  call.reject(error);
}

/** Answers a generate call with an error. */
export function failGenerate(call: GenerateCall, error: unknown): void {
  if (call.ended) return;
  call.ended = true;
  call.reject(error);
}
