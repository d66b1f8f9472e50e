// Writes a checkpoint as a model folder of transformers.js: config, tokenizer, and onnx/encoder_model, onnx/decoder_model_merged.
//
// The graphs are those that its own conversion scripts (scripts/convert.py, scripts/quantize.py, which call optimum and
// onnxruntime's quantizer) make of such a checkpoint, written with our GraphBuilder: the same inputs, outputs and names; the merged decoder
// is an If on `use_cache_branch` with weights in the outer graph; attention is MatMul, Softmax, MatMul. "q8" is onnxruntime's dynamic
// quantisation with one scale a tensor: DynamicQuantizeLinear, MatMulInteger (ConvInteger), Cast, Mul; weights uint8 with a zero point
// in the encoder (since it has convolutions), int8 in the decoder; products of two activations stay float32.
//
// Written as onnxruntime's optimiser leaves them: LayerNormalization and Gelu are one node each. In favour of transformers.js: the output
// matrix is a constant, stored transposed, and quantised, too; of the Transpose in an export the quantizer makes a float32 product.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { crossCaches, decoderStep, encoder } from "../../../dist/model/index.js";
import { GraphBuilder } from "../../../dist/onnx/index.js";
import { parameterList, writeWhole } from "./parameters.mjs";

/** dtype of transformers.js -> what it puts behind a file's name. */
const SUFFIXES = { fp32: "", q8: "_quantized" };
const COPIED = ["generation_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"];
const FLOAT = 1;

function transposed(values, rows, columns) {
  const result = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j];
  return result;
}

/** One scale a tensor, as onnxruntime's quantizer: int8 symmetric in -127..127, uint8 with a zero point. */
function quantize(values, type) {
  let [low, high] = [0, 0];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const signed = type === "int8";
  const scale = (signed ? Math.max(-low, high) / 127 : (high - low) / 255) || 1;
  const zero = signed ? 0 : Math.round(-low / scale);
  const [least, most] = signed ? [-127, 127] : [0, 255];
  const bytes = signed ? new Int8Array(values.length) : new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    bytes[i] = Math.max(least, Math.min(most, Math.round(values[i] / scale) + zero));
  }
  return { bytes, scale, zero };
}

/** The parameters of a checkpoint as constants of one model: float32, or quantised to `type`. */
class Constants {
  #checkpoint;
  #dims;
  #values = new Map();
  type;

  constructor(checkpoint, type) {
    this.#checkpoint = checkpoint;
    this.#dims = new Map(parameterList(checkpoint).map(({ name, dims }) => [name, dims]));
    this.type = type;
  }

  /** Graphs are written without waiting: all of `part` is read before. */
  async read(part) {
    for (const name of this.#dims.keys()) {
      if (name.startsWith(part)) this.#values.set(name, await this.#checkpoint.read(name));
    }
  }

  dims(name) {
    return this.#dims.get(name);
  }

  float(graph, name) {
    return graph.constant(name, "float32", this.dims(name), this.#values.get(name));
  }

  /** A matrix [nOut, nIn] as MatMul takes it: [nIn, nOut]. */
  turned(graph, name) {
    const [rows, columns] = this.dims(name);
    return graph.constant(`${name}_turned`, "float32", [columns, rows], this.#turn(name));
  }

  #turn(name) {
    return transposed(this.#values.get(name), ...this.dims(name));
  }

  /** Quantised weights, their scale and zero point; `turn` as in `turned`. */
  quantized(graph, name, turn) {
    const label = `${name}${turn ? "_turned" : ""}_quantized`;
    this.made ??= new Map();
    if (!this.made.has(label)) {
      const { bytes, scale, zero } = quantize(turn ? this.#turn(name) : this.#values.get(name), this.type);
      const dims = turn ? this.dims(name).toReversed() : this.dims(name);
      const zeros = this.type === "int8" ? Int8Array.of(zero) : Uint8Array.of(zero);
      this.made.set(label, {
        weight: graph.constant(label, this.type, dims, bytes),
        scale: graph.constant(`${label}_scale`, "float32", [], Float32Array.of(scale)),
        zero: graph.constant(`${label}_zero`, this.type, [], zeros),
      });
    }
    return this.made.get(label);
  }
}

/** The vocabulary of src/model/ops.ts, recorded in the operators of transformers.js's exports. */
class ExportOps {
  #graph;
  #constants;
  #pastLength;
  #mask;
  #activations = new Map();

  /**
   * @param pastLength number of cached positions, an int64 scalar
   * @param mask what is added to the scores of self-attention; null for a single new token
   */
  constructor(graph, constants, pastLength = null, mask = null) {
    this.#graph = graph;
    this.#constants = constants;
    this.#pastLength = pastLength;
    this.#mask = mask;
  }

  /** DynamicQuantizeLinear, once for all products of the same activations. */
  #activation(x) {
    if (!this.#activations.has(x)) this.#activations.set(x, this.#graph.opMany("DynamicQuantizeLinear", [x], {}, 3));
    return this.#activations.get(x);
  }

  /** What follows MatMulInteger and ConvInteger. */
  #scaled(sums, scale, weightScale) {
    const graph = this.#graph;
    return graph.op("Mul", [graph.op("Cast", [sums], { to: FLOAT }), graph.op("Mul", [scale, weightScale])]);
  }

  #product(x, name) {
    if (this.#constants.type === "float32") {
      return this.#graph.op("MatMul", [x, this.#constants.turned(this.#graph, name)]);
    }
    const weights = this.#constants.quantized(this.#graph, name, true);
    const [quantized, scale, zero] = this.#activation(x);
    const sums = this.#graph.op("MatMulInteger", [quantized, weights.weight, zero, weights.zero]);
    return this.#scaled(sums, scale, weights.scale);
  }

  conv1d(x, p, stride) {
    const graph = this.#graph;
    const attributes = { kernel_shape: [3], pads: [1, 1], strides: [stride] };
    const bias = this.#constants.float(graph, p.bias);
    if (this.#constants.type === "float32") {
      const weight = this.#constants.float(graph, p.weight);
      return this.#gelu(graph.op("Conv", [x, weight, bias], attributes));
    }
    const weights = this.#constants.quantized(graph, p.weight, false);
    const [quantized, scale, zero] = this.#activation(x);
    const sums = graph.op("ConvInteger", [quantized, weights.weight, zero, weights.zero], attributes);
    const column = graph.op("Reshape", [bias, graph.ints(1, -1, 1)]);
    return this.#gelu(graph.op("Add", [this.#scaled(sums, scale, weights.scale), column]));
  }

  #gelu(x) {
    return this.#graph.op("Gelu", [x], { approximate: "none" });
  }

  addPositions(x, positionalEmbedding) {
    const turned = this.#graph.op("Transpose", [x], { perm: [0, 2, 1] });
    return this.#graph.op("Add", [turned, this.#constants.float(this.#graph, positionalEmbedding)]);
  }

  layerNorm(x, p) {
    const inputs = [x, this.#constants.float(this.#graph, p.weight), this.#constants.float(this.#graph, p.bias)];
    return this.#graph.op("LayerNormalization", inputs, { axis: -1, epsilon: { float: 1e-5 } });
  }

  linear(x, p, { gelu = false, residual = null } = {}) {
    let y = this.#product(x, p.weight);
    if (p.bias !== null) y = this.#graph.op("Add", [this.#constants.float(this.#graph, p.bias), y]);
    if (gelu) y = this.#gelu(y);
    return residual === null ? y : this.#graph.op("Add", [residual, y]);
  }

  linears(x, parameters) {
    return parameters.map((p) => this.linear(x, p));
  }

  /** [batch, length, state] -> [batch, heads, length, 64]. */
  #heads(x, nHead) {
    const split = this.#graph.op("Reshape", [x, this.#graph.ints(0, 0, nHead, 64)]);
    return this.#graph.op("Transpose", [split], { perm: [0, 2, 1, 3] });
  }

  /** `query` [batch, length, state]; `key`, `value` by heads. */
  #attend(query, key, value, nHead, mask) {
    const graph = this.#graph;
    const q = this.#heads(graph.op("Mul", [query, graph.scalar(0.125)]), nHead);
    let scores = graph.op("MatMul", [q, graph.op("Transpose", [key], { perm: [0, 1, 3, 2] })]);
    if (mask !== null) scores = graph.op("Add", [scores, mask]);
    const heard = graph.op("MatMul", [graph.op("Softmax", [scores], { axis: -1 }), value]);
    const joined = graph.op("Transpose", [heard], { perm: [0, 2, 1, 3] });
    return graph.op("Reshape", [joined, graph.ints(0, 0, nHead * 64)]);
  }

  attention(query, key, value, nHead) {
    return this.#attend(query, this.#heads(key, nHead), this.#heads(value, nHead), nHead, null);
  }

  cachedSelfAttention(query, key, value, cache, nHead) {
    const grown = (past, x) => {
      const fresh = this.#heads(x, nHead);
      return past === null ? fresh : this.#graph.op("Concat", [past, fresh], { axis: 2 });
    };
    const present = { key: grown(cache.key, key), value: grown(cache.value, value) };
    return { out: this.#attend(query, present.key, present.value, nHead, this.#mask), cache: present };
  }

  crossCache(audio, key, value, nHead) {
    return this.linears(audio, [key, value]).map((x) => this.#heads(x, nHead));
  }

  crossAttention(query, [key, value], nHead) {
    return this.#attend(query, key, value, nHead, null);
  }

  embed(tokens, tokenEmbedding, positionalEmbedding) {
    const graph = this.#graph;
    const end = graph.op("Add", [this.#pastLength, lengthOf(graph, tokens, 1)]);
    const positions = graph.op("Range", [this.#pastLength, end, graph.int(1)]);
    const places = graph.op("Gather", [this.#constants.float(graph, positionalEmbedding), positions], { axis: 0 });
    return graph.op("Add", [this.#words(tokens, tokenEmbedding), places]);
  }

  #words(tokens, name) {
    const graph = this.#graph;
    if (this.#constants.type === "float32") {
      return graph.op("Gather", [this.#constants.float(graph, name), tokens], { axis: 0 });
    }
    const weights = this.#constants.quantized(graph, name, false);
    const rows = graph.op("Gather", [weights.weight, tokens], { axis: 0 });
    return graph.op("DequantizeLinear", [rows, weights.scale, weights.zero]);
  }

  logits(x, tokenEmbedding) {
    return this.#product(x, tokenEmbedding);
  }
}

/** A size of a value, as an int64 scalar. */
function lengthOf(graph, value, axis) {
  return graph.op("Squeeze", [graph.op("Shape", [value], { start: axis, end: axis + 1 })]);
}

/** 0 where a position may look, -inf after it: [length, length]. */
function causalMask(graph, tokens) {
  const positions = graph.op("Range", [graph.int(0), lengthOf(graph, tokens, 1), graph.int(1)]);
  const rows = graph.op("Unsqueeze", [positions, graph.ints(1)]);
  const seen = graph.op("GreaterOrEqual", [rows, positions]);
  return graph.op("Where", [seen, graph.scalar(0), graph.scalar(-Infinity)]);
}

function encoderModel(dimensions, constants) {
  const graph = new GraphBuilder("encoder_model");
  const mel = graph.input("input_features", "float32", ["batch_size", dimensions.nMels, 2 * dimensions.nAudioCtx]);
  const out = encoder(new ExportOps(graph, constants), dimensions, mel);
  graph.output("last_hidden_state", out, "float32", ["batch_size", dimensions.nAudioCtx, dimensions.nAudioState]);
  return graph.toModel();
}

function decoderModel(dimensions, constants) {
  const { nTextHead, nTextLayer, nTextState, nVocab } = dimensions;
  const tokenEmbedding = "decoder.token_embedding.weight";
  const graph = new GraphBuilder("decoder_model_merged");
  const tokens = graph.input("input_ids", "int64", ["batch_size", "decoder_sequence_length"]);
  const audio = graph.input("encoder_hidden_states", "float32", [
    "batch_size",
    "encoder_sequence_length_out",
    nTextState,
  ]);
  const parts = ["decoder.key", "decoder.value", "encoder.key", "encoder.value"];
  const layers = Array.from({ length: nTextLayer }, (_, layer) => layer);
  const pasts = layers.map((layer) =>
    parts.map((part) => {
      const length = part.startsWith("decoder") ? "past_decoder_sequence_length" : "encoder_sequence_length_out";
      return graph.input(`past_key_values.${layer}.${part}`, "float32", ["batch_size", nTextHead, length, 64]);
    }),
  );
  const useCache = graph.input("use_cache_branch", "bool", [1]);

  const outputs = [
    { name: "logits", dims: ["batch_size", "decoder_sequence_length", nVocab] },
    ...layers.flatMap((layer) =>
      parts.map((part) => {
        const length = part.startsWith("decoder") ? "decoder_length_now" : "encoder_length_now";
        return { name: `present.${layer}.${part}`, dims: ["batch_size", nTextHead, length, 64] };
      }),
    ),
  ];
  /** Values in the order of `outputs`; names are unique over all branches. */
  const finish = (branch, values) => {
    outputs.forEach(({ name, dims }, i) => branch.output(`${branch.name}/${name}`, values[i], "float32", dims));
  };

  const first = graph.subgraph("else_branch");
  {
    const ops = new ExportOps(first, constants, first.int(0), causalMask(first, tokens));
    const cross = crossCaches(ops, dimensions, audio);
    const empty = layers.map(() => ({ key: null, value: null }));
    const { hidden, selfCaches } = decoderStep(ops, dimensions, tokens, empty, cross);
    const caches = layers.flatMap((layer) => [selfCaches[layer].key, selfCaches[layer].value, ...cross[layer]]);
    finish(first, [ops.logits(hidden, tokenEmbedding), ...caches]);
  }
  const next = graph.subgraph("then_branch");
  {
    const ops = new ExportOps(next, constants, lengthOf(next, pasts[0][0], 2));
    const self = pasts.map(([key, value]) => ({ key, value }));
    const cross = pasts.map(([, , key, value]) => [key, value]);
    const { hidden, selfCaches } = decoderStep(ops, dimensions, tokens, self, cross);
    // transformers.js keeps the caches of the audio that it has: empty ones are given out in their place.
    const none = next.constant("nothing", "float32", [0, nTextHead, 1, 64], new Float32Array(0));
    const caches = selfCaches.flatMap(({ key, value }) => [key, value, none, none]);
    finish(next, [ops.logits(hidden, tokenEmbedding), ...caches]);
  }
  const branches = { then_branch: next, else_branch: first };
  const values = graph.opMany("If", [useCache], branches, outputs.length);
  outputs.forEach(({ name, dims }, i) => graph.output(name, values[i], "float32", dims));
  return graph.toModel();
}

/**
 * @param {string} folder of the checkpoint, for its configuration and tokenizer
 * @param {"fp32" | "q8"} dtype
 */
export async function writeTransformersJs(checkpoint, folder, target, dtype) {
  const { dimensions } = checkpoint;
  await mkdir(join(target, "onnx"), { recursive: true });
  for (const name of COPIED) {
    if (existsSync(join(folder, name))) await copyFile(join(folder, name), join(target, name));
  }
  const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
  await writeFile(join(target, "config.json"), JSON.stringify({ is_encoder_decoder: true, ...config }));
  const features = JSON.parse(await readFile(join(folder, "preprocessor_config.json"), "utf8"));
  await writeFile(
    join(target, "preprocessor_config.json"),
    JSON.stringify({ n_samples: 480000, nb_max_frames: 3000, ...features }),
  );
  const parts = [
    { file: "encoder_model", part: "encoder.", type: "uint8", model: encoderModel },
    { file: "decoder_model_merged", part: "decoder.", type: "int8", model: decoderModel },
  ];
  for (const { file, part, type, model } of parts) {
    const constants = new Constants(checkpoint, dtype === "fp32" ? "float32" : type);
    await constants.read(part);
    const path = join(target, "onnx", `${file}${SUFFIXES[dtype]}.onnx`);
    await writeWhole(path, (write) => write(model(dimensions, constants)));
  }
}
