/** Random numbers that a test can have again. */

/** Random numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Of mean 0 and deviation 1, from numbers in [0, 1) (Box-Muller). */
const normalOf = (random: () => number) => (): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Normal random numbers, the same for the same seed. */
export const seededNormal = (seed: number): (() => number) => normalOf(seededRandom(seed));

/** Numbers of one seed, of several kinds. */
export class Random {
  /** In [0, 1). */
  readonly next: () => number;
  /** Normally distributed. */
  readonly normal: () => number;

  constructor(seed: number) {
    this.next = seededRandom(seed);
    this.normal = normalOf(this.next);
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  normals(count: number, scale = 1): Float32Array {
    return Float32Array.from({ length: count }, () => scale * this.normal());
  }

  /** The numbers below `count` in any order. */
  order(count: number): number[] {
    const all = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [all[i], all[j]] = [all[j], all[i]];
    }
    return all;
  }
}
