/** Audio states as a client of the scheduler has them: windows of batches that may hold other clients' windows too. */
import type { AudioState } from "../engine/engine.ts";
import type { KeptAudio } from "../engine/kept-audio.ts";

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
export type AudioView = KeptAudio<EncodedWindow>;
