/**
 * Base-10 logarithms of many float32 values: about six times as fast as Math.log10, which would take a third of the time of
 * a spectrogram.
 *
 * x = 2^e * m with m in [1, 2). The top 7 bits of m choose a point c from a table, and log(m) = log(c) + log(1 + r) with
 * r = m / c - 1, |r| < 2^-8, so three terms of the series leave an error below 1e-10.
 */
const BITS = 7;
const MIDPOINTS = Float64Array.from({ length: 1 << BITS }, (_, i) => 1 + (i + 0.5) / (1 << BITS));
const RECIPROCAL = MIDPOINTS.map((c) => 1 / c);
const LOG10_OF_MIDPOINT = MIDPOINTS.map((c) => Math.log10(c));
const LOG10_OF_2 = Math.log10(2);

/**
 * Replaces each value of [from, to) by `(max(log10(value), log10(least)) + shift) * scale`.
 *
 * @param values changed in place; NaN counts as less than `least`
 * @param least smallest value that is told apart: positive, finite and not subnormal
 */
export function log10InPlace(
  values: Float32Array,
  from: number,
  to: number,
  least: number,
  shift: number,
  scale: number,
): void {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const lowest = (Math.log10(least) + shift) * scale;
  for (let i = from; i < to; i++) {
    if (!(values[i] > least)) {
      values[i] = lowest;
      continue;
    }
    const word = bits[i];
    const mantissa = 1 + (word & 0x7fffff) * 2 ** -23;
    const index = (word >> (23 - BITS)) & ((1 << BITS) - 1);
    const r = mantissa * RECIPROCAL[index] - 1;
    const log1p = r * (1 - r * (0.5 - r * (1 / 3)));
    const log = ((word >> 23) - 127) * LOG10_OF_2 + LOG10_OF_MIDPOINT[index] + log1p * Math.LOG10E;
    values[i] = (log + shift) * scale;
  }
}
