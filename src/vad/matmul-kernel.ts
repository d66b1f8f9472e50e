/**
 * Matrix products in WebAssembly SIMD for small networks: `columns` inputs times one matrix, four outputs to a vector.
 *
 * Every output is the bias plus one product after another, in the order of the inputs, whatever the number of columns: results do not
 * depend on which inputs were computed together. A convolution over channels-last data is the same product, since the inputs of one
 * output lie side by side.
 */
import {
  doWhile,
  f32x4,
  i32,
  increase,
  localGet,
  localSet,
  v128,
  type Code,
  type WasmFunction,
} from "../wasm/index.ts";

/** Floats of a vector. */
export const LANES = 4;

/** Products of a column per step of the inner loop: numbers of inputs are multiples of it. */
export const INNER_STEP = 4;

const FLOAT_BYTES = 4;
const VECTOR_BYTES = LANES * FLOAT_BYTES;

/** All but `floor` are addresses or sizes in bytes. */
export type Matmul = (
  /** First column; its floats lie side by side. */
  input: number,
  /** From one column to the next. */
  inputStride: number,
  /** Of a column. */
  inputBytes: number,
  /** Packed by {@link packWeights}. */
  weights: number,
  /** Of the weights between two blocks of outputs that are not used: 0, or where some inputs are left out. */
  weightsGap: number,
  /** What each output begins with. */
  bias: number,
  output: number,
  outputStride: number,
  /** Of a column of outputs. */
  outputBytes: number,
  /** Outputs below it become it: 0 for ReLU, -Infinity for none. */
  floor: number,
) => void;

/** `columns` inputs at once, and outputs in blocks of `vectors` vectors. */
export function matmulFunction(name: string, columns: number, vectors: number): WasmFunction {
  const parameters = ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "f32"] as const;
  const [input, inputStride, inputBytes, weights, gap, bias, output, outputStride, outputBytes, floorValue] =
    parameters.keys();
  const first = parameters.length;
  const inputEnd = first;
  const outputEnd = first + 1;
  const pointers = range(columns).map((column) => first + 2 + column);
  const at = first + 2 + columns; // where a column's outputs go
  const floor = at + 1;
  const factor = floor + 1;
  const weightVectors = range(vectors).map((vector) => factor + 1 + vector);
  const sums = range(columns).map((column) =>
    range(vectors).map((vector) => factor + 1 + vectors + column * vectors + vector),
  );
  const blockBytes = vectors * VECTOR_BYTES;

  const multiply = range(INNER_STEP).flatMap((step) => [
    ...weightVectors.flatMap((local, vector) => [
      ...localGet(weights),
      ...v128.load(step * blockBytes + vector * VECTOR_BYTES),
      ...localSet(local),
    ]),
    ...pointers.flatMap((pointer, column) => [
      ...[...localGet(pointer), ...v128.load32Splat(step * FLOAT_BYTES), ...localSet(factor)],
      ...weightVectors.flatMap((local, vector) => [
        ...[...localGet(sums[column][vector]), ...localGet(factor), ...localGet(local), ...f32x4.multiply],
        ...[...f32x4.add, ...localSet(sums[column][vector])],
      ]),
    ]),
  ]);
  const block: Code = [
    ...pointers.flatMap((pointer, column) => [
      ...(column === 0 ? localGet(input) : [...localGet(pointers[column - 1]), ...localGet(inputStride), ...i32.add]),
      ...localSet(pointer),
    ]),
    ...[...localGet(pointers[0]), ...localGet(inputBytes), ...i32.add, ...localSet(inputEnd)],
    ...sums.flatMap((column) =>
      column.flatMap((sum, vector) => [...localGet(bias), ...v128.load(vector * VECTOR_BYTES), ...localSet(sum)]),
    ),
    ...doWhile([
      ...multiply,
      ...increase(weights, i32.const(INNER_STEP * blockBytes)),
      ...pointers.flatMap((pointer) => increase(pointer, i32.const(INNER_STEP * FLOAT_BYTES))),
      ...[...localGet(pointers[0]), ...localGet(inputEnd), ...i32.lessUnsigned],
    ]),
    ...[...localGet(output), ...localSet(at)],
    ...sums.flatMap((column) => [
      ...column.flatMap((sum, vector) => [
        ...[...localGet(at), ...localGet(sum), ...localGet(floor), ...f32x4.max],
        ...v128.store(vector * VECTOR_BYTES),
      ]),
      ...increase(at, localGet(outputStride)),
    ]),
    ...increase(weights, localGet(gap)),
    ...increase(bias, i32.const(blockBytes)),
    ...increase(output, i32.const(blockBytes)),
    ...[...localGet(output), ...localGet(outputEnd), ...i32.lessUnsigned],
  ];
  return {
    name,
    parameters,
    locals: [
      ...range(2 + columns + 1).map(() => "i32" as const),
      ...range(2 + vectors + columns * vectors).map(() => "v128" as const),
    ],
    body: [
      ...[...localGet(output), ...localGet(outputBytes), ...i32.add, ...localSet(outputEnd)],
      ...[...localGet(floorValue), ...f32x4.splat, ...localSet(floor)],
      ...doWhile(block),
    ],
  };
}

/**
 * Orders weights as the kernel reads them: blocks of `vectors` vectors of outputs, in each the inputs in turn.
 *
 * @param weight weight of an input in an output
 * @returns [outputs / block, inputs, block]
 */
export function packWeights(
  outputs: number,
  inputs: number,
  vectors: number,
  weight: (output: number, input: number) => number,
): Float32Array {
  const block = vectors * LANES;
  if (outputs % block !== 0 || inputs % INNER_STEP !== 0) {
    throw new RangeError(
      `Cannot pack weights [${outputs}, ${inputs}] in blocks of ${block} and steps of ${INNER_STEP}`,
    );
  }
  const packed = new Float32Array(outputs * inputs);
  let at = 0;
  for (let first = 0; first < outputs; first += block) {
    for (let input = 0; input < inputs; input++) {
      for (let output = first; output < first + block; output++) packed[at++] = weight(output, input);
    }
  }
  return packed;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
