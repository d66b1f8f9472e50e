/**
 * From the microphone's rate to 16 kHz, piece by piece: a Hann-windowed sinc that lets speech through and keeps what lies above
 * 8 kHz from folding into it. Small enough for an audio worklet; files are resampled by the server, with a finer filter.
 */

export const TARGET_RATE = 16000;
/** Where the filter has fallen by half, in Hz: below the 8 kHz that 16 kHz can hold. */
const CUTOFF = 7400;
/** Zero crossings on each side: more make the edge steeper. */
const CROSSINGS = 16;

/** Values of the filter for each sample of input; between them a line is drawn, which errs by less than 16 bits can tell. */
const RESOLUTION = 256;

/** Resamples a stream from `fromRate` (Hz) to 16 kHz. Output lags by the filter's half length, under 3 ms. */
export class Downsampler {
  private readonly step: number;
  private readonly half: number;
  private readonly table: Float32Array;
  /** Input that later outputs need. */
  private history: Float32Array;
  private filled: number;
  /** Of the next output, in samples of `history`. */
  private position: number;

  constructor(readonly fromRate: number) {
    this.step = fromRate / TARGET_RATE;
    const cutoff = Math.min(1, (2 * CUTOFF) / fromRate);
    this.half = Math.ceil(CROSSINGS / cutoff);
    this.table = filterTable(this.half, cutoff);
    this.history = new Float32Array(4 * this.half + 4096);
    this.filled = this.half;
    this.position = this.half;
  }

  /** @returns the samples that need no later input, always a new array */
  push(samples: Float32Array): Float32Array {
    if (this.fromRate === TARGET_RATE) return samples.slice();
    if (this.filled + samples.length > this.history.length) {
      const larger = new Float32Array(this.filled + 2 * samples.length);
      larger.set(this.history.subarray(0, this.filled));
      this.history = larger;
    }
    this.history.set(samples, this.filled);
    this.filled += samples.length;
    const count = Math.max(0, Math.ceil((this.filled - this.half - this.position) / this.step));
    const out = new Float32Array(count);
    let written = 0;
    for (; this.position + this.half < this.filled; this.position += this.step)
      out[written++] = this.sampleAt(this.position);
    const drop = Math.floor(this.position) - this.half;
    if (drop > 0) {
      this.history.copyWithin(0, drop, this.filled);
      this.filled -= drop;
      this.position -= drop;
    }
    return out.subarray(0, written).slice();
  }

  private sampleAt(position: number): number {
    const { half, history, table } = this;
    let sum = 0;
    for (let i = Math.ceil(position - half); i <= position + half; i++) {
      const exact = Math.abs(i - position) * RESOLUTION;
      const at = Math.floor(exact);
      sum += history[i] * (table[at] + (exact - at) * (table[at + 1] - table[at]));
    }
    return sum;
  }
}

/** Half of the filter, which is symmetric: its value at every `1 / RESOLUTION` of a sample from the middle. */
function filterTable(half: number, cutoff: number): Float32Array {
  return Float32Array.from({ length: half * RESOLUTION + 2 }, (_, i) => {
    const x = i / RESOLUTION;
    if (x >= half) return 0;
    const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / half);
    return window * (x === 0 ? cutoff : Math.sin(Math.PI * cutoff * x) / (Math.PI * x));
  });
}

/** Samples in [-1, 1] as signed 16-bit integers, clipped. */
export function toPcm16(samples: Float32Array): Int16Array {
  const out = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    out[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32768)));
  }
  return out;
}
