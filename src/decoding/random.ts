/** Random numbers that follow from a seed, so that a text can be made again. */

/**
 * Numbers in [0, 1), the same for the same keys; other keys give unrelated ones (mulberry32, seeded by a mix of the bits of
 * all keys).
 */
export function randomFrom(...keys: readonly number[]): () => number {
  let state = 0x9e3779b9;
  for (const word of new Uint32Array(Float64Array.from(keys).buffer)) {
    state = Math.imul(state ^ word, 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    state ^= state >>> 16;
  }
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}
