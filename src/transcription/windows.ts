/**
 * Which 30 s the model sees: windows of fixed length that overlap by a stride on either side, as Hugging Face's pipeline
 * cuts them (facts 1.5), from a whole recording or from a stream in bounded memory.
 *
 * Whisper JAX dropped two guards of Hugging Face's and so read the tail of some recordings twice (facts 1.5.6); here a
 * recording ends with the first window that reaches its end.
 */
import { SAMPLE_RATE } from "../audio/constants.ts";
import { roundHalfEven } from "../tensor/index.ts";
import { OptionError, quote } from "../errors.ts";

/** Lengths in samples. */
export interface WindowLayout {
  readonly chunk: number;
  /** Overlap with the window before. */
  readonly left: number;
  /** Overlap with the window after. */
  readonly right: number;
}

/** Where a window lies, in samples. */
export interface WindowSpan {
  readonly start: number;
  /** Shorter than the chunk at the end of the audio. */
  readonly length: number;
  /** Samples at its start that the window before covers too; 0 for the first. */
  readonly left: number;
  /** Samples at its end that the window after covers too; 0 for the last. */
  readonly right: number;
  readonly isLast: boolean;
}

export interface AudioWindow extends WindowSpan {
  readonly samples: Float32Array;
}

/**
 * Lengths in samples of what was asked in seconds, ties to even (facts 1.4.5).
 *
 * @param chunkLength seconds, more than 0 and at most `maxSeconds`; default all of them
 * @param strideLength seconds of overlap on both sides, or left and right; default a sixth of the chunk
 * @param maxSeconds what the model hears at once: 30
 * @throws {OptionError} if a length is out of range, or the strides leave nothing of the chunk
 */
export function windowLayout(
  chunkLength?: number,
  strideLength?: number | readonly [number, number],
  maxSeconds: number = 30,
): WindowLayout {
  const seconds = chunkLength ?? maxSeconds;
  if (!(seconds > 0 && seconds <= maxSeconds)) {
    throw new OptionError(
      "chunkLength",
      `Chunks cannot be ${quote(chunkLength)} s long, expected more than 0 and at most ${maxSeconds}`,
      { hint: `0 turns chunking off, for audio of at most ${maxSeconds} s` },
    );
  }
  const stride = strideLength ?? seconds / 6;
  const strides: readonly number[] = typeof stride === "number" ? [stride, stride] : stride;
  if (!Array.isArray(strides) || strides.length !== 2 || !strides.every((s) => s >= 0 && Number.isFinite(s))) {
    throw new OptionError(
      "strideLength",
      `Strides cannot be ${quote(strideLength)}, expected seconds, or a pair of them, none below 0`,
    );
  }
  const [chunk, left, right] = [seconds, ...strides].map((length) => roundHalfEven(length * SAMPLE_RATE));
  if (chunk <= left + right) {
    throw new OptionError(
      "strideLength",
      `Strides of ${strides[0]} s and ${strides[1]} s are too large for chunks of ${seconds} s: ` +
        "their sum must be less than the chunk",
    );
  }
  return { chunk, left, right };
}

/**
 * The windows of a recording of known length (facts 1.5.1-1.5.4).
 *
 * @returns none for an empty recording
 */
export function chunkWindows(nSamples: number, { chunk, left, right }: WindowLayout): WindowSpan[] {
  const windows: WindowSpan[] = [];
  const step = chunk - left - right;
  for (let start = 0; start < nSamples; start += step) {
    const end = start + chunk;
    // A window whose right stride ends where the audio ends is not the last one, as in Hugging Face (facts 1.5.7).
    const isLast = right > 0 ? end > nSamples : end >= nSamples;
    windows.push({
      start,
      length: Math.min(end, nSamples) - start,
      left: start === 0 ? 0 : left,
      right: isLast ? 0 : right,
      isLast,
    });
    if (isLast) break;
  }
  return windows;
}

/**
 * The same windows of a stream, each as soon as it is known; holds the samples of one window and one piece.
 *
 * @param pieces mono samples at 16 kHz, in order, of any sizes
 */
export async function* streamWindows(
  pieces: AsyncIterable<Float32Array>,
  layout: WindowLayout,
): AsyncGenerator<AudioWindow, void, undefined> {
  const { chunk, left, right } = layout;
  const step = chunk - left - right;
  // Without a right stride a full window is the last one unless a sample follows it.
  const wanted = right > 0 ? chunk : chunk + 1;
  const buffer = new Float32Array(wanted);
  let filled = 0;
  let start = 0;
  for await (const piece of pieces) {
    for (let from = 0; from < piece.length;) {
      const taken = Math.min(piece.length - from, wanted - filled);
      buffer.set(piece.subarray(from, from + taken), filled);
      filled += taken;
      from += taken;
      if (filled < wanted) continue;
      const samples = buffer.slice(0, chunk);
      yield { samples, start, length: chunk, left: start === 0 ? 0 : left, right, isLast: false };
      buffer.copyWithin(0, step, filled);
      filled -= step;
      start += step;
    }
  }
  if (filled === 0) return;
  yield {
    samples: buffer.slice(0, filled),
    start,
    length: filled,
    left: start === 0 ? 0 : left,
    right: 0,
    isLast: true,
  };
}

/**
 * A whole recording as one window, for chunking turned off. Whisper JAX drops what lies beyond 30 s without a word
 * (facts 1.4.6); here that is an error.
 *
 * @param name of the recording, for messages
 * @param stride samples at its start and end that the caller's neighbouring pieces cover too
 * @param maxSamples what the model hears at once
 * @throws {OptionError} if the recording is longer, or shorter than its strides
 */
export async function* wholeWindow(
  pieces: AsyncIterable<Float32Array>,
  name: string,
  stride: readonly [number, number] | null,
  maxSamples: number,
): AsyncGenerator<AudioWindow, void, undefined> {
  const buffer = new Float32Array(maxSamples);
  let length = 0;
  for await (const piece of pieces) {
    if (length + piece.length > maxSamples) {
      const seconds = maxSamples / SAMPLE_RATE;
      throw new OptionError(
        "chunkLength",
        `Cannot transcribe ${quote(name)} in one piece: it is longer than ${seconds} s`,
        { hint: `leave chunkLength at its default, ${seconds}` },
      );
    }
    buffer.set(piece, length);
    length += piece.length;
  }
  const [left, right] = stride ?? [0, 0];
  if (left + right > length) {
    throw new OptionError(
      "stride",
      `The stride of ${quote(name)}, ${left} and ${right} samples, is larger than its ${length} samples`,
    );
  }
  if (length > 0) yield { samples: buffer.slice(0, length), start: 0, length, left, right, isLast: true };
}
