import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LogMelBuilder } from "./log-mel-builder.ts";
import { logMelSpectrogram, sliceFrames } from "./log-mel-spectrogram.ts";

/** Noise that is loudest in the middle, so that the floor of what comes before depends on what comes after. */
function swell(length: number): Float32Array {
  const samples = new Float32Array(length);
  let state = 7;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const loudness = i % 4000 >= 2000 ? 0 : Math.exp(-12 * Math.abs(i / length - 0.6));
    samples[i] = loudness * (state / 0x7fffffff - 0.5);
  }
  return samples;
}

/** Index of the first value that is not the same, or -1. (toEqual takes seconds for arrays of this size.) */
function firstDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.findIndex((value, i) => !Object.is(value, b[i]));
}

function build(samples: Float32Array, sizes: readonly number[], nMels = 80) {
  const builder = new LogMelBuilder(nMels);
  for (let from = 0, i = 0; from < samples.length; i++) {
    const size = sizes[i % sizes.length];
    builder.push(samples.slice(from, from + size));
    from += size;
  }
  return builder.finish();
}

describe("LogMelBuilder", () => {
  // 480040 and 480039 samples fill the first block to the last frame, and not quite.
  it.each([1, 2, 160, 200, 201, 16_000, 479_999, 480_000, 480_039, 480_040, 480_041, 480_200, 960_041, 1_000_003])(
    "gives logMelSpectrogram() of %d samples bit for bit",
    (length) => {
      const samples = swell(length);
      const mel = build(samples, [length]);
      const expected = logMelSpectrogram(samples, 80, { padding: 480_000 });
      expect(mel.frames).toBe(expected.dims[1]);
      expect(mel.contentFrames).toBe(Math.floor(length / 160));
      expect(firstDifference(mel.window(0, mel.frames, mel.frames).data, expected.data)).toBe(-1);
    },
  );

  it("gives the same for pieces of any size, of any number of mels", () => {
    const samples = swell(500_000);
    const expected = logMelSpectrogram(samples, 3, { padding: 480_000 });
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 5 }), (sizes) => {
        const mel = build(samples, [...sizes, 100_000], 3);
        expect(firstDifference(mel.window(0, mel.frames, mel.frames).data, expected.data)).toBe(-1);
      }),
      { numRuns: 10 },
    );
  });

  it("gives a spectrogram of silence for no samples", () => {
    const mel = new LogMelBuilder(80).finish();
    expect([mel.contentFrames, mel.frames]).toEqual([0, 3000]);
    expect(new Set(mel.window(0, 3000).data)).toEqual(new Set([-1.5]));
  });
});

describe("LogMel.window()", () => {
  const samples = swell(1_000_000);
  const mel = build(samples, [16_000]);
  const whole = logMelSpectrogram(samples, 80, { padding: 480_000 });

  it.each([
    [0, 3000],
    [1234, 3000],
    [2999, 2],
    [3000, 3000],
    [5990, 260],
    [6250, 0],
    [mel.frames - 7, 7],
  ])("from frame %d has %d frames, then 0.0 (facts 2.2.2)", (from, size) => {
    const expected = sliceFrames(whole, from, 3000).data;
    for (let at = 0; at < expected.length; at += 3000) expected.fill(0, at + size, at + 3000);
    expect(firstDifference(mel.window(from, size).data, expected)).toBe(-1);
  });

  it.each([
    [-1, 10, 3000],
    [0.5, 10, 3000],
    [mel.frames - 5, 6, 3000],
    [0, 11, 10],
  ])("refuses frame %d, size %d in a window of %d", (from, size, frames) => {
    expect(() => mel.window(from, size, frames)).toThrow(RangeError);
  });
});
