import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { powerSpectra } from "./stft.ts";

/** The definition, term by term. */
function naivePower(frame: Float32Array): Float64Array {
  const power = new Float64Array(201);
  for (let k = 0; k < 201; k++) {
    let re = 0;
    let im = 0;
    for (let n = 0; n < 400; n++) {
      const windowed = frame[n] * Math.sin((Math.PI * n) / 400) ** 2;
      re += windowed * Math.cos((2 * Math.PI * k * n) / 400);
      im -= windowed * Math.sin((2 * Math.PI * k * n) / 400);
    }
    power[k] = re * re + im * im;
  }
  return power;
}

const frames = fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 400, maxLength: 400 });

describe("powerSpectra()", () => {
  it("equals the discrete Fourier transform of each of two windowed frames", () => {
    fc.assert(
      fc.property(frames, frames, (a, b) => {
        const [frame1, frame2] = [Float32Array.from(a), Float32Array.from(b)];
        const [power1, power2] = [new Float64Array(201), new Float64Array(201)];
        powerSpectra(frame1, 0, frame2, 0, power1, power2);
        // |X| is at most 200; double precision leaves 400 roundings of 2^-53, squared at the most by 2 |X|.
        const [wanted1, wanted2] = [naivePower(frame1), naivePower(frame2)];
        for (let k = 0; k < 201; k++) {
          expect(Math.abs(power1[k] - wanted1[k])).toBeLessThan(1e-9);
          expect(Math.abs(power2[k] - wanted2[k])).toBeLessThan(1e-9);
        }
      }),
      { numRuns: 20 },
    );
  });

  it("reads frames where they lie in a longer signal, which may be the same", () => {
    const signal = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i * i * 0.001));
    const [power1, power2] = [new Float64Array(201), new Float64Array(201)];
    powerSpectra(signal, 37, signal, 600, power1, power2);
    expect(power1[10]).toBeCloseTo(naivePower(signal.subarray(37, 437))[10], 9);
    expect(power2[10]).toBeCloseTo(naivePower(signal.subarray(600, 1000))[10], 9);
  });
});
