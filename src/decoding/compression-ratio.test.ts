import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compressionRatio } from "./compression-ratio.ts";

const folder = new URL("../../test/golden/nano/", import.meta.url);

describe("compressionRatio()", () => {
  it.each([
    ["Thank you. ".repeat(5), 54 / 22],
    [
      "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country.",
      1.3544,
    ],
    ["a", 1 / 9],
    ["  a\n", 1 / 9],
    ["", 0],
  ])("of %j is %d (facts 2.3.5)", (text, expected) => {
    expect(compressionRatio(text)).toBeCloseTo(expected, 4);
  });

  it("counts bytes, not characters", () => {
    expect(compressionRatio("ä".repeat(20))).toBeCloseTo(40 / 13, 10);
  });

  it.each(readdirSync(folder))("of the texts in golden %s is openai/whisper's", (file) => {
    const golden = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Record<
      string,
      { text: string; compression_ratio: number }
    >;
    for (const run of ["first_window_timestamps", "first_window_text_only", "first_window_beam5"]) {
      // The goldens are rounded to 6 digits.
      expect(compressionRatio(golden[run].text)).toBeCloseTo(golden[run].compression_ratio, 6);
    }
  });
});
