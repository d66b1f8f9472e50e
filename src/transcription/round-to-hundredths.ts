/**
 * Rounds to two decimals as Python's `round(x, 2)`: the exact value of the number decides, ties go to the even digit.
 * `toFixed` decides by the exact value too, but takes ties up; and the only ties are odd multiples of an eighth.
 */
export function roundToHundredths(value: number): number {
  const isTie = Number.isInteger(value * 8) && (value * 8) % 2 !== 0;
  if (!isTie) return Number(value.toFixed(2));
  const floor = Math.floor(value * 100);
  return (floor % 2 === 0 ? floor : floor + 1) / 100;
}
