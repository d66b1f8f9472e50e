import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Piece } from "./stitcher.ts";
import { Timeline } from "./timeline.ts";

type Times = readonly [start: number | null, end: number | null];

function timesOf(pieces: readonly Times[], audioEnd = 60): [number, number][] {
  const timeline = new Timeline();
  const timed = pieces.flatMap(([start, end]) => {
    const piece: Piece = { start, end, tokens: [1], sources: [0], language: null, window: 0, span: [20, 50] };
    return timeline.push(piece, audioEnd);
  });
  return [...timed, ...timeline.finish()].map(({ start, end }) => [start, end]);
}

describe("Timeline", () => {
  const cases: [string, Times[], [number, number][]][] = [
    [
      "leaves times in order alone",
      [
        [0, 4],
        [4, 8],
        [10, 12],
      ],
      [
        [0, 4],
        [4, 8],
        [10, 12],
      ],
    ],
    [
      "ends a piece where the next one starts",
      [
        [0, 24],
        [23, 30],
      ],
      [
        [0, 23],
        [23, 30],
      ],
    ],
    [
      "believes the earlier end where starts go back",
      [
        [10, 12],
        [3, 15],
      ],
      [
        [10, 12],
        [12, 15],
      ],
    ],
    [
      "gives a piece within an earlier one no time",
      [
        [0, 4],
        [0, 4],
      ],
      [
        [0, 4],
        [4, 4],
      ],
    ],
    [
      "keeps to the audio",
      [
        [-5, 2],
        [58, 70],
      ],
      [
        [0, 2],
        [58, 60],
      ],
    ],
    ["gives what begins after the audio no time", [[61, 70]], [[60, 60]]],
    ["turns an end before its start", [[5, 3]], [[5, 5]]],
    ["takes the windows' times for missing ones", [[null, null]], [[20, 50]]],
    ["takes the windows' end for a missing end", [[30, null]], [[30, 50]]],
  ];
  it.each(cases)("%s", (_, pieces, expected) => {
    expect(timesOf(pieces)).toEqual(expected);
  });

  it("holds for any times: starts and ends in order, within the audio (facts 6.5 F11)", () => {
    const time = fc.option(fc.double({ min: -100, max: 200, noNaN: true }));
    fc.assert(
      fc.property(fc.array(fc.tuple(time, time)), fc.double({ min: 0, max: 100, noNaN: true }), (pieces, audioEnd) => {
        let last = 0;
        const times = timesOf(pieces, audioEnd);
        expect(times).toHaveLength(pieces.length);
        for (const [start, end] of times) {
          expect(start).toBeGreaterThanOrEqual(last);
          expect(end).toBeGreaterThanOrEqual(start);
          last = end;
        }
        expect(last).toBeLessThanOrEqual(audioEnd);
      }),
    );
  });
});
