/** Comparison of arrays of numbers, for tests: says where two computations part, and by how much. */

export interface Tolerance {
  /** Largest |actual - expected| allowed everywhere ... */
  readonly absolute?: number;
  /** ... plus this part of |expected|. */
  readonly relative?: number;
}

/**
 * Passes if `|actual - expected| <= absolute + relative * |expected|` for every element. Equal infinities pass; a NaN
 * passes only where NaN is expected.
 *
 * @throws {Error} with the worst index, both values there, how many differ and the tolerance
 */
export function assertAllClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { absolute = 0, relative = 0 }: Tolerance,
  what = "values",
): void {
  if (actual.length !== expected.length) {
    throw new Error(`Got ${actual.length} ${what}, expected ${expected.length}`);
  }
  let worst = -1;
  let worstExcess = 0;
  let count = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i]) || actual[i] === expected[i]) continue;
    const excess = Math.abs(actual[i] - expected[i]) - absolute - relative * Math.abs(expected[i]);
    if (excess <= 0) continue;
    count++;
    if (worst < 0 || Number.isNaN(excess) || excess > worstExcess) {
      worst = i;
      worstExcess = Number.isNaN(excess) ? Infinity : excess;
    }
  }
  if (worst < 0) return;
  const difference = Math.abs(actual[worst] - expected[worst]);
  throw new Error(
    `${count} of ${expected.length} ${what} differ; worst at ${worst}: got ${actual[worst]}, expected ` +
      `${expected[worst]}, difference ${difference.toExponential(2)} (tolerance ${absolute} + ${relative} * |expected|)`,
  );
}

/**
 * Error of a whole array: root mean square of the differences over that of the expected values. Infinite if the lengths
 * differ or a value is not finite.
 */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let differences = 0;
  let squares = 0;
  for (let i = 0; i < expected.length; i++) {
    differences += (actual[i] - expected[i]) ** 2;
    squares += expected[i] ** 2;
  }
  const error = differences === 0 ? 0 : Math.sqrt(differences / squares);
  return Number.isFinite(error) ? error : Infinity;
}
