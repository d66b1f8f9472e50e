/**
 * The one inner loop of the reference engine: dot products of the rows of two matrices, which is what a convolution, a
 * linear map and both halves of attention come down to. Sums are float64, so their order does not matter to the result.
 */

/** Rows of numbers inside an array: row i begins at `from + i * stride`. */
export interface Rows {
  readonly data: Float32Array;
  readonly from: number;
  readonly stride: number;
}

/** Rows of `a` that stay in the processor's cache while `b` goes by; a multiple of 4. */
const BLOCK = 32;

/**
 * Writes `out[i, j] = sum over k of a[i, k] * b[j, k]`.
 *
 * Four rows of `a` by two rows of `b` at a time: each loaded number is used several times while it is in a register.
 *
 * @param m rows of `a`
 * @param n rows of `b`
 * @param size length of a row of either
 */
export function dotRows(a: Rows, b: Rows, out: Rows, m: number, n: number, size: number): void {
  const x = a.data;
  const y = b.data;
  const z = out.data;
  const fullM = m - (m % 4);
  const fullN = n - (n % 2);
  for (let block = 0; block < fullM; block += BLOCK) {
    const end = Math.min(block + BLOCK, fullM);
    for (let j = 0; j < fullN; j += 2) {
      const b0 = b.from + j * b.stride;
      const b1 = b0 + b.stride;
      for (let i = block; i < end; i += 4) {
        const a0 = a.from + i * a.stride;
        const a1 = a0 + a.stride;
        const a2 = a1 + a.stride;
        const a3 = a2 + a.stride;
        let s00 = 0;
        let s01 = 0;
        let s10 = 0;
        let s11 = 0;
        let s20 = 0;
        let s21 = 0;
        let s30 = 0;
        let s31 = 0;
        for (let k = 0; k < size; k++) {
          const y0 = y[b0 + k];
          const y1 = y[b1 + k];
          const x0 = x[a0 + k];
          const x1 = x[a1 + k];
          const x2 = x[a2 + k];
          const x3 = x[a3 + k];
          s00 += x0 * y0;
          s01 += x0 * y1;
          s10 += x1 * y0;
          s11 += x1 * y1;
          s20 += x2 * y0;
          s21 += x2 * y1;
          s30 += x3 * y0;
          s31 += x3 * y1;
        }
        const o = out.from + i * out.stride + j;
        z[o] = s00;
        z[o + 1] = s01;
        z[o + out.stride] = s10;
        z[o + out.stride + 1] = s11;
        z[o + 2 * out.stride] = s20;
        z[o + 2 * out.stride + 1] = s21;
        z[o + 3 * out.stride] = s30;
        z[o + 3 * out.stride + 1] = s31;
      }
    }
  }
  // What is left over: the last column of the whole blocks, and the last rows, four columns at a time.
  for (let i = 0; i < m; i++) {
    const a0 = a.from + i * a.stride;
    const o = out.from + i * out.stride;
    let j = i < fullM ? fullN : 0;
    for (; j + 4 <= n; j += 4) {
      const b0 = b.from + j * b.stride;
      const b1 = b0 + b.stride;
      const b2 = b1 + b.stride;
      const b3 = b2 + b.stride;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let k = 0; k < size; k++) {
        const x0 = x[a0 + k];
        s0 += x0 * y[b0 + k];
        s1 += x0 * y[b1 + k];
        s2 += x0 * y[b2 + k];
        s3 += x0 * y[b3 + k];
      }
      z[o + j] = s0;
      z[o + j + 1] = s1;
      z[o + j + 2] = s2;
      z[o + j + 3] = s3;
    }
    for (; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < size; k++) sum += x[a0 + k] * y[b.from + j * b.stride + k];
      z[o + j] = sum;
    }
  }
}
