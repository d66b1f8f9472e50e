import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { N_BINS, N_FFT } from "./constants.ts";
import { HANN, writeMagnitudes } from "./spectrum.ts";

/** Straight from the definition. */
function magnitudes(samples: Float32Array): number[] {
  return Array.from({ length: N_BINS }, (_, k) => {
    let real = 0;
    let imaginary = 0;
    for (let n = 0; n < N_FFT; n++) {
      real += samples[n] * HANN[n] * Math.cos((2 * Math.PI * k * n) / N_FFT);
      imaginary -= samples[n] * HANN[n] * Math.sin((2 * Math.PI * k * n) / N_FFT);
    }
    return Math.hypot(real, imaginary);
  });
}

/** Values are below 256, whose float32 spacing is 1.5e-5. */
const TOLERANCE = 1.6e-5;

describe("writeMagnitudes()", () => {
  it("gives the Fourier transform of both signals", () => {
    const signal = fc.float32Array({ min: -1, max: 1, noNaN: true, minLength: N_FFT, maxLength: N_FFT });
    fc.assert(
      fc.property(signal, signal, (first, second) => {
        const samples = new Float32Array(3 + 2 * N_FFT);
        samples.set(first, 3);
        samples.set(second, 3 + N_FFT);
        const out = new Float32Array(2 * N_BINS + 1);
        writeMagnitudes(samples, 3, 3 + N_FFT, out, N_BINS + 1, 0);
        expect(out[N_BINS]).toBe(0);
        for (const [at, expected] of [
          [N_BINS + 1, magnitudes(first)],
          [0, magnitudes(second)],
        ] as const) {
          for (let k = 0; k < N_BINS; k++) expect(Math.abs(out[at + k] - expected[k])).toBeLessThan(TOLERANCE);
        }
      }),
      { numRuns: 30 },
    );
  });
});
