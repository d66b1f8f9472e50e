/**
 * Rounds to the nearest integer, ties to the even one, as Python's `round` does and `Math.round` does not: lengths in
 * samples and timestamp indices follow it (facts 1.4.5, 8.14).
 */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
