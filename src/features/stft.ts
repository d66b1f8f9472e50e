/**
 * Power spectra of 400-sample frames under a periodic Hann window: the short-time Fourier transform of Whisper's features,
 * two frames at a time.
 *
 * The transform is a self-sorting (Stockham) decimation in frequency with radices 4, 4, 5, 5 in double precision. Two real
 * frames are packed as the real and imaginary part of one complex signal; since a real signal's spectrum is its own
 * mirrored conjugate, the two come apart again afterwards. Buffers belong to the module: nothing is allocated per frame.
 */
import { N_FFT } from "./constants.ts";
import { N_BINS } from "./mel-filters.ts";

/** The periodic Hann window: torch.hann_window(400), scipy's `hann(400, sym=False)`. */
const HANN = Float64Array.from({ length: N_FFT }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / N_FFT));

const aReal = new Float64Array(N_FFT);
const aImag = new Float64Array(N_FFT);
const bReal = new Float64Array(N_FFT);
const bImag = new Float64Array(N_FFT);

/**
 * Twiddle factors of one stage: for each p the (radix - 1) pairs cos, -sin of 2 pi p j stride / 400, j = 1, 2 ...
 * `length` is the size of the transforms this stage divides.
 */
function stageTwiddles(radix: number, length: number): Float64Array {
  const stride = N_FFT / length;
  const groups = length / radix;
  const table = new Float64Array(groups * (radix - 1) * 2);
  let at = 0;
  for (let p = 0; p < groups; p++) {
    for (let j = 1; j < radix; j++) {
      const angle = (-2 * Math.PI * ((p * j * stride) % N_FFT)) / N_FFT;
      table[at++] = Math.cos(angle);
      table[at++] = Math.sin(angle);
    }
  }
  return table;
}

const TWIDDLES_1 = stageTwiddles(4, 400);
const TWIDDLES_2 = stageTwiddles(4, 100);
const TWIDDLES_3 = stageTwiddles(5, 25);

const C1 = Math.cos((2 * Math.PI) / 5);
const C2 = Math.cos((4 * Math.PI) / 5);
const S1 = Math.sin((2 * Math.PI) / 5);
const S2 = Math.sin((4 * Math.PI) / 5);

/** Stage 1: windows the frames on the way in. Frame 1 is the real part, frame 2 the imaginary part; result in b. */
function windowAndSplit4(frame1: Float32Array, at1: number, frame2: Float32Array, at2: number): void {
  for (let p = 0, t = 0, o = 0; p < 100; p++, t += 6, o += 4) {
    const w0 = HANN[p];
    const w1 = HANN[p + 100];
    const w2 = HANN[p + 200];
    const w3 = HANN[p + 300];
    const x0 = frame1[at1 + p] * w0;
    const x1 = frame1[at1 + p + 100] * w1;
    const x2 = frame1[at1 + p + 200] * w2;
    const x3 = frame1[at1 + p + 300] * w3;
    const y0 = frame2[at2 + p] * w0;
    const y1 = frame2[at2 + p + 100] * w1;
    const y2 = frame2[at2 + p + 200] * w2;
    const y3 = frame2[at2 + p + 300] * w3;
    const evenR = x0 + x2;
    const evenI = y0 + y2;
    const oddR = x1 + x3;
    const oddI = y1 + y3;
    const differenceR = x0 - x2;
    const differenceI = y0 - y2;
    const turnedR = y1 - y3; // -i (x1 - x3)
    const turnedI = x3 - x1;
    bReal[o] = evenR + oddR;
    bImag[o] = evenI + oddI;
    let r = differenceR + turnedR;
    let i = differenceI + turnedI;
    bReal[o + 1] = r * TWIDDLES_1[t] - i * TWIDDLES_1[t + 1];
    bImag[o + 1] = r * TWIDDLES_1[t + 1] + i * TWIDDLES_1[t];
    r = evenR - oddR;
    i = evenI - oddI;
    bReal[o + 2] = r * TWIDDLES_1[t + 2] - i * TWIDDLES_1[t + 3];
    bImag[o + 2] = r * TWIDDLES_1[t + 3] + i * TWIDDLES_1[t + 2];
    r = differenceR - turnedR;
    i = differenceI - turnedI;
    bReal[o + 3] = r * TWIDDLES_1[t + 4] - i * TWIDDLES_1[t + 5];
    bImag[o + 3] = r * TWIDDLES_1[t + 5] + i * TWIDDLES_1[t + 4];
  }
}

/** Stage 2: 25 groups of 4 interleaved transforms; b to a. */
function split4(): void {
  for (let p = 0, t = 0; p < 25; p++, t += 6) {
    const c1 = TWIDDLES_2[t];
    const s1 = TWIDDLES_2[t + 1];
    const c2 = TWIDDLES_2[t + 2];
    const s2 = TWIDDLES_2[t + 3];
    const c3 = TWIDDLES_2[t + 4];
    const s3 = TWIDDLES_2[t + 5];
    for (let q = 4 * p, o = 16 * p; q < 4 * p + 4; q++, o++) {
      const x0 = bReal[q];
      const x1 = bReal[q + 100];
      const x2 = bReal[q + 200];
      const x3 = bReal[q + 300];
      const y0 = bImag[q];
      const y1 = bImag[q + 100];
      const y2 = bImag[q + 200];
      const y3 = bImag[q + 300];
      const evenR = x0 + x2;
      const evenI = y0 + y2;
      const oddR = x1 + x3;
      const oddI = y1 + y3;
      const differenceR = x0 - x2;
      const differenceI = y0 - y2;
      const turnedR = y1 - y3;
      const turnedI = x3 - x1;
      aReal[o] = evenR + oddR;
      aImag[o] = evenI + oddI;
      let r = differenceR + turnedR;
      let i = differenceI + turnedI;
      aReal[o + 4] = r * c1 - i * s1;
      aImag[o + 4] = r * s1 + i * c1;
      r = evenR - oddR;
      i = evenI - oddI;
      aReal[o + 8] = r * c2 - i * s2;
      aImag[o + 8] = r * s2 + i * c2;
      r = differenceR - turnedR;
      i = differenceI - turnedI;
      aReal[o + 12] = r * c3 - i * s3;
      aImag[o + 12] = r * s3 + i * c3;
    }
  }
}

/** Stage 3: 5 groups of 16 interleaved transforms; a to b. */
function split5(): void {
  for (let p = 0, t = 0; p < 5; p++, t += 8) {
    const c1 = TWIDDLES_3[t];
    const s1 = TWIDDLES_3[t + 1];
    const c2 = TWIDDLES_3[t + 2];
    const s2 = TWIDDLES_3[t + 3];
    const c3 = TWIDDLES_3[t + 4];
    const s3 = TWIDDLES_3[t + 5];
    const c4 = TWIDDLES_3[t + 6];
    const s4 = TWIDDLES_3[t + 7];
    for (let q = 16 * p, o = 80 * p; q < 16 * p + 16; q++, o++) {
      const x0 = aReal[q];
      const y0 = aImag[q];
      const sum14R = aReal[q + 80] + aReal[q + 320];
      const sum14I = aImag[q + 80] + aImag[q + 320];
      const sum23R = aReal[q + 160] + aReal[q + 240];
      const sum23I = aImag[q + 160] + aImag[q + 240];
      const difference14R = aReal[q + 80] - aReal[q + 320];
      const difference14I = aImag[q + 80] - aImag[q + 320];
      const difference23R = aReal[q + 160] - aReal[q + 240];
      const difference23I = aImag[q + 160] - aImag[q + 240];
      bReal[o] = x0 + sum14R + sum23R;
      bImag[o] = y0 + sum14I + sum23I;
      const even1R = x0 + C1 * sum14R + C2 * sum23R;
      const even1I = y0 + C1 * sum14I + C2 * sum23I;
      const even2R = x0 + C2 * sum14R + C1 * sum23R;
      const even2I = y0 + C2 * sum14I + C1 * sum23I;
      const odd1R = S1 * difference14I + S2 * difference23I;
      const odd1I = -(S1 * difference14R + S2 * difference23R);
      const odd2R = S2 * difference14I - S1 * difference23I;
      const odd2I = -(S2 * difference14R - S1 * difference23R);
      let r = even1R + odd1R;
      let i = even1I + odd1I;
      bReal[o + 16] = r * c1 - i * s1;
      bImag[o + 16] = r * s1 + i * c1;
      r = even2R + odd2R;
      i = even2I + odd2I;
      bReal[o + 32] = r * c2 - i * s2;
      bImag[o + 32] = r * s2 + i * c2;
      r = even2R - odd2R;
      i = even2I - odd2I;
      bReal[o + 48] = r * c3 - i * s3;
      bImag[o + 48] = r * s3 + i * c3;
      r = even1R - odd1R;
      i = even1I - odd1I;
      bReal[o + 64] = r * c4 - i * s4;
      bImag[o + 64] = r * s4 + i * c4;
    }
  }
}

/** Stage 4: 80 interleaved transforms of 5, no twiddles left; b to a, in natural order. */
function finish5(): void {
  for (let q = 0; q < 80; q++) {
    const x0 = bReal[q];
    const y0 = bImag[q];
    const sum14R = bReal[q + 80] + bReal[q + 320];
    const sum14I = bImag[q + 80] + bImag[q + 320];
    const sum23R = bReal[q + 160] + bReal[q + 240];
    const sum23I = bImag[q + 160] + bImag[q + 240];
    const difference14R = bReal[q + 80] - bReal[q + 320];
    const difference14I = bImag[q + 80] - bImag[q + 320];
    const difference23R = bReal[q + 160] - bReal[q + 240];
    const difference23I = bImag[q + 160] - bImag[q + 240];
    aReal[q] = x0 + sum14R + sum23R;
    aImag[q] = y0 + sum14I + sum23I;
    const even1R = x0 + C1 * sum14R + C2 * sum23R;
    const even1I = y0 + C1 * sum14I + C2 * sum23I;
    const even2R = x0 + C2 * sum14R + C1 * sum23R;
    const even2I = y0 + C2 * sum14I + C1 * sum23I;
    const odd1R = S1 * difference14I + S2 * difference23I;
    const odd1I = -(S1 * difference14R + S2 * difference23R);
    const odd2R = S2 * difference14I - S1 * difference23I;
    const odd2I = -(S2 * difference14R - S1 * difference23R);
    aReal[q + 80] = even1R + odd1R;
    aImag[q + 80] = even1I + odd1I;
    aReal[q + 160] = even2R + odd2R;
    aImag[q + 160] = even2I + odd2I;
    aReal[q + 240] = even2R - odd2R;
    aImag[q + 240] = even2I - odd2I;
    aReal[q + 320] = even1R - odd1R;
    aImag[q + 320] = even1I - odd1I;
  }
}

/**
 * Power spectra |X[k]|^2 of two frames under the Hann window.
 *
 * @param frame1 400 samples from index `at1`; not modified
 * @param frame2 400 samples from index `at2`; may be the same array
 * @param power1 [201], receives the first spectrum
 * @param power2 [201], receives the second; another array than `power1`
 */
export function powerSpectra(
  frame1: Float32Array,
  at1: number,
  frame2: Float32Array,
  at2: number,
  power1: Float64Array,
  power2: Float64Array,
): void {
  windowAndSplit4(frame1, at1, frame2, at2);
  split4();
  split5();
  finish5();
  power1[0] = aReal[0] * aReal[0];
  power2[0] = aImag[0] * aImag[0];
  for (let k = 1; k < N_BINS; k++) {
    const r = aReal[k];
    const i = aImag[k];
    const mirrorR = aReal[N_FFT - k];
    const mirrorI = aImag[N_FFT - k];
    const r1 = r + mirrorR; // 2 X1[k] = Z[k] + conj(Z[-k])
    const i1 = i - mirrorI;
    const r2 = i + mirrorI; // 2i X2[k] = Z[k] - conj(Z[-k])
    const i2 = r - mirrorR;
    power1[k] = 0.25 * (r1 * r1 + i1 * i1);
    power2[k] = 0.25 * (r2 * r2 + i2 * i2);
  }
}
