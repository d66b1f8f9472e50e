/** An AudioStream made of samples at hand, which says whether it was closed. */
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

export function arrayAudio(
  samples: Float32Array,
  options: ArrayAudioOptions = {},
): AudioStream & { readonly isClosed: boolean } {
  const { name = "audio", durationHint = null, warnings = [], stride = null, error } = options;
  const pieceLength = options.pieceLength ?? Math.max(samples.length, 1);
  let isClosed = false;
  return {
    name,
    durationHint,
    warnings,
    stride,
    get isClosed() {
      return isClosed;
    },
    close: () => {
      isClosed = true;
      return Promise.resolve();
    },
    async *[Symbol.asyncIterator]() {
      for (let from = 0; from < samples.length; from += pieceLength) {
        yield await Promise.resolve(samples.subarray(from, from + pieceLength));
      }
      if (error !== undefined) throw error;
    },
  };
}
