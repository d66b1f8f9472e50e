import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { attachWords, speechEnd, type AttachOptions, type SegmentWord } from "./attach-words.ts";
import type { WordTiming } from "./word-times.ts";

const EOT = 50257;

interface AttachCase {
  alignment: WordTiming[];
  seek: number;
  lastSpeech: number;
  segments: { start: number; end: number; tokens: number[] }[];
  result: { start: number; end: number; words: SegmentWord[] }[];
}

const golden = JSON.parse(
  readFileSync(new URL("../../test/golden/alignment/openai-timing.json", import.meta.url), "utf8"),
) as { attach: AttachCase[] };

/** Words of one token each, from times in order: `[" a", 0.5, 1]`. */
function words(...items: readonly (readonly [word: string, start: number, end: number])[]): WordTiming[] {
  return items.map(([word, start, end], i) => ({ word, tokens: [i], start, end, probability: 0.5 }));
}

/** One segment with all the words. */
function attach(
  alignment: WordTiming[],
  [start, end]: readonly [start: number, end: number],
  options: Partial<AttachOptions> = {},
): { times: [start: number, end: number]; words: [word: string, start: number, end: number][] } {
  const tokens = [EOT + 107, ...alignment.flatMap((word) => word.tokens), EOT + 200];
  const [segment] = attachWords([{ start, end, tokens }], alignment, { eot: EOT, ...options });
  // Corrected times are sums and differences, not rounded again.
  const round = (seconds: number): number => Math.round(seconds * 1e9) / 1e9;
  return {
    times: [segment.start, segment.end],
    words: segment.words.map((word) => [word.word, round(word.start), round(word.end)]),
  };
}

describe("attachWords()", () => {
  it("gives openai/whisper's answers", () => {
    for (const [i, { alignment, seek, lastSpeech, segments, result }] of golden.attach.entries()) {
      const timeOffset = (seek * 160) / 16000;
      const actual = attachWords(segments, alignment, { eot: EOT, timeOffset, lastSpeech });
      expect(
        actual.map(({ start, end, words: found }) => ({ start, end, words: found })),
        `case ${i}`,
      ).toEqual(result);
    }
  });

  it("counts times from the window's start, and rounds them to 0.01 s", () => {
    const { words: found } = attach(words([" a", 0.1, 0.3], [" b", 0.3, 0.5]), [30.07, 30.6], { timeOffset: 29.97 });
    expect(found).toEqual([
      [" a", 30.07, 30.27],
      [" b", 30.27, 30.47],
    ]);
  });

  it("shares words out by their tokens; one that reaches into the next segment stays in the first", () => {
    const alignment: WordTiming[] = [
      { word: " a", tokens: [1, 2], start: 0, end: 0.2, probability: 1 },
      { word: " b", tokens: [3, 4, 5], start: 0.2, end: 0.4, probability: 1 },
      { word: " c", tokens: [6], start: 0.4, end: 0.6, probability: 1 },
    ];
    const segments = [
      { start: 0, end: 0.3, tokens: [1, 2, 3] },
      { start: 0.3, end: 0.35, tokens: [EOT + 300, EOT + 301] },
      { start: 0.35, end: 0.6, tokens: [4, 5, 6] },
    ];
    const found = attachWords(segments, alignment, { eot: EOT });
    expect(found.map((segment) => segment.words.map(({ word }) => word))).toEqual([[" a", " b"], [], [" c"]]);
    expect(found[1]).toMatchObject({ start: 0.3, end: 0.35 });
    expect(segments[0].end).toBe(0.3);
  });

  it("keeps what else a segment has", () => {
    const given = { start: 0, end: 0.2, tokens: [0], text: " a", seek: 7 };
    const [segment] = attachWords([given], words([" a", 0, 0.2]), { eot: EOT });
    expect(segment).toMatchObject({ text: " a", seek: 7, words: [{ word: " a" }] });
  });

  // The median duration is 0.2 s in these, so that 0.4 s is the longest that is believed.
  const steady = [
    [" a", 0, 0.2],
    [" b", 0.2, 0.4],
    [" c", 0.4, 0.6],
  ] as const;

  it.each([
    ["a long mark at the end of a sentence", [".", 0.6, 3], [" d", 3, 3.2], [" c.", 0.4, 0.6], [" d", 3, 3.2]],
    ["a long word after one", [".", 0.6, 0.8], [" d", 0.8, 3], [" c.", 0.4, 0.6], [" d", 2.6, 3]],
    ["no long word elsewhere", [" x", 0.6, 0.8], [" d", 0.8, 3], [" x", 0.6, 0.8], [" d", 0.8, 3]],
  ] as const)("shortens %s (facts 2.5.5)", (_, mark, word, ...expected) => {
    const end = word[2];
    expect(attach(words(...steady, mark, word), [0, end]).words.slice(-2)).toEqual(expected);
  });

  it.each([
    [
      "too long itself",
      [
        [" a", 0, 4],
        [" b", 4, 4.2],
      ],
      [
        [" a", 3.6, 4],
        [" b", 4, 4.2],
      ],
    ],
    [
      "not after a pause",
      [
        [" a", 0, 0.8],
        [" b", 0.8, 1],
      ],
      [
        [" a", 0, 0.8],
        [" b", 0.8, 1],
      ],
    ],
    [
      "with a second that is too long",
      [
        [" a", 3, 4],
        [" b", 4, 6],
      ],
      [
        [" a", 5.2, 5.6],
        [" b", 5.6, 6],
      ],
    ],
  ] as const)("shortens the first word after a pause, %s (facts 2.5.7)", (_, first, expected) => {
    const rest = [" c", " d", " e", " f", " g"].map((word, i) => [word, 6 + i / 5, 6.2 + i / 5] as const);
    expect(attach(words(...first, ...rest), [first[0][1], 7]).words.slice(0, 2)).toEqual(expected);
  });

  it("measures the pause from the last word before these segments", () => {
    const long = words([" a", 10, 12], ...steady.map(([word, start, end]) => [word, start + 12, end + 12] as const));
    expect(attach(long, [10, 12.6], { lastSpeech: 11.9 }).words[0]).toEqual([" a", 10, 12]);
    expect(attach(long, [10, 12.6], { lastSpeech: 10 }).words[0]).toEqual([" a", 11.6, 12]);
  });

  it.each([
    ["the segment takes the words' times", [0.1, 0.9], 0, 0.8, [0, 0.8], [0, 0.8]],
    ["a first word that starts more than 0.5 s early is cut", [0.55, 0.9], 0, 0.8, [0.55, 0.8], [0.55, 0.8]],
    ["a last word that ends more than 0.5 s late is cut", [0, 1.2], 0, 2, [0, 1.2], [0, 1.2]],
    ["a first word that begins and ends before the segment takes it along", [1, 1.5], 0, 0.8, [0, 0.8], [0, 0.8]],
  ] as const)("%s (facts 2.5.7)", (name, segment, first, last, times, outer) => {
    // Lasting 0.7, 0.02, 0.02, 0.06 and more: the median is small, but no pause is before them.
    const alignment = words([" a", first, 0.7], [" b", 0.7, 0.72], [" c", 0.72, 0.74], [" d", 0.74, last]);
    const found = attach(alignment, segment, { lastSpeech: 0.69 });
    expect(found.times, name).toEqual(times);
    expect([found.words[0][1], found.words.at(-1)![2]]).toEqual(outer);
  });

  it("without words leaves segments as they are", () => {
    expect(attachWords([{ start: 1, end: 2, tokens: [EOT] }], [], { eot: EOT })).toEqual([
      { start: 1, end: 2, tokens: [EOT], words: [] },
    ]);
    expect(attachWords([], [], { eot: EOT })).toEqual([]);
  });
});

describe("speechEnd()", () => {
  const word = (end: number): SegmentWord => ({ start: 0, end, word: " a", probability: 1 });
  it.each([
    [
      "the end of the last word",
      [
        { end: 9, words: [word(1), word(2)] },
        { end: 9, words: [] },
      ],
      2,
    ],
    ["the end of the last segment where there are no words", [{ end: 8 }, { end: 9, words: [] }], 9],
    ["null without segments", [], null],
  ])("is %s", (_, segments, expected) => {
    expect(speechEnd(segments)).toBe(expected);
  });
});
