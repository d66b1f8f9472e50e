/**
 * Log-Mel spectrograms on the GPU, as features/ defines them: frames are rows of the samples that overlap, so the discrete Fourier transform is one
 * product with its basis, and the mel filters are another; both in float32, whatever the network computes in.
 */
import { HOP_LENGTH, melFilters, N_FFT } from "../../features/index.ts";
import { windowFrames, type ModelDimensions } from "../../model/index.ts";
import { BYTES_PER_ELEMENT } from "../../tensor/index.ts";
import { Buffers, nextPowerOfTwo, withBuffers } from "./buffers.ts";
import type { PinnedBuffer } from "./device.ts";
import type { Kernels } from "./kernels.ts";
import type { Product } from "./products.ts";

/** Frequencies of a frame of N_FFT samples, and the same rounded up to what the kernels like: kernels/log_mel.cuh. */
const BINS = N_FFT / 2 + 1;
const PADDED_BINS = 208;

/** The least int32: below the order of every number. */
const LEAST = 0x80000000;

/** Windows at a time: their spectra are the largest thing that is made on the way, 5 MB each. */
const WINDOWS = 32;

export class DeviceLogMel {
  readonly #kernels: Kernels;
  readonly #dimensions: ModelDimensions;
  readonly #buffers: Buffers;
  readonly #basis: number;
  readonly #filters: number;
  /** Where samples wait for their copy: copies from other memory wait for all work before them, and let the process wait. */
  #staged: PinnedBuffer | null = null;
  /** Kept when they have been copied. */
  #copied: Promise<void> = Promise.resolve();

  constructor(kernels: Kernels, dimensions: ModelDimensions) {
    this.#kernels = kernels;
    this.#dimensions = dimensions;
    this.#buffers = new Buffers(kernels.device);
    this.#basis = this.#buffers.upload(fourierBasis());
    this.#filters = this.#buffers.upload(paddedFilters(dimensions.nMels));
  }

  /** Samples of a window. */
  get windowSamples(): number {
    return windowFrames(this.#dimensions) * HOP_LENGTH;
  }

  /**
   * Asks for the log-Mel spectrograms of windows, one call at a time: kept when that is done, and the windows may be changed.
   *
   * @param windows mono samples at 16 kHz; what a window lacks is silence
   * @param out device address of T [windows, frames + 2, nMels], rows of zeros at either end
   */
  async compute(windows: readonly Float32Array[], out: number): Promise<void> {
    const { dtype } = this.#kernels;
    const each = BYTES_PER_ELEMENT[dtype] * (windowFrames(this.#dimensions) + 2) * this.#dimensions.nMels;
    for (let done = 0; done < windows.length; done += WINDOWS) {
      await this.#some(windows.slice(done, done + WINDOWS), out + done * each);
    }
  }

  async #some(windows: readonly Float32Array[], out: number): Promise<void> {
    const { device } = this.#kernels;
    const { nMels } = this.#dimensions;
    const frames = windowFrames(this.#dimensions);
    const nSamples = this.windowSamples;
    const batch = windows.length;
    const rows = batch * frames;
    const staged = await this.#stage(windows);
    await withBuffers(device, async (buffers) => {
      const take = (floats: number): number => buffers.alloc(4 * floats);
      const samples = take(batch * nSamples);
      const padded = take(batch * (nSamples + N_FFT));
      const spectra = take(rows * 2 * PADDED_BINS);
      const power = take(rows * PADDED_BINS);
      const mel = take(rows * nMels);
      const largest = take(batch);

      device.write(samples, staged);
      this.#copied = device.finished();
      this.#copied.catch(() => {}); // awaited when the memory is used again
      this.#kernels.padSamples(samples, padded, batch, nSamples);
      this.#exactProduct({
        a: { address: padded, stride: HOP_LENGTH, perBatch: frames, batchStride: nSamples + N_FFT },
        weight: this.#basis,
        out: { address: spectra, stride: 2 * PADDED_BINS },
        ...{ m: rows, n: 2 * PADDED_BINS, k: N_FFT },
      });
      this.#kernels.powerSpectrum(spectra, power, rows);
      this.#exactProduct({
        a: { address: power, stride: PADDED_BINS },
        weight: this.#filters,
        out: { address: mel, stride: nMels },
        ...{ m: rows, n: nMels, k: PADDED_BINS },
      });
      device.fillWords(largest, LEAST, batch);
      this.#kernels.logMel(mel, largest, batch, frames, nMels);
      this.#kernels.scaleMel(mel, largest, out, batch, frames, nMels);
    });
  }

  /** In float32, whatever the network computes in. */
  #exactProduct(product: Omit<Product, "bias" | "epilogue">): void {
    this.#kernels.product({ ...product, bias: null, epilogue: "float" }, "float32");
  }

  /** Samples of windows, each followed by silence, in memory that copies need not wait for. */
  async #stage(windows: readonly Float32Array[]): Promise<Float32Array> {
    await this.#copied;
    const count = windows.length * this.windowSamples;
    if (this.#staged === null || this.#staged.data.length < 4 * count) {
      this.#staged?.free();
      this.#staged = null;
      const bytes = 4 * nextPowerOfTwo(windows.length) * this.windowSamples;
      this.#staged = this.#kernels.device.allocPinned(bytes);
    }
    const { buffer, byteOffset } = this.#staged.data;
    const staged = new Float32Array(buffer, byteOffset, count);
    windows.forEach((window, i) => {
      const begin = i * this.windowSamples;
      staged.set(window, begin);
      staged.fill(0, begin + window.length, begin + this.windowSamples);
    });
    return staged;
  }

  /** Frees everything; no call may be under way. */
  async free(): Promise<void> {
    await this.#copied.catch(() => {});
    this.#staged?.free();
    this.#staged = null;
    this.#buffers.free();
  }
}

/** Real and imaginary parts of the transform of a frame under a periodic Hann window (facts 1.2): [2 * PADDED_BINS, N_FFT]. */
function fourierBasis(): Float32Array {
  const basis = new Float32Array(2 * PADDED_BINS * N_FFT);
  for (let n = 0; n < N_FFT; n++) {
    const hann = 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / N_FFT);
    for (let bin = 0; bin < BINS; bin++) {
      // The angle is reduced first: cosines of large angles lose digits.
      const angle = (2 * Math.PI * ((bin * n) % N_FFT)) / N_FFT;
      basis[bin * N_FFT + n] = hann * Math.cos(angle);
      basis[(PADDED_BINS + bin) * N_FFT + n] = -hann * Math.sin(angle);
    }
  }
  return basis;
}

/** The mel filters [nMels, BINS] with zeros after each row: [nMels, PADDED_BINS]. */
function paddedFilters(nMels: number): Float32Array {
  const filters = melFilters(nMels);
  const padded = new Float32Array(nMels * PADDED_BINS);
  for (let mel = 0; mel < nMels; mel++) {
    padded.set(filters.subarray(mel * BINS, (mel + 1) * BINS), mel * PADDED_BINS);
  }
  return padded;
}
