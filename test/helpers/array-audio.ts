/** An AudioStream made of samples at hand. */
import type { AudioStream } from "../../src/audio/index.ts";

export interface ArrayAudioOptions {
  readonly name?: string;
  readonly durationHint?: number | null;
  readonly warnings?: readonly string[];
  readonly stride?: readonly [number, number] | null;
  /** Samples of a piece; default all of them. */
  readonly pieceLength?: number;
  /** Thrown after the samples. */
  readonly error?: Error;
}

export function arrayAudio(samples: Float32Array, options: ArrayAudioOptions = {}): AudioStream {
  const { name = "audio", durationHint = null, warnings = [], stride = null, error } = options;
  const pieceLength = options.pieceLength ?? Math.max(samples.length, 1);
  return {
    name,
    durationHint,
    warnings,
    stride,
    async *[Symbol.asyncIterator]() {
      for (let from = 0; from < samples.length; from += pieceLength) {
        yield await Promise.resolve(samples.subarray(from, from + pieceLength));
      }
      if (error !== undefined) throw error;
    },
  };
}
