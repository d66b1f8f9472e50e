import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { concatenate, resample, Resampler } from "./resample.ts";

const AMPLITUDE = 0.9;

function tone(frequency: number, rate: number, seconds: number): Float32Array {
  const step = (2 * Math.PI * frequency) / rate;
  return Float32Array.from({ length: Math.round(rate * seconds) }, (_, i) => AMPLITUDE * Math.sin(step * i));
}

/** Level of what is left in the middle, in dB against the tone; the ends ring. */
function levelDb(samples: Float32Array): number {
  const middle = samples.subarray(1600, samples.length - 1600);
  const power = middle.reduce((sum, value) => sum + value * value, 0) / middle.length;
  return 10 * Math.log10(power / (AMPLITUDE ** 2 / 2));
}

/** Difference from the tone computed at the new rate, in dB: noise, gain, delay, everything. */
function errorDb(frequency: number, rate: number): number {
  const found = resample(tone(frequency, rate, 1), rate);
  const wanted = tone(frequency, 16000, 1);
  return levelDb(found.map((value, i) => value - wanted[i]));
}

const RATES = [8000, 11025, 12000, 22050, 24000, 32000, 44100, 44101, 48000, 88200, 96000, 192000];

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => new Uint8Array(buffer, byteOffset, byteLength);

describe("resample()", () => {
  it.each(RATES)("keeps a 1 kHz tone from %i Hz with a signal-to-noise ratio of 100 dB", (rate) => {
    const found = resample(tone(1000, rate, 1), rate);
    // Fitting the tone leaves out the gain (1e-5 dB), which is not noise but would read as -110 dB.
    const wanted = tone(1000, 16000, 1);
    const middle = { from: 1600, to: 14400 };
    let product = 0;
    let power = 0;
    for (let i = middle.from; i < middle.to; i++) {
      product += found[i] * wanted[i];
      power += wanted[i] ** 2;
    }
    const gain = product / power;
    expect(Math.abs(20 * Math.log10(gain))).toBeLessThan(0.001);
    expect(levelDb(found.map((value, i) => value - gain * wanted[i]))).toBeLessThan(-100);
  });

  it.each([100, 500, 3000, 6000, 7000, 7400])("is flat and without delay at %i Hz", (frequency) => {
    // 0.001 dB of gain is an error of -78.8 dB; a delay of 1e-3 samples would be one of -51 dB at 7 kHz.
    for (const rate of [22050, 44100, 48000, 96000]) expect(errorDb(frequency, rate)).toBeLessThan(-78.8);
  });

  it.each([8170, 8500, 9000, 12000, 15000, 16500, 20000])("lets no more than -80 dB of %i Hz alias", (frequency) => {
    for (const rate of [44100, 48000, 96000])
      expect(levelDb(resample(tone(frequency, rate, 1), rate))).toBeLessThan(-80);
  });

  it("leaves no image above a telephone's band", () => {
    const found = resample(tone(3000, 8000, 1), 8000);
    const image = found.map((value, i) => value * Math.cos(2 * Math.PI * 5000 * (i / 16000)));
    expect(Math.abs(image.reduce((sum, value) => sum + value, 0) / image.length)).toBeLessThan(1e-5);
    expect(errorDb(3000, 8000)).toBeLessThan(-80);
  });

  it("keeps a constant", () => {
    for (const rate of RATES) {
      const found = resample(new Float32Array(rate).fill(0.25), rate).subarray(1600, 14400);
      expect(Math.max(...found.map((value) => Math.abs(value - 0.25)))).toBeLessThan(1e-6);
    }
  });

  it("gives ceil(n * to / from) samples, and none for none", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), fc.constantFrom(...RATES, 1000, 16000, 100001), (length, rate) => {
        expect(resample(new Float32Array(length), rate)).toHaveLength(Math.ceil((length * 16000) / rate));
      }),
      { numRuns: 60 },
    );
  });

  it("returns a copy at the same rate", () => {
    const samples = Float32Array.of(1, 2, 3);
    const same = resample(samples, 16000);
    expect(same).toEqual(samples);
    expect(same).not.toBe(samples);
  });

  it.each([0, -1, 999, 768001, 44100.5, NaN, Infinity])("refuses a rate of %d Hz", (rate) => {
    expect(() => resample(new Float32Array(1), rate)).toThrow(RangeError);
    expect(() => resample(new Float32Array(1), 16000, rate)).toThrow(RangeError);
  });
});

describe("Resampler", () => {
  it("gives the same bits for pieces of any size as for the whole", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(8000, 11025, 44100, 44101, 48000, 96000),
        fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 12 }),
        fc.infiniteStream(fc.float({ min: -1, max: 1, noNaN: true })),
        (rate, sizes, noise) => {
          const length = sizes.reduce((sum, size) => sum + size, 0);
          const values = [...noise.take(97)];
          const whole = Float32Array.from({ length }, (_, i) => values[i % 97] * Math.cos(i));
          const resampler = new Resampler(rate);
          const parts: Float32Array[] = [];
          let at = 0;
          for (const size of sizes) parts.push(resampler.push(whole.subarray(at, (at += size))));
          parts.push(resampler.flush());
          const joined = concatenate(parts);
          const wanted = resample(whole, rate);
          // Vitest takes a tenth of a second to compare them one by one.
          if (Buffer.compare(bytesOf(joined), bytesOf(wanted)) !== 0) expect(joined).toEqual(wanted);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("keeps two recordings apart that are resampled in turn", () => {
    const [a, b] = [tone(440, 44100, 0.5), tone(880, 48000, 0.5)];
    const [first, second] = [new Resampler(44100), new Resampler(48000)];
    const parts: [Float32Array[], Float32Array[]] = [[], []];
    for (let at = 0; at < 24000; at += 4800) {
      parts[0].push(first.push(a.subarray(at, at + 4800)));
      parts[1].push(second.push(b.subarray(at, at + 4800)));
    }
    expect(concatenate([...parts[0], first.flush()])).toEqual(resample(a, 44100));
    expect(concatenate([...parts[1], second.flush()])).toEqual(resample(b, 48000));
  });
});
