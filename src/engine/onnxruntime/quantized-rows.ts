/**
 * Activations in 8 bits with one scale a row, recorded as ONNX nodes.
 *
 * onnxruntime's own DynamicQuantizeMatMul has one scale for the whole tensor. A few positions of Whisper's activations are tens of times
 * larger than the others, above all before the second linear map of a feed-forward block, and one scale leaves the others a few
 * steps. A row is one position, so that it does not depend on what else is in the window or the batch.
 */
import type { GraphBuilder, Value } from "../../onnx/index.ts";

/** x is about (quantized - zero) * scale. */
export interface QuantizedRows {
  /** uint8, dims of x. */
  readonly quantized: Value;
  /** float32, dims of x with a last axis of 1. */
  readonly scale: Value;
  /** uint8 scalar: 128 for signed rows, 0 for rows that have no negative values. */
  readonly zero: Value;
}

/** Smallest scale, so that rows of zeros are not divided by zero. */
const SMALLEST = 1e-30;

/**
 * Quantises x along its last axis, in as few nodes as can be: for the decoder's few rows.
 *
 * @param signed whether x may have negative values; without them it has 255 steps, else 127 on each side
 */
export function quantizeRows(graph: GraphBuilder, x: Value, signed: boolean): QuantizedRows {
  const magnitudes = signed ? graph.op("Abs", [x]) : x;
  const largest = graph.op("ReduceMax", [magnitudes, graph.ints(-1)], { keepdims: 1 });
  const scale = scaleOf(graph, [largest], signed ? 127 : 255);
  const zero = zeroOf(graph, signed);
  const quantized = graph.op("QuantizeLinear", [graph.op("Div", [x, scale]), graph.scalar(1), zero]);
  return { quantized, scale, zero };
}

/**
 * As `quantizeRows` of signed values, in more nodes that take fewer passes over memory: for the encoder's 1500 rows, of which a pass
 * is megabytes. Two maxima are faster than magnitudes and one, and QuantizeLinear divides by a scale of each row itself.
 */
export function quantizeManyRows(graph: GraphBuilder, x: Value): QuantizedRows {
  const extreme = (operator: string): Value => graph.op(operator, [x, graph.ints(-1)], { keepdims: 1 });
  const scale = scaleOf(graph, [extreme("ReduceMax"), graph.op("Neg", [extreme("ReduceMin")])], 127);
  const zero = zeroOf(graph, true);
  const scales = graph.op("Reshape", [scale, graph.ints(-1)]);
  const zeros = graph.op("Expand", [zero, graph.op("Shape", [scales])]);
  const rows = graph.op("QuantizeLinear", [graph.op("Flatten", [x], { axis: -1 }), scales, zeros], { axis: 0 });
  return { quantized: graph.op("Reshape", [rows, graph.op("Shape", [x])]), scale, zero };
}

function scaleOf(graph: GraphBuilder, magnitudes: readonly Value[], steps: number): Value {
  return graph.op("Mul", [graph.op("Max", [...magnitudes, graph.scalar(SMALLEST)]), graph.scalar(1 / steps)]);
}

function zeroOf(graph: GraphBuilder, signed: boolean): Value {
  return graph.constant(signed ? "uint8_middle" : "uint8_zero", "uint8", [], Uint8Array.of(signed ? 128 : 0));
}

/**
 * Rows [..., nIn] times an int8 weight [nIn, nOut] that has one scale an output, [nOut].
 *
 * @returns float32 [..., nOut]
 */
export function multiplyRows(graph: GraphBuilder, rows: QuantizedRows, weight: Value, scales: Value): Value {
  // The operator's own scale of the rows is a scalar. All inputs are named, empty ones too: the pass that rewrites weights for
  // processors without VNNI (session.x64quantprecision) looks at all seven places and crashes if there are fewer (onnxruntime 1.27).
  const inputs = [rows.quantized, weight, graph.scalar(1), scales, rows.zero, "", ""];
  return graph.op("Mul", [graph.microsoft("MatMulIntegerToFloat", inputs)[0], rows.scale]);
}
