/**
 * Writes a Whisper checkpoint with random parameters, in the Hugging Face layout: the sizes of the official models for
 * speed and memory measurements, and tiny ones for tests (test/helpers/random-checkpoint.ts is the typed door to it).
 *
 * The parameters are scaled so that activations stay within the range of a trained model's: what it says is nonsense, what
 * it costs is right. The names of the parameters are written out here a second time, independent of checkpoint/names.ts.
 *
 *     node scripts/make-random-checkpoint.mjs base /tmp/base [--dtype float16] [--shards 2] [--seed 1]
 */
import { copyFile, mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const nano = fileURLToPath(new URL("../models/nano/", import.meta.url));

const size = (nMels, state, nAudioLayer, nTextLayer, nVocab) => ({
  nMels,
  nAudioCtx: 1500,
  nAudioState: state,
  nAudioHead: state / 64,
  nAudioLayer,
  nVocab,
  nTextCtx: 448,
  nTextState: state,
  nTextHead: state / 64,
  nTextLayer,
});

/** Dimensions of the published models (facts 0.4, 0.5). */
export const SIZES = {
  tiny: size(80, 384, 4, 4, 51865),
  "tiny.en": size(80, 384, 4, 4, 51864),
  base: size(80, 512, 6, 6, 51865),
  "base.en": size(80, 512, 6, 6, 51864),
  small: size(80, 768, 12, 12, 51865),
  medium: size(80, 1024, 24, 24, 51865),
  "large-v2": size(80, 1280, 32, 32, 51865),
  "large-v3": size(128, 1280, 32, 32, 51866),
  turbo: size(128, 1280, 32, 4, 51866),
  "distil-small.en": size(80, 768, 12, 4, 51864),
  "distil-large-v3": size(128, 1280, 32, 2, 51866),
};

const SAFETENSORS_DTYPE = { float32: "F32", float16: "F16", bfloat16: "BF16" };
const TOKENIZER_FILES = ["tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json"];
/** Values made and written at a time: 4 MB of float32. */
const BLOCK = 1 << 20;

/**
 * Names, dims and distribution of every parameter, in Hugging Face's names.
 *
 * @returns {{ name: string, dims: number[], mean: number, deviation: number, sinusoid: boolean }[]}
 */
function parameters(d) {
  const state = d.nAudioState;
  const list = [];
  const add = (name, dims, mean, deviation, sinusoid = false) => list.push({ name, dims, mean, deviation, sinusoid });
  const linear = (name, nOut, nIn, bias = true) => {
    add(`${name}.weight`, [nOut, nIn], 0, 0.9 / Math.sqrt(state)); // 0.04 for base
    if (bias) add(`${name}.bias`, [nOut], 0, 0.02);
  };
  const norm = (name) => {
    add(`${name}.weight`, [state], 1, 0.1);
    add(`${name}.bias`, [state], 0, 0.02);
  };
  const attention = (name) => {
    linear(`${name}.k_proj`, state, state, false);
    for (const part of ["v_proj", "q_proj", "out_proj"]) linear(`${name}.${part}`, state, state);
  };
  const conv = (name, nIn) => {
    add(`${name}.weight`, [state, nIn, 3], 0, 1 / Math.sqrt(3 * nIn));
    add(`${name}.bias`, [state], 0, 0.02);
  };
  const block = (name, crossAttention) => {
    attention(`${name}.self_attn`);
    norm(`${name}.self_attn_layer_norm`);
    if (crossAttention) {
      attention(`${name}.encoder_attn`);
      norm(`${name}.encoder_attn_layer_norm`);
    }
    linear(`${name}.fc1`, 4 * state, state);
    linear(`${name}.fc2`, state, 4 * state);
    norm(`${name}.final_layer_norm`);
  };

  conv("model.encoder.conv1", d.nMels);
  conv("model.encoder.conv2", state);
  add("model.encoder.embed_positions.weight", [d.nAudioCtx, state], 0, 0, true);
  for (let i = 0; i < d.nAudioLayer; i++) block(`model.encoder.layers.${i}`, false);
  norm("model.encoder.layer_norm");
  add("model.decoder.embed_tokens.weight", [d.nVocab, state], 0, 0.45 / Math.sqrt(state)); // 0.02 for base
  add("model.decoder.embed_positions.weight", [d.nTextCtx, state], 0, 0.45 / Math.sqrt(state));
  for (let i = 0; i < d.nTextLayer; i++) block(`model.decoder.layers.${i}`, true);
  norm("model.decoder.layer_norm");
  return list.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Uniform 32-bit integers (xoshiro128**), seeded by a text: each parameter has its own, whatever is written beside it. */
function randomIntegers(seed) {
  let hash = 2166136261;
  const next = () => {
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    hash = Math.imul(hash ^ (hash >>> 13), 0x297a2d39);
    return (hash ^= hash >>> 16);
  };
  for (let i = 0; i < seed.length; i++) hash = Math.imul(hash ^ seed.charCodeAt(i), 16777619);
  let [a, b, c, e] = [next(), next(), next(), next() | 1];
  return () => {
    const scaled = Math.imul(b, 5);
    const result = Math.imul((scaled << 7) | (scaled >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    e ^= b;
    b ^= c;
    a ^= e;
    c ^= shifted;
    e = (e << 11) | (e >>> 21);
    return result;
  };
}

/** Fills with normally distributed values (Box-Muller). */
function fillNormal(values, random, mean, deviation) {
  for (let i = 0; i < values.length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log((random() + 1) / 4294967297));
    const angle = random() * (Math.PI / 2147483648);
    values[i] = mean + radius * Math.cos(angle);
    if (i + 1 < values.length) values[i + 1] = mean + radius * Math.sin(angle);
  }
}

/** Encoder positions: the sines of one position, then its cosines; longest period 10000 (facts 0.10). */
function fillSinusoids(values, start, state) {
  const half = state / 2;
  const increment = Math.log(10000) / Math.max(half - 1, 1);
  for (let i = 0; i < values.length; i++) {
    const position = Math.floor((start + i) / state);
    const column = (start + i) % state;
    const angle = position * Math.exp(-increment * (column % half));
    values[i] = column < half ? Math.sin(angle) : Math.cos(angle);
  }
}

/** Nearest float16 of a float32 bit pattern; values here are below 65504. */
function float16Bits(bits) {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude < 0x38800000) {
    // Subnormal: a multiple of 2^-24.
    const exponent = magnitude >>> 23;
    if (exponent < 102) return sign;
    const mantissa = (magnitude & 0x7fffff) | 0x800000;
    const shift = 126 - exponent;
    return sign | ((mantissa + (1 << (shift - 1)) - 1 + ((mantissa >>> shift) & 1)) >>> shift);
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

function encode(values, dtype) {
  if (dtype === "float32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  if (dtype === "float16") for (let i = 0; i < bits.length; i++) halves[i] = float16Bits(bits[i]);
  else for (let i = 0; i < bits.length; i++) halves[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
  return new Uint8Array(halves.buffer);
}

async function writeSafetensors(path, list, dtype, seed) {
  const width = dtype === "float32" ? 4 : 2;
  const header = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const { name, dims } of list) {
    const bytes = dims.reduce((product, n) => product * n, width);
    header[name] = { dtype: SAFETENSORS_DTYPE[dtype], shape: dims, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  let json = JSON.stringify(header);
  json += " ".repeat((8 - (Buffer.byteLength(json) % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(json)));

  const file = await open(path, "w");
  try {
    await file.writeFile(Buffer.concat([length, Buffer.from(json)]));
    const block = new Float32Array(BLOCK);
    for (const { name, dims, mean, deviation, sinusoid } of list) {
      const random = randomIntegers(`${seed}/${name}`);
      const count = dims.reduce((product, n) => product * n, 1);
      for (let start = 0; start < count; start += BLOCK) {
        const values = block.subarray(0, Math.min(BLOCK, count - start));
        if (sinusoid) fillSinusoids(values, start, dims[1]);
        else fillNormal(values, random, mean, deviation);
        await file.writeFile(encode(values, dtype));
      }
    }
  } finally {
    await file.close();
  }
  return offset;
}

async function writeWeights(folder, list, dtype, seed, shards) {
  if (shards === 1) {
    await writeSafetensors(join(folder, "model.safetensors"), list, dtype, seed);
    return;
  }
  const weightMap = {};
  let total = 0;
  const five = (n) => String(n).padStart(5, "0");
  for (let shard = 0; shard < shards; shard++) {
    const file = `model-${five(shard + 1)}-of-${five(shards)}.safetensors`;
    const part = list.slice(
      Math.floor((shard * list.length) / shards),
      Math.floor(((shard + 1) * list.length) / shards),
    );
    for (const { name } of part) weightMap[name] = file;
    total += await writeSafetensors(join(folder, file), part, dtype, seed);
  }
  await writeJson(join(folder, "model.safetensors.index.json"), {
    metadata: { total_size: total },
    weight_map: weightMap,
  });
}

const writeJson = (path, value) => writeFile(path, `${JSON.stringify(value, null, 2)}\n`);

/** The generation settings that go with a vocabulary; nano's, moved by one id where Cantonese comes in (facts 0.5, 0.6). */
async function generationConfig(d) {
  // A vocabulary of a test's own has no special tokens to speak of.
  if (d.nVocab < 51864) return { max_length: d.nTextCtx, is_multilingual: false };
  const multilingual = d.nVocab >= 51865;
  const eot = multilingual ? 50257 : 50256;
  const common = {
    bos_token_id: eot,
    eos_token_id: eot,
    pad_token_id: eot,
    decoder_start_token_id: eot + 1,
    max_length: d.nTextCtx,
    max_initial_timestamp_index: 50,
    return_timestamps: false,
    is_multilingual: multilingual,
  };
  if (!multilingual) {
    return { ...common, begin_suppress_tokens: [220, eot], suppress_tokens: [], no_timestamps_token_id: 50362 };
  }
  const base = JSON.parse(await readFile(join(nano, "generation_config.json"), "utf8"));
  const move = d.nVocab === 51866 ? 1 : 0;
  const moved = (id) => (id >= 50358 ? id + move : id);
  return {
    ...common,
    begin_suppress_tokens: base.begin_suppress_tokens,
    suppress_tokens: base.suppress_tokens.map(moved),
    lang_to_id: { ...base.lang_to_id, ...(move === 1 ? { "<|yue|>": 50358 } : {}) },
    task_to_id: { transcribe: moved(50359), translate: moved(50358) },
    no_timestamps_token_id: moved(50363),
    prev_sot_token_id: moved(50361),
    // Every head of the last half of the decoder layers, as for any model whose heads nobody has measured (facts 0.11).
    alignment_heads: Array.from({ length: d.nTextLayer }, (_, layer) => layer)
      .slice(d.nTextLayer >> 1)
      .flatMap((layer) => Array.from({ length: d.nTextHead }, (_, head) => [layer, head])),
  };
}

/**
 * Writes a checkpoint folder; the same seed and dimensions give the same parameters in every dtype and number of shards.
 *
 * @param {string} folder made if missing
 * @param {object} d dimensions, under the names of src/model/dimensions.ts; encoder and decoder have one state size
 * @param {{ dtype?: "float32" | "float16" | "bfloat16", seed?: number, shards?: number }} [options]
 * @returns {Promise<string>} the folder
 */
export async function writeRandomCheckpoint(folder, d, options = {}) {
  const { dtype = "float32", seed = 1, shards = 1 } = options;
  if (!(dtype in SAFETENSORS_DTYPE)) throw new RangeError(`Unknown dtype "${dtype}"`);
  if (d.nAudioState !== d.nTextState) throw new RangeError("The Hugging Face layout has one state size");
  await mkdir(folder, { recursive: true });
  await writeWeights(folder, parameters(d), dtype, seed, shards);
  const eot = d.nVocab >= 51865 ? 50257 : 50256;
  await writeJson(join(folder, "config.json"), {
    architectures: ["WhisperForConditionalGeneration"],
    model_type: "whisper",
    activation_function: "gelu",
    d_model: d.nAudioState,
    encoder_layers: d.nAudioLayer,
    encoder_attention_heads: d.nAudioHead,
    encoder_ffn_dim: 4 * d.nAudioState,
    decoder_layers: d.nTextLayer,
    decoder_attention_heads: d.nTextHead,
    decoder_ffn_dim: 4 * d.nTextState,
    num_mel_bins: d.nMels,
    max_source_positions: d.nAudioCtx,
    max_target_positions: d.nTextCtx,
    vocab_size: d.nVocab,
    scale_embedding: false,
    bos_token_id: eot,
    eos_token_id: eot,
    pad_token_id: eot,
    decoder_start_token_id: eot + 1,
    torch_dtype: dtype,
  });
  await writeJson(join(folder, "generation_config.json"), await generationConfig(d));
  await writeJson(join(folder, "preprocessor_config.json"), {
    feature_extractor_type: "WhisperFeatureExtractor",
    feature_size: d.nMels,
    chunk_length: d.nAudioCtx / 50,
    hop_length: 160,
    n_fft: 400,
    sampling_rate: 16000,
    padding_value: 0,
  });
  if (d.nVocab === 51865) {
    for (const file of TOKENIZER_FILES) await copyFile(join(nano, file), join(folder, file));
  }
  return folder;
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { dtype: { type: "string" }, shards: { type: "string" }, seed: { type: "string" } },
  });
  const [name, folder] = positionals;
  if (positionals.length !== 2 || !(name in SIZES)) {
    console.error("Usage: node scripts/make-random-checkpoint.mjs SIZE FOLDER [--dtype D] [--shards N] [--seed N]");
    console.error(`  SIZE: ${Object.keys(SIZES).join(", ")}`);
    console.error(`  D: ${Object.keys(SAFETENSORS_DTYPE).join(", ")}`);
    process.exit(2);
  }
  await writeRandomCheckpoint(folder, SIZES[name], {
    dtype: values.dtype ?? "float32",
    seed: Number(values.seed ?? 1),
    shards: Number(values.shards ?? 1),
  });
  console.log(folder);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
