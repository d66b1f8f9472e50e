/**
 * Makes quiet recordings loud enough for voice activity detection, whose network hears less in them. What is loud enough stays as it is, and the model
 * gets the samples as they are: its spectrogram does not depend on the level.
 */
import { FRAME_SAMPLES } from "../../vad/index.ts";

/** Root mean square that the loudest frames are brought to: that of speech in a recording of usual level. */
const TARGET = 0.15;
/** Most that is amplified: silence stays silence. 40 dB. */
const MOST_GAIN = 100;
/** What is left of the known level after a frame of 32 ms: it halves in half a minute. */
const DECAY = 0.5 ** (1 / 940);

export class Leveller {
  readonly #frame = new Float32Array(FRAME_SAMPLES);
  #filled = 0;
  /** Root mean square of the loudest frame so far; it fades. */
  #level = 0;

  /** @returns the samples of the frames that are complete now */
  push(samples: Float32Array): Float32Array {
    const out = new Float32Array(Math.floor((this.#filled + samples.length) / FRAME_SAMPLES) * FRAME_SAMPLES);
    let written = 0;
    for (let read = 0; read < samples.length;) {
      const taken = samples.subarray(read, read + FRAME_SAMPLES - this.#filled);
      this.#frame.set(taken, this.#filled);
      this.#filled += taken.length;
      read += taken.length;
      if (this.#filled < FRAME_SAMPLES) break;
      this.#amplify(this.#frame, out.subarray(written));
      written += FRAME_SAMPLES;
      this.#filled = 0;
    }
    return out;
  }

  /** The samples that are left. */
  finish(): Float32Array {
    const rest = this.#frame.slice(0, this.#filled);
    this.#amplify(rest, rest);
    return rest;
  }

  #amplify(samples: Float32Array, into: Float32Array): void {
    let power = 0;
    for (const sample of samples) power += Number.isFinite(sample) ? sample * sample : 0;
    this.#level = Math.max(this.#level * DECAY, Math.sqrt(power / Math.max(1, samples.length)));
    const gain = Math.min(MOST_GAIN, Math.max(1, TARGET / (this.#level || TARGET)));
    for (let i = 0; i < samples.length; i++) into[i] = gain * samples[i];
  }
}
