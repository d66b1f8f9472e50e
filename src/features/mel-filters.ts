/**
 * Mel filter banks, computed: triangles whose corners are equally spaced on the Slaney mel scale (linear below 1 kHz,
 * logarithmic above), each of unit area. The same numbers as librosa.filters.mel, from which openai/whisper's stored banks
 * and the Hugging Face extractor's come (facts 0.2).
 */
import { SAMPLE_RATE } from "../audio/constants.ts";
import { N_FFT } from "./constants.ts";

/** Bins of the power spectrum of a frame, from 0 Hz to half the sample rate. */
export const N_BINS = N_FFT / 2 + 1;

/** Largest bank made: twice the largest that any checkpoint has; at 40 Hz a bin, more filters would mostly be empty. */
const MAX_MELS = 256;

const LINEAR_HZ_PER_MEL = 200 / 3;
const LOG_START_HZ = 1000;
const LOG_START_MEL = LOG_START_HZ / LINEAR_HZ_PER_MEL;
const LOG_STEP = Math.log(6.4) / 27;

/** Slaney's mel of a frequency in Hz. */
export function hzToMel(hz: number): number {
  return hz < LOG_START_HZ ? hz / LINEAR_HZ_PER_MEL : LOG_START_MEL + Math.log(hz / LOG_START_HZ) / LOG_STEP;
}

/** Frequency in Hz of Slaney's mel. */
export function melToHz(mel: number): number {
  return mel < LOG_START_MEL ? mel * LINEAR_HZ_PER_MEL : LOG_START_HZ * Math.exp(LOG_STEP * (mel - LOG_START_MEL));
}

/** A bank without its zeros: filter `m` covers the bins from `start[m]`, with weights [offset[m], offset[m + 1]). */
export interface SparseFilters {
  readonly start: Int32Array;
  readonly offset: Int32Array;
  readonly weights: Float64Array;
}

interface Bank {
  readonly dense: Float32Array;
  readonly sparse: SparseFilters;
}

const banks = new Map<number, Bank>();

function bank(nMels: number): Bank {
  const known = banks.get(nMels);
  if (known !== undefined) return known;
  if (!Number.isInteger(nMels) || nMels < 1 || nMels > MAX_MELS) {
    throw new RangeError(`Cannot make mel filters: nMels is ${nMels}, expected a whole number from 1 to ${MAX_MELS}`);
  }
  const dense = computeDense(nMels);
  const made = { dense, sparse: toSparse(dense, nMels) };
  banks.set(nMels, made);
  return made;
}

function computeDense(nMels: number): Float32Array {
  const highest = hzToMel(SAMPLE_RATE / 2);
  const corner = Array.from({ length: nMels + 2 }, (_, i) => melToHz((highest * i) / (nMels + 1)));
  const dense = new Float32Array(nMels * N_BINS);
  for (let m = 0; m < nMels; m++) {
    const [low, middle, high] = [corner[m], corner[m + 1], corner[m + 2]];
    for (let k = 0; k < N_BINS; k++) {
      const hz = (k * SAMPLE_RATE) / N_FFT;
      const weight = Math.min((hz - low) / (middle - low), (high - hz) / (high - middle));
      if (weight > 0) dense[m * N_BINS + k] = (weight * 2) / (high - low);
    }
  }
  return dense;
}

function toSparse(dense: Float32Array, nMels: number): SparseFilters {
  const start = new Int32Array(nMels);
  const offset = new Int32Array(nMels + 1);
  const weights: number[] = [];
  for (let m = 0; m < nMels; m++) {
    const row = dense.subarray(m * N_BINS, (m + 1) * N_BINS);
    const first = row.findIndex((weight) => weight > 0);
    if (first >= 0) {
      start[m] = first;
      for (let k = first; k < N_BINS && row[k] > 0; k++) weights.push(row[k]);
    }
    offset[m + 1] = weights.length;
  }
  return { start, offset, weights: Float64Array.from(weights) };
}

/**
 * The filter bank that turns a power spectrum into mel bins.
 *
 * @param nMels 80, or 128 for large-v3 and its descendants; any other count is computed by the same rule
 * @returns [nMels, 201], row-major; made once for each count and shared, so do not change it
 * @throws {RangeError} if `nMels` is not a whole number from 1 to 256
 * @see librosa.filters.mel(sr=16000, n_fft=400, n_mels=nMels), Slaney scale and norm (facts 0.2)
 */
export function melFilters(nMels: number): Float32Array {
  return bank(nMels).dense;
}

/** The same bank as `melFilters` gives, without its zeros: 391 weights instead of 16,080 for 80 bins. */
export function sparseMelFilters(nMels: number): SparseFilters {
  return bank(nMels).sparse;
}
