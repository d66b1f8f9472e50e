// Writes a checkpoint as a model folder of CTranslate2: model.bin, vocabulary.json, config.json. What its Python converter
// (python/ctranslate2/specs/model_spec.py, whisper_spec.py; binary version 6, WhisperSpec revision 3) writes from the same
// weights: q, k and v in one matrix, cross k and v in one, int8 with one scale a row.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bytesOf, parameterList, vocabulary, writeWhole } from "./parameters.mjs";

const BINARY_VERSION = 6;
const REVISION = 3;
const TYPES = { float32: 0, int8: 1, int16: 2 };
const GELU = 3;

const uint32 = (value) => bytesOf(Uint32Array.of(value));

function text(value) {
  const bytes = Buffer.from(`${value}\0`);
  return Buffer.concat([bytesOf(Uint16Array.of(bytes.length)), bytes]);
}

function concat(arrays) {
  const result = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    result.set(array, at);
    at += array.length;
  }
  return result;
}

/** int8 of one scale a row: w * scale, scale = 127 / max|w|, ties to even as numpy rounds them. */
function quantizeRows(values, rows) {
  const columns = values.length / rows;
  const quantized = new Int8Array(values.length);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let max = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) max = Math.max(max, Math.abs(values[i]));
    const scale = Math.fround(127 / (max || 127));
    scales[row] = scale;
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      const scaled = Math.fround(values[i] * scale);
      const down = Math.floor(scaled);
      const rest = scaled - down;
      quantized[i] = rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
    }
  }
  return { quantized, scales };
}

/** Names in model.bin -> what each is made of. */
function layout(d) {
  const variables = new Map();
  const scalar = (name, type, value) => variables.set(name, { type, value });
  const tensor = (name, ...sources) => variables.set(name, { sources });
  const norm = (name, source) => {
    tensor(`${name}/gamma`, `${source}.weight`);
    tensor(`${name}/beta`, `${source}.bias`);
  };
  const linear = (name, ...sources) => {
    tensor(`${name}/weight`, ...sources.map((source) => `${source}.weight`));
    tensor(`${name}/bias`, ...sources.map((source) => `${source}.bias`));
  };
  const block = (name, source, cross) => {
    norm(`${name}/self_attention/layer_norm`, `${source}.attn_ln`);
    linear(`${name}/self_attention/linear_0`, ...["query", "key", "value"].map((part) => `${source}.attn.${part}`));
    linear(`${name}/self_attention/linear_1`, `${source}.attn.out`);
    if (cross) {
      norm(`${name}/attention/layer_norm`, `${source}.cross_attn_ln`);
      linear(`${name}/attention/linear_0`, `${source}.cross_attn.query`);
      linear(`${name}/attention/linear_1`, ...["key", "value"].map((part) => `${source}.cross_attn.${part}`));
      linear(`${name}/attention/linear_2`, `${source}.cross_attn.out`);
    }
    norm(`${name}/ffn/layer_norm`, `${source}.mlp_ln`);
    linear(`${name}/ffn/linear_0`, `${source}.mlp.0`);
    linear(`${name}/ffn/linear_1`, `${source}.mlp.2`);
  };
  scalar("encoder/num_heads", "int16", d.nAudioHead);
  for (const conv of ["conv1", "conv2"]) linear(`encoder/${conv}`, `encoder.${conv}`);
  tensor("encoder/position_encodings/encodings", "encoder.positional_embedding");
  norm("encoder/layer_norm", "encoder.ln_post");
  for (let i = 0; i < d.nAudioLayer; i++) block(`encoder/layer_${i}`, `encoder.blocks.${i}`, false);
  scalar("decoder/num_heads", "int16", d.nTextHead);
  scalar("decoder/activation", "int8", GELU);
  scalar("decoder/pre_norm", "int8", 1);
  scalar("decoder/alignment_layer", "int16", -1);
  scalar("decoder/alignment_heads", "int16", 1);
  scalar("decoder/scale_embeddings", "int8", 0);
  scalar("decoder/start_from_zero_embedding", "int8", 0);
  tensor("decoder/embeddings/weight", "decoder.token_embedding.weight");
  tensor("decoder/position_encodings/encodings", "decoder.positional_embedding");
  norm("decoder/layer_norm", "decoder.ln");
  for (let i = 0; i < d.nTextLayer; i++) block(`decoder/layer_${i}`, `decoder.blocks.${i}`, true);
  return variables;
}

/** Linear weights and the embedding; convolutions stay float32, and CTranslate2 converts them as it loads, where its build wants int8. */
const isQuantized = (name) => name.endsWith("/weight") && !name.includes("/conv");

/** @param {"int8" | "float32"} dtype */
export async function writeCTranslate2(checkpoint, folder, target, dtype) {
  const dimsOf = new Map(parameterList(checkpoint).map(({ name, dims }) => [name, dims]));
  /** A parameter's values; zeros for the bias that key projections lack. */
  const read = (source) => {
    if (dimsOf.has(source)) return checkpoint.read(source);
    return new Float32Array(dimsOf.get(source.replace(/bias$/, "weight"))[0]);
  };
  const variables = layout(checkpoint.dimensions);
  const quantized = dtype === "int8" ? [...variables.keys()].filter(isQuantized) : [];
  const aliases = [["decoder/projection/weight", "decoder/embeddings/weight"]];
  if (quantized.length > 0) aliases.push(["decoder/projection/weight_scale", "decoder/embeddings/weight_scale"]);

  await mkdir(target, { recursive: true });
  await writeFile(join(target, "vocabulary.json"), JSON.stringify(fill(await vocabulary(folder), checkpoint)));
  const config = { suppress_ids: [], suppress_ids_begin: [], lang_ids: [], alignment_heads: [[0, 0]] };
  await writeFile(join(target, "config.json"), JSON.stringify(config));
  await writeWhole(join(target, "model.bin"), async (write) => {
    const variable = async (name, dims, type, bytes) => {
      await write(Buffer.concat([text(name), Buffer.from([dims.length]), ...dims.map(uint32)]));
      await write(Buffer.concat([Buffer.from([TYPES[type]]), uint32(bytes.length)]));
      await write(bytes);
    };
    await write(Buffer.concat([uint32(BINARY_VERSION), text("WhisperSpec"), uint32(REVISION)]));
    await write(uint32(variables.size + quantized.length));
    for (const [name, { type, value, sources }] of variables) {
      if (sources === undefined) {
        await variable(name, [], type, bytesOf(type === "int8" ? Int8Array.of(value) : Int16Array.of(value)));
        continue;
      }
      const values = concat(await Promise.all(sources.map(read)));
      const inner = (dimsOf.get(sources[0]) ?? [0]).slice(1);
      const rows = values.length / inner.reduce((product, n) => product * n, 1);
      if (!quantized.includes(name)) {
        await variable(name, [rows, ...inner], "float32", bytesOf(values));
        continue;
      }
      const { quantized: bytes, scales } = quantizeRows(values, rows);
      await variable(name, [rows, ...inner], "int8", bytesOf(bytes));
      await variable(`${name}_scale`, [rows], "float32", bytesOf(scales));
    }
    await write(uint32(aliases.length));
    for (const [alias, name] of aliases) await write(Buffer.concat([text(alias), text(name)]));
  });
}

/** Timestamps, which the vocabulary files leave out, under the names of CTranslate2's converter. */
function fill(tokens, checkpoint) {
  const known = tokens.length;
  return Array.from(
    { length: checkpoint.dimensions.nVocab },
    (_, id) => tokens[id] ?? `<|${((id - known) * 0.02).toFixed(2)}|>`,
  );
}
