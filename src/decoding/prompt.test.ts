import { describe, expect, it } from "vitest";
import { wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { initialTokens, type PromptOptions } from "./prompt.ts";

const tokenizer = wordTokenizer();
const SOT_PREV = 50361;
const START = [50258, 50259, 50359];
const N = 448;
const OPTIONS = { language: "en", task: "transcribe", timestamps: true, sampleLength: 224 } as const;
/** 1, 2, 3 ... */
const count = (length: number): number[] => Array.from({ length }, (_, i) => i + 1);
const words = (ids: readonly number[]): string => ids.map((id) => `w${id}`).join(" ");

describe("initialTokens()", () => {
  const newest = count(300).slice(-223);
  const all = count(230);
  it.each<[string, Partial<PromptOptions>, number[]]>([
    ["the start sequence alone", {}, START],
    ["notimestamps", { timestamps: false }, [...START, 50363]],
    ["language and task (facts 6.10)", { language: "zh", task: "translate" }, [50258, 50260, 50358]],
    ["a context after startofprev", { prompt: [7, 8] }, [SOT_PREV, 7, 8, ...START]],
    ["no startofprev for an empty context", { prompt: [] }, START],
    ["the newest 223 tokens of a context (facts 2.4.3, 8.13)", { prompt: count(300) }, [SOT_PREV, ...newest, ...START]],
    ["a prefix as tokens, after the start sequence", { prefix: [7, 8] }, [...START, 7, 8]],
    ["a prefix as text, stripped, after a space", { prefix: " w7 w8 " }, [...START, 7, 8]],
    ["a prefix after notimestamps", { prefix: [7], timestamps: false }, [...START, 50363, 7]],
    ["no prefix for an empty text", { prefix: "" }, START],
    ["a long prefix as it is at the default length (facts 2.4.3)", { prefix: count(230) }, [...START, ...all]],
    ["the newest that fit of a prefix", { prefix: count(9), sampleLength: 220 }, [...START, 6, 7, 8, 9]],
    ["context and prefix", { prompt: [7], prefix: [8] }, [SOT_PREV, 7, ...START, 8]],
    ["hotwords, as text after a space", { hotwords: " w5 w6" }, [SOT_PREV, 5, 6, ...START]],
    ["hotwords before the context (facts 3.2.8)", { hotwords: "w5", prompt: [7] }, [SOT_PREV, 5, 7, ...START]],
    ["no hotwords of nothing", { hotwords: " " }, START],
    ["no hotwords beside a prefix (facts 3.2.8)", { hotwords: "w5", prefix: [8] }, [...START, 8]],
    ["hotwords cut at their end", { hotwords: words(count(300)) }, [SOT_PREV, ...count(223), ...START]],
    [
      "as much of the context as hotwords leave",
      { hotwords: words(count(220)), prompt: [501, 502, 503, 504] },
      [SOT_PREV, ...count(220), 502, 503, 504, ...START],
    ],
    [
      "no context beside hotwords of full length",
      { hotwords: words(all), prompt: [501] },
      [SOT_PREV, ...count(223), ...START],
    ],
  ])("gives %s", (_, options, expected) => {
    const { tokens, sotIndex } = initialTokens(tokenizer, N, { ...OPTIONS, ...options });
    expect(tokens).toEqual(expected);
    expect(tokens[sotIndex]).toBe(50258);
  });

  it("gives an English-only checkpoint its short start", () => {
    const { tokens, sotIndex } = initialTokens(wordTokenizer("english"), N, { ...OPTIONS, prompt: [7] });
    expect([tokens, sotIndex]).toEqual([[50360, 7, 50257], 2]);
  });

  it("refuses a prefix that leaves no room", () => {
    const options = { ...OPTIONS, prompt: count(223) };
    expect(initialTokens(tokenizer, N, { ...options, prefix: count(221) }).tokens).toHaveLength(448);
    expect(() => initialTokens(tokenizer, N, { ...options, prefix: count(222) })).toThrow(
      "Cannot decode after 449 tokens of prompt and prefix: the model has room for 448\nHint: shorten the prefix",
    );
  });
});
