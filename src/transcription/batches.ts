/** Batches of windows: an even split, since a batch of one costs almost what a full one does (facts 1.5.5). */

/**
 * Sizes of the batches that `count` items make: as few as possible, as even as possible, larger ones first.
 *
 * @param size most items of a batch
 * @example evenBatches(17, 16) is [9, 8]
 */
export function evenBatches(count: number, size: number): number[] {
  const batches = Math.ceil(count / size);
  const base = Math.floor(count / batches);
  const larger = count % batches;
  return Array.from({ length: batches }, (_, i) => (i < larger ? base + 1 : base));
}

/**
 * Batches of a stream of unknown length: full ones, and an even split of what is left once the end is in sight. Reads at
 * most two batches and one item ahead.
 */
export async function* streamBatches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[], void, undefined> {
  let ahead: T[] = [];
  for await (const item of items) {
    if (ahead.length === 2 * size) {
      yield ahead.slice(0, size);
      ahead = ahead.slice(size);
    }
    ahead.push(item);
  }
  let from = 0;
  for (const length of evenBatches(ahead.length, size)) {
    yield ahead.slice(from, from + length);
    from += length;
  }
}
