/** The graph from log-Mel windows to cross-attention caches. */
import { crossCaches, encoder, windowFrames, type ModelDimensions } from "../../model/index.ts";
import { GraphBuilder, type Dim, type ElementType } from "../../onnx/index.ts";
import { OnnxOps } from "./ops.ts";
import type { Weights } from "./weights.ts";

/** A tensor that one graph gives and another takes. */
export interface Port {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly Dim[];
}

/** The cross-attention caches of all decoder layers, as the encoder graph gives and the decoder graph takes them. */
export function crossCachePorts(dimensions: ModelDimensions, quantized: boolean): Port[][] {
  const { nTextHead: heads, nTextState, nAudioCtx } = dimensions;
  const size = nTextState / heads;
  return Array.from({ length: dimensions.nTextLayer }, (_, layer): Port[] => {
    const port = (what: string, type: ElementType, ...rest: Dim[]): Port => ({
      name: `cross_${what}_${layer}`,
      type,
      dims: ["windows", heads, ...rest],
    });
    if (!quantized) return [port("key", "float32", nAudioCtx, size), port("value", "float32", nAudioCtx, size)];
    return [
      port("key", "int8", size, nAudioCtx),
      port("key_scale", "float32", 1, size),
      port("value", "int8", nAudioCtx, size),
      port("value_scale", "float32", 1, size),
    ];
  });
}

/** Input `mel` [windows, nMels, frames]; outputs the ports above and `features` [windows, nAudioCtx, nAudioState]. */
export function encoderGraph(dimensions: ModelDimensions, weights: Weights): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder("encoder");
  const ops = new OnnxOps(graph, weights, "columns", dimensions.nAudioCtx);
  const mel = graph.input("mel", "float32", ["windows", dimensions.nMels, windowFrames(dimensions)]);
  const features = encoder(ops, dimensions, mel);
  graph.output("features", features, "float32", ["windows", dimensions.nAudioCtx, dimensions.nAudioState]);
  const ports = crossCachePorts(dimensions, weights.quantized);
  crossCaches(ops, dimensions, features).forEach((cache, layer) =>
    ports[layer].forEach((port, i) => graph.output(port.name, cache[i], port.type, port.dims)),
  );
  return graph.toModel();
}
