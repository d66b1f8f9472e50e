/**
 * How much a short piece of audio stands out from the noise around it: the detector under the endpointing of live sessions.
 *
 * Eight bands of the spectrum, each with a floor of its own that follows the quietest moments of the last two seconds (minimum
 * statistics, R. Martin, IEEE Transactions on Speech and Audio Processing 9, 2001). Speech has such moments between syllables,
 * steady noise is one. It tells voices from noise, not from music; what is not speech, the model then says nothing to.
 */
import { SAMPLE_RATE } from "../audio/index.ts";

/** Samples between two scores: 20 ms. */
export const FRAME_SAMPLES = 320;
/** Samples a score is computed of. */
const WINDOW = 512;
/** Edges of the bands in Hz: where voices are. */
const EDGES: readonly number[] = [100, 250, 450, 700, 1000, 1400, 2000, 3000, 5000];
const BANDS = EDGES.length - 1;
/** How much of the last power stays in the one that floors are made of. */
const SMOOTHING = 0.6;
/** How much of the last score stays in the next: in dB, so that a click fades as fast as a whisper. */
const SCORE_SMOOTHING = 0.5;
/** Parts that the two seconds of a floor are made of, and the frames of each. */
const PARTS = 8;
const PART_FRAMES = 12;
/** The mean of noise over the minimum of its smoothed power. */
const BIAS = 2;
/** Mean square of a band below which is silence, whatever the noise: about -75 dB of full scale. */
const SILENCE = 3e-8;
/** A band that stands out more than this counts no more, in dB. */
const MAX_RATIO = 25;

const HANN = Float64Array.from({ length: WINDOW }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));
/** Bins [from, to) of each band. */
const BINS = EDGES.map((edge) => Math.round((edge * WINDOW) / SAMPLE_RATE));
/** So that a full-scale sine has a mean square of 0.5 over its bins. */
const POWER_SCALE = 2 / (WINDOW * HANN.reduce((sum, weight) => sum + weight * weight, 0));

const COSINES = Float64Array.from({ length: WINDOW / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / WINDOW));
const SINES = Float64Array.from({ length: WINDOW / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / WINDOW));

export class VoiceActivityDetector {
  /** The last WINDOW samples. */
  readonly #history = new Float32Array(WINDOW);
  readonly #re = new Float64Array(WINDOW);
  readonly #im = new Float64Array(WINDOW);
  readonly #power = new Float64Array(BANDS);
  /** Minimum of each part of the last two seconds, the one under way included: [PARTS, BANDS]. */
  readonly #minima = new Float64Array(PARTS * BANDS).fill(Infinity);
  #part = 0;
  #framesInPart = 0;
  #isFirst = true;
  #score = 0;

  /**
   * Takes the next frame.
   *
   * @param frame FRAME_SAMPLES samples at 16 kHz
   * @returns by how many dB the bands stand out from their floors, the mean of all: about 0 to 2 in steady noise, 0 in
   *   silence, 8 to 25 in speech
   */
  score(frame: Float32Array): number {
    this.#history.copyWithin(0, FRAME_SAMPLES);
    this.#history.set(frame, WINDOW - FRAME_SAMPLES);
    for (let i = 0; i < WINDOW; i++) this.#re[i] = this.#history[i] * HANN[i];
    this.#im.fill(0);
    transform(this.#re, this.#im);

    if (this.#framesInPart === PART_FRAMES) {
      this.#framesInPart = 0;
      this.#part = (this.#part + 1) % PARTS;
      this.#minima.fill(Infinity, this.#part * BANDS, (this.#part + 1) * BANDS);
    }
    this.#framesInPart++;
    let sum = 0;
    for (let band = 0; band < BANDS; band++) {
      let power = 0;
      for (let bin = BINS[band]; bin < BINS[band + 1]; bin++) power += this.#re[bin] ** 2 + this.#im[bin] ** 2;
      power *= POWER_SCALE;
      const smoothed = this.#isFirst ? power : SMOOTHING * this.#power[band] + (1 - SMOOTHING) * power;
      this.#power[band] = smoothed;
      const at = this.#part * BANDS + band;
      this.#minima[at] = Math.min(this.#minima[at], smoothed);
      const floor = Math.max(SILENCE, BIAS * this.#floor(band));
      sum += Math.min(MAX_RATIO, Math.max(0, 10 * Math.log10(power / floor)));
    }
    this.#isFirst = false;
    this.#score = SCORE_SMOOTHING * this.#score + (1 - SCORE_SMOOTHING) * (sum / BANDS);
    return this.#score;
  }

  #floor(band: number): number {
    let least = Infinity;
    for (let part = 0; part < PARTS; part++) least = Math.min(least, this.#minima[part * BANDS + band]);
    return least;
  }
}

/** Fast Fourier transform in place, radix 2. */
function transform(re: Float64Array, im: Float64Array): void {
  for (let i = 1, j = 0; i < WINDOW; i++) {
    let bit = WINDOW >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let size = 2; size <= WINDOW; size *= 2) {
    const half = size / 2;
    const stride = WINDOW / size;
    for (let start = 0; start < WINDOW; start += size) {
      for (let k = 0; k < half; k++) {
        const [cos, sin] = [COSINES[k * stride], SINES[k * stride]];
        const a = start + k;
        const b = a + half;
        const oddRe = re[b] * cos - im[b] * sin;
        const oddIm = re[b] * sin + im[b] * cos;
        re[b] = re[a] - oddRe;
        im[b] = im[a] - oddIm;
        re[a] += oddRe;
        im[a] += oddIm;
      }
    }
  }
}
