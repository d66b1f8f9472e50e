import { describe, expect, it } from "vitest";
import { wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { OptionError } from "../errors.ts";
import { AllowedPhrases } from "./allowed-phrases.ts";
import { tokenRules } from "./options.ts";

const tokenizer = wordTokenizer();
const rules = tokenRules(tokenizer, { withoutTimestamps: true });

/** Tokens that may come first. */
function firstTokens(phrases: AllowedPhrases): number[] {
  const logits = new Float32Array(51865);
  phrases.apply(logits, [], rules);
  return [...logits.keys()].filter((id) => logits[id] === 0);
}

describe("AllowedPhrases.of()", () => {
  it.each<[what: string, phrases: string[], message: string]>([
    ["no phrases", [], "Cannot decode with 0 allowed phrases, expected 1 to 10000 that are not empty"],
    ["an empty phrase", ["w1", " \n"], "Cannot decode with 2 allowed phrases, expected 1 to 10000 that are not empty"],
    ["too many", Array<string>(10_001).fill("w1"), "Cannot decode with 10001 allowed phrases, expected 1 to 10000"],
    [
      "a phrase without tokens",
      ["w1", "!?"],
      'Cannot decode with the allowed phrase "!?": the vocabulary has no tokens for it',
    ],
  ])("refuses %s", (_, phrases, message) => {
    expect(() => AllowedPhrases.of(phrases, tokenizer)).toThrow(message);
    expect(() => AllowedPhrases.of(phrases, tokenizer)).toThrow(
      expect.objectContaining({ constructor: OptionError, option: "allowedPhrases" }),
    );
  });

  it("takes as many as there may be", () => {
    const phrases = Array.from({ length: 10_000 }, (_, i) => `w${i}`);
    expect(firstTokens(AllowedPhrases.of(phrases, tokenizer))).toHaveLength(10_000);
  });

  it("allows no end where one spelling of a phrase has no tokens", () => {
    expect(firstTokens(AllowedPhrases.of(["w3", "w4"], tokenizer))).toEqual([3, 4]);
  });

  it("encodes a list once, and again after it was changed", () => {
    let encoded = 0;
    const counting = { encode: (text: string) => (encoded++, tokenizer.encode(text)) };
    const phrases = ["w1", "w2"];
    const grammar = AllowedPhrases.of(phrases, counting);
    expect(AllowedPhrases.of(phrases, counting)).toBe(grammar);
    expect(AllowedPhrases.of(["w1", "w2"], counting)).toBe(grammar);
    expect(encoded).toBe(4);
    phrases[1] = "w5";
    expect(firstTokens(AllowedPhrases.of(phrases, counting))).toEqual([1, 5]);
    expect(firstTokens(AllowedPhrases.of(["w1"], counting))).toEqual([1]);
  });

  it("keeps the grammars of two vocabularies apart", () => {
    const other = { encode: () => [7] };
    expect(firstTokens(AllowedPhrases.of(["w1"], tokenizer))).toEqual([1]);
    expect(firstTokens(AllowedPhrases.of(["w1"], other))).toEqual([7]);
  });
});
