/**
 * The log-Mel spectrogram that the encoder reads, in the two conventions of the reference programs, which give different
 * numbers at the same audio (facts 8.1): openai/whisper makes one spectrogram of the whole file and cuts windows out of it;
 * the Hugging Face extractor pads each window with silence first.
 */
import { assertShape, tensor, type Tensor } from "../tensor/index.ts";
import { HOP_LENGTH, N_FFT, N_FRAMES } from "./constants.ts";
import { log10InPlace } from "./log10.ts";
import { sparseMelFilters } from "./mel-filters.ts";
import { DYNAMIC_RANGE, EDGE, LEAST_POWER, writeMelPowers } from "./mel-power.ts";

const frame1 = new Float32Array(N_FFT);
const frame2 = new Float32Array(N_FFT);

/** The 400 samples from `start` on, mirrored at both ends of a signal of `total` samples, zeros after `samples` run out. */
function gatherFrame(frame: Float32Array, samples: Float32Array, start: number, total: number): void {
  for (let j = 0; j < N_FFT; j++) {
    let i = Math.abs(start + j);
    if (i >= total) i = 2 * (total - 1) - i;
    frame[j] = i < samples.length ? samples[i] : 0;
  }
}

/**
 * Fills frames [0, frames) of `out` [nMels, frames] for `samples` followed by zeros up to `total`.
 * Frames that see only those zeros cost nothing.
 */
function compute(samples: Float32Array, total: number, nMels: number): Tensor {
  const filters = sparseMelFilters(nMels);
  if (total <= EDGE) {
    throw new RangeError(
      `Cannot compute the log-Mel spectrogram: the audio has ${total} samples, expected more than ${EDGE} to mirror at its ends`,
    );
  }
  const frames = Math.floor(total / HOP_LENGTH);
  const out = new Float32Array(nMels * frames);
  const audible = Math.min(frames, Math.ceil((samples.length + EDGE) / HOP_LENGTH));
  const insideTo = samples.length - N_FFT;
  let max = LEAST_POWER;

  for (let t = 0; t < audible; t += 2) {
    const start1 = t * HOP_LENGTH - EDGE;
    const start2 = start1 + HOP_LENGTH;
    const paired = t + 1 < audible;
    let loudest: number;
    if (start1 >= 0 && start2 <= insideTo) {
      loudest = writeMelPowers(samples, start1, paired ? samples : null, start2, filters, nMels, out, frames, t);
    } else {
      gatherFrame(frame1, samples, start1, total);
      if (paired) gatherFrame(frame2, samples, start2, total);
      loudest = writeMelPowers(frame1, 0, paired ? frame2 : null, 0, filters, nMels, out, frames, t);
    }
    if (loudest > max) max = loudest;
  }

  const least = Math.max(LEAST_POWER, max * DYNAMIC_RANGE);
  const silence = (Math.log10(least) + 4) / 4;
  for (let row = 0; row < out.length; row += frames) {
    log10InPlace(out, row, row + audible, least, 4, 0.25);
    out.fill(silence, row + audible, row + frames);
  }
  return tensor(out, [nMels, frames]);
}

/**
 * Computes the log-Mel spectrogram of a whole signal, as openai/whisper does before it cuts windows out of it with
 * `sliceFrames`.
 *
 * The result depends on the whole signal: values are floored 8 (in log10) below its loudest cell, so cutting the audio
 * first gives other numbers than cutting the spectrogram.
 *
 * @param samples mono waveform at 16 kHz, range [-1, 1]; not modified
 * @param nMels 80, or 128 for large-v3 and turbo
 * @param options.padding zero samples appended first; openai/whisper's transcribe appends 480,000. Default 0
 * @returns float32 [nMels, floor((samples + padding) / 160)]; one column is 10 ms
 * @throws {RangeError} if `nMels` is not from 1 to 256, `padding` is not a whole number from 0, or there are fewer than 201
 *   samples, padding included, to mirror at the ends
 * @see openai/whisper audio.py `log_mel_spectrogram` (facts 0.3, 2.2.2)
 */
export function logMelSpectrogram(samples: Float32Array, nMels: number, options: { padding?: number } = {}): Tensor {
  const { padding = 0 } = options;
  if (!Number.isSafeInteger(padding) || padding < 0) {
    throw new RangeError(`Cannot pad the audio by ${padding} samples, expected a whole number from 0`);
  }
  return compute(samples, samples.length + padding, nMels);
}

/**
 * Computes the log-Mel spectrogram of one window, as the Hugging Face extractor does: the samples are cut, or padded with
 * silence, to the window's length first, and the floor lies 8 (in log10) below the window's own loudest cell.
 *
 * @param samples mono waveform at 16 kHz, range [-1, 1], of any length, none included; not modified
 * @param nMels 80, or 128 for large-v3 and turbo
 * @param frames columns of the window; default 3000, which is 30 s
 * @returns float32 [nMels, frames]
 * @throws {RangeError} if `nMels` is not from 1 to 256, or `frames` is not a whole number from 2
 * @see transformers `WhisperFeatureExtractor` (facts 1.4.7)
 */
export function logMelWindow(samples: Float32Array, nMels: number, frames: number = N_FRAMES): Tensor {
  if (!Number.isSafeInteger(frames) || frames < 2) {
    throw new RangeError(`Cannot make a window of ${frames} frames, expected a whole number from 2`);
  }
  const total = frames * HOP_LENGTH;
  return compute(samples.length > total ? samples.subarray(0, total) : samples, total, nMels);
}

/**
 * Cuts frames [from, from + frames) out of a spectrogram.
 *
 * Past its end 0.0 is written, as openai/whisper does; that is not what silence looks like in a spectrogram (facts 2.2.2).
 *
 * @param mel [nMels, any]; not modified
 * @param from first frame, 0 or more; may lie past the end
 * @param frames columns of the result; default 3000, which is 30 s
 * @returns float32 [nMels, frames], a copy
 * @throws {ShapeError} if `mel` has not two dims
 * @throws {RangeError} if `from` or `frames` is not a whole number from 0
 */
export function sliceFrames(mel: Tensor, from: number, frames: number = N_FRAMES): Tensor {
  assertShape("mel", mel, ["nMels", "frames"]);
  if (!Number.isSafeInteger(from) || from < 0 || !Number.isSafeInteger(frames) || frames < 0) {
    throw new RangeError(`Cannot cut ${frames} frames from frame ${from}, expected whole numbers from 0`);
  }
  const [nMels, available] = mel.dims;
  const out = new Float32Array(nMels * frames);
  const to = Math.min(from + frames, available);
  if (to > from) {
    for (let m = 0; m < nMels; m++) {
      out.set(mel.data.subarray(m * available + from, m * available + to), m * frames);
    }
  }
  return tensor(out, [nMels, frames]);
}
