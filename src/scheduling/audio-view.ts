/** Audio states as a client of the scheduler has them: windows of batches that may hold other clients' windows too. */
import type { AudioState } from "../engine/engine.ts";
import type { Tensor } from "../tensor/index.ts";

/** A batch of the engine; its memory is freed when nobody needs one of its windows any more. */
export class EncodedBatch {
  #needed: number;

  constructor(readonly state: AudioState) {
    this.#needed = state.batch;
  }

  /** Somebody more needs it: a call that is under way. */
  retain(): void {
    this.#needed++;
  }

  /** Somebody less. */
  release(): void {
    if (--this.#needed === 0) this.state.dispose();
  }
}

/** Where an encoded window is. */
export interface EncodedWindow {
  readonly batch: EncodedBatch;
  readonly window: number;
}

/** What a client's `encode` and `combine` give. */
export abstract class AudioView implements AudioState {
  constructor(
    /** The client that made it. */
    readonly owner: object,
    readonly batch: number,
    readonly features: Tensor | null,
  ) {}

  /** @throws {Error} if it, or what it is a view of, has been disposed */
  abstract encoded(window: number): EncodedWindow;
  abstract dispose(): void;
}

/** Windows that the client has encoded. */
export class OwnAudio extends AudioView {
  #windows: readonly EncodedWindow[] | null;

  constructor(
    owner: object,
    windows: readonly EncodedWindow[],
    features: Tensor | null,
    private readonly onDispose: (audio: OwnAudio) => void,
  ) {
    super(owner, windows.length, features);
    this.#windows = windows;
  }

  encoded(window: number): EncodedWindow {
    if (this.#windows === null) throw new Error("Cannot use an audio state after its dispose()");
    return this.#windows[window];
  }

  dispose(): void {
    if (this.#windows === null) return;
    for (const { batch } of this.#windows) batch.release();
    this.#windows = null;
    this.onDispose(this);
  }
}

/** Windows of other states of the client. */
export class CombinedAudio extends AudioView {
  #parts: readonly { readonly audio: AudioView; readonly window: number }[] | null;

  constructor(owner: object, parts: readonly { readonly audio: AudioView; readonly window: number }[]) {
    super(owner, parts.length, null);
    this.#parts = parts;
  }

  encoded(window: number): EncodedWindow {
    if (this.#parts === null) throw new Error("Cannot use an audio state after its dispose()");
    const part = this.#parts[window];
    return part.audio.encoded(part.window);
  }

  dispose(): void {
    this.#parts = null;
  }
}
