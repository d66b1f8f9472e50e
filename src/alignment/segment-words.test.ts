import { describe, expect, it } from "vitest";
import { wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { wordsOfSegments } from "./segment-words.ts";
import type { TokenTiming } from "./token-times.ts";

const tokenizer = wordTokenizer();

function timings(...items: readonly (readonly [token: number, start: number, end: number])[]): TokenTiming[] {
  return items.map(([token, start, end]) => ({ token, start, end, probability: 0.5 }));
}

describe("wordsOfSegments()", () => {
  it("gives each segment the words of its own tokens, of whichever window they are", () => {
    const segments = [
      { start: 24, end: 25.1, text: " w1 w2", timings: timings([1, 24.1, 24.5], [2, 24.5, 25]) },
      // The first token is of the window before, the second of the next one, which is 0.1 s behind.
      { start: 25.1, end: 26, text: " w3 w4", timings: timings([3, 25.2, 25.6], [4, 25.5, 26]) },
      { start: 26, end: 27, text: "", timings: [] },
    ];
    const found = wordsOfSegments(segments, tokenizer, "en", { lastSpeech: 24 });
    expect(found.map(({ start, end, words }) => [start, end, words.map((w) => [w.word, w.start, w.end])])).toEqual([
      [
        24.1,
        25,
        [
          [" w1", 24.1, 24.5],
          [" w2", 24.5, 25],
        ],
      ],
      [
        25.2,
        26,
        [
          [" w3", 25.2, 25.6],
          [" w4", 25.6, 26],
        ],
      ],
      [26, 27, []],
    ]);
    expect(found[0]).toMatchObject({ text: " w1 w2", words: [{ probability: 0.5 }, { probability: 0.5 }] });
  });

  it("measures the pause before the first word from the last speech", () => {
    const segment = { start: 3, end: 7, timings: timings([1, 3, 6], [2, 6, 6.2], [3, 6.2, 6.4], [4, 6.4, 6.6]) };
    const start = (lastSpeech: number): number =>
      wordsOfSegments([segment], tokenizer, undefined, { lastSpeech })[0].words[0].start;
    expect(start(5.9)).toBe(3);
    expect(start(0)).toBeCloseTo(5.6);
  });
});
