import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dtw } from "./dtw.ts";

const golden = JSON.parse(
  readFileSync(new URL("../../test/golden/alignment/openai-timing.json", import.meta.url), "utf8"),
) as { dtw: { cost: number[][]; rows: number[]; columns: number[] }[] };

/** Costs from 0 to 1, and 1 less along a random monotone path, which is therefore the cheapest (facts 6.3 T5). */
function planted(nRows: number, nColumns: number, random: () => number): { cost: Float32Array; path: number[][] } {
  const cost = Float32Array.from({ length: nRows * nColumns }, random);
  const path: number[][] = [];
  let [row, column] = [0, 0];
  for (;;) {
    cost[row * nColumns + column] -= 1;
    path.push([row, column]);
    if (row === nRows - 1 && column === nColumns - 1) return { cost, path };
    const goesDown = row < nRows - 1 && (column === nColumns - 1 || random() < (nRows - row) / (nRows + nColumns));
    // Two steps that turn a corner are one diagonal step, as a corner is never cheaper.
    const goesRight = column < nColumns - 1 && (!goesDown || random() < 0.5);
    if (goesDown) row++;
    if (goesRight) column++;
  }
}

function cellsOf({ rows, columns }: { rows: Int32Array; columns: Int32Array }): number[][] {
  return Array.from(rows, (row, k) => [row, columns[k]]);
}

describe("dtw()", () => {
  it.each([
    [10, 20],
    [32, 16],
    [123, 1500],
    [234, 189],
  ])("finds the path planted in a table of %i x %i (facts 6.3 T5)", (nRows, nColumns) => {
    let seed = nRows * nColumns;
    const random = (): number => (seed = (seed * 48271) % 0x7fffffff) / 0x7fffffff;
    const { cost, path } = planted(nRows, nColumns, random);
    expect(cellsOf(dtw(cost, nRows, nColumns))).toEqual(path);
  });

  it("breaks ties as openai/whisper: down or across only if strictly cheaper, else right (facts 2.5.2)", () => {
    for (const { cost, rows, columns } of golden.dtw) {
      const path = dtw(Float32Array.from(cost.flat()), cost.length, cost[0].length);
      expect([[...path.rows], [...path.columns]], JSON.stringify(cost)).toEqual([rows, columns]);
    }
  });

  it.each([
    [
      "all equal: right along the last row",
      [0, 0, 0, 0],
      [
        [0, 0],
        [1, 0],
        [1, 1],
      ],
    ],
    [
      "down and across equal: right",
      [0, 1, 0, 0],
      [
        [0, 0],
        [1, 0],
        [1, 1],
      ],
    ],
    [
      "across strictly cheapest",
      [0, 1, 1, 0],
      [
        [0, 0],
        [1, 1],
      ],
    ],
  ])("2 x 2, %s", (_, cost, path) => {
    expect(cellsOf(dtw(Float32Array.from(cost), 2, 2))).toEqual(path);
  });

  it("sums in float32: what is lost there is a tie", () => {
    // 1 + 1e-9 is 1 in float32, so that both ways cost the same and the step is to the right.
    const path = dtw(Float32Array.of(1, 1, 1e-9, 0), 2, 2);
    expect(cellsOf(path)).toEqual(cellsOf(dtw(Float32Array.of(1, 1, 0, 0), 2, 2)));
  });

  it("goes from corner to corner in steps of one", () => {
    const size = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(
        size,
        size,
        fc.infiniteStream(fc.float({ noNaN: true, min: -9, max: 9 })),
        (nRows, nColumns, costs) => {
          const cost = Float32Array.from([...costs.take(nRows * nColumns)]);
          const cells = cellsOf(dtw(cost, nRows, nColumns));
          expect(cells[0]).toEqual([0, 0]);
          expect(cells.at(-1)).toEqual([nRows - 1, nColumns - 1]);
          for (const [k, [row, column]] of cells.slice(1).entries()) {
            const [down, right] = [row - cells[k][0], column - cells[k][1]];
            expect([
              [0, 1],
              [1, 0],
              [1, 1],
            ]).toContainEqual([down, right]);
          }
        },
      ),
    );
  });

  it.each([
    [0, 1],
    [1, 0],
    [2, 2],
  ])("refuses a table of %i x %i with 3 costs", (nRows, nColumns) => {
    expect(() => dtw(new Float32Array(3), nRows, nColumns)).toThrow(RangeError);
  });
});
