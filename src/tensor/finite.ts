/** Finds NaN and infinities by their bits: an exponent of ones, whatever the format. */
import { BYTES_PER_ELEMENT, type StoredDType } from "./dtype.ts";

/** The exponent's bits. */
const EXPONENT: Readonly<Record<StoredDType, number>> = { float32: 0x7f800000, float16: 0x7c00, bfloat16: 0x7f80 };

/**
 * Index of the first number that is NaN or infinite, -1 if all are finite. A pass over the bits, about 1 ns a number.
 *
 * @param bytes of whole numbers, little-endian, beginning on a multiple of their size in the buffer
 */
export function firstNotFinite(bytes: Uint8Array, dtype: StoredDType): number {
  const count = bytes.byteLength / BYTES_PER_ELEMENT[dtype];
  const Bits = dtype === "float32" ? Uint32Array : Uint16Array;
  const bits = new Bits(bytes.buffer as ArrayBuffer, bytes.byteOffset, count);
  const exponent = EXPONENT[dtype];
  for (let i = 0; i < count; i++) if ((bits[i] & exponent) === exponent) return i;
  return -1;
}

/** Whether all numbers are finite. */
export function allFinite(values: Float32Array): boolean {
  return firstNotFinite(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), "float32") < 0;
}
