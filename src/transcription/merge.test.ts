import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mergeTokens } from "./merge.ts";

describe("mergeTokens() (facts 6.6 H1)", () => {
  const nines = new Array<number>(6).fill(9);
  const cases: [number[][], number[]][] = [
    [
      [
        [1, 2, 3],
        [2, 3, 4, 5],
      ],
      [1, 2, 3, 4, 5],
    ],
    [
      [
        [1, 2, 3, 4, 5, 6, 7],
        [2, 3, 4, 5],
      ],
      [1, 2, 3, 4, 5],
    ],
    [
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      [1, 2, 3, 4, 5, 6],
    ],
    [
      [
        [1, 2, 3, 4, 99],
        [2, 98, 4, 5, 6],
      ],
      [1, 2, 3, 4, 5, 6],
    ],
    [
      [
        [1, 2, 99, 4, 5],
        [2, 3, 4, 98, 6],
      ],
      [1, 2, 99, 4, 98, 6],
    ],
    [
      [
        [1, 2, 3],
        [2, 3, 4],
        [3, 4, 5],
      ],
      [1, 2, 3, 4, 5],
    ],
    [
      [
        [1, 2, 3, 98, 5],
        [2, 99, 4, 5, 6, 7],
        [4, 97, 6, 7, 8],
      ],
      [1, 2, 3, 4, 5, 6, 7, 8],
    ],
    [
      [
        [1, 2, 3],
        [3, 4],
      ],
      [1, 2, 3, 3, 4],
    ],
    [
      [
        [5, 5, 5, 5],
        [5, 5, 6],
      ],
      [5, 5, 5, 5, 6],
    ],
    [
      [
        [1, 2, 3, 1, 2, 3],
        [1, 2, 3, 4],
      ],
      [1, 2, 3, 1, 2, 3, 4],
    ],
    [
      [[], [1, 2]],
      [1, 2],
    ],
    [
      [[1, 2], []],
      [1, 2],
    ],
    [
      [
        [7, 8],
        [7, 8],
      ],
      [7, 8],
    ],
    [
      [
        [1, 2, 3, 4],
        [3, 4, ...nines],
      ],
      [1, 2, 3, 4, ...nines],
    ],
    [[[1, 2]], [1, 2]],
  ];
  it.each(cases)("joins %j", (sequences, expected) => {
    expect(mergeTokens(sequences).tokens).toEqual(expected);
  });

  it("says how much each sequence gave", () => {
    // The overlap 2 3 is cut in its middle.
    expect(
      mergeTokens([
        [1, 2, 3],
        [2, 3, 4, 5],
      ]).contributed,
    ).toEqual([2, 3]);
    expect(mergeTokens([[1, 2], [], [3]]).contributed).toEqual([2, 0, 1]);
  });

  it("finds any overlap of two tokens and more where no token comes twice", () => {
    fc.assert(
      fc.property(fc.nat(20), fc.integer({ min: 2, max: 20 }), fc.nat(20), (before, overlap, after) => {
        const all = Array.from({ length: before + overlap + after }, (_, i) => i);
        const { tokens, contributed } = mergeTokens([all.slice(0, before + overlap), all.slice(before)]);
        expect(tokens).toEqual(all);
        expect(contributed[0] + contributed[1]).toBe(all.length);
      }),
    );
  });
});
