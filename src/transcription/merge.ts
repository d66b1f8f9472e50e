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
  /** How many of its own tokens each sequence left out before those. */
  readonly skipped: number[];
}

/**
 * Folds the sequences from left to right; where two overlap, the left one gives the tokens up to the middle of the
 * overlap, and the right one those after it. Costs the product of two neighbours' lengths, which the length of a window
 * bounds.
 */
export function mergeTokens(sequences: readonly (readonly number[])[]): MergedTokens {
  const tokens: number[] = [];
  const contributed: number[] = [];
  const skipped: number[] = [];
  let left: readonly number[] = [];
  for (const [i, right] of sequences.entries()) {
    if (i === 0) {
      left = right;
      skipped.push(0);
      continue;
    }
    const { keep, skip } = findOverlap(left, right) ?? { keep: left.length, skip: 0 };
    for (let k = 0; k < keep; k++) tokens.push(left[k]);
    contributed.push(keep);
    skipped.push(skip);
    left = right.slice(skip);
  }
  tokens.push(...left);
  contributed.push(left.length);
  return { tokens, contributed, skipped };
}

/** Where two sequences meet: `left[keep]` and `right[skip]` are in the middle of the overlap. */
export interface Overlap {
  /** Tokens of the left sequence before the cut. */
  readonly keep: number;
  /** Tokens of the right sequence before the cut. */
  readonly skip: number;
}

/**
 * Slides `right` under the end of `left` and takes the position where the largest share of tokens agree, at least two of
 * them; longer overlaps win close calls.
 *
 * @param accepts may refuse positions for reasons of its own
 * @returns null if no two tokens agree
 */
export function findOverlap(
  left: readonly number[],
  right: readonly number[],
  accepts: (overlap: Overlap) => boolean = () => true,
): Overlap | null {
  const [n, m] = [left.length, right.length];
  let best = 0;
  let found: Overlap | null = null;
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
      const overlap = { keep: (leftStart + leftEnd) >> 1, skip: (rightStart + rightEnd) >> 1 };
      if (accepts(overlap)) [best, found] = [score, overlap];
    }
  }
  return found;
}
