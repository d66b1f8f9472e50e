import { describe, expect, it } from "vitest";
import { hzToMel, melFilters, melToHz, sparseMelFilters } from "./mel-filters.ts";

const nonZeroBins = (row: Float32Array): number[] => [...row.keys()].filter((k) => row[k] !== 0);

describe("melFilters()", () => {
  it.each([
    { nMels: 80, nonZero: 391, max: 0.0258807, first: 0.0248626, last: [186, 199] },
    { nMels: 128, nonZero: 394, max: 0.0416818, first: 0.012374, last: [191, 199] },
  ])("makes the Slaney bank of $nMels filters (facts 0.2)", ({ nMels, nonZero, max, first, last }) => {
    const bank = melFilters(nMels);
    expect(bank).toHaveLength(nMels * 201);
    expect(bank.filter((weight) => weight !== 0)).toHaveLength(nonZero);
    expect(Math.abs(Math.max(...bank) - max)).toBeLessThan(1e-7);
    expect(nonZeroBins(bank.subarray(0, 201))).toEqual([1]);
    expect(bank[1]).toBeCloseTo(first, 7);
    const lastBins = nonZeroBins(bank.subarray((nMels - 1) * 201));
    expect([lastBins[0], lastBins.at(-1)]).toEqual(last);
  });

  it("gives wide filters unit area: their weights times 40 Hz a bin sum to about 1", () => {
    const bank = melFilters(20);
    for (let m = 10; m < 20; m++) {
      const area = 40 * bank.subarray(m * 201, (m + 1) * 201).reduce((sum, weight) => sum + weight, 0);
      expect(area).toBeCloseTo(1, 1);
    }
  });

  it.each([0, -1, 257, 80.5, NaN])("refuses %d filters", (nMels) => {
    expect(() => melFilters(nMels)).toThrow(RangeError);
    expect(() => melFilters(nMels)).toThrow(`nMels is ${nMels}, expected a whole number from 1 to 256`);
  });
});

describe("sparseMelFilters()", () => {
  it.each([1, 2, 40, 80, 128, 256])("holds the same weights as the bank of %d filters", (nMels) => {
    const { start, offset, weights } = sparseMelFilters(nMels);
    const rebuilt = new Float32Array(nMels * 201);
    for (let m = 0; m < nMels; m++) {
      for (let i = offset[m]; i < offset[m + 1]; i++) rebuilt[m * 201 + start[m] + i - offset[m]] = weights[i];
    }
    expect(rebuilt).toEqual(melFilters(nMels));
  });
});

describe("hzToMel() and melToHz()", () => {
  it("spans 0 to 45.245640471924965 mel from 0 to 8000 Hz (facts 0.2)", () => {
    expect(hzToMel(0)).toBe(0);
    expect(hzToMel(8000)).toBeCloseTo(45.245640471924965, 12);
  });

  it.each([0, 40, 999, 1000, 1001, 4000, 8000])("are inverse at %d Hz", (hz) => {
    expect(melToHz(hzToMel(hz))).toBeCloseTo(hz, 8);
  });
});
