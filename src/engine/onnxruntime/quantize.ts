/** Rounds float32 weights to 8 bits, in the layouts of onnxruntime's integer kernels. Pure functions. */

/** Elements that share a scale in the blockwise layout; every width of a Whisper network is a multiple of it. */
export const BLOCK_SIZE = 64;

/**
 * One scale an output column, for MatMulIntegerToFloat: weight = quantized * scale.
 *
 * @param weight [nOut, nIn]
 * @param quantized [nIn, nOut], written: transposed on the way
 * @param scales [nOut], written
 */
export function quantizeColumns(
  weight: Float32Array,
  nOut: number,
  nIn: number,
  quantized: Int8Array,
  scales: Float32Array,
): void {
  for (let o = 0; o < nOut; o++) {
    let largest = 0;
    for (let i = o * nIn; i < (o + 1) * nIn; i++) {
      const magnitude = Math.abs(weight[i]);
      if (magnitude > largest) largest = magnitude;
    }
    scales[o] = largest / 127 || 1;
  }
  // Tiles keep both the rows read and the columns written in cache.
  const tile = 64;
  for (let o0 = 0; o0 < nOut; o0 += tile) {
    const o1 = Math.min(o0 + tile, nOut);
    for (let i0 = 0; i0 < nIn; i0 += tile) {
      const i1 = Math.min(i0 + tile, nIn);
      for (let o = o0; o < o1; o++) {
        const inverse = 1 / scales[o];
        for (let i = i0; i < i1; i++) quantized[i * nOut + o] = roundHalfUp(weight[o * nIn + i] * inverse);
      }
    }
  }
}

/**
 * One scale a block of 64 inputs of one output, for MatMulNBits with 8 bits: weight = (quantized - 128) * scale.
 *
 * @param weight [nOut, nIn], nIn a multiple of 64
 * @param quantized [nOut, nIn / 64, 64], written
 * @param scales [nOut, nIn / 64], written
 */
export function quantizeBlocks(weight: Float32Array, quantized: Uint8Array, scales: Float32Array): void {
  const blocks = weight.length / BLOCK_SIZE;
  for (let b = 0; b < blocks; b++) {
    const from = b * BLOCK_SIZE;
    const to = from + BLOCK_SIZE;
    let largest = 0;
    for (let i = from; i < to; i++) {
      const magnitude = Math.abs(weight[i]);
      if (magnitude > largest) largest = magnitude;
    }
    const scale = largest / 127 || 1;
    const inverse = 1 / scale;
    scales[b] = scale;
    for (let i = from; i < to; i++) quantized[i] = roundHalfUp(weight[i] * inverse) + 128;
  }
}

/** Nearest integer; faster than Math.round, and ties do not matter here. */
function roundHalfUp(value: number): number {
  return Math.floor(value + 0.5);
}
