/** Probabilities of speech of a stream of samples. */
import { CONTEXT_SAMPLES, FRAME_SAMPLES } from "./constants.ts";
import { PlainListener, RecoveringListener, type Listener } from "./listeners.ts";
import type { SileroVad } from "./silero-vad.ts";

/** Frames handed to the network at once; bounds the memory of one large push. */
const BLOCK_FRAMES = 128;

export interface DetectorOptions {
  /**
   * Whether speech is found that what came before it hides: after noise or music the network can be deaf for half a minute to a voice that it hears
   * without them. "immediately": the first 1.5 s of such speech stay lost. "delayed": they are found, and all probabilities are given 2 s late. Default
   * null: the probabilities are those of Python's silero-vad.
   */
  readonly recovery?: "immediate" | "delayed" | null | undefined;
}

/**
 * Gives the probability of speech of each frame of 512 samples of one stream at 16 kHz, as soon as it is certain. Pieces of any size give the same bits as the whole at once, and memory is bounded. A sample that is not a finite number counts as silence, since it
 * would spoil all probabilities after it.
 *
 * @example
 * const detector = new VoiceActivityDetector(await loadSileroVad());
 * for await (const samples of pieces) console.log(detector.push(samples));
 * console.log(detector.finish());
 */
export class VoiceActivityDetector {
  private listener: Listener;
  private readonly recovery: "immediate" | "delayed" | null;
  /** The context, then the frames of a block. */
  private readonly block = new Float32Array(CONTEXT_SAMPLES + BLOCK_FRAMES * FRAME_SAMPLES);
  private filled = CONTEXT_SAMPLES;

  constructor(
    private readonly network: SileroVad,
    { recovery = null }: DetectorOptions = {},
  ) {
    this.recovery = recovery;
    this.listener = this.newListener();
  }

  /**
   * @param samples mono, 16 kHz, range [-1, 1]; not modified
   * @returns the probability, from 0 to 1, of each frame that is certain now: those that these samples complete, where none is held back
   */
  push(samples: Float32Array): Float32Array {
    const pieces: Float32Array[] = [];
    for (let read = 0; read < samples.length;) {
      const taken = Math.min(samples.length - read, this.block.length - this.filled);
      for (let i = 0; i < taken; i++) {
        const sample = samples[read + i];
        this.block[this.filled + i] = Number.isFinite(sample) ? sample : 0;
      }
      this.filled += taken;
      read += taken;
      pieces.push(this.computeFrames());
    }
    return joined(pieces);
  }

  /**
   * Ends the stream; the next push begins another.
   *
   * @returns the probabilities that are left: of the last frame, filled up with silence where the stream did not end with one, and of those held back
   */
  finish(): Float32Array {
    const missing = (CONTEXT_SAMPLES - this.filled) % FRAME_SAMPLES;
    const last = this.push(new Float32Array(missing === 0 ? 0 : FRAME_SAMPLES + missing));
    const probabilities = joined([last, this.listener.finish()]);
    this.reset();
    return probabilities;
  }

  /** Forgets everything heard: the next push begins another stream. */
  reset(): void {
    this.listener = this.newListener();
    this.block.fill(0, 0, CONTEXT_SAMPLES);
    this.filled = CONTEXT_SAMPLES;
  }

  /** The complete frames of the block; what follows the last of them moves to the front, behind the context. */
  private computeFrames(): Float32Array {
    const frames = Math.floor((this.filled - CONTEXT_SAMPLES) / FRAME_SAMPLES);
    const read = frames * FRAME_SAMPLES;
    const probabilities = this.listener.hear(this.block.subarray(0, CONTEXT_SAMPLES + read));
    this.block.copyWithin(0, read, this.filled);
    this.filled -= read;
    return probabilities;
  }

  private newListener(): Listener {
    if (this.recovery === null) return new PlainListener(this.network);
    return new RecoveringListener(this.network, this.recovery === "delayed");
  }
}

function joined(pieces: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
