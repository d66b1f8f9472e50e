import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { MODEL_DIMENSIONS, randomCheckpoint, TINY_DIMENSIONS } from "../../test/helpers/random-checkpoint.ts";
import { CheckpointError, CheckpointSyntaxError } from "../errors.ts";
import { bundledModelFolder } from "../hub/index.ts";
import { parameterCount, parameterDims, type ModelDimensions } from "../model/index.ts";
import { sizeOf, type StoredDType } from "../tensor/index.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { huggingFaceNames } from "./names.ts";
import { openProcessorFiles } from "./processor-files.ts";
import { readSafetensorsHeader } from "./safetensors.ts";

/** Small in every direction, and no two sizes alike. */
const SMALL: ModelDimensions = { ...TINY_DIMENSIONS, nVocab: 53, nAudioCtx: 50, nTextCtx: 20, nTextLayer: 3 };

/** A checkpoint that tests copy and damage. */
let original: string;
const folders: string[] = [];

beforeAll(async () => {
  original = await randomCheckpoint(SMALL);
});
afterAll(() => rm(original, { recursive: true, force: true }));
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sotto-checkpoint-"));
  folders.push(folder);
  return folder;
}

async function copyOfOriginal(): Promise<string> {
  const folder = await newFolder();
  await cp(original, folder, { recursive: true });
  return folder;
}

async function random(
  dimensions: Partial<ModelDimensions>,
  options: { dtype?: StoredDType; shards?: number } = {},
): Promise<string> {
  return randomCheckpoint(dimensions, { ...options, folder: await newFolder() });
}

/** Changes the fields of a JSON file; undefined removes one. */
async function edit(folder: string, file: string, fields: Record<string, unknown>): Promise<void> {
  const path = join(folder, file);
  const values = JSON.parse(await readFile(path, "utf8")) as object;
  await writeFile(path, JSON.stringify({ ...values, ...fields }));
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** Changes the header of a folder's safetensors file; the data stays, and the offsets with it. */
async function editHeader(folder: string, change: (header: Record<string, Entry>) => void): Promise<void> {
  const path = join(folder, "model.safetensors");
  const bytes = await readFile(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<string, Entry>;
  change(header);
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  await writeFile(path, Buffer.concat([prefix, json, bytes.subarray(8 + length)]));
}

/** Gives a parameter's place in the file to another name. */
function renameEntry(header: Record<string, Entry>, from: string, to: string): void {
  header[to] = header[from];
  delete header[from];
}

/** The error of opening what must not open. */
async function fault(path: string): Promise<CheckpointError> {
  const error: unknown = await openCheckpoint(path).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(CheckpointError);
  return error as CheckpointError;
}

describe("openCheckpoint() parameters", () => {
  it("opens the bundled model", async () => {
    const checkpoint = await openCheckpoint(bundledModelFolder());
    expect(checkpoint.dimensions).toMatchObject({ nMels: 80, nAudioCtx: 1500, nTextCtx: 448, nVocab: 51865 });
    expect(checkpoint.preprocessor).toEqual({ nMels: 80, chunkLength: 30 });
    const files = await checkpoint.tokenizerFiles();
    expect(Object.keys(files).sort()).toEqual(["addedTokensJson", "mergesTxt", "tokenizerJson", "vocabJson"]);
    for (const [name, dims] of parameterDims(checkpoint.dimensions)) {
      expect(await checkpoint.read(name)).toHaveLength(sizeOf(dims));
    }
  });

  const sizes: [string, Partial<ModelDimensions>][] = [
    ["two decoder layers", { nTextLayer: 2, nAudioLayer: 4 }],
    ["four decoder layers of 32", { nTextLayer: 4, nAudioLayer: 32 }],
    ["128 mel bins", { nMels: 128, nVocab: 51866 }],
    ["the English vocabulary", { nVocab: 51864 }],
    ["other numbers of heads", { nAudioHead: 4, nTextHead: 1 }],
  ];
  it.each(sizes)("takes the sizes from config.json: %s", async (_, changes) => {
    const folder = await random(changes);
    const { dimensions } = await openCheckpoint(folder);
    expect(dimensions).toEqual({ ...TINY_DIMENSIONS, ...changes });
  });

  it("reads each parameter from its own place", async () => {
    const folder = await copyOfOriginal();
    const path = join(folder, "model.safetensors");
    // Each tensor is filled with its index, so that a value says where it was read.
    const { header } = await readSafetensorsHeader(path);
    const bytes = await readFile(path);
    const order = [...header.entries.keys()];
    order.forEach((name, i) => {
      const { byteOffset, byteLength } = header.entries.get(name)!;
      for (let at = byteOffset; at < byteOffset + byteLength; at += 4) bytes.writeFloatLE(i, at);
    });
    await writeFile(path, bytes);
    const checkpoint = await openCheckpoint(folder);
    for (const [name, own] of huggingFaceNames(SMALL)) {
      const values = await checkpoint.read(own);
      const index = order.indexOf(`model.${name}`);
      expect(values.every((value) => value === index)).toBe(true);
      expect(checkpoint.stored(own)).toMatchObject({ name: own, dtype: "float32", file: path });
    }
  });

  it("knows the names that the reference program's translation gives", () => {
    const names = huggingFaceNames(SMALL);
    expect(names.get("encoder.layers.1.self_attn.q_proj.weight")).toBe("encoder.blocks.1.attn.query.weight");
    expect(names.get("encoder.layers.0.fc1.bias")).toBe("encoder.blocks.0.mlp.0.bias");
    expect(names.get("encoder.layer_norm.weight")).toBe("encoder.ln_post.weight");
    expect(names.get("encoder.embed_positions.weight")).toBe("encoder.positional_embedding");
    expect(names.get("decoder.layers.2.encoder_attn.out_proj.bias")).toBe("decoder.blocks.2.cross_attn.out.bias");
    expect(names.get("decoder.layers.2.encoder_attn_layer_norm.bias")).toBe("decoder.blocks.2.cross_attn_ln.bias");
    expect(names.get("decoder.layers.0.final_layer_norm.weight")).toBe("decoder.blocks.0.mlp_ln.weight");
    expect(names.get("decoder.layers.0.self_attn.k_proj.bias")).toBeUndefined();
    expect(names.get("decoder.embed_tokens.weight")).toBe("decoder.token_embedding.weight");
    expect([...names.values()].sort()).toEqual([...parameterDims(SMALL).keys()].sort());
  });

  it.each(["float16", "bfloat16"] as const)("reads %s as the nearest float32", async (dtype) => {
    const exact = await openCheckpoint(original);
    const checkpoint = await openCheckpoint(await random(SMALL, { dtype }));
    const relative = dtype === "float16" ? 2 ** -11 : 2 ** -8; // half a unit of the last of 11 or 8 digits
    for (const name of parameterDims(SMALL).keys()) {
      expect(checkpoint.stored(name).dtype).toBe(dtype);
      const [want, have] = [await exact.read(name), await checkpoint.read(name)];
      const worst = want.reduce(
        (most, value, i) => Math.max(most, Math.abs(have[i] - value) - relative * Math.abs(value)),
        0,
      );
      expect(worst).toBeLessThanOrEqual(2 ** -25); // half of the smallest float16
    }
  });

  it("reads shards as it reads one file", async () => {
    const one = await openCheckpoint(original);
    const many = await openCheckpoint(await random(SMALL, { shards: 3 }));
    const files = new Set<string>();
    for (const name of parameterDims(SMALL).keys()) {
      files.add(many.stored(name).file);
      expect(await many.read(name)).toEqual(await one.read(name));
    }
    expect(files.size).toBe(3);
  });

  it("reads a network saved without the head, and one saved with it", async () => {
    const folder = await copyOfOriginal();
    await editHeader(folder, (header) => {
      for (const name of Object.keys(header)) {
        if (!name.startsWith("model.")) continue;
        header[name.slice("model.".length)] = header[name];
        delete header[name];
      }
    });
    await appendHead(folder, 0);
    const checkpoint = await openCheckpoint(folder);
    const exact = await openCheckpoint(original);
    const name = "decoder.blocks.2.cross_attn.query.weight";
    expect(await checkpoint.read(name)).toEqual(await exact.read(name));
  });

  /** Gives `proj_out.weight` data at the end of the file: the token embedding plus a number. */
  async function appendHead(folder: string, plus: number): Promise<void> {
    const path = join(folder, "model.safetensors");
    const embedding = await (await openCheckpoint(original)).read("decoder.token_embedding.weight");
    const data = await readFile(path);
    const begin = data.length - 8 - Number(data.readBigUInt64LE(0));
    await editHeader(folder, (header) => {
      const entry = { dtype: "F32", shape: [SMALL.nVocab, SMALL.nTextState] };
      header["proj_out.weight"] = { ...entry, data_offsets: [begin, begin + embedding.byteLength] };
    });
    const head = embedding.map((value) => value + plus);
    await writeFile(path, Buffer.concat([await readFile(path), new Uint8Array(head.buffer)]));
  }

  it("takes an untied head only if it is the token embedding", async () => {
    const same = await copyOfOriginal();
    await edit(same, "config.json", { tie_word_embeddings: false });
    await appendHead(same, 0);
    await openCheckpoint(same);

    const other = await copyOfOriginal();
    await appendHead(other, 1);
    await openCheckpoint(other); // tied: what the file says is passed over, as in transformers
    await edit(other, "config.json", { tie_word_embeddings: false });
    expect((await fault(other)).problems).toEqual([
      `parameter "proj_out.weight" differs from the token embedding, expected the same values`,
    ]);
  });

  it("resolves symbolic links to the files themselves", async () => {
    const folder = await newFolder();
    await mkdir(join(folder, "blobs"));
    await mkdir(join(folder, "snapshot"));
    await cp(original, join(folder, "blobs"), { recursive: true });
    await rename(join(folder, "blobs/model.safetensors"), join(folder, "blobs/abc"));
    await symlink("../blobs/abc", join(folder, "snapshot/model.safetensors"));
    for (const file of ["config.json", "generation_config.json"]) {
      await symlink(join("../blobs", file), join(folder, "snapshot", file));
    }
    const checkpoint = await openCheckpoint(join(folder, "snapshot"));
    expect(checkpoint.stored("encoder.conv1.weight").file).toBe(join(folder, "blobs/abc"));
    expect(checkpoint.folder).toBe(join(folder, "snapshot"));
  });

  it("takes the file itself for its folder", async () => {
    const folder = await copyOfOriginal();
    await rename(join(folder, "model.safetensors"), join(folder, "tuned.safetensors"));
    const checkpoint = await openCheckpoint(join(folder, "tuned.safetensors"));
    expect(checkpoint.folder).toBe(folder);
    expect(checkpoint.stored("encoder.conv1.weight").file).toBe(join(folder, "tuned.safetensors"));
  });

  it("has a fingerprint that changes with the file and with nothing else", async () => {
    const folder = await copyOfOriginal();
    const fingerprint = async (): Promise<string> => (await openCheckpoint(folder)).fingerprint;
    const first = await fingerprint();
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    await edit(folder, "generation_config.json", { max_length: 10 });
    expect(await fingerprint()).toBe(first);
    await utimes(join(folder, "model.safetensors"), 1, 1);
    expect(await fingerprint()).not.toBe(first);
    expect((await openCheckpoint(original)).fingerprint).not.toBe(first);
  });

  it("throws for a parameter that the network does not have", async () => {
    const checkpoint = await openCheckpoint(original);
    expect(() => checkpoint.stored("encoder.nothing")).toThrow(`has no parameter "encoder.nothing"`);
  });
});

describe("openCheckpoint() faults", () => {
  it("refuses a header that is one byte short, which moves every number by a byte", async () => {
    const folder = await copyOfOriginal();
    const path = join(folder, "model.safetensors");
    const bytes = await readFile(path);
    const length = bytes.readBigUInt64LE(0);
    expect(bytes.toString("utf8", 7 + Number(length), 8 + Number(length))).toMatch(/[ }]/);
    // A header that ends with a space is JSON without it.
    const padded = Buffer.concat([
      bytes.subarray(0, 8 + Number(length)),
      Buffer.from(" "),
      bytes.subarray(8 + Number(length)),
    ]);
    padded.writeBigUInt64LE(length + 1n);
    await writeFile(path, padded);
    await openCheckpoint(folder);
    padded.writeBigUInt64LE(length);
    await writeFile(path, padded);
    const error = await fault(folder);
    expect(error).toBeInstanceOf(CheckpointSyntaxError);
    expect(error.message).toMatch(/the last parameter ends at byte \d+, expected the end of the file at \d+\nHint: /);
  });

  const numbers: [StoredDType, number, string][] = [
    ["float32", 0x7fc00000, "NaN"],
    ["float32", 0xff800000, "-Infinity"],
    ["float16", 0x7c00, "Infinity"],
    ["float16", 0x7e01, "NaN"],
    ["bfloat16", 0x7f80, "Infinity"],
    ["bfloat16", 0xffc0, "NaN"],
  ];
  it.each(numbers)("names the parameter that has a number which is none: %s, bits %i", async (dtype, bits, value) => {
    const folder = await random(SMALL, { dtype });
    const path = join(folder, "model.safetensors");
    const { header } = await readSafetensorsHeader(path);
    const { byteOffset } = header.entries.get("model.encoder.layers.1.fc1.weight")!;
    const bytes = await readFile(path);
    if (dtype === "float32") bytes.writeUInt32LE(bits, byteOffset + 4 * 5);
    else bytes.writeUInt16LE(bits, byteOffset + 2 * 5);
    await writeFile(path, bytes);
    const checkpoint = await openCheckpoint(folder);
    await expect(checkpoint.read("encoder.blocks.1.mlp.0.weight")).rejects.toThrow(
      `parameter "model.encoder.layers.1.fc1.weight" has ${value} at index 5, expected finite numbers\nHint: `,
    );
    await expect(checkpoint.read("encoder.blocks.1.mlp.0.bias")).resolves.toBeDefined();
  });

  it("reports every wrong, missing and left-over parameter at once", async () => {
    const folder = await copyOfOriginal();
    await editHeader(folder, (header) => {
      header["model.decoder.layer_norm.weight"].shape = [4, 4];
      header["model.decoder.layer_norm.bias"].dtype = "I32";
      renameEntry(header, "model.encoder.conv1.bias", "model.encoder.extra.weight");
      renameEntry(header, "model.decoder.layers.2.fc1.weight", "model.decoder.layers.3.fc1.bias");
    });
    const error = await fault(folder);
    expect([...error.problems].sort()).toEqual([
      `parameter "model.decoder.layer_norm.bias" is stored as I32, expected F32, F16, BF16`,
      `parameter "model.decoder.layer_norm.weight" has dims [4, 4], expected [16]`,
      `parameter "model.decoder.layers.2.fc1.weight" is missing`,
      `parameter "model.decoder.layers.3.fc1.bias" is unknown`,
      `parameter "model.encoder.conv1.bias" is missing`,
      `parameter "model.encoder.extra.weight" is unknown`,
    ]);
    for (const problem of error.problems) expect(error.message).toContain(`\n  - ${problem}`);
  });

  it("says which model the parameters look like", async () => {
    const folder = await random({ ...MODEL_DIMENSIONS["tiny.en"] }, { dtype: "float16" });
    await edit(folder, "config.json", { vocab_size: 51865, d_model: 512, encoder_attention_heads: 8 });
    await edit(folder, "config.json", { decoder_attention_heads: 8, encoder_ffn_dim: 2048, decoder_ffn_dim: 2048 });
    await edit(folder, "config.json", { encoder_layers: 6, decoder_layers: 6 });
    const { message } = await fault(folder);
    expect(message).toContain("\nHint: the parameters look like tiny.en, and config.json describes base;");
  });

  const cuts = [0, 4, 8, 100, 20_000, -4];
  it.each(cuts)("refuses a file cut to %i bytes", async (length) => {
    const folder = await copyOfOriginal();
    const path = join(folder, "model.safetensors");
    const { length: whole } = await readFile(path);
    await truncate(path, length < 0 ? whole + length : length);
    const error = await fault(folder);
    expect(error).toBeInstanceOf(CheckpointSyntaxError);
    expect(error.path).toBe(path);
  });

  it("refuses a hostile header length without reading it", async () => {
    const folder = await copyOfOriginal();
    await writeFile(join(folder, "model.safetensors"), Buffer.from("ffffffffffffff7f7b7d", "hex"));
    expect((await fault(folder)).message).toMatch(/header has \d+ bytes, expected at most 25000000/);
  });

  const formats: [string, RegExp][] = [
    ["pytorch_model.bin", /PyTorch's pickle format, which is not read yet/],
    ["pytorch_model.bin.index.json", /PyTorch's pickle format/],
    ["tiny.en.pt", /PyTorch's pickle format/],
    ["flax_model.msgpack", /Flax's msgpack format/],
    ["ggml-base.bin", /whisper.cpp's ggml format/],
    ["model.bin", /CTranslate2's format/],
    ["weights.npz", /MLX's format/],
  ];
  it.each(formats)("names a folder's %s, with a remedy", async (file, message) => {
    const folder = await newFolder();
    await writeFile(join(folder, file), "");
    const error = await fault(folder);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(`"${file}"`);
    expect(error.message).toContain("\nHint: save it as safetensors");
  });

  it("names other faults of the folder", async () => {
    const adapter = await newFolder();
    await writeFile(join(adapter, "adapter_config.json"), "{}");
    await writeFile(join(adapter, "adapter_model.safetensors"), "");
    expect((await fault(adapter)).message).toMatch(/holds an adapter.*\nHint: merge it/);

    const empty = await newFolder();
    expect((await fault(empty)).message).toContain(`folder has no "model.safetensors"`);
    expect((await fault(join(empty, "missing"))).message).toContain("no such folder");
    await writeFile(join(empty, "x.txt"), "");
    expect((await fault(join(empty, "x.txt"))).message).toContain("expected a folder or a safetensors file");
    await writeFile(join(empty, "x.pt"), "");
    expect((await fault(join(empty, "x.pt"))).message).toContain("PyTorch's pickle format");

    const noConfig = await copyOfOriginal();
    await rm(join(noConfig, "config.json"));
    expect((await fault(noConfig)).problems).toEqual([`folder has no "config.json"`]);

    const broken = await copyOfOriginal();
    await rm(join(broken, "model.safetensors"));
    await symlink("nowhere", join(broken, "model.safetensors"));
    expect((await fault(broken)).message).toContain(`file "model.safetensors" is missing or its link is broken`);
  });

  it("names faults of an index of shards", async () => {
    const folder = await random(SMALL, { shards: 2 });
    await rm(join(folder, "model-00002-of-00002.safetensors"));
    const error = await fault(folder);
    expect(error.problems[0]).toContain(`file "model-00002-of-00002.safetensors" is missing`);
    expect(error.problems.length).toBeGreaterThan(20); // and every parameter that was in it

    const index = "model.safetensors.index.json";
    const wrong = await random(SMALL, { shards: 2 });
    const weightMap = (JSON.parse(await readFile(join(wrong, index), "utf8")) as { weight_map: object }).weight_map;
    await edit(wrong, index, {
      weight_map: { ...weightMap, a: "../a.safetensors", b: "model-00001-of-00002.safetensors" },
    });
    expect((await fault(wrong)).problems).toEqual([
      `"${index}" names the file "../a.safetensors", expected a file of the same folder`,
      `parameter "b" is not in "model-00001-of-00002.safetensors", where "${index}" says it is`,
    ]);

    await writeFile(join(wrong, index), "[");
    expect((await fault(wrong)).problems[0]).toContain(`file "${index}" is not JSON`);
  });

  const configs: [Record<string, unknown>, string][] = [
    [{ model_type: "llama" }, `field "model_type" of "config.json" is "llama", expected "whisper"`],
    [{ model_type: null }, `field "model_type" is missing in "config.json"`],
    [{ d_model: "16" }, `field "d_model" of "config.json" is "16", expected a whole number from 1 to 16384`],
    [{ d_model: 1e9 }, `field "d_model" of "config.json" is "1000000000", expected a whole number from 1 to 16384`],
    [
      { encoder_layers: 1e6 },
      `field "encoder_layers" of "config.json" is "1000000", expected a whole number from 1 to 256`,
    ],
    [{ vocab_size: -1 }, `field "vocab_size" of "config.json" is "-1", expected a whole number from 1 to 1000000`],
    [{ decoder_layers: null }, `field "decoder_layers" is missing in "config.json"`],
    [
      { encoder_attention_heads: 3 },
      `field "encoder_attention_heads" of "config.json" is "3", expected a divisor of d_model 16`,
    ],
    [{ decoder_ffn_dim: 65 }, `field "decoder_ffn_dim" of "config.json" is "65", expected 4 * d_model = 64`],
    [{ activation_function: "relu" }, `field "activation_function" of "config.json" is "relu", expected "gelu"`],
    [{ num_mel_bins: 0.5 }, `field "num_mel_bins" of "config.json" is "0.5", expected a whole number from 1 to 1024`],
  ];
  it.each(configs)("refuses a config.json with %j", async (fields, problem) => {
    const folder = await copyOfOriginal();
    await edit(folder, "config.json", fields);
    expect((await fault(folder)).problems).toContain(problem);
  });

  it("refuses sizes that are each allowed and together too much", async () => {
    const folder = await copyOfOriginal();
    await edit(folder, "config.json", { d_model: 16384, encoder_layers: 256, decoder_layers: 256 });
    await edit(folder, "config.json", { encoder_ffn_dim: 65536, decoder_ffn_dim: 65536 });
    expect((await fault(folder)).message).toMatch(/describes \d+ parameters, expected at most 20000000000/);
  });

  it("refuses a preprocessor of another model", async () => {
    const folder = await copyOfOriginal();
    await edit(folder, "preprocessor_config.json", { feature_size: 128, chunk_length: 30 });
    expect((await fault(folder)).problems).toEqual([
      `field "feature_size" of "preprocessor_config.json" is "128", expected num_mel_bins 80`,
      `field "chunk_length" of "preprocessor_config.json" is "30", expected max_source_positions / 50 = 1`,
    ]);
  });

  it.each(["config.json", "generation_config.json", "preprocessor_config.json"])(
    "refuses a damaged %s",
    async (file) => {
      const folder = await copyOfOriginal();
      await writeFile(join(folder, file), "{");
      expect((await fault(folder)).message).toContain(`file "${file}" is not JSON`);
      await writeFile(join(folder, file), "[]");
      expect((await fault(folder)).message).toContain(`file "${file}" holds no JSON object`);
    },
  );

  it("refuses a tokenizer that is not there, once it is asked for", async () => {
    const checkpoint = await openCheckpoint(original);
    await expect(checkpoint.tokenizerFiles()).rejects.toThrow(`has no "tokenizer.json", nor "vocab.json"`);
  });
});

describe("openProcessorFiles()", () => {
  it("gives what the checkpoint says, whatever its weights are", async () => {
    const folder = await copyOfOriginal();
    const { dimensions, preprocessor } = await openCheckpoint(folder);
    await writeFile(join(folder, "model.safetensors"), "no weights");
    expect(await openProcessorFiles(folder)).toMatchObject({ folder, dimensions, preprocessor });
    expect(await openProcessorFiles(join(folder, "model.safetensors"))).toMatchObject({ folder, dimensions });
    await rm(join(folder, "model.safetensors"));
    expect(await openProcessorFiles(folder)).toMatchObject({ folder, dimensions, preprocessor });
  });

  it("reads the tokenizer's files as the checkpoint does", async () => {
    const folder = bundledModelFolder();
    const files = await (await openProcessorFiles(folder)).tokenizerFiles();
    expect(files.tokenizerJson?.length).toBeGreaterThan(0);
    expect(files).toEqual(await (await openCheckpoint(folder)).tokenizerFiles());
  });

  it.each<[string, (folder: string) => Promise<void>, string]>([
    ["without config.json", (folder) => rm(join(folder, "config.json")), 'folder has no "config.json"'],
    ["of another model", (folder) => edit(folder, "config.json", { model_type: "llama" }), '"model_type"'],
    ["whose size is wrong", (folder) => edit(folder, "config.json", { vocab_size: -1 }), '"vocab_size"'],
    [
      "whose extractor differs",
      (folder) => writeFile(join(folder, "preprocessor_config.json"), `{"feature_size":7}`),
      '"feature_size" of "preprocessor_config.json" is "7"',
    ],
  ])("refuses a folder %s", async (_, damage, message) => {
    const folder = await copyOfOriginal();
    await damage(folder);
    await expect(openProcessorFiles(folder)).rejects.toThrow(CheckpointError);
    await expect(openProcessorFiles(folder)).rejects.toThrow(message);
  });

  it("refuses what is not there", async () => {
    await expect(openProcessorFiles(join(original, "none"))).rejects.toThrow("no such folder");
  });
});

describe("openCheckpoint() generation", () => {
  it("reads what the bundled model says", async () => {
    const { generation } = await openCheckpoint(bundledModelFolder());
    expect(generation).toMatchObject({
      beginSuppressTokens: [220, 50257],
      maxInitialTimestampIndex: 50,
      maxLength: 448,
      isMultilingual: true,
      noTimestampsTokenId: 50363,
      language: null,
      task: null,
    });
    expect(generation.suppressTokens).toHaveLength(88);
    expect(generation.langToId?.get("<|en|>")).toBe(50259);
    expect(generation.taskToId?.get("translate")).toBe(50358);
  });

  /** Settings of a checkpoint whose two files have these fields. */
  async function settings(generation: object | null, config: Record<string, unknown> = {}): Promise<unknown> {
    const folder = await copyOfOriginal();
    await edit(folder, "config.json", { vocab_size: SMALL.nVocab, ...config });
    const path = join(folder, "generation_config.json");
    await (generation === null ? rm(path) : writeFile(path, JSON.stringify(generation)));
    return (await openCheckpoint(folder)).generation;
  }

  const NOTHING = {
    suppressTokens: null,
    beginSuppressTokens: null,
    alignmentHeads: null,
    maxInitialTimestampIndex: null,
    maxLength: 20,
    isMultilingual: false,
    noTimestampsTokenId: null,
    langToId: null,
    taskToId: null,
    language: null,
    task: null,
    forcedDecoderIds: null,
  };

  const cases: [string, object | null, Record<string, unknown>, object][] = [
    ["no file", null, {}, {}],
    ["a file that says nothing", {}, {}, {}],
    ["null", { suppress_tokens: null, lang_to_id: null }, {}, {}],
    ["an old config.json", null, { suppress_tokens: [1, 2], max_length: 9 }, { suppressTokens: [1, 2], maxLength: 9 }],
    ["both", { suppress_tokens: [3] }, { suppress_tokens: [1, 2] }, { suppressTokens: [3] }],
    ["an empty list", { suppress_tokens: [] }, { suppress_tokens: [1] }, { suppressTokens: [] }],
    ["ids outside the vocabulary", { suppress_tokens: [-1, 52, 53] }, {}, { suppressTokens: [52] }],
    ["a length above the network's", { max_length: 448 }, {}, { maxLength: 20 }],
    ["heads", { alignment_heads: [[2, 1]] }, {}, { alignmentHeads: [[2, 1]] }],
    [
      "heads of a teacher with more layers",
      {
        alignment_heads: [
          [2, 1],
          [9, 1],
        ],
      },
      {},
      { alignmentHeads: [[2, 1]] },
    ],
    ["only such heads", { alignment_heads: [[9, 1]] }, {}, {}],
    ["multilingual, of an English vocabulary", { is_multilingual: true }, {}, {}],
    ["a language", { language: "hindi", task: "transcribe" }, {}, { language: "hindi", task: "transcribe" }],
    [
      "forced ids",
      {
        forced_decoder_ids: [
          [1, null],
          [2, 5],
        ],
      },
      {},
      {
        forcedDecoderIds: [
          [1, null],
          [2, 5],
        ],
      },
    ],
  ];
  it.each(cases)("falls back field by field: %s", async (_, generation, config, changes) => {
    expect(await settings(generation, config)).toEqual({ ...NOTHING, ...changes });
  });

  it("is not multilingual where the checkpoint says so", async () => {
    const folder = await random({});
    expect((await openCheckpoint(folder)).generation.isMultilingual).toBe(true);
    await edit(folder, "generation_config.json", { is_multilingual: false });
    expect((await openCheckpoint(folder)).generation.isMultilingual).toBe(false);
  });

  const faults: [object, string][] = [
    [{ suppress_tokens: "none" }, "a list of whole numbers"],
    [{ suppress_tokens: [1.5] }, "a list of whole numbers"],
    [{ alignment_heads: [[1]] }, "a list of pairs of whole numbers"],
    [{ lang_to_id: { "<|en|>": "x" } }, "an object of whole numbers"],
    [{ is_multilingual: "yes" }, "true or false"],
    [{ max_length: 0 }, "a whole number from 1"],
    [{ language: 5 }, "a text"],
  ];
  it.each(faults)("refuses %j", async (fields, wanted) => {
    const folder = await copyOfOriginal();
    await edit(folder, "generation_config.json", fields as Record<string, unknown>);
    expect((await fault(folder)).message).toContain(wanted);
  });
});

describe("randomCheckpoint()", () => {
  it("has as many parameters as the dimensions say, in a sane range", async () => {
    const checkpoint = await openCheckpoint(original);
    let count = 0;
    for (const name of parameterDims(SMALL).keys()) {
      const values = await checkpoint.read(name);
      count += values.length;
      expect(values.every((value) => Math.abs(value) < 6)).toBe(true);
      expect(new Set(values).size).toBeGreaterThan(1);
    }
    expect(count).toBe(parameterCount(SMALL));
  });

  it("has the sinusoidal positions of the real encoder (facts 0.10)", async () => {
    const positions = await (await openCheckpoint(original)).read("encoder.positional_embedding");
    const trained = await (await openCheckpoint(bundledModelFolder())).read("encoder.positional_embedding");
    // Position 3: the fastest sine and cosine are the same for every size of state.
    expect(positions[3 * 16]).toBeCloseTo(Math.sin(3), 6);
    expect(positions[3 * 16 + 8]).toBeCloseTo(Math.cos(3), 6);
    expect(trained[3 * 128]).toBeCloseTo(positions[3 * 16], 3);
    expect(trained[3 * 128 + 64]).toBeCloseTo(positions[3 * 16 + 8], 3);
  });
});
