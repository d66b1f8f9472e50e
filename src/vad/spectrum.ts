/**
 * Magnitude spectra of 256 samples under a periodic Hann window: what the first convolution of Silero's network computes, whose weights
 * are that window times the sines and cosines of a discrete Fourier transform.
 *
 * A self-sorting (Stockham) transform of radix 4 in double precision. Two real signals are packed as the real and imaginary part of one
 * complex signal; since a real signal's spectrum is its own mirrored conjugate, the two come apart again afterwards.
 */
import { N_BINS, N_FFT } from "./constants.ts";

const RADIX = 4;
const QUARTER = N_FFT / RADIX;

/** The periodic Hann window: torch.hann_window(256). */
export const HANN = Float64Array.from({ length: N_FFT }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / N_FFT));

/** Cosine and -sine of 2 pi n / 256. */
const COS = Float64Array.from({ length: N_FFT }, (_, n) => Math.cos((2 * Math.PI * n) / N_FFT));
const SIN = Float64Array.from({ length: N_FFT }, (_, n) => -Math.sin((2 * Math.PI * n) / N_FFT));

type Signal = readonly [real: Float64Array, imaginary: Float64Array];
const signal = (): Signal => [new Float64Array(N_FFT), new Float64Array(N_FFT)];
const A = signal();
const B = signal();

/** One stage: `stride` interleaved transforms of 256 / stride points are divided into four times as many of a quarter. */
function split([xR, xI]: Signal, [yR, yI]: Signal, stride: number): void {
  for (let p = 0; p < QUARTER; p += stride) {
    const c1 = COS[p];
    const s1 = SIN[p];
    const c2 = COS[2 * p];
    const s2 = SIN[2 * p];
    const c3 = COS[3 * p];
    const s3 = SIN[3 * p];
    for (let q = p, o = RADIX * p; q < p + stride; q++, o++) {
      const evenR = xR[q] + xR[q + 2 * QUARTER];
      const evenI = xI[q] + xI[q + 2 * QUARTER];
      const differenceR = xR[q] - xR[q + 2 * QUARTER];
      const differenceI = xI[q] - xI[q + 2 * QUARTER];
      const oddR = xR[q + QUARTER] + xR[q + 3 * QUARTER];
      const oddI = xI[q + QUARTER] + xI[q + 3 * QUARTER];
      const turnedR = xI[q + QUARTER] - xI[q + 3 * QUARTER]; // times -i
      const turnedI = xR[q + 3 * QUARTER] - xR[q + QUARTER];
      yR[o] = evenR + oddR;
      yI[o] = evenI + oddI;
      let r = differenceR + turnedR;
      let i = differenceI + turnedI;
      yR[o + stride] = r * c1 - i * s1;
      yI[o + stride] = r * s1 + i * c1;
      r = evenR - oddR;
      i = evenI - oddI;
      yR[o + 2 * stride] = r * c2 - i * s2;
      yI[o + 2 * stride] = r * s2 + i * c2;
      r = differenceR - turnedR;
      i = differenceI - turnedI;
      yR[o + 3 * stride] = r * c3 - i * s3;
      yI[o + 3 * stride] = r * s3 + i * c3;
    }
  }
}

/**
 * Magnitudes |X[k]| of two signals.
 *
 * @param samples holds 256 samples from index `first`, and 256 from index `second`; not modified
 * @param out receives the first signal's 129 magnitudes from index `firstOut`, the second's from index `secondOut`
 */
export function writeMagnitudes(
  samples: Float32Array,
  first: number,
  second: number,
  out: Float32Array,
  firstOut: number,
  secondOut: number,
): void {
  const [real, imaginary] = A;
  for (let n = 0; n < N_FFT; n++) {
    real[n] = samples[first + n] * HANN[n];
    imaginary[n] = samples[second + n] * HANN[n];
  }
  split(A, B, 1);
  split(B, A, 4);
  split(A, B, 16);
  split(B, A, 64);
  out[firstOut] = Math.abs(real[0]);
  out[secondOut] = Math.abs(imaginary[0]);
  for (let k = 1; k < N_BINS; k++) {
    const r1 = real[k] + real[N_FFT - k]; // 2 X1[k] = Z[k] + conj(Z[-k])
    const i1 = imaginary[k] - imaginary[N_FFT - k];
    const r2 = imaginary[k] + imaginary[N_FFT - k]; // 2i X2[k] = Z[k] - conj(Z[-k])
    const i2 = real[N_FFT - k] - real[k];
    out[firstOut + k] = 0.5 * Math.sqrt(r1 * r1 + i1 * i1);
    out[secondOut + k] = 0.5 * Math.sqrt(r2 * r2 + i2 * i2);
  }
}
