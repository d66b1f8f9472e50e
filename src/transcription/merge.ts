/**
 * Joins token sequences that overlap, as Hugging Face's `_find_longest_common_sequence` does (facts 1.12.8).
 *
 * Known shortcomings, kept so that texts equal the reference: an overlap of a single token is not seen, and its token
 * comes twice; a phrase said twice may be taken for the overlap.
 */

export interface MergedTokens {
  readonly tokens: number[];
  /** How many of `tokens` each sequence gave. */
  readonly contributed: number[];
}

/**
 * Folds the sequences from left to right; where two overlap, the left one gives the tokens up to the middle of the
 * overlap, and the right one those after it. Costs the product of two neighbours' lengths, which the length of a window
 * bounds.
 */
export function mergeTokens(sequences: readonly (readonly number[])[]): MergedTokens {
  const tokens: number[] = [];
  const contributed: number[] = [];
  let left: readonly number[] = [];
  for (const [i, right] of sequences.entries()) {
    if (i === 0) {
      left = right;
      continue;
    }
    const { keep, skip } = findOverlap(left, right);
    for (let k = 0; k < keep; k++) tokens.push(left[k]);
    contributed.push(keep);
    left = right.slice(skip);
  }
  tokens.push(...left);
  contributed.push(left.length);
  return { tokens, contributed };
}

/**
 * Slides `right` under the end of `left` and takes the position where the largest share of tokens agree, at least two of
 * them; longer overlaps win close calls.
 *
 * @returns how many tokens of `left` to keep, and how many of `right` to skip
 */
function findOverlap(left: readonly number[], right: readonly number[]): { keep: number; skip: number } {
  const [n, m] = [left.length, right.length];
  let best = 0;
  let [keep, skip] = [n, 0];
  for (let i = 1; i < n + m; i++) {
    const leftStart = Math.max(0, n - i);
    const leftEnd = Math.min(n, n + m - i);
    const rightStart = Math.max(0, i - n);
    const rightEnd = Math.min(m, i);
    let equal = 0;
    for (let k = leftStart, j = rightStart; k < leftEnd; k++, j++) if (left[k] === right[j]) equal++;
    // The divisor is the position of the slide, not the length of the overlap.
    const score = equal / i + i / 10000;
    if (equal > 1 && score > best) {
      best = score;
      keep = Math.floor((leftStart + leftEnd) / 2);
      skip = Math.floor((rightStart + rightEnd) / 2);
    }
  }
  return { keep, skip };
}
