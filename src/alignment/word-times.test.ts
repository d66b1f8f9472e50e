import { describe, expect, it } from "vitest";
import { wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import type { TokenTiming } from "./token-times.ts";
import { wordTimes } from "./word-times.ts";

/** Text token n reads as the n-th of these. */
const PIECES = [" one", " two", "ty", ",", " end"];
const { special } = wordTokenizer();
const tokenizer = { special, decode: (ids: Iterable<number>) => [...ids].map((id) => PIECES[id]).join("") };

const timing = (token: number, start: number, end: number, probability = 1): TokenTiming => ({
  token,
  start,
  end,
  probability,
});

describe("wordTimes()", () => {
  it("gives a word the time from its first token to its last, and their mean probability (facts 2.5.3)", () => {
    const timings = [timing(0, 0.5, 0.7, 0.9), timing(1, 0.7, 1, 0.25), timing(2, 1, 1.5, 0.75), timing(3, 1.5, 1.6)];
    expect(wordTimes(timings, tokenizer, "en")).toEqual([
      { word: " one", tokens: [0], start: 0.5, end: 0.7, probability: 0.9 },
      { word: " twoty", tokens: [1, 2], start: 0.7, end: 1.5, probability: 0.5 },
      { word: ",", tokens: [3], start: 1.5, end: 1.6, probability: 1 },
    ]);
  });

  it("splits at characters where a language has no spaces", () => {
    const words = wordTimes([timing(1, 0, 1), timing(2, 1, 2)], tokenizer, "ja");
    expect(words.map(({ word }) => word)).toEqual([" two", "ty"]);
  });

  it("keeps words in order where the times of two windows meet", () => {
    const timings = [timing(0, 28, 29.5), timing(1, 29.2, 29.4), timing(4, 29.4, 30)];
    expect(wordTimes(timings, tokenizer, "en").map(({ start, end }) => [start, end])).toEqual([
      [28, 29.5],
      [29.5, 29.5],
      [29.5, 30],
    ]);
  });

  it("of no tokens is no words", () => {
    expect(wordTimes([], tokenizer, undefined)).toEqual([]);
  });
});
