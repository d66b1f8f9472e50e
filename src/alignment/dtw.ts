/** Dynamic time warping: the cheapest way through a table from its first corner to its last. */

/** A monotone path: entry k goes through cell (rows[k], columns[k]); both begin at 0 and end at the last index. */
export interface WarpingPath {
  readonly rows: Int32Array;
  readonly columns: Int32Array;
}

const DIAGONAL = 0;
const UP = 1;
const LEFT = 2;

/**
 * Finds the path of least cost, in steps of one row, one column or both.
 *
 * Ties decide where words begin, so they follow openai/whisper to the letter: a diagonal step only if it is strictly
 * cheaper than both others, a step down only if it is strictly cheaper than both others, else a step to the right. Sums are
 * rounded to float32 (facts 2.5.2).
 *
 * @param cost [nRows, nColumns], row-major, at least one of each
 * @throws {RangeError} if `cost` has another length
 * @see openai/whisper timing.py `dtw_cpu`, `backtrace` (v20250625)
 */
export function dtw(cost: Float32Array, nRows: number, nColumns: number): WarpingPath {
  if (nRows < 1 || nColumns < 1 || cost.length !== nRows * nColumns) {
    throw new RangeError(`Cannot warp ${nRows} rows and ${nColumns} columns: found ${cost.length} costs`);
  }
  const steps = cheapestSteps(cost, nRows, nColumns);
  const longest = nRows + nColumns - 1;
  const rows = new Int32Array(longest);
  const columns = new Int32Array(longest);
  let at = longest;
  let row = nRows - 1;
  let column = nColumns - 1;
  while (row >= 0 && column >= 0) {
    at--;
    rows[at] = row;
    columns[at] = column;
    const step = steps[row * nColumns + column];
    if (step !== LEFT) row--;
    if (step !== UP) column--;
  }
  return { rows: rows.subarray(at), columns: columns.subarray(at) };
}

/** For each cell the step that leads to it. */
function cheapestSteps(cost: Float32Array, nRows: number, nColumns: number): Uint8Array {
  const steps = new Uint8Array(nRows * nColumns);
  // Sums of one row, and of the row above; index 0 is the border, which only the first cell can be reached from.
  let above = new Float32Array(nColumns + 1).fill(Infinity);
  let sums = new Float32Array(nColumns + 1);
  above[0] = 0;
  for (let row = 0; row < nRows; row++) {
    sums[0] = Infinity;
    const first = row * nColumns;
    for (let column = 0; column < nColumns; column++) {
      const diagonal = above[column];
      const up = above[column + 1];
      const left = sums[column];
      let least = left;
      let step = LEFT;
      if (diagonal < up && diagonal < left) {
        least = diagonal;
        step = DIAGONAL;
      } else if (up < diagonal && up < left) {
        least = up;
        step = UP;
      }
      sums[column + 1] = cost[first + column] + least;
      steps[first + column] = step;
    }
    [above, sums] = [sums, above];
  }
  return steps;
}
