/** What one client of the scheduler has had, and what it waits for. Plain data: engine-scheduler.ts decides over it. */
import type { DecoderRow, Generated, GenerateRequest } from "../engine/engine.ts";
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

export class Account {
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
    return this.encodes.length + this.generates.length + this.probes.length + this.others.length > 0;
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

  /** Takes everything that waits away, and answers it with an error. Windows that are encoded already are freed. */
  drop(error: unknown): void {
    for (const call of this.encodes.splice(0)) failEncode(call, error);
    for (const call of this.generates.splice(0)) failGenerate(call, error);
    for (const call of [...this.probes.splice(0), ...this.others.splice(0)]) call.reject(error);
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
