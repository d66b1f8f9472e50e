/**
 * The vocabulary of model/ops.ts, recorded as ONNX nodes. Choices of operators were measured (docs/engines.md).
 *
 * float32: fused matrix products on the checkpoint's own [out, in] layout, so its file is mapped as it is.
 * int8: encoder weights int8 with a scale an output and activations with a scale a row (MatMulIntegerToFloat), decoder weights in
 * blocks of 64 (MatMulNBits), cross-attention caches int8 with a scale a channel.
 *
 * The head size is 64 in every Whisper model (facts 0.4); sizes are taken from the parameters all the same.
 */
import type {
  ConvParameters,
  CrossCache,
  LinearParameters,
  NormParameters,
  Ops,
  SelfCache,
} from "../../model/index.ts";
import type { GraphBuilder, Value } from "../../onnx/index.ts";
import { BLOCK_SIZE } from "./quantize.ts";
import { multiplyRows, quantizeManyRows, quantizeRows, type QuantizedRows } from "./quantized-rows.ts";
import type { Weights } from "./weights.ts";

/**
 * Largest value in an int8 cross-attention cache. Processors with AVX2 and no VNNI add two products of u8 and s8 in 16 bits:
 * 2 * 255 * 63 fits, 2 * 255 * 127 would saturate. One bit less costs 0.05 % of accuracy in these caches.
 */
const CACHE_STEPS = 63;

/** `columns` suits many positions at once, `blocks` few. */
export type Int8Layout = "columns" | "blocks";

export class OnnxOps implements Ops<Value> {
  readonly #graph: GraphBuilder;
  readonly #weights: Weights;
  readonly #layout: Int8Layout;
  readonly #nAudioCtx: number;
  readonly #pastLength: Value;
  readonly #rows = new Map<Value, QuantizedRows>();

  /**
   * @param nAudioCtx encoder positions of a window
   * @param pastLength number of cached positions, an int64 scalar: where `embed` begins to count
   */
  constructor(
    graph: GraphBuilder,
    weights: Weights,
    layout: Int8Layout,
    nAudioCtx: number,
    pastLength: Value = graph.int(0),
  ) {
    this.#graph = graph;
    this.#weights = weights;
    this.#layout = layout;
    this.#nAudioCtx = nAudioCtx;
    this.#pastLength = pastLength;
  }

  #weight(name: string): Value {
    return this.#weights.float32(this.#graph, name);
  }

  conv1d(x: Value, p: ConvParameters, stride: 1 | 2): Value {
    const inputs = [x, this.#weight(p.weight), this.#weight(p.bias)];
    return this.#gelu(this.#graph.op("Conv", inputs, { kernel_shape: [3], pads: [1, 1], strides: [stride] }));
  }

  #gelu(x: Value): Value {
    return this.#graph.op("Gelu", [x], { approximate: "none" });
  }

  addPositions(x: Value, positionalEmbedding: string): Value {
    const transposed = this.#graph.op("Transpose", [x], { perm: [0, 2, 1] });
    return this.#graph.op("Add", [transposed, this.#weight(positionalEmbedding)]);
  }

  layerNorm(x: Value, p: NormParameters): Value {
    const inputs = [x, this.#weight(p.weight), this.#weight(p.bias)];
    return this.#graph.op("LayerNormalization", inputs, { axis: -1, epsilon: { float: 1e-5 } });
  }

  linear(x: Value, p: LinearParameters, then: { gelu?: boolean; residual?: Value } = {}): Value {
    let y = this.#affine(x, p);
    if (then.gelu === true) y = this.#gelu(y);
    return then.residual === undefined ? y : this.#graph.op("Add", [then.residual, y]);
  }

  #affine(x: Value, p: LinearParameters): Value {
    const graph = this.#graph;
    if (!this.#weights.quantized) {
      const y = this.#product(x, this.#weight(p.weight));
      return p.bias === null ? y : graph.op("Add", [y, this.#weight(p.bias)]);
    }
    const bias = p.bias === null ? "" : this.#weight(p.bias);
    if (this.#layout === "blocks") return this.#blockProduct(x, [p.weight], p.nOut, p.nIn, bias);
    const { weight, scales } = this.#weights.columns(graph, p);
    const y = multiplyRows(graph, this.#rowsOf(x), weight, scales);
    return bias === "" ? y : graph.op("Add", [y, bias]);
  }

  /** The activations that several linear maps read are quantised once. */
  #rowsOf(x: Value): QuantizedRows {
    let rows = this.#rows.get(x);
    if (rows === undefined) {
      rows = quantizeManyRows(this.#graph, x);
      this.#rows.set(x, rows);
    }
    return rows;
  }

  /** x [..., nIn] times weight [nOut, nIn] transposed. */
  #product(x: Value, weight: Value, scale = 1): Value {
    return this.#graph.microsoft("FusedMatMul", [x, weight], { transA: 0, transB: 1, alpha: { float: scale } })[0];
  }

  #blockProduct(x: Value, names: readonly string[], nOut: number, nIn: number, bias: Value): Value {
    const { weight, scales } = this.#weights.blocks(this.#graph, names, nOut, nIn);
    const attributes = { K: nIn, N: nOut, bits: 8, block_size: BLOCK_SIZE, accuracy_level: 4 };
    return this.#graph.microsoft("MatMulNBits", [x, weight, scales, "", "", bias], attributes)[0];
  }

  linears<const P extends readonly LinearParameters[]>(x: Value, parameters: P): { [K in keyof P]: Value } {
    if (!this.#weights.quantized || this.#layout === "columns") {
      return parameters.map((p) => this.#affine(x, p)) as { [K in keyof P]: Value };
    }
    // One product reads the activations once, which is most of the cost of small batches beside the weights.
    const [{ nIn }] = parameters;
    const nOut = parameters.reduce((sum, p) => sum + p.nOut, 0);
    const bias = this.#weights.biases(this.#graph, parameters);
    const joined = this.#blockProduct(
      x,
      parameters.map((p) => p.weight),
      nOut,
      nIn,
      bias,
    );
    const sizes = this.#graph.ints(...parameters.map((p) => p.nOut));
    return this.#graph.opMany("Split", [joined, sizes], { axis: -1 }, parameters.length) as {
      [K in keyof P]: Value;
    };
  }

  attention(query: Value, key: Value, value: Value, nHead: number): Value {
    return this.#graph.microsoft("MultiHeadAttention", [query, key, value], { num_heads: nHead })[0];
  }

  cachedSelfAttention(
    query: Value,
    key: Value,
    value: Value,
    cache: SelfCache<Value>,
    nHead: number,
  ): { out: Value; cache: SelfCache<Value> } {
    const inputs = [query, key, value, "", "", "", cache.key, cache.value];
    const attributes = { num_heads: nHead, unidirectional: 1 };
    const [out, presentKey, presentValue] = this.#graph.microsoft("MultiHeadAttention", inputs, attributes, 3);
    return { out, cache: { key: presentKey, value: presentValue } };
  }

  /** float32: key, value [batch, heads, positions, 64]. int8: see `#quantizedCrossCache`. */
  crossCache(audio: Value, key: LinearParameters, value: LinearParameters, nHead: number): CrossCache<Value> {
    const graph = this.#graph;
    const headSize = key.nOut / nHead;
    const [k, v] = this.linears(audio, [key, value]);
    if (this.#weights.quantized) {
      const nothing = graph.op("Unsqueeze", [this.#nothing(audio, graph.ints(1, 2)), graph.ints(1)]);
      return this.#quantizedCrossCache(k, v, nHead, headSize, nothing);
    }
    const byHead = (x: Value): Value => {
      const split = graph.op("Reshape", [x, graph.ints(0, 0, nHead, headSize)]);
      return graph.op("Transpose", [split], { perm: [0, 2, 1, 3] });
    };
    return [byHead(k), byHead(v)];
  }

  /**
   * Keys int8 [batch, heads, 64, positions] and values int8 [batch, heads, positions, 64], with scales [batch, heads, 1, 64]:
   * one a channel, over time. The keys' scales include attention's 1/sqrt(64).
   */
  #quantizedCrossCache(key: Value, value: Value, nHead: number, headSize: number, nothing: Value): Value[] {
    const graph = this.#graph;
    const length = this.#nAudioCtx;
    const quantize = (x: Value): { quantized: Value; scale: Value } => {
      // Rows of one channel over time, where the maximum is a fast kernel: 5.8 ms at base size became 0.6. The Reshape keeps
      // onnxruntime from moving the Transpose behind the maximum, which would undo that.
      const transposed = graph.op("Transpose", [x], { perm: [0, 2, 1] });
      const channels = graph.op("Reshape", [transposed, graph.ints(-1, length)]);
      const largest = graph.op("ReduceMax", [graph.op("Abs", [channels]), graph.ints(1)], { keepdims: 1 });
      const scale = graph.op("Mul", [graph.op("Max", [largest, graph.scalar(1e-8)]), graph.scalar(1 / CACHE_STEPS)]);
      const zero = graph.constant("int8_zero", "int8", [], Int8Array.of(0));
      const quantized = graph.op("QuantizeLinear", [graph.op("Div", [channels, scale]), graph.scalar(1), zero]);
      return {
        quantized: graph.op("Reshape", [quantized, graph.ints(-1, nHead, headSize, length)]),
        scale: graph.op("Reshape", [scale, graph.ints(-1, nHead, 1, headSize)]),
      };
    };
    const k = quantize(key);
    const v = quantize(value);
    const keyScale = graph.op("Mul", [k.scale, graph.scalar(1 / Math.sqrt(headSize))]);
    // What is no number in the audio's features makes the decoder's numbers none.
    const valueScale = graph.op("Add", [v.scale, nothing]);
    return [k.quantized, keyScale, graph.op("Transpose", [v.quantized], { perm: [0, 1, 3, 2] }), valueScale];
  }

  /** The query of each cross-attention recorded so far, in the order of the layers: [rows, length, state]. */
  readonly crossQueries: Value[] = [];

  crossAttention(query: Value, cache: CrossCache<Value>, nHead: number): Value {
    this.crossQueries.push(query);
    const graph = this.#graph;
    // Rows of one window become more positions of one query: they share its cache. Reshape's 0 copies a size.
    const batch = graph.op("Shape", [cache[0]], { start: 0, end: 1 });
    const width = graph.op("Shape", [query], { start: 2, end: 3 });
    const headSize = graph.op("Div", [width, graph.ints(nHead)]);
    const split = graph.op("Concat", [batch, graph.ints(-1, nHead), headSize], { axis: 0 });
    const q = graph.op("Transpose", [graph.op("Reshape", [query, split])], { perm: [0, 2, 1, 3] });
    const heard = cache.length === 2 ? this.#floatAttention(q, cache) : this.#int8Attention(q, cache);
    const joined = graph.op("Transpose", [heard], { perm: [0, 2, 1, 3] });
    return graph.op("Reshape", [joined, graph.op("Shape", [query])]);
  }

  #floatAttention(query: Value, [key, value]: CrossCache<Value>): Value {
    // 1/sqrt(64): the head size of every Whisper model (facts 0.4), checked when the engine is made.
    const scores = this.#product(query, key, 0.125);
    return this.#graph.op("MatMul", [this.#graph.op("Softmax", [scores], { axis: -1 }), value]);
  }

  /** Queries and probabilities are rounded row by row, so that a row does not depend on its batch mates. */
  #int8Attention(query: Value, [key, keyScale, value, valueScale]: CrossCache<Value>): Value {
    const graph = this.#graph;
    const q = quantizeRows(graph, graph.op("Mul", [query, keyScale]), true);
    const scores = graph.op("Mul", [this.#integerProduct(q.quantized, key, q.zero), q.scale]);
    const p = quantizeRows(graph, graph.op("Softmax", [scores], { axis: -1 }), false);
    const sums = this.#integerProduct(p.quantized, value, p.zero);
    return graph.op("Mul", [graph.op("Mul", [sums, p.scale]), valueScale]);
  }

  #integerProduct(a: Value, b: Value, aZero: Value): Value {
    return this.#graph.op("Cast", [this.#graph.op("MatMulInteger", [a, b, aZero])], { to: 1 });
  }

  embed(tokens: Value, tokenEmbedding: string, positionalEmbedding: string): Value {
    const graph = this.#graph;
    const past = this.#pastLength;
    const length = graph.op("Squeeze", [graph.op("Shape", [tokens], { start: 1, end: 2 })]);
    const positions = graph.op("Range", [past, graph.op("Add", [past, length]), graph.int(1)]);
    const { table, type } = this.#weights.embedding(graph, tokenEmbedding);
    let words = graph.op("Gather", [table, tokens], { axis: 0 });
    if (type !== "float32") words = graph.op("Cast", [words], { to: 1 });
    return graph.op("Add", [words, graph.op("Gather", [this.#weight(positionalEmbedding), positions], { axis: 0 })]);
  }

  logits(x: Value, tokenEmbedding: string, nVocab: number): Value {
    if (!this.#weights.quantized) return this.#product(x, this.#weight(tokenEmbedding));
    const logits = this.#blockProduct(x, [tokenEmbedding], nVocab, this.#weights.width(tokenEmbedding), "");
    return this.#graph.op("Add", [logits, this.#nothing(x, this.#graph.ints(-1))]);
  }

  /** 0 over these axes, or NaN where `x` holds what is no number: bytes cannot hold that, and a product of bytes would hide it. */
  #nothing(x: Value, axes: Value): Value {
    const graph = this.#graph;
    return graph.op("ReduceSum", [graph.op("Mul", [x, graph.scalar(0)]), axes], { keepdims: 1 });
  }
}
