import { describe, expect, it } from "vitest";

import { aLawTable, muLawTable } from "./g711.ts";

describe("aLawTable()", () => {
  const table = aLawTable();
  // ITU-T G.711 table 1a, scaled from 13 to 16 bits.
  it.each([
    [0xd5, 8],
    [0x55, -8],
    [0xaa, 32256],
    [0x2a, -32256],
    [0x80, 5504],
    [0x00, -5504],
  ])("decodes %i as %i", (byte, value) => expect(table[byte]).toBe(value));
});

describe("muLawTable()", () => {
  const table = muLawTable();
  it.each([
    [0xff, 0],
    [0x7f, 0],
    [0x80, 32124],
    [0x00, -32124],
    [0xf0, 120],
    [0x8f, 16764],
  ])("decodes %i as %i", (byte, value) => expect(table[byte]).toBe(value));
});
