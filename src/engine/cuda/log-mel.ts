/**
 * Log-Mel spectrograms on the GPU, as features/ defines them: frames are rows of the samples that overlap, so the discrete Fourier transform is one
 * product with its basis, and the mel filters are another; both in float32, whatever the network computes in.
 */
import { HOP_LENGTH, melFilters, N_FFT } from "../../features/index.ts";
import { windowFrames, type ModelDimensions } from "../../model/index.ts";
import type { CudaDevice, DeviceBuffer } from "./device.ts";
import { Kernels } from "./kernels.ts";

/** Frequencies of a frame of N_FFT samples, and the same rounded up to what the kernels like: kernels/log_mel.cuh. */
const BINS = N_FFT / 2 + 1;
const PADDED_BINS = 208;

/** The least int32: below the order of every number. */
const LEAST = 0x80000000;

/** Windows at a time: their spectra are the largest thing that is made on the way, 5 MB each. */
const WINDOWS = 32;

export class DeviceLogMel {
  readonly #kernels: Kernels;
  /** The products are in float32. */
  readonly #exact: Kernels;
  readonly #dimensions: ModelDimensions;
  readonly #basis: DeviceBuffer;
  readonly #filters: DeviceBuffer;

  constructor(kernels: Kernels, dimensions: ModelDimensions) {
    const { device } = kernels;
    this.#kernels = kernels;
    this.#exact = kernels.dtype === "float32" ? kernels : new Kernels(device, "float32");
    this.#dimensions = dimensions;
    this.#basis = device.upload(fourierBasis());
    this.#filters = device.upload(paddedFilters(dimensions.nMels));
  }

  /** Samples of a window. */
  get windowSamples(): number {
    return windowFrames(this.#dimensions) * HOP_LENGTH;
  }

  /**
   * Computes the log-Mel spectrograms of windows.
   *
   * @param windows mono samples at 16 kHz; what a window lacks is silence
   * @param out device address of T [windows, frames + 2, nMels], rows of zeros at either end
   */
  compute(windows: readonly Float32Array[], out: number): void {
    const { device } = this.#kernels;
    const bytes = 4 * (windowFrames(this.#dimensions) + 2) * this.#dimensions.nMels;
    const each = bytes / (this.#kernels.dtype === "float32" ? 1 : 2);
    for (let done = 0; done < windows.length; done += WINDOWS) {
      this.#some(device, windows.slice(done, done + WINDOWS), out + done * each);
    }
  }

  #some(device: CudaDevice, windows: readonly Float32Array[], out: number): void {
    const { nMels } = this.#dimensions;
    const frames = windowFrames(this.#dimensions);
    const nSamples = this.windowSamples;
    const batch = windows.length;
    const rows = batch * frames;
    const samples = device.alloc(4 * batch * nSamples);
    const padded = device.alloc(4 * batch * (nSamples + N_FFT));
    const spectra = device.alloc(4 * rows * 2 * PADDED_BINS);
    const power = device.alloc(4 * rows * PADDED_BINS);
    const mel = device.alloc(4 * rows * nMels);
    const largest = device.alloc(4 * batch);

    windows.forEach((window, i) => {
      const own = samples.address + 4 * i * nSamples;
      device.write(own, window);
      device.fill(own + window.byteLength, 0, 4 * (nSamples - window.length));
    });
    this.#kernels.padSamples(samples.address, padded.address, batch, nSamples);
    this.#exact.product({
      a: { address: padded.address, stride: HOP_LENGTH, perBatch: frames, batchStride: nSamples + N_FFT },
      weight: this.#basis.address,
      bias: null,
      out: { address: spectra.address, stride: 2 * PADDED_BINS },
      ...{ m: rows, n: 2 * PADDED_BINS, k: N_FFT, epilogue: "float" },
    });
    this.#kernels.powerSpectrum(spectra.address, power.address, rows);
    this.#exact.product({
      a: { address: power.address, stride: PADDED_BINS },
      weight: this.#filters.address,
      bias: null,
      out: { address: mel.address, stride: nMels },
      ...{ m: rows, n: nMels, k: PADDED_BINS, epilogue: "float" },
    });
    device.fillWords(largest.address, LEAST, batch);
    this.#kernels.logMel(mel.address, largest.address, batch, frames, nMels);
    this.#kernels.scaleMel(mel.address, largest.address, out, batch, frames, nMels);
    for (const buffer of [samples, padded, spectra, power, mel, largest]) device.free(buffer);
  }

  free(): void {
    const { device } = this.#kernels;
    device.free(this.#basis);
    device.free(this.#filters);
    if (this.#exact !== this.#kernels) this.#exact.dispose();
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
