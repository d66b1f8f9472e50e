import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mergePunctuation } from "./merge-punctuation.ts";
import type { WordTiming } from "./word-times.ts";

const golden = JSON.parse(
  readFileSync(new URL("../../test/golden/alignment/openai-timing.json", import.meta.url), "utf8"),
) as { merge: { words: string[]; merged: string[] }[] };

function timings(words: readonly string[]): WordTiming[] {
  return words.map((word, i) => ({ word, tokens: [i], start: i, end: i + 1, probability: i / 100 }));
}

const merged = (words: readonly string[]): string[] => mergePunctuation(timings(words)).map(({ word }) => word);

describe("mergePunctuation()", () => {
  it.each([
    ["a mark joins the word before it", [" Hello", ",", " you", "."], [" Hello,", " you."]],
    ["an opening mark joins the word after it", [" He", ' "', "Hello", '"'], [" He", ' "Hello"']],
    ["an opening mark without a space joins the word before it, if at all", [" a", "(", "b"], [" a", "(", "b"]],
    ["several opening marks", [" a", " (", ' "', "b"], [" a", ' ( "b']],
    ["several closing marks", [" a", "!", "?", '"'], [' a!?"']],
    ["a run of marks that stand side by side in the list", [" a", "\"'", " b", "。，"], [" a\"'", " b", "。，"]],
    ["a run of marks that do not", [" a", "?!", " b"], [" a", "?!", " b"]],
    ["a lone space joins the word after it", [" a", " ", "b"], [" a", " b"]],
    ["nothing at all joins the word before it", [" a", "", " b"], [" a", " b"]],
    ["nothing joins a word that ends in a space", ["a ", ".", "b"], ["a ", ".", "b"]],
    ["an opening mark at the end stays", [" a", " ("], [" a", " ("]],
    ["a closing mark at the start stays", [".", " a"], [".", " a"]],
    ["no words", [], []],
  ])("%s (facts 2.5.6)", (_, words, expected) => {
    expect(merged(words)).toEqual(expected);
  });

  it("gives openai/whisper's answers", () => {
    for (const { words, merged: expected } of golden.merge)
      expect(merged(words), JSON.stringify(words)).toEqual(expected);
  });

  it("keeps the times and the probability of the word, and the tokens of all", () => {
    expect(mergePunctuation(timings([" (", "a", ")"]))).toEqual([
      { word: " (a)", tokens: [0, 1, 2], start: 1, end: 2, probability: 0.01 },
    ]);
  });

  it("takes other marks", () => {
    expect(mergePunctuation(timings([" a", ".", " ~", "b", "*"]), "~", "*").map(({ word }) => word)).toEqual([
      " a",
      ".",
      " ~b*",
    ]);
  });

  it("loses no text and no token", () => {
    const word = fc.oneof(fc.constantFrom(" ", "", ".", ",", ' "', '"', " (", ")", " -", "a ", " b"), fc.string());
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        const result = mergePunctuation(timings(words));
        expect(result.map((one) => one.word).join("")).toBe(words.join(""));
        expect(result.flatMap(({ tokens }) => tokens)).toEqual(words.map((_, i) => i));
      }),
    );
  });
});
