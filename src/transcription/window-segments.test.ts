import { describe, expect, it } from "vitest";
import { tokensOf, wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { cutWindow } from "./window-segments.ts";

const tokenizer = wordTokenizer();

/** Segments of a window as `[start, end, tokens]`. */
function cut(text: string, seek: number, size: number) {
  const { segments, ...rest } = cutWindow(tokensOf(text, tokenizer), seek, size, tokenizer.special);
  return { ...rest, segments: segments.map(({ start, end, tokens }) => [start, end, textOf(tokens)]) };
}

const textOf = (tokens: readonly number[]): string =>
  tokens
    .map((token) => {
      const index = token - tokenizer.special.timestampBegin;
      return index >= 0 ? `<${Math.round(index * 2) / 100}>` : String(token);
    })
    .join(" ");

describe("cutWindow() (facts 2.3.7)", () => {
  it.each<[string, string, number, number, [number, number, string][], number, boolean]>([
    // A pair ends a segment and begins the next; what comes after the last pair is decoded again.
    ["an unfinished tail", "<0>1<2><2>3", 0, 3000, [[0, 2, "<0> 1 <2>"]], 200, false],
    ["an unfinished tail that has just begun", "<0>1<2><2>", 0, 3000, [[0, 2, "<0> 1 <2>"]], 200, false],
    [
      "pairs, and a tail",
      "<0>1<2><4>5 6<7><7>8",
      1000,
      3000,
      [
        [10, 12, "<0> 1 <2>"],
        [14, 17, "<4> 5 6 <7>"],
      ],
      1700,
      false,
    ],
    [
      "a single timestamp at the end: nobody speaks after it",
      "<0>1<2><2>3<5>",
      100,
      3000,
      [
        [1, 3, "<0> 1 <2>"],
        [3, 6, "<2> 3 <5>"],
      ],
      3100,
      true,
    ],
    [
      "a single timestamp of a short window",
      "<0>1<2><2>3<5>",
      100,
      700,
      [
        [1, 3, "<0> 1 <2>"],
        [3, 6, "<2> 3 <5>"],
      ],
      800,
      true,
    ],
    // The sound of these windows ends at 8 s. openai/whisper lets segments end after it.
    ["a timestamp past the end of a short window", "<0>1<9><9>2", 100, 700, [[1, 8, "<0> 1 <9>"]], 1000, false],
    ["a segment that ends past the end", "<0>1<9>", 100, 700, [[1, 8, "<0> 1 <9>"]], 800, true],
    [
      "a segment that begins past the end",
      "<0>1<2><8>2<12>",
      100,
      700,
      [
        [1, 3, "<0> 1 <2>"],
        [6, 8, "<8> 2 <12>"],
      ],
      800,
      true,
    ],
    [
      "a segment after one that takes all the time there is",
      "<0>1<7><7>2<14>",
      100,
      700,
      [
        [1, 4.5, "<0> 1 <7>"],
        [4.5, 8, "<7> 2 <14>"],
      ],
      800,
      true,
    ],
    // Without a pair the window is one segment.
    ["one segment that ends", "<0>1 2<5>", 0, 3000, [[0, 5, "<0> 1 2 <5>"]], 3000, true],
    ["one segment that does not end", "<0>1 2", 0, 3000, [[0, 30, "<0> 1 2"]], 3000, false],
    ["one segment that begins late keeps the window's start", "<3>1 2", 500, 3000, [[5, 8, "<3> 1 2"]], 3500, false],
    ["no timestamps", "1 2", 200, 1500, [[2, 17, "1 2"]], 1700, false],
    ["a timestamp alone", "<4>", 0, 3000, [[0, 4, "<4>"]], 3000, false],
    ["nothing", "", 0, 3000, [[0, 30, ""]], 3000, false],
    ["a pair alone", "<0><0>", 300, 3000, [[3, 3, "<0>"]], 300, false],
  ])("%s", (_, text, seek, size, segments, nextSeek, isSingleEnding) => {
    expect(cut(text, seek, size)).toMatchObject({ segments, seek: nextSeek, isSingleEnding });
  });

  it("says whether timestamps show where segments end", () => {
    expect(cut("<0>1<2><2>3", 0, 3000).isDivided).toBe(true);
    expect(cut("<0>1<2>", 0, 3000).isDivided).toBe(false);
  });
});
