/** Moves rows of onnxruntime tensors about: the first axis is always windows or rows. Copies, since the runtime owns what it gives. */
import type * as ort from "onnxruntime-node";

export type TensorConstructor = typeof ort.Tensor;

type Data = Float32Array | Int8Array | BigInt64Array | Uint8Array;

/** The rows `from` of a tensor, in that order; a row may be taken more than once. */
export function takeRows(Tensor: TensorConstructor, tensor: ort.Tensor, from: ArrayLike<number>): ort.Tensor {
  const data = tensor.data as Data;
  const size = tensor.dims[0] === 0 ? 0 : data.length / tensor.dims[0];
  const result = new (data.constructor as new (length: number) => Data)(size * from.length);
  for (let i = 0; i < from.length; i++) {
    result.set(data.subarray(from[i] * size, (from[i] + 1) * size) as never, i * size);
  }
  return new Tensor(tensor.type as "float32", result as Float32Array, [from.length, ...tensor.dims.slice(1)]);
}

/** Tensors of equal dims below each other; a single one is given back as it is. */
export function stackRows(Tensor: TensorConstructor, tensors: readonly ort.Tensor[]): ort.Tensor {
  const [first] = tensors;
  if (tensors.length === 1) return first;
  const size = (first.data as Data).length;
  const result = new ((first.data as Data).constructor as new (length: number) => Data)(size * tensors.length);
  tensors.forEach((tensor, i) => result.set(tensor.data as never, i * size));
  const rows = first.dims[0] * tensors.length;
  return new Tensor(first.type as "float32", result as Float32Array, [rows, ...first.dims.slice(1)]);
}
