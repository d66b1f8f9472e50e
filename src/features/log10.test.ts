import { describe, expect, it } from "vitest";
import { log10InPlace } from "./log10.ts";

describe("log10InPlace()", () => {
  it("equals Math.log10 within a float32's rounding over the range of spectrograms", () => {
    const values = new Float32Array(20_000);
    for (let i = 0; i < values.length; i++) values[i] = 10 ** (-10 + (i * 24) / values.length);
    const wanted = Float32Array.from(values, (value) => Math.log10(value));
    log10InPlace(values, 0, values.length, 1e-30, 0, 1);
    let worst = 0;
    for (let i = 0; i < values.length; i++) worst = Math.max(worst, Math.abs(values[i] - wanted[i]));
    // Results lie in [-10, 14), where neighbouring float32 values are at most 2^-20 apart.
    expect(worst).toBeLessThanOrEqual(2 ** -20);
  });

  it("is exact at powers of two and one", () => {
    const values = Float32Array.of(1, 2, 0.5, 1024);
    log10InPlace(values, 0, 4, 1e-10, 0, 1);
    for (const [i, x] of [1, 2, 0.5, 1024].entries()) expect(values[i]).toBeCloseTo(Math.log10(x), 7);
  });

  it("floors what is too small, shifts and scales, and leaves the rest of the array alone", () => {
    const values = Float32Array.of(7, 0, 1e-12, NaN, 100, 7);
    log10InPlace(values, 1, 5, 1e-10, 4, 0.25);
    expect([...values]).toEqual([7, -1.5, -1.5, -1.5, 1.5, 7]);
  });
});
