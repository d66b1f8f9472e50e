import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { alignWords, characterErrorRate, normalizerFor, totalErrors, wordErrorRate } from "./index.ts";

const text = fc
  .array(fc.constantFrom("the", "a", "bridge", "is", "red", "zwölf"), { maxLength: 12 })
  .map((words) => words.join(" "));

describe("wordErrorRate()", () => {
  // [reference, hypothesis, rate, substitutions, deletions, insertions]
  it.each([
    ["the red bridge is old", "the red bridge is old", 0, 0, 0, 0],
    ["the red bridge is very old", "the bread bridge very old oh", 3 / 6, 1, 1, 1],
    ["one two", "one two three four five", 1.5, 0, 0, 3],
    ["one two", "", 1, 0, 2, 0],
    ["", "", 0, 0, 0, 0],
    ["", "one", Infinity, 0, 0, 1],
    ["  a \n b ", "a b", 0, 0, 0, 0],
    ["A b.", "a b", 1, 2, 0, 0],
  ])("%j, %j: %d", (reference, hypothesis, rate, substitutions, deletions, insertions) => {
    const found = wordErrorRate(reference, hypothesis);
    expect(found).toMatchObject({
      substitutions,
      deletions,
      insertions,
      errors: substitutions + deletions + insertions,
    });
    expect(found.rate).toBe(rate);
  });

  it("adds up a corpus, and does not take the mean of its rates", () => {
    const found = wordErrorRate(["a", "a b c d e f g h i", ""], ["b", "a b c d e f g h i", "oh"]);
    expect(found).toMatchObject({
      rate: 2 / 10,
      referenceLength: 10,
      hypothesisLength: 11,
      substitutions: 1,
      insertions: 1,
    });
  });

  it("compares what the normaliser leaves", () => {
    const [said, heard] = ["The colour is grey, isn't it?", "um the color is gray is not it"];
    expect(wordErrorRate(said, heard, { normalizer: "english" }).rate).toBe(0);
    expect(wordErrorRate("Très bien!", "très bien", { normalizer: "basic" }).rate).toBe(0);
    expect(wordErrorRate("今日は、晴れ。", "今日は晴", { normalizer: "letters" })).toMatchObject({
      referenceLength: 5,
      deletions: 1,
    });
    expect(wordErrorRate("a-b", "a b", { normalizer: (word) => word.replace("-", " ") }).rate).toBe(0);
  });

  it("refuses lists of different length, and options that do not exist", () => {
    expect(() => wordErrorRate(["a", "b"], ["a"])).toThrow("Cannot compare 2 references with 1 hypotheses");
    expect(() => wordErrorRate("a", "a", { normalizer: "klingon" as "none" })).toThrow(OptionError);
    expect(() => wordErrorRate("a", "a", { normaliser: "none" } as object)).toThrow(/Unknown option "normaliser"/);
  });

  it("is 0 of a text and itself; counts add up to the length of what was said", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(wordErrorRate(a, a).rate).toBe(0);
        const { hits, substitutions, deletions, insertions, referenceLength, hypothesisLength } = wordErrorRate(a, b);
        expect(hits + substitutions + deletions).toBe(referenceLength);
        expect(hits + substitutions + insertions).toBe(hypothesisLength);
        expect(referenceLength).toBe(a === "" ? 0 : a.split(" ").length);
      }),
    );
  });
});

describe("characterErrorRate()", () => {
  it.each([
    ["abc", "abd", 1 / 3],
    ["a b", "ab", 1 / 3], // a space between words is a character
    [" a  b ", "a b", 0], // more of it is not
    ["😀a", "a", 1 / 2], // an emoji is one character
    ["", "a", Infinity],
  ])("%j, %j: %d", (reference, hypothesis, rate) => expect(characterErrorRate(reference, hypothesis).rate).toBe(rate));

  it("knows no spaces where a script has none", () => {
    const found = characterErrorRate("今日は、晴れ。", "今日は晴", { normalizer: "letters" });
    expect(found).toMatchObject({ referenceLength: 5, deletions: 1, errors: 1 });
  });
});

describe("alignWords() and totalErrors()", () => {
  it("give the words with the edits, and sums of them", () => {
    const one = alignWords("a b", "a c");
    expect(one.edits.map(({ kind, reference: [from, to] }) => [kind, ...one.reference.slice(from, to)])).toEqual([
      ["hit", "a"],
      ["substitution", "b"],
    ]);
    expect(totalErrors([one, alignWords("x", "")])).toMatchObject({
      rate: 2 / 3,
      hits: 1,
      substitutions: 1,
      deletions: 1,
    });
    expect(totalErrors([]).rate).toBe(0);
  });
});

describe("normalizerFor()", () => {
  it.each([
    ["en", "english"],
    ["de", "basic"],
    ["ko", "basic"],
    ["ja", "letters"],
    ["zh", "letters"],
    ["yue", "letters"],
    ["th", "letters"],
  ])("%s -> %s", (language, name) => expect(normalizerFor(language)).toBe(name));
});
