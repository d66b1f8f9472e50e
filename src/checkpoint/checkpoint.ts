/**
 * Opens a checkpoint in the Hugging Face layout as it is: no conversion, parameters stay where they lie in their files.
 *
 * Everything is checked here, at the border, numbers when they are read; engines trust what they get. Unlike transformers, which initialises missing
 * parameters at random and passes over unknown ones with a warning, both are errors, reported all at once.
 */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { CheckpointError, quote } from "../errors.ts";
import { parameterDims, type ModelDimensions, type ParameterSource, type StoredParameter } from "../model/index.ts";
import { firstNotFinite, toFloat32, type StoredDType } from "../tensor/index.ts";
import { readDimensions } from "./config.ts";
import { readGenerationConfig, type GenerationConfig } from "./generation-config.ts";
import { JsonFields } from "./json-fields.ts";
import { locateCheckpoint } from "./locate.ts";
import { publishedName, signatureOf } from "./looks-like.ts";
import { huggingFaceNames, isTiedHead, withoutPrefix } from "./names.ts";
import { readPreprocessor, readTokenizerFiles, type ProcessorFiles, type TokenizerFiles } from "./processor-files.ts";
import { readWeightFiles, type StoredEntry } from "./weight-files.ts";

/** An opened and checked checkpoint. */
export interface Checkpoint extends ParameterSource, ProcessorFiles {
  readonly generation: GenerationConfig;
  /** What config.json says that it was made from (`_name_or_path`); undefined if it says nothing. */
  readonly origin: string | undefined;
}

const STORED_DTYPES: Readonly<Record<string, StoredDType>> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/**
 * Opens a folder in the Hugging Face layout: config.json, generation_config.json (may be missing), and model.safetensors or
 * model.safetensors.index.json with its shards. Only headers are read; symbolic links (the hub's cache is made of them) are
 * resolved.
 *
 * @param path the folder, or a safetensors file with config.json beside it
 * @throws {CheckpointError} listing every missing, left-over or misshapen parameter and every wrong field
 * @throws {CheckpointSyntaxError} if a safetensors file breaks its format
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const { folder, file } = await locateCheckpoint(path);
  const problems: string[] = [];
  const config = await JsonFields.read(folder, "config.json", problems);
  const weights = await readWeightFiles(folder, file, problems).catch((error: Error) => {
    throw error instanceof CheckpointError ? error : new CheckpointError(path, [error.message], { cause: error });
  });
  if (config === undefined) throw new CheckpointError(path, [...problems, `folder has no "config.json"`]);

  const dimensions = readDimensions(config);
  if (dimensions === undefined) throw new CheckpointError(path, problems);
  const generationFile = await JsonFields.read(folder, "generation_config.json", problems);
  const generation = readGenerationConfig(generationFile, config, dimensions);
  const preprocessor = await readPreprocessor(folder, dimensions, problems);
  const parameters = matchParameters(weights.entries, dimensions, problems);
  await checkHead(config, weights.entries, dimensions, problems);
  if (problems.length > 0) {
    const hint = wrongSizeHint(weights.entries, dimensions);
    throw new CheckpointError(path, problems, hint === undefined ? {} : { hint });
  }

  const hash = createHash("sha256");
  for (const part of weights.identity) hash.update(part);
  const origin = config.get("_name_or_path");
  return new OpenedCheckpoint(
    path,
    folder,
    dimensions,
    generation,
    preprocessor,
    hash.digest("hex"),
    parameters,
    typeof origin === "string" ? origin : undefined,
  );
}

class OpenedCheckpoint implements Checkpoint {
  constructor(
    readonly path: string,
    readonly folder: string,
    readonly dimensions: ModelDimensions,
    readonly generation: GenerationConfig,
    readonly preprocessor: ProcessorFiles["preprocessor"],
    readonly fingerprint: string,
    private readonly parameters: ReadonlyMap<string, StoredParameter>,
    readonly origin: string | undefined,
  ) {}

  stored(name: string): StoredParameter {
    const parameter = this.parameters.get(name);
    if (parameter === undefined) throw new Error(`Checkpoint "${this.path}" has no parameter "${name}"`);
    return parameter;
  }

  async read(name: string): Promise<Float32Array> {
    const { dtype, file, byteOffset, byteLength } = this.stored(name);
    // Memory of a float32 parameter is read into directly: the largest has 265 MB, and a copy would double that.
    const values = dtype === "float32" ? new Float32Array(byteLength / 4) : undefined;
    const bytes = values === undefined ? new Uint8Array(byteLength) : new Uint8Array(values.buffer);
    const handle = await open(file, "r");
    try {
      for (let read = 0; read < byteLength;) {
        // One call reads at most 2 GB on Linux; a quarter of that keeps the pieces alike everywhere.
        const length = Math.min(byteLength - read, 2 ** 29);
        const { bytesRead } = await handle.read(bytes, read, length, byteOffset + read);
        if (bytesRead === 0) throw new CheckpointError(this.path, [`file "${file}" became shorter while in use`]);
        read += bytesRead;
      }
    } finally {
      await handle.close();
    }
    const index = firstNotFinite(bytes, dtype);
    if (index >= 0) {
      const value = (values ?? toFloat32(bytes, dtype))[index];
      const [own] = [...huggingFaceNames(this.dimensions)].find(([, translated]) => translated === name) ?? [name];
      const problem = `parameter "model.${own}" has ${value} at index ${index}, expected finite numbers`;
      throw new CheckpointError(this.path, [problem], {
        hint: "the weights are damaged, or were saved by a training that had diverged; get them again",
      });
    }
    return values ?? toFloat32(bytes, dtype);
  }

  tokenizerFiles(): Promise<TokenizerFiles> {
    return readTokenizerFiles(this.path, this.folder);
  }
}

/** Brings the stored parameters under their own names; adds every fault to `problems`. */
function matchParameters(
  entries: ReadonlyMap<string, StoredEntry>,
  dimensions: ModelDimensions,
  problems: string[],
): Map<string, StoredParameter> {
  const names = huggingFaceNames(dimensions);
  const wanted = parameterDims(dimensions);
  const parameters = new Map<string, StoredParameter>();
  const leftOver: string[] = [];
  for (const entry of entries.values()) {
    const own = names.get(withoutPrefix(entry.name));
    if (own === undefined) {
      if (!isTiedHead(entry.name)) leftOver.push(entry.name);
      continue;
    }
    if (parameters.has(own)) problems.push(`parameter ${quote(entry.name)} is there with and without "model."`);
    const dims = wanted.get(own)!;
    if (entry.dims.join() !== dims.join()) {
      problems.push(
        `parameter ${quote(entry.name)} has dims [${entry.dims.join(", ")}], expected [${dims.join(", ")}]`,
      );
    }
    const dtype = STORED_DTYPES[entry.dtype];
    if (dtype === undefined) {
      problems.push(
        `parameter ${quote(entry.name)} is stored as ${entry.dtype}, expected ${Object.keys(STORED_DTYPES).join(", ")}`,
      );
    }
    const { file, byteOffset, byteLength } = entry;
    parameters.set(own, { name: own, dtype, dims, file, byteOffset, byteLength });
  }
  for (const [name, own] of names) {
    if (!parameters.has(own)) problems.push(`parameter "model.${name}" is missing`);
  }
  for (const name of leftOver) problems.push(`parameter ${quote(name)} is unknown`);
  return parameters;
}

/**
 * An output head of its own must be the token embedding again. transformers ties the two whatever the file holds, unless
 * config.json says otherwise: then the values decide.
 */
async function checkHead(
  config: JsonFields,
  entries: ReadonlyMap<string, StoredEntry>,
  dimensions: ModelDimensions,
  problems: string[],
): Promise<void> {
  const head = [...entries.values()].find((entry) => isTiedHead(entry.name));
  if (head === undefined) return;
  const expected = [dimensions.nVocab, dimensions.nTextState];
  if (head.dims.join() !== expected.join()) {
    problems.push(
      `parameter "${head.name}" has dims [${head.dims.join(", ")}], expected those of the token embedding [${expected.join(", ")}]`,
    );
  } else if (config.boolean("tie_word_embeddings") === false) {
    const embedding = [...entries.values()].find(
      (entry) => withoutPrefix(entry.name) === "decoder.embed_tokens.weight",
    );
    if (embedding !== undefined && !(await sameBytes(head, embedding))) {
      problems.push(`parameter "${head.name}" differs from the token embedding, expected the same values`);
    }
  }
}

async function sameBytes(a: StoredEntry, b: StoredEntry): Promise<boolean> {
  if (a.byteLength !== b.byteLength || a.dtype !== b.dtype) return false;
  const digest = async (entry: StoredEntry): Promise<string> => {
    const hash = createHash("sha256");
    const handle = await open(entry.file, "r");
    const { byteOffset: start, byteLength } = entry;
    for await (const piece of handle.createReadStream({ start, end: start + byteLength - 1 })) {
      hash.update(piece as Uint8Array);
    }
    return hash.digest("hex");
  };
  return (await digest(a)) === (await digest(b));
}

function wrongSizeHint(entries: ReadonlyMap<string, StoredEntry>, dimensions: ModelDimensions): string | undefined {
  const { nAudioState: state, nAudioLayer, nTextLayer, nVocab } = dimensions;
  const found = publishedName(
    signatureOf(new Map([...entries.values()].map((entry) => [withoutPrefix(entry.name), entry.dims]))),
  );
  const described = publishedName({ state, nAudioLayer, nTextLayer, nVocab });
  if (found === undefined || found === described) return undefined;
  return `the parameters look like ${found}, and config.json describes ${described ?? "another size"}; take both files from one checkpoint`;
}
