import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromByteAlphabet, toByteAlphabet } from "./byte-alphabet.ts";

describe("toByteAlphabet() and fromByteAlphabet()", () => {
  it.each([
    [" hi", "Ġhi"],
    ["\n", "Ċ"],
    ["é", "Ã©"],
    ["\u00ad", "ÂŃ"],
    ["♪", "âĻª"],
  ])("write %j as %s", (text, token) => {
    expect(toByteAlphabet(text)).toBe(token);
    expect(fromByteAlphabet(token)).toEqual(new TextEncoder().encode(text));
  });

  it("are inverse for every text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(new TextDecoder("utf-8", { ignoreBOM: true }).decode(fromByteAlphabet(toByteAlphabet(text)))).toBe(text);
      }),
    );
  });

  it("take a token in another alphabet as it stands", () => {
    expect(fromByteAlphabet("日é")).toEqual(new TextEncoder().encode("日é"));
  });
});
