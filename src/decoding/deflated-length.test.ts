import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { deflatedLength } from "./deflated-length.ts";

interface Golden {
  readonly texts: readonly (readonly [text: string, length: number])[];
  readonly pseudoRandom: readonly (readonly [n: number, alphabet: string, length: number])[];
}
const golden = JSON.parse(
  readFileSync(new URL("../../test/golden/deflate/lengths.json", import.meta.url), "utf8"),
) as Golden;
const lengthOf = (text: string): number => deflatedLength(new TextEncoder().encode(text));

/** The rule is in the golden file. */
function pseudoRandom(n: number, alphabet: string): string {
  let state = 1;
  let text = "";
  for (let i = 0; i < n; i++) {
    state = (state * 48271) % 2147483647;
    text += alphabet[state % alphabet.length];
  }
  return text;
}

describe("deflatedLength() equals Python's zlib", () => {
  it.each(golden.texts)("for %j: %d bytes", (text, length) => {
    expect(lengthOf(text)).toBe(length);
  });

  it.each(golden.pseudoRandom)("for %d characters of %j, over blocks and windows: %d bytes", (n, alphabet, length) => {
    expect(lengthOf(pseudoRandom(n, alphabet))).toBe(length);
  });
});
