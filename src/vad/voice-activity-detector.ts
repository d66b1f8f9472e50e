/** Probabilities of speech of a stream of samples. */
import { CONTEXT_SAMPLES, FRAME_SAMPLES } from "./constants.ts";
import type { SileroState, SileroVad } from "./silero-vad.ts";

/** Frames handed to the network at once; bounds the memory of one large push. */
const BLOCK_FRAMES = 128;

/**
 * Gives the probability of speech of each frame of 512 samples of one stream at 16 kHz, as soon as the frame is complete. Pieces of any
 * size give the same bits as the whole at once, and memory is bounded. A sample that is not a finite number counts as silence, since it
 * would spoil all probabilities after it.
 *
 * @example
 * const detector = new VoiceActivityDetector(await loadSileroVad());
 * for await (const samples of pieces) console.log(detector.push(samples));
 * console.log(detector.finish());
 */
export class VoiceActivityDetector {
  private state: SileroState;
  /** The context, then the frames of a block. */
  private readonly block = new Float32Array(CONTEXT_SAMPLES + BLOCK_FRAMES * FRAME_SAMPLES);
  private filled = CONTEXT_SAMPLES;

  constructor(private readonly network: SileroVad) {
    this.state = network.initialState();
  }

  /**
   * @param samples mono, 16 kHz, range [-1, 1]; not modified
   * @returns the probability, from 0 to 1, of each frame that these samples complete
   */
  push(samples: Float32Array): Float32Array {
    const buffered = this.filled - CONTEXT_SAMPLES;
    const probabilities = new Float32Array(Math.floor((buffered + samples.length) / FRAME_SAMPLES));
    let count = 0;
    for (let read = 0; read < samples.length;) {
      const taken = Math.min(samples.length - read, this.block.length - this.filled);
      for (let i = 0; i < taken; i++) {
        const sample = samples[read + i];
        this.block[this.filled + i] = Number.isFinite(sample) ? sample : 0;
      }
      this.filled += taken;
      read += taken;
      const computed = this.computeFrames();
      probabilities.set(computed, count);
      count += computed.length;
    }
    return probabilities;
  }

  /**
   * Ends the stream; the next push begins another.
   *
   * @returns the probability of the last frame, filled up with silence, or nothing where the stream ended with a frame
   */
  finish(): Float32Array {
    const missing = (CONTEXT_SAMPLES - this.filled) % FRAME_SAMPLES;
    const probabilities = this.push(new Float32Array(missing === 0 ? 0 : FRAME_SAMPLES + missing));
    this.reset();
    return probabilities;
  }

  /** Forgets everything heard: the next push begins another stream. */
  reset(): void {
    this.state = this.network.initialState();
    this.block.fill(0, 0, CONTEXT_SAMPLES);
    this.filled = CONTEXT_SAMPLES;
  }

  /** The complete frames of the block; what follows the last of them moves to the front, behind the context. */
  private computeFrames(): Float32Array {
    const frames = Math.floor((this.filled - CONTEXT_SAMPLES) / FRAME_SAMPLES);
    const read = frames * FRAME_SAMPLES;
    const probabilities = this.network.run(this.block.subarray(0, CONTEXT_SAMPLES + read), this.state);
    this.block.copyWithin(0, read, this.filled);
    this.filled -= read;
    return probabilities;
  }
}
