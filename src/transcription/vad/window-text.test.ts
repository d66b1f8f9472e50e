import { describe, expect, it } from "vitest";
import { inRecording, segmentsOf, uncovered, withRest, wordsInRecording } from "./window-text.ts";

const RATE = 16000;
const BEGIN = 1000;
const special = { timestampBegin: BEGIN };
/** `<1.2>` is a timestamp, a number a token of text. */
const tokens = (text: string): number[] =>
  [...text.matchAll(/<([\d.]+)>|(\d+)/g)].map(([, time, id]) =>
    time === undefined ? Number(id) : BEGIN + Math.round(Number(time) / 0.02),
  );
const spans = (...times: [number, number][]) => times.map(([start, end]) => ({ start: start * RATE, end: end * RATE }));

describe("segmentsOf()", () => {
  it.each<[text: string, segments: [start: number, end: number, text: number[]][]]>([
    [
      "<0>1 2<3><3>4<5>",
      [
        [0, 3, [1, 2]],
        [3, 5, [4]],
      ],
    ],
    [
      "<0.5>1<3.5><4>4<5><5>",
      [
        [0.5, 3.5, [1]],
        [4, 5, [4]],
      ],
    ],
    [
      "<0>1 2<3><4>5 6",
      [
        [0, 3, [1, 2]],
        [4, 20, [5, 6]],
      ],
    ],
    ["1 2", [[0, 20, [1, 2]]]],
    ["<0>1<29>", [[0, 20, [1]]]],
    [
      "<0>1<3>2<4>",
      [
        [0, 3, [1]],
        [3, 4, [2]],
      ],
    ],
    ["<0><0>", []],
    ["", []],
  ])("%s", (text, segments) => {
    const found = segmentsOf(tokens(text), 20, special);
    expect(found.map(({ start, end, tokens: all }) => [start, end, all.filter((id) => id < BEGIN)])).toEqual(segments);
    expect(found.flatMap((segment) => segment.tokens).filter((id) => id < BEGIN)).toEqual(
      tokens(text).filter((id) => id < BEGIN),
    );
  });
});

describe("inRecording()", () => {
  const window = {
    pieces: [{ start: 10 * RATE, end: 40 * RATE, at: 0 }],
    speech: spans([10.4, 14], [15, 20], [25, 39]),
  };
  const placed = (...times: [number, number][]) =>
    inRecording(
      times.map(([start, end]) => ({ start, end })),
      window,
    ).map(({ start, end }) => [start, end]);

  it("begins and ends with speech what begins or ends in a pause", () => {
    expect(placed([0, 4.5], [4.8, 12], [14, 30])).toEqual([
      [10.4, 14],
      [15, 20],
      [25, 39],
    ]);
  });

  it("does not take the end of other speech for its own", () => {
    expect(placed([3.9, 10.1])).toEqual([[15, 20]]);
    expect(placed([5, 15.1])).toEqual([[15, 20]]);
  });

  it("moves a border between segments to the pause that is near it", () => {
    expect(placed([0, 4.6], [3.5, 10])).toEqual([
      [10.4, 14],
      [15, 20],
    ]);
    expect(placed([0, 5.4], [5.4, 10])).toEqual([
      [10.4, 14],
      [15, 20],
    ]);
  });

  it("lets no segment overlap the next", () => {
    expect(placed([0.4, 8], [7, 10])).toEqual([
      [10.4, 18],
      [18, 20],
    ]);
  });
});

it("wordsInRecording() keeps words out of pauses and in their segment", () => {
  const window = { pieces: [{ start: 0, end: 30 * RATE, at: 0 }], speech: spans([1, 3], [5, 8]) };
  const words = [
    { start: 0.7, end: 1.5 },
    { start: 1.5, end: 4 },
    { start: 4, end: 9 },
  ];
  expect(wordsInRecording(words, window, { start: 1, end: 7.5 })).toEqual([
    { start: 1, end: 1.5 },
    { start: 1.5, end: 3 },
    { start: 5, end: 7.5 },
  ]);
});

describe("uncovered()", () => {
  const speech = spans([1, 4], [6, 10], [12, 12.5]);
  it.each<[what: string, segments: [number, number][], left: [number, number][]]>([
    [
      "all where there is no text but short speech",
      [],
      [
        [1, 4],
        [6, 10],
      ],
    ],
    [
      "nothing where all has text",
      [
        [1, 4.1],
        [6, 10],
      ],
      [],
    ],
    [
      "what a segment leaves out, but for a breath",
      [
        [1, 2],
        [6, 9.3],
      ],
      [[2.25, 4]],
    ],
    [
      "the middle",
      [
        [1, 4],
        [6, 7],
        [9, 12.5],
      ],
      [[7.25, 8.75]],
    ],
  ])("%s", (_, segments, left) => {
    expect(
      uncovered(
        segments.map(([start, end]) => ({ start, end })),
        speech,
      ),
    ).toEqual(spans(...left));
  });
});

it("withRest() extends segments over the little speech that is left beside them", () => {
  const speech = spans([1, 4], [6, 10], [20, 24]);
  const segments = [
    { start: 1, end: 3.2 },
    { start: 6.9, end: 10 },
    { start: 20, end: 22 },
  ];
  expect(
    withRest(
      [
        { start: 1, end: 4 },
        { start: 9, end: 12 },
      ],
      spans([1, 4], [4.3, 4.7], [8, 8.4], [9, 12], [13, 13.5]),
    ),
  ).toEqual([
    { start: 1, end: 4.7 },
    { start: 8, end: 12 },
  ]);
  expect(withRest(segments, speech)).toEqual([
    { start: 1, end: 4 },
    { start: 6, end: 10 },
    { start: 20, end: 22 },
  ]);
});
