/** The median of a sliding window: takes out single spikes and leaves edges where they are. */

/**
 * Replaces each value of a row by the median of the `width` values around it; at the ends the row is continued by its
 * mirror image, the end itself not repeated. Rows too short to be mirrored stay as they are.
 *
 * @param data rows of equal length, one after the other; not modified
 * @param rowLength divides `data.length`
 * @param width odd
 * @throws {RangeError} for other widths and lengths
 * @see openai/whisper timing.py `median_filter` (v20250625; facts 2.5.1)
 */
export function medianFilter(data: Float32Array, rowLength: number, width: number): Float32Array {
  if (!Number.isInteger(width) || width < 1 || width % 2 === 0) {
    throw new RangeError(`Cannot filter with a window of ${width} values, expected an odd number`);
  }
  if (rowLength < 1 || data.length % rowLength !== 0) {
    throw new RangeError(`Cannot filter ${data.length} values in rows of ${rowLength}`);
  }
  const result = new Float32Array(data.length);
  const filterRow = createRowFilter(rowLength, width);
  for (let at = 0; at < data.length; at += rowLength) {
    filterRow(data.subarray(at, at + rowLength), result.subarray(at, at + rowLength));
  }
  return result;
}

/** Makes a function that filters one row of this length into another, without allocating. */
export function createRowFilter(length: number, width: number): (row: Float32Array, into: Float32Array) => void {
  const half = width >> 1;
  if (length <= half) return (row, into) => into.set(row);
  const padded = new Float32Array(length + 2 * half);
  const sorted = new Float32Array(width);
  return (row, into) => {
    padded.set(row, half);
    for (let i = 1; i <= half; i++) {
      padded[half - i] = row[i];
      padded[half + length - 1 + i] = row[length - 1 - i];
    }
    if (width === 7) return filterBySeven(padded, into);
    sorted.set(padded.subarray(0, width));
    sorted.sort();
    into[0] = sorted[half];
    for (let i = 1; i < length; i++) {
      replace(sorted, padded[i - 1], padded[i + width - 1]);
      into[i] = sorted[half];
    }
  };
}

/**
 * Medians of seven, two at a time: neighbouring windows share six values, and the median of a window is its seventh value,
 * or the nearer one of the two in the middle of the six. A sorting network finds these without branches.
 */
function filterBySeven(padded: Float32Array, into: Float32Array): void {
  const { min, max } = Math;
  for (let i = 0; i < into.length; i += 2) {
    const x0 = padded[i + 1];
    const x1 = padded[i + 2];
    const x2 = padded[i + 3];
    const x3 = padded[i + 4];
    const x4 = padded[i + 5];
    const x5 = padded[i + 6];
    const a0 = min(x0, x5);
    const a1 = min(x1, x3);
    const a2 = min(x2, x4);
    const a3 = max(x1, x3);
    const a4 = max(x2, x4);
    const a5 = max(x0, x5);
    const b1 = min(a1, a2);
    const b2 = max(a1, a2);
    const b3 = min(a3, a4);
    const b4 = max(a3, a4);
    const c0 = min(a0, b3);
    const c2 = min(b2, a5);
    const c3 = max(a0, b3);
    const c5 = max(b2, a5);
    const low = max(max(c0, b1), min(c2, c3));
    const high = min(max(c2, c3), min(b4, c5));
    into[i] = max(low, min(high, padded[i]));
    if (i + 1 < into.length) into[i + 1] = max(low, min(high, padded[i + 7]));
  }
}

/** Takes one value out of a sorted list and puts another in. */
function replace(sorted: Float32Array, out: number, value: number): void {
  let at = 0;
  while (sorted[at] !== out) at++;
  const last = sorted.length - 1;
  for (; at < last && sorted[at + 1] < value; at++) sorted[at] = sorted[at + 1];
  for (; at > 0 && sorted[at - 1] > value; at--) sorted[at] = sorted[at - 1];
  sorted[at] = value;
}
