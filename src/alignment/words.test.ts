import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Tokenizer } from "../tokenizer/index.ts";
import { mergePunctuation } from "./merge-punctuation.ts";
import { splitOnUnicode, splitToWords } from "./words.ts";

const tokenizerJson = readFileSync(new URL("../../models/nano/tokenizer.json", import.meta.url), "utf8");
/** The multilingual vocabulary. */
const tokenizer = Tokenizer.fromFiles({ tokenizerJson }, 51865);
const { eot } = tokenizer.special;

const split = (text: string, language?: string): string[] =>
  splitToWords(tokenizer.encode(text), tokenizer, language).map(({ word }) => word);

describe("splitOnUnicode()", () => {
  it("holds a group open until its bytes are characters, and takes U+FFFD that the text has (facts 2.5.4)", () => {
    const tokens = [8404, 871, 287, 6, 246, 526, 3210, 20378];
    expect(splitOnUnicode(tokens, tokenizer)).toEqual([
      { word: " elle", tokens: [8404] },
      { word: " est", tokens: [871] },
      { word: " l", tokens: [287] },
      { word: "'", tokens: [6] },
      { word: "\ufffd", tokens: [246] },
      { word: "é", tokens: [526] },
      { word: "rit", tokens: [3210] },
      { word: "oire", tokens: [20378] },
    ]);
  });

  it("counts places in code points, so that what follows an emoji is found", () => {
    // Each of these is several tokens, none of them a character by itself.
    const text = "😀👩‍🚀 東京 😀é";
    const tokens = tokenizer.encode(text);
    const words = splitOnUnicode([...tokens, 246, ...tokens], tokenizer);
    expect(words.map(({ word }) => word).join("")).toBe(`${text}\ufffd${text}`);
    expect(words.filter(({ word }) => word.includes("\ufffd"))).toEqual([{ word: "\ufffd", tokens: [246] }]);
  });

  it("makes special tokens words of their own", () => {
    const { sot, timestampBegin } = tokenizer.special;
    const words = splitOnUnicode([sot, timestampBegin + 50, 871, eot], tokenizer).map(({ word }) => word);
    expect(words).toEqual(["<|startoftranscript|>", "<|1.00|>", " est", "<|endoftext|>"]);
  });
});

describe("splitToWords()", () => {
  it.each([
    [" And so my fellow Americans", "en", [" And", " so", " my", " fellow", " Americans"]],
    [" l'écritoire, donc", "fr", [" l", "'écritoire", ",", " donc"]],
    [" 10% of (it)", "en", [" 10", "%", " of", " (it", ")"]],
    ["Unbelievably", undefined, ["Unbelievably"]],
    [" Größe", "de", [" Größe"]],
  ])("splits %j (%s) at spaces and ASCII punctuation (facts 2.5.4)", (text, language, expected) => {
    expect(split(text, language)).toEqual(expected);
  });

  it("makes special tokens words of their own", () => {
    const { timestampBegin } = tokenizer.special;
    const words = splitToWords([871, timestampBegin + 50, 3210, eot], tokenizer, "fr").map(({ word }) => word);
    expect(words).toEqual([" est", "<|1.00|>rit", "<|endoftext|>"]);
  });

  it.each(["zh", "ja", "yue", "th", "lo", "my"])("splits %s at characters, as far as tokens allow", (language) => {
    // Tokens may hold several characters, never a part of one.
    const text = "今日は、いい天気。 สวัสดี";
    const words = split(text, language);
    expect(words.join("")).toBe(text);
    expect(words).toContain("、");
    expect(words.length).toBeGreaterThan(split(text, "en").length);
  });

  it("with mergePunctuation() gives the words of facts 6.6 H2", () => {
    const tokens = [1363, 7969, 503, 1363, 7969, 1, 848, 1580, 11, 13494, 7323];
    const words = splitToWords(tokens, tokenizer, "en").map((word) => ({ ...word, start: 0, end: 0, probability: 0 }));
    expect(mergePunctuation(words).map(({ word, tokens: ids }) => [word, ids.length])).toEqual([
      ["whatever", 2],
      [' "whatever"', 4],
      [" said", 1],
      [" someone,", 2],
      [" clever!?", 2],
    ]);
  });

  it.each([
    ["a lead byte and a second byte that are one U+FFFD together", [156, 94], ["\ufffd", "\ufffd"]],
    ["the same before text", [156, 94, 871, 871], ["\ufffd", "\ufffd est", " est"]],
    ["a character cut off at the end", [871, 156], [" est", "\ufffd"]],
  ])("loses nothing to bytes that are no UTF-8: %s", (_, tokens, expected) => {
    const words = splitOnUnicode(tokens, tokenizer);
    expect(words.flatMap((word) => word.tokens)).toEqual(tokens);
    expect(words.map(({ word }) => word)).toEqual(expected);
  });

  it("loses no token", () => {
    // Some of any kind, and many that are single bytes.
    const ids = fc.array(fc.oneof(fc.integer({ min: 0, max: eot + 1600 }), fc.integer({ min: 94, max: 255 })));
    fc.assert(
      fc.property(ids, fc.constantFrom("en", "ja", undefined), (tokens, language) => {
        const words = splitToWords(tokens, tokenizer, language);
        expect(words.flatMap((word) => word.tokens)).toEqual(tokens);
      }),
    );
  });

  it("joined, the words of a text are the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.constantFrom("en", "ja", undefined), (text, language) => {
        expect(split(text, language).join("")).toBe(text);
      }),
    );
  });
});
