import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ShapeError } from "../errors.ts";
import { tensor, type Tensor } from "../tensor/index.ts";
import { logMelSpectrogram, logMelWindow, sliceFrames } from "./log-mel-spectrogram.ts";
import { melFilters } from "./mel-filters.ts";

const noise = (length: number, seed = 1): Float32Array => {
  const samples = new Float32Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    samples[i] = state / 0x7fffffff - 0.5;
  }
  return samples;
};

const sine = (length: number, hz = 440): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * hz * i) / 16_000));

const padded = (samples: Float32Array, length: number): Float32Array => {
  const result = new Float32Array(length);
  result.set(samples.subarray(0, length));
  return result;
};

function statistics({ data }: Tensor): { mean: number; max: number; min: number } {
  let [sum, max, min] = [0, -Infinity, Infinity];
  for (const value of data) {
    sum += value;
    max = Math.max(max, value);
    min = Math.min(min, value);
  }
  return { mean: sum / data.length, max, min };
}

function largestDifference(a: Tensor, b: Tensor): number {
  expect(a.dims).toEqual(b.dims);
  return a.data.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b.data[i])), 0);
}

/** openai/whisper's log_mel_spectrogram, step by step, with a plain discrete Fourier transform. */
function definition(samples: Float32Array, nMels: number): Tensor {
  const n = samples.length;
  const at = (i: number): number => samples[i < 0 ? -i : i >= n ? 2 * n - 2 - i : i];
  const frames = Math.floor(n / 160);
  const filters = melFilters(nMels);
  const out = new Float32Array(nMels * frames);
  for (let t = 0; t < frames; t++) {
    const power = new Float64Array(201);
    for (let k = 0; k < 201; k++) {
      let [re, im] = [0, 0];
      for (let j = 0; j < 400; j++) {
        const value = at(t * 160 - 200 + j) * (0.5 - 0.5 * Math.cos((2 * Math.PI * j) / 400));
        re += value * Math.cos((2 * Math.PI * j * k) / 400);
        im += value * Math.sin((2 * Math.PI * j * k) / 400);
      }
      power[k] = re * re + im * im;
    }
    for (let m = 0; m < nMels; m++) {
      let sum = 0;
      for (let k = 0; k < 201; k++) sum += filters[m * 201 + k] * power[k];
      out[m * frames + t] = Math.log10(Math.max(sum, 1e-10));
    }
  }
  const max = out.reduce((a, b) => Math.max(a, b), -Infinity);
  return tensor(
    out.map((value) => (Math.max(value, max - 8) + 4) / 4),
    [nMels, frames],
  );
}

describe("logMelSpectrogram()", () => {
  // 201, 360, 480: every frame sees a mirrored end; 1600 and 1759: both kinds; odd and even numbers of frames.
  it.each([201, 360, 480, 799, 1600, 1759])("equals the definition for %d samples", (length) => {
    const samples = noise(length);
    expect(largestDifference(logMelSpectrogram(samples, 80), definition(samples, 80))).toBeLessThan(1e-6);
    expect(largestDifference(logMelSpectrogram(samples, 128), definition(samples, 128))).toBeLessThan(1e-6);
  });

  it.each([1, 100, 160, 320, 1000, 1001])("pads with %d zero samples as if they were there", (padding) => {
    const samples = noise(900);
    const whole = logMelSpectrogram(padded(samples, 900 + padding), 80);
    expect(largestDifference(logMelSpectrogram(samples, 80, { padding }), whole)).toBeLessThan(1e-6);
  });

  it("finds a 440 Hz tone in mel bin 11 (facts 6.2)", () => {
    const mel = logMelSpectrogram(sine(480_000), 80);
    expect(mel.dims).toEqual([80, 3000]);
    const { mean, max, min } = statistics(mel);
    expect(max).toBeCloseTo(1.588719, 4);
    expect(mean).toBeCloseTo(-0.317067, 4);
    expect(min).toBeCloseTo(-0.411281, 4);
    const middle = Array.from({ length: 80 }, (_, m) => mel.data[m * 3000 + 1500]);
    expect(middle.indexOf(Math.max(...middle))).toBe(11);
  });

  it("spans 2.0 at the most", () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 201, maxLength: 2000, min: -1, max: 1, noNaN: true }), (samples) => {
        if (samples.length < 201) return;
        const { max, min } = statistics(logMelSpectrogram(samples, 80));
        expect(max - min).toBeLessThanOrEqual(2.0 + 1e-6);
        expect(min).toBeGreaterThanOrEqual(-1.5);
      }),
      { numRuns: 50 },
    );
  });

  it.each([0, 1, 200])("refuses %d samples, which cannot be mirrored at the ends", (length) => {
    expect(() => logMelSpectrogram(new Float32Array(length), 80)).toThrow(RangeError);
    expect(() => logMelSpectrogram(new Float32Array(length), 80)).toThrow(
      `the audio has ${length} samples, expected more than 200`,
    );
  });

  it.each([0, 1, 160])("takes %d samples with padding", (length) => {
    expect(logMelSpectrogram(noise(length), 80, { padding: 480_000 }).dims).toEqual([
      80,
      Math.floor((length + 480_000) / 160),
    ]);
  });

  it.each([-1, 0.5, NaN, Infinity])("refuses a padding of %d", (padding) => {
    expect(() => logMelSpectrogram(noise(1000), 80, { padding })).toThrow(RangeError);
  });

  it("does not change its input and gives the same result again", () => {
    const samples = noise(3000);
    const before = samples.slice();
    const first = logMelSpectrogram(samples, 80);
    logMelSpectrogram(noise(5000, 7), 128);
    expect(samples).toEqual(before);
    expect(logMelSpectrogram(samples, 80)).toEqual(first);
  });
});

describe("logMelWindow()", () => {
  it("is -1.5 everywhere for digital silence (facts 6.2), and for no samples at all", () => {
    for (const samples of [new Float32Array(480_000), new Float32Array(0)]) {
      const mel = logMelWindow(samples, 80);
      expect(mel.dims).toEqual([80, 3000]);
      expect(mel.data.every((value) => value === -1.5)).toBe(true);
    }
  });

  it.each([1, 160, 199, 200, 201, 1000, 1999, 2000])("pads %d samples with silence first", (length) => {
    const samples = noise(length);
    const whole = logMelSpectrogram(padded(samples, 2000 - (2000 % 160)), 80);
    expect(largestDifference(logMelWindow(samples, 80, 12), whole)).toBeLessThan(1e-6);
  });

  it("pads to 30 s by default, whatever is mirrored at its end", () => {
    for (const length of [5000, 479_700, 479_799, 479_801, 479_999]) {
      const samples = noise(length);
      const whole = logMelSpectrogram(padded(samples, 480_000), 128);
      expect(largestDifference(logMelWindow(samples, 128), whole)).toBeLessThan(1e-6);
    }
  });

  it("ignores what lies beyond the window, loud as it may be", () => {
    const samples = noise(4000).map((value, i) => (i < 3200 ? value * 0.01 : value * 100));
    expect(logMelWindow(samples, 80, 20)).toEqual(logMelWindow(samples.slice(0, 3200), 80, 20));
  });

  it.each([0, 1, 2.5, NaN])("refuses a window of %d frames", (frames) => {
    expect(() => logMelWindow(noise(1000), 80, frames)).toThrow(RangeError);
  });
});

describe("sliceFrames()", () => {
  const mel = tensor(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);

  it.each([
    { from: 0, frames: 3, want: [1, 2, 3, 4, 5, 6] },
    { from: 1, frames: 1, want: [2, 5] },
    { from: 1, frames: 4, want: [2, 3, 0, 0, 5, 6, 0, 0] },
    { from: 3, frames: 2, want: [0, 0, 0, 0] },
    { from: 100, frames: 1, want: [0, 0] },
    { from: 0, frames: 0, want: [] },
  ])("gives $frames frames from $from, 0.0 past the end", ({ from, frames, want }) => {
    const slice = sliceFrames(mel, from, frames);
    expect(slice.dims).toEqual([2, frames]);
    expect([...slice.data]).toEqual(want);
  });

  it("gives 30 s by default", () => {
    expect(sliceFrames(mel, 0).dims).toEqual([2, 3000]);
  });

  it("refuses places that are no whole numbers from 0, and tensors that are no spectrogram", () => {
    expect(() => sliceFrames(mel, -1, 2)).toThrow(RangeError);
    expect(() => sliceFrames(mel, 0.5, 2)).toThrow(RangeError);
    expect(() => sliceFrames(mel, 0, -2)).toThrow(RangeError);
    expect(() => sliceFrames(tensor(new Float32Array(6), [1, 2, 3]), 0)).toThrow(ShapeError);
  });
});
