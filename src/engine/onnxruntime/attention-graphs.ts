/** Two small graphs without weights, for word times: what the decoder graph gives goes in, what alignment reads comes out. */
import type { ModelDimensions } from "../../model/index.ts";
import { GraphBuilder } from "../../onnx/index.ts";
import type { Port } from "./encoder-graph.ts";

/**
 * Cross-attention logits of one layer: `query` [1, length, state] and the layer's key ports of one window in, `scores`
 * [heads, length, nAudioCtx] out.
 *
 * @param keys of the layer: the key, and its scale if it is quantised
 */
export function scoresGraph(
  { nTextHead, nTextState, nAudioCtx }: ModelDimensions,
  keys: readonly Port[],
): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder("scores");
  const size = nTextState / nTextHead;
  const query = graph.input("query", "float32", [1, "length", nTextState]);
  const [key, scale] = keys.map((port, i) => graph.input(i === 0 ? "key" : "scale", port.type, port.dims));
  const split = graph.op("Reshape", [query, graph.ints(1, -1, nTextHead, size)]);
  const q = graph.op("Transpose", [split], { perm: [0, 2, 1, 3] });
  const scores =
    scale === undefined
      ? graph.microsoft("FusedMatMul", [q, key], { transA: 0, transB: 1, alpha: { float: 1 / Math.sqrt(size) } })[0]
      : graph.op("MatMul", [graph.op("Mul", [q, scale]), graph.op("Cast", [key], { to: 1 })]);
  graph.output("scores", graph.op("Squeeze", [scores, graph.ints(0)]), "float32", [nTextHead, "length", nAudioCtx]);
  return graph.toModel();
}

/**
 * Probabilities of known tokens among the text: `logits` [1, n, nVocab], `ids` [1, n, 1] and `eot` (scalar) in, `probs` [1, n, 1]
 * out.
 */
export function tokenProbsGraph({ nVocab }: ModelDimensions): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder("tokenProbs");
  const logits = graph.input("logits", "float32", [1, "n", nVocab]);
  const ids = graph.input("ids", "int64", [1, "n", 1]);
  const eot = graph.op("Reshape", [graph.input("eot", "int64", []), graph.ints(1)]);
  const text = graph.op("Slice", [logits, graph.ints(0), eot, graph.ints(2)]);
  const probs = graph.op("GatherElements", [graph.op("Softmax", [text], { axis: -1 }), ids], { axis: 2 });
  graph.output("probs", probs, "float32", [1, "n", 1]);
  return graph.toModel();
}
