/**
 * Changes the sample rate by any ratio of whole numbers, piece by piece: a polyphase FIR filter whose prototype is a sinc
 * under a Kaiser window. Positions are counted in integers and sums run in one fixed order, so pieces of any size give
 * the same bits as the whole at once. Kaiser's design formulas: Oppenheim and Schafer, Discrete-Time Signal Processing,
 * section 7.5. Flat to 93.5 % of the lower Nyquist frequency, at least 96 dB down from 102 % of it (7480 and 8160 Hz at 16 kHz).
 */

import { MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, SAMPLE_RATE } from "./constants.ts";
import { DOT_STEP, DotKernel } from "./dot-kernel.ts";

const PASS_EDGE = 0.935;
const STOP_EDGE = 1.02;
const ATTENUATION = 96;

/**
 * Most phases tabulated. A ratio that needs more (44101 Hz needs 16000) interpolates linearly between neighbours, with
 * an error of (pi / phases)^2 / 8 of a coefficient: -118 dB at 1024.
 */
const MAX_PHASES = 1024;

/** Filters kept for the next recording of the same rate: a folder has few rates, and a table takes 5-10 ms to compute. */
const MAX_FILTERS = 4;

/** Samples handled at once; bounds the memory of one large push. */
const BLOCK = 65536;

/** Modified Bessel function of the first kind, order 0, by its power series. */
function besselI0(x: number): number {
  const quarter = (x * x) / 4;
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-10; k++) {
    term *= quarter / (k * k);
    sum += term;
  }
  return sum;
}

const KAISER_BETA = 0.1102 * (ATTENUATION - 8.7);

/** Height of the window at -1 to 1 of its width; 0 outside. Not normalised: every phase is scaled to sum 1 anyway. */
function kaiser(position: number): number {
  const inside = 1 - position * position;
  return inside <= 0 ? 0 : besselI0(KAISER_BETA * Math.sqrt(inside));
}

/** Tap `k` of a phase weighs input sample `position - (half - 1) + k`; the output lies `phase / phases` past `position`. */
interface Filter {
  readonly table: Float32Array; // [phases (+ 1 to interpolate), 2 * half]
  readonly phases: number;
  readonly half: number;
}

const filters = new Map<string, Filter>();

/** Rates without common divisor. */
function filterFor(up: number, down: number): Filter {
  const key = `${up}/${down}`;
  let filter = filters.get(key);
  if (filter === undefined) {
    filter = design(up, down);
    const oldest = filters.keys().next();
    if (filters.size >= MAX_FILTERS && !oldest.done) filters.delete(oldest.value);
    filters.set(key, filter);
  }
  return filter;
}

function design(up: number, down: number): Filter {
  const nyquist = 0.5 * Math.min(1, up / down); // of the lower rate, in cycles per input sample
  const cutoff = (nyquist * (PASS_EDGE + STOP_EDGE)) / 2;
  const taps = (ATTENUATION - 8) / (2.285 * 2 * Math.PI * nyquist * (STOP_EDGE - PASS_EDGE));
  const half = (Math.ceil(taps / DOT_STEP) * DOT_STEP) / 2;
  const phases = Math.min(up, MAX_PHASES);
  const rows = phases + (up > MAX_PHASES ? 1 : 0);
  const width = 2 * half;
  const table = new Float32Array(rows * width);
  const row = new Float64Array(width);
  for (let phase = 0; phase <= phases / 2; phase++) {
    let sum = 0;
    for (let k = 0; k < width; k++) {
      const distance = k - (half - 1) - phase / phases;
      const angle = 2 * Math.PI * cutoff * distance;
      row[k] = (angle === 0 ? 1 : Math.sin(angle) / angle) * kaiser(distance / half);
      sum += row[k];
    }
    const mirror = phases - phase; // the prototype is symmetric
    for (let k = 0; k < width; k++) {
      const value = row[k] / sum; // a constant stays that constant
      table[phase * width + k] = value;
      if (mirror < rows) table[mirror * width + width - 1 - k] = value;
    }
  }
  return { table, phases, half };
}

let kernel: DotKernel | undefined;

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function assertRate(rate: number): void {
  if (!Number.isInteger(rate) || rate < MIN_SAMPLE_RATE || rate > MAX_SAMPLE_RATE) {
    throw new RangeError(
      `Cannot resample at a rate of "${rate}" Hz, expected a whole number from ${MIN_SAMPLE_RATE} to ${MAX_SAMPLE_RATE}`,
    );
  }
}

/**
 * Resamples a stream: push its pieces in order, then flush once.
 *
 * Output sample `n` lies at time `n / toRate`, without delay; before the first and after the last input sample there is
 * silence. All pushes and the flush together give `ceil(inputs * toRate / fromRate)` samples.
 */
export class Resampler {
  private readonly up: number;
  private readonly down: number;
  private readonly filter: Filter | null;
  /** Input that later outputs need; `history[0]` is sample number `start`. Zeros lie before the first sample. */
  private history = new Float32Array(0);
  private start = 0;
  private length = 0;
  /** Time of the next output: `position + fraction / up` input samples. */
  private position = 0;
  private fraction = 0;
  private taken = 0;
  private given = 0;

  /** @throws {RangeError} unless both rates are whole numbers of Hz from 1000 to 768000 */
  constructor(
    readonly fromRate: number,
    readonly toRate: number = SAMPLE_RATE,
  ) {
    assertRate(fromRate);
    assertRate(toRate);
    const divisor = greatestCommonDivisor(fromRate, toRate);
    this.up = toRate / divisor;
    this.down = fromRate / divisor;
    this.filter = fromRate === toRate ? null : filterFor(this.up, this.down);
    if (this.filter !== null) {
      this.length = this.filter.half - 1;
      this.start = -this.length;
      this.history = new Float32Array(2 * this.filter.half + BLOCK);
    }
  }

  /** @returns the samples that need no later input: possibly none, always a new array */
  push(samples: Float32Array): Float32Array {
    this.taken += samples.length;
    return this.run(samples);
  }

  /** @returns the remaining samples. Nothing may be pushed afterwards. */
  flush(): Float32Array {
    if (this.filter === null) return new Float32Array(0);
    const wanted = Math.ceil((this.taken * this.toRate) / this.fromRate) - this.given;
    return this.run(new Float32Array(this.filter.half)).slice(0, wanted);
  }

  private run(samples: Float32Array): Float32Array {
    const { filter } = this;
    if (filter === null) {
      this.given += samples.length;
      return samples.slice();
    }
    const capacity = Math.ceil(((this.length + samples.length) * this.up) / this.down) + 1;
    const out = new Float32Array(capacity);
    let written = 0;
    for (let at = 0; at < samples.length; at += BLOCK) {
      const block = samples.subarray(at, at + BLOCK);
      this.history.set(block, this.length);
      this.length += block.length;
      written = this.filterHistory(filter, out, written);
    }
    this.given += written;
    return out.slice(0, written);
  }

  /** Makes every output whose taps are all there, then forgets the input that no later output needs. */
  private filterHistory(filter: Filter, out: Float32Array, written: number): number {
    const { up, down, history } = this;
    const { table, phases, half } = filter;
    const last = this.start + this.length - half - 1; // latest `position` whose taps are all there
    if (this.position > last) return written;
    kernel ??= new DotKernel();
    const { dot } = kernel;
    const origin = kernel.load(table, history, this.length) - 4 * (this.start + half - 1);
    const rowBytes = 8 * half;
    const whole = Math.floor(down / up);
    const part = down % up;
    let { position, fraction } = this;
    while (position <= last) {
      const input = origin + 4 * position;
      if (up === phases) {
        const row = fraction * rowBytes;
        out[written++] = dot(input, row, row + rowBytes);
      } else {
        const exact = (fraction / up) * phases;
        const row = Math.floor(exact) * rowBytes;
        const low = dot(input, row, row + rowBytes);
        const high = dot(input, row + rowBytes, row + 2 * rowBytes);
        out[written++] = low + (exact - Math.floor(exact)) * (high - low);
      }
      position += whole;
      fraction += part;
      if (fraction >= up) {
        fraction -= up;
        position++;
      }
    }
    this.position = position;
    this.fraction = fraction;
    const drop = Math.min(position - (half - 1) - this.start, this.length);
    history.copyWithin(0, drop, this.length);
    this.start += drop;
    this.length -= drop;
    return written;
  }
}

/** Joins pieces into one new array. */
export function concatenate(pieces: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/**
 * Resamples a whole signal.
 *
 * @param samples mono at `fromRate`; not modified
 * @returns a new array of `ceil(samples.length * toRate / fromRate)` samples
 * @throws {RangeError} unless both rates are whole numbers of Hz from 1000 to 768000
 */
export function resample(samples: Float32Array, fromRate: number, toRate: number = SAMPLE_RATE): Float32Array {
  const resampler = new Resampler(fromRate, toRate);
  return concatenate([resampler.push(samples), resampler.flush()]);
}
