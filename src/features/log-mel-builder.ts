/**
 * The log-Mel spectrogram of a whole recording, made while its samples come in, so that a recording of hours is held as
 * its spectrogram (32 kB a second for 80 mels) and never as samples. The same numbers as `logMelSpectrogram`, bit for bit.
 *
 * Values reach 8 (in log10) below the loudest cell of the recording, which is known at its end: what is kept is the mel
 * power, and logarithms are taken of the frames that are asked for.
 */
import { tensor, type Tensor } from "../tensor/index.ts";
import { HOP_LENGTH, N_FFT, N_FRAMES } from "./constants.ts";
import { log10InPlace } from "./log10.ts";
import { sparseMelFilters, type SparseFilters } from "./mel-filters.ts";
import { DYNAMIC_RANGE, EDGE, LEAST_POWER, writeMelPowers } from "./mel-power.ts";

/** Frames computed at a time: even, as they are computed in pairs. */
const BLOCK_FRAMES = 3000;
const BLOCK_SAMPLES = BLOCK_FRAMES * HOP_LENGTH;
/** What the last frame of a block reaches beyond the start of the next block. */
const OVERLAP = N_FFT - HOP_LENGTH;

/** Mel power of some frames: [nMels, frames]. */
interface Block {
  readonly frames: number;
  readonly powers: Float32Array;
}

export class LogMelBuilder {
  readonly #nMels: number;
  readonly #filters: SparseFilters;
  readonly #blocks: Block[] = [];
  /** Samples from where the next block's first frame begins, which is EDGE before its centre. */
  readonly #buffer = new Float32Array(BLOCK_SAMPLES + OVERLAP);
  /** The first EDGE samples will be the mirror image of those that follow. */
  #filled = EDGE;
  #nSamples = 0;
  #loudest = LEAST_POWER;

  /**
   * @param nMels 80, or 128 for large-v3 and turbo
   * @throws {RangeError} if `nMels` is not from 1 to 256
   */
  constructor(nMels: number) {
    this.#nMels = nMels;
    this.#filters = sparseMelFilters(nMels);
  }

  /** @param samples the next ones: mono at 16 kHz, range [-1, 1], any number; not kept */
  push(samples: Float32Array): void {
    this.#nSamples += samples.length;
    for (let from = 0; from < samples.length;) {
      const taken = Math.min(samples.length - from, this.#buffer.length - this.#filled);
      this.#buffer.set(samples.subarray(from, from + taken), this.#filled);
      this.#filled += taken;
      from += taken;
      if (this.#filled === this.#buffer.length) this.#computeBlock(BLOCK_FRAMES);
    }
  }

  /**
   * Ends the recording; nothing can be pushed afterwards.
   *
   * @param paddingFrames frames of silence after it; openai/whisper's transcribe has 3000, which is 30 s
   */
  finish(paddingFrames: number = N_FRAMES): LogMel {
    const contentFrames = Math.floor(this.#nSamples / HOP_LENGTH);
    const frames = contentFrames + paddingFrames;
    this.#buffer.fill(0, this.#filled);
    let left = Math.min(frames, Math.ceil((this.#nSamples + EDGE) / HOP_LENGTH)) - this.#blocks.length * BLOCK_FRAMES;
    while (left > 0) {
      const count = Math.min(left, BLOCK_FRAMES);
      this.#computeBlock(count);
      left -= count;
    }
    return new LogMel(this.#nMels, contentFrames, frames, this.#blocks, this.#loudest);
  }

  #computeBlock(frames: number): void {
    const buffer = this.#buffer;
    if (this.#blocks.length === 0) for (let i = 0; i < EDGE; i++) buffer[i] = buffer[2 * EDGE - i];
    const powers = new Float32Array(this.#nMels * frames);
    for (let t = 0; t < frames; t += 2) {
      const at = t * HOP_LENGTH;
      const second = t + 1 < frames ? buffer : null;
      const loudest = writeMelPowers(
        buffer,
        at,
        second,
        at + HOP_LENGTH,
        this.#filters,
        this.#nMels,
        powers,
        frames,
        t,
      );
      if (loudest > this.#loudest) this.#loudest = loudest;
    }
    this.#blocks.push({ frames, powers });
    buffer.copyWithin(0, BLOCK_SAMPLES);
    buffer.fill(0, OVERLAP);
    this.#filled = OVERLAP;
  }
}

/** The log-Mel spectrogram of a whole recording, of which windows are cut. */
export class LogMel {
  readonly #blocks: readonly Block[];
  readonly #least: number;

  /** Made by `LogMelBuilder`. */
  constructor(
    readonly nMels: number,
    /** Frames of 10 ms that are the recording, without padding. */
    readonly contentFrames: number,
    /** Frames with padding. */
    readonly frames: number,
    blocks: readonly Block[],
    loudest: number,
  ) {
    this.#blocks = blocks;
    this.#least = Math.max(LEAST_POWER, loudest * DYNAMIC_RANGE);
  }

  /**
   * Cuts out a window: frames [from, from + size), and 0.0 after them, as openai/whisper does; that is not what silence
   * looks like in a spectrogram (facts 2.2.2).
   *
   * @param frames columns of the result; default 3000
   * @returns float32 [nMels, frames]
   * @throws {RangeError} if the frames asked for do not lie in the spectrogram, or in the window
   */
  window(from: number, size: number, frames: number = N_FRAMES): Tensor {
    const isWhole = Number.isSafeInteger(from) && Number.isSafeInteger(size);
    if (!isWhole || from < 0 || size < 0 || from + size > this.frames || size > frames) {
      throw new RangeError(
        `Cannot cut ${size} frames from frame ${from} into a window of ${frames}: the spectrogram has ${this.frames}`,
      );
    }
    const out = new Float32Array(this.nMels * frames);
    for (const [i, block] of this.#blocks.entries()) {
      const start = i * BLOCK_FRAMES;
      const first = Math.max(from - start, 0);
      const last = Math.min(from + size - start, block.frames);
      if (first >= last) continue;
      for (let m = 0; m < this.nMels; m++) {
        const row = block.powers.subarray(m * block.frames + first, m * block.frames + last);
        out.set(row, m * frames + start + first - from);
      }
    }
    for (let at = 0; at < out.length; at += frames) log10InPlace(out, at, at + size, this.#least, 4, 0.25);
    return tensor(out, [this.nMels, frames]);
  }
}
