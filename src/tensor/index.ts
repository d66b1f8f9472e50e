export { assertShape, sizeOf, tensor, type Tensor } from "./tensor.ts";
export {
  BYTES_PER_ELEMENT,
  float16ToFloat32,
  float32ToFloat16,
  toFloat16,
  toFloat32,
  type ComputeDType,
  type StoredDType,
} from "./dtype.ts";
export { roundHalfEven } from "./round-half-even.ts";
export { allFinite, firstNotFinite } from "./finite.ts";
