/** Number formats of stored parameters and of computation, and conversion of the half-precision ones to float32. */

/** How a checkpoint stores a parameter. */
export type StoredDType = "float32" | "float16" | "bfloat16";

/** How an engine computes. `int8`: int8 weights and cross-attention cache, float32 everywhere else. */
export type ComputeDType = "float32" | "float16" | "bfloat16" | "int8";

export const BYTES_PER_ELEMENT: Readonly<Record<StoredDType, number>> = { float32: 4, float16: 2, bfloat16: 2 };

function float16ToFloat32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) {
    if (fraction === 0) return sign;
    // Subnormal: value = fraction * 2^-24; shift the leading one out to normalise.
    const shift = Math.clz32(fraction) - 21;
    return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
  }
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  return sign | ((exponent + 112) << 23) | (fraction << 13);
}

let float16Table: Float32Array | undefined;

/** All 65,536 float16 values as float32; made at first use (256 KiB), since a table look-up is the fastest conversion in JavaScript. */
function float16Values(): Float32Array {
  if (float16Table === undefined) {
    const table = new Uint32Array(65536);
    for (let half = 0; half < 65536; half++) table[half] = float16ToFloat32Bits(half) >>> 0;
    float16Table = new Float32Array(table.buffer);
  }
  return float16Table;
}

/** Value of one float16 bit pattern. */
export function float16ToFloat32(half: number): number {
  return float16Values()[half & 0xffff];
}

/** Nearest float16 bit pattern of a float32 bit pattern, ties to even; too large values become infinity. */
function float32BitsToFloat16(x: number): number {
  const sign = (x >>> 16) & 0x8000;
  const magnitude = x & 0x7fffffff;
  if (magnitude >= 0x477ff000) {
    if (magnitude > 0x7f800000) return sign | 0x7e00;
    return sign | 0x7c00;
  }
  if (magnitude < 0x38800000) {
    if (magnitude < 0x33000001) return sign; // at most half of the smallest subnormal
    const shift = 126 - (magnitude >>> 23); // 14..24
    const mantissa = (magnitude & 0x7fffff) | 0x800000;
    const half = mantissa >>> shift;
    const rest = mantissa & ((1 << shift) - 1);
    const middle = 1 << (shift - 1);
    return sign | (half + (rest > middle || (rest === middle && (half & 1) === 1) ? 1 : 0));
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** Nearest float16 bit pattern of one value. */
export function float32ToFloat16(value: number): number {
  return toFloat16(Float32Array.of(value))[0];
}

/** Nearest float16 bit patterns, ties to even; too large values become infinity. */
export function toFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const result = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) result[i] = float32BitsToFloat16(bits[i]);
  return result;
}

/**
 * Converts stored elements to float32.
 *
 * @param bytes little-endian elements; need not be aligned; not modified
 * @returns a new array of `bytes.length / BYTES_PER_ELEMENT[dtype]` values
 */
export function toFloat32(bytes: Uint8Array, dtype: StoredDType): Float32Array {
  const count = bytes.length / BYTES_PER_ELEMENT[dtype];
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  if (dtype === "float32") return new Float32Array(aligned.buffer, aligned.byteOffset, count).slice();
  const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, count);
  if (dtype === "float16") {
    const table = float16Values();
    const result = new Float32Array(count);
    for (let i = 0; i < count; i++) result[i] = table[halves[i]];
    return result;
  }
  const result = new Uint32Array(count);
  for (let i = 0; i < count; i++) result[i] = halves[i] << 16;
  return new Float32Array(result.buffer);
}
