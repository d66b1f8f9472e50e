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
 * Quantises x along its last axis.
 *
 * @param signed whether x may have negative values; without them it has 255 steps, else 127 on each side
 */
export function quantizeRows(graph: GraphBuilder, x: Value, signed: boolean): QuantizedRows {
  const magnitudes = signed ? graph.op("Abs", [x]) : x;
  const largest = graph.op("ReduceMax", [magnitudes, graph.ints(-1)], { keepdims: 1 });
  const steps = signed ? 127 : 255;
  const scale = graph.op("Mul", [graph.op("Max", [largest, graph.scalar(SMALLEST)]), graph.scalar(1 / steps)]);
  const zero = graph.constant(signed ? "uint8_middle" : "uint8_zero", "uint8", [], Uint8Array.of(signed ? 128 : 0));
  const quantized = graph.op("QuantizeLinear", [graph.op("Div", [x, scale]), graph.scalar(1), zero]);
  return { quantized, scale, zero };
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
