/** Mel power of frames: what the spectrogram of a signal at hand and that of a stream have in common. */
import { N_FFT } from "./constants.ts";
import { N_BINS, type SparseFilters } from "./mel-filters.ts";
import { powerSpectra } from "./stft.ts";

/** Samples mirrored at each end, so that frame 0 is centred on sample 0. */
export const EDGE = N_FFT / 2;

/** Smallest mel power that counts. */
export const LEAST_POWER = 1e-10;

/** How far below its loudest cell a spectrogram reaches: 8 in log10. */
export const DYNAMIC_RANGE = 1e-8;

/** A frame of silence. */
const SILENCE = new Float32Array(N_FFT);

const power1 = new Float64Array(N_BINS);
const power2 = new Float64Array(N_BINS);

/**
 * Writes the mel power of two frames into neighbouring columns of a spectrogram.
 *
 * @param frame1 400 samples from index `at1`
 * @param frame2 400 samples from index `at2`; null leaves the second column alone
 * @param nMels rows of `out`
 * @param out receives the powers; rows of `rowLength` values
 * @param column of the first frame
 * @returns the largest value written
 */
export function writeMelPowers(
  frame1: Float32Array,
  at1: number,
  frame2: Float32Array | null,
  at2: number,
  { start, offset, weights }: SparseFilters,
  nMels: number,
  out: Float32Array,
  rowLength: number,
  column: number,
): number {
  if (frame2 === null) powerSpectra(frame1, at1, SILENCE, 0, power1, power2);
  else powerSpectra(frame1, at1, frame2, at2, power1, power2);
  let max = 0;
  for (let m = 0; m < nMels; m++) {
    const to = offset[m + 1];
    let sum1 = 0;
    let sum2 = 0;
    for (let i = offset[m], k = start[m]; i < to; i++, k++) {
      const weight = weights[i];
      sum1 += weight * power1[k];
      sum2 += weight * power2[k];
    }
    const at = m * rowLength + column;
    out[at] = sum1;
    if (sum1 > max) max = sum1;
    if (frame2 !== null) {
      out[at + 1] = sum2;
      if (sum2 > max) max = sum2;
    }
  }
  return max;
}
