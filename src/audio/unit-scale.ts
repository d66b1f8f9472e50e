/**
 * Floats that are integers in disguise. Samples go from -1 to 1, but int16 cast to float goes to 32768, and a model hears nothing but noise in
 * that. No recording is a hundred times too loud, so that such values are of another scale, or damage.
 */

import { InputError, withHint } from "../errors.ts";
import { SAMPLE_RATE } from "./constants.ts";
import type { WarningList } from "./warnings.ts";

/** Loudest magnitude of a sample: 40 dB above full scale, more than any recorder of floats has been overdriven. */
const LOUDEST = 100;

/** Share of a piece that must be beyond it to be another scale. Less is damage, and what resampling makes of it. */
const SHARE = 0.01;

/** Longest wait for a piece that tells, after pieces between 1 and `LOUDEST`, in samples: overdriven floats, or the silence of integers. */
const MAX_HELD = 10 * SAMPLE_RATE;

/** Full scales of integers, and their names. */
const SCALES = [
  [2 ** 15, "16-bit integers"],
  [2 ** 23, "24-bit integers"],
  [2 ** 31, "32-bit integers"],
] as const;

/** Filters overshoot by a little. */
const HEADROOM = 1.25;

const WANTED = "expected values from -1 to 1";
const HINT = "divide integers by their full scale: 32768 for 16 bits";

/** Brings one recording to the scale of -1 to 1, by its first pieces that tell. */
export class UnitScale {
  /** `null` while nothing told. */
  private scale: number | null = null;
  private held: Float32Array[] = [];
  private heldLength = 0;

  constructor(
    private readonly name: string,
    private readonly warnings: WarningList,
  ) {}

  /**
   * @param samples a second or more of finite values; not modified
   * @returns pieces whose scale is known: those given before, and perhaps this one; the very array given where nothing is to be done
   * @throws {InputError} if the scale changes on the way
   */
  push(samples: Float32Array): Float32Array[] {
    if (this.scale !== null) return [this.scaled(samples, this.scale)];
    const { peak, beyond } = measure(samples, LOUDEST);
    if (beyond > SHARE * samples.length) this.choose(samples);
    else if (peak === 0 && beyond === 0 && this.held.length === 0) return [samples];
    else if (peak <= 1 && this.held.length === 0) this.scale = 1;
    this.held.push(samples);
    this.heldLength += samples.length;
    return this.scale === null && this.heldLength < MAX_HELD ? [] : this.finish();
  }

  /** @returns the pieces that still wait */
  finish(): Float32Array[] {
    const { held } = this;
    const scale = (this.scale ??= 1);
    this.held = [];
    return held.map((samples) => this.scaled(samples, scale));
  }

  private choose(samples: Float32Array): void {
    const level = percentile(samples, 1 - SHARE / 2);
    const [scale, what] = SCALES.find(([full]) => level <= HEADROOM * full) ?? SCALES[2];
    this.scale = scale;
    const found = Math.round(percentile(samples, 1));
    this.warnings.add(`Its samples reach ${found}, ${WANTED}: they were taken for ${what} and divided by ${scale}`);
  }

  private scaled(samples: Float32Array, scale: number): Float32Array {
    const limit = LOUDEST * scale;
    const { peak, beyond } = measure(samples, limit);
    if (beyond > SHARE * samples.length) {
      const found = `its samples reach ${Math.round(percentile(samples, 1))} after samples of at most`;
      throw new InputError(this.name, `${found} ${LOUDEST * scale}, ${WANTED}`, { hint: HINT });
    }
    this.warnings.addReplaced(beyond);
    if (scale === 1 && beyond === 0) return samples;
    return peak === 0 && beyond === 0
      ? samples
      : samples.map((value) => (Math.abs(value) <= limit ? value / scale : 0));
  }
}

/**
 * Checks samples that are used as they are.
 *
 * @param what "Cannot ...", for the message
 * @throws {RangeError} if they are not on the scale of -1 to 1
 */
export function assertUnitScale(what: string, samples: Float32Array): void {
  if (measure(samples, LOUDEST).beyond <= SHARE * samples.length) return;
  throw new RangeError(withHint(`${what}: its samples reach ${Math.round(percentile(samples, 1))}, ${WANTED}`, HINT));
}

/** The loudest magnitude of those up to the limit, and how many are beyond. */
function measure(samples: Float32Array, limit: number): { peak: number; beyond: number } {
  let peak = 0;
  let beyond = 0;
  for (let i = 0; i < samples.length; i++) {
    const magnitude = Math.abs(samples[i]);
    if (magnitude > limit) beyond++;
    else if (magnitude > peak) peak = magnitude;
  }
  return { peak, beyond };
}

/** The magnitude that this share of samples does not pass. */
function percentile(samples: Float32Array, share: number): number {
  const sorted = samples.map(Math.abs).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
