/**
 * Channels -> mono. They are averaged, which is what ffmpeg's `-ac 1` does to stereo; its weights for surround layouts are not copied: a
 * microphone array has no centre.
 *
 * A channel of the opposite polarity (a microphone wired the wrong way round, a player's "surround" effect) would silence the others:
 * it is inverted. Whatever else the channels hold survives either way, so that a wrong guess costs nothing.
 */

import type { WarningList } from "./warnings.ts";

/** Frames at once for which polarity is judged: most of a second, so that no single low note decides. */
export const MIX_FRAMES = 32768;

/** Channels cancel out if less than this of their energy is left in their sum: 1 is left of unrelated ones, 0.2 of two that correlate by -0.8. */
const CANCELLED = 0.2;

/** Mean square below which nothing is heard that could cancel out: -70 dB. */
const INAUDIBLE = 1e-7;

/** Frames over which a change of polarity is faded, so that it does not click. */
const FADE_FRAMES = 256;

/** Mixes the blocks of one recording. */
export class Mixer {
  /** 1 or -1 for each channel. */
  private signs: readonly number[] = [];

  constructor(private readonly warnings: WarningList) {}

  /**
   * @param planes samples of each channel; not modified
   * @param frames samples of each plane that count
   * @param out receives `frames` samples
   */
  mix(planes: readonly Float32Array[], frames: number, out: Float32Array): void {
    const isFirst = this.signs.length !== planes.length;
    if (isFirst) this.signs = planes.map(() => 1);
    if (planes.length === 1) {
      out.set(planes[0].subarray(0, frames));
      return;
    }
    average(planes, this.signs, frames, out);
    const energy = planes.reduce((sum, plane) => sum + energyOf(plane, frames), 0);
    const left = energyOf(out, frames) * planes.length ** 2;
    if (energy <= INAUDIBLE * frames * planes.length || left >= CANCELLED * energy) return;
    const before = out.slice(0, Math.min(FADE_FRAMES, frames));
    this.signs = polarities(planes, frames);
    average(planes, this.signs, frames, out);
    if (!isFirst) for (let i = 0; i < before.length; i++) out[i] += (before[i] - out[i]) * (1 - i / before.length);
    this.warn();
  }

  private warn(): void {
    const inverted = this.signs.flatMap((sign, channel) => (sign < 0 ? [channel + 1] : []));
    if (inverted.length === 0) return;
    const channels = inverted.length === 1 ? `channel ${inverted[0]} was` : `channels ${inverted.join(", ")} were`;
    this.warnings.add(`Its channels have opposite polarity and would cancel each other out: ${channels} inverted`);
  }
}

function average(planes: readonly Float32Array[], signs: readonly number[], frames: number, out: Float32Array): void {
  for (let i = 0; i < frames; i++) {
    let sum = 0;
    for (let channel = 0; channel < planes.length; channel++) sum += signs[channel] * planes[channel][i];
    out[i] = sum / planes.length;
  }
}

function energyOf(plane: Float32Array, frames: number): number {
  let sum = 0;
  for (let i = 0; i < frames; i++) sum += plane[i] * plane[i];
  return sum;
}

/** The first channel keeps its sign; each other gets the one with which it adds to those before it. */
function polarities(planes: readonly Float32Array[], frames: number): readonly number[] {
  const sum = planes[0].slice(0, frames);
  return planes.map((plane, channel) => {
    if (channel === 0) return 1;
    let product = 0;
    for (let i = 0; i < frames; i++) product += sum[i] * plane[i];
    const sign = product < 0 ? -1 : 1;
    for (let i = 0; i < frames; i++) sum[i] += sign * plane[i];
    return sign;
  });
}
