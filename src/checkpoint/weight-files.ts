/** Finds the files that hold a checkpoint's parameters, and reads their headers. */
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { CheckpointError, quote } from "../errors.ts";
import { isPlainFileName, MAX_SHARDS, WEIGHTS as SINGLE, WEIGHTS_INDEX as INDEX } from "../hub/index.ts";
import { JsonFields, notRegular } from "./json-fields.ts";
import type { SafetensorsEntry } from "../safetensors/index.ts";
import { readSafetensorsHeader } from "./safetensors.ts";

/** One parameter, as a file has it. */
export interface StoredEntry extends SafetensorsEntry {
  /** Absolute, with no symbolic link in it. */
  readonly file: string;
}

export interface WeightFiles {
  /** By the name in the file. */
  readonly entries: ReadonlyMap<string, StoredEntry>;
  /** What tells this state of the files from another: paths, sizes, times of change, headers. */
  readonly identity: readonly (string | Uint8Array)[];
}

/** Formats that other programs write, by file name, and how to come to safetensors from them. */
const OTHER_FORMATS: readonly (readonly [RegExp, string])[] = [
  [/^pytorch_model.*\.bin(\.index\.json)?$/, "PyTorch's pickle format"],
  [/^flax_model.*\.msgpack(\.index\.json)?$/, "Flax's msgpack format"],
  [/^tf_model.*\.h5$/, "TensorFlow's format"],
  [/\.pt$|\.pth$|\.ckpt$/, "PyTorch's pickle format"],
  [/^ggml.*\.bin$|\.gguf$/, "whisper.cpp's ggml format"],
  [/^model\.bin$/, "CTranslate2's format"],
  [/\.npz$|^weights\.safetensors$/, "MLX's format"],
  [/\.onnx$/, "ONNX"],
];

const CONVERT =
  "save it as safetensors with transformers: WhisperForConditionalGeneration.from_pretrained(folder)" +
  ".save_pretrained(new_folder), or use a checkpoint that has model.safetensors";

/**
 * Reads the headers of a folder's safetensors files: `model.safetensors`, or those that its index names.
 *
 * @param single a file to take instead of looking for one
 * @param problems what is wrong with the set of files is added here
 * @throws {CheckpointSyntaxError} if a file breaks the format
 * @throws {CheckpointError} if the folder has no safetensors files, the message names what it has instead; or one is no regular file
 */
export async function readWeightFiles(
  folder: string,
  single: string | undefined,
  problems: string[],
): Promise<WeightFiles> {
  if (single !== undefined) return readFiles(folder, [single], new Map(), problems);
  const present = await readdir(folder);
  if (present.includes(SINGLE)) return readFiles(folder, [SINGLE], new Map(), problems);
  if (!present.includes(INDEX)) throw noSafetensors(folder, present);

  const index = await JsonFields.read(folder, INDEX, problems);
  const shardOf = readIndex(index!, problems);
  return readFiles(folder, [...new Set(shardOf.values())].sort(), shardOf, problems);
}

/** Parameter -> file, by the index; only plain file names of this folder are believed. */
function readIndex(index: JsonFields, problems: string[]): Map<string, string> {
  const shardOf = new Map<string, string>();
  const weightMap = index.get("weight_map");
  if (typeof weightMap !== "object" || Array.isArray(weightMap)) {
    index.fault("weight_map", "an object of file names");
    return shardOf;
  }
  const refused = new Set<unknown>();
  for (const [name, file] of Object.entries(weightMap as object)) {
    if (isPlainFileName(file)) shardOf.set(name, file);
    else refused.add(file);
  }
  for (const file of refused) {
    problems.push(`"${INDEX}" names the file ${quote(file)}, expected a file of the same folder`);
  }
  const count = new Set(shardOf.values()).size;
  if (count > MAX_SHARDS) {
    problems.push(`"${INDEX}" names ${count} files, expected at most ${MAX_SHARDS}`);
    shardOf.clear();
  }
  return shardOf;
}

async function readFiles(
  folder: string,
  files: readonly string[],
  shardOf: ReadonlyMap<string, string>,
  problems: string[],
): Promise<WeightFiles> {
  const entries = new Map<string, StoredEntry>();
  const identity: (string | Uint8Array)[] = [];
  for (const name of files) {
    const link = join(folder, name);
    let file: string;
    try {
      file = await realpath(link);
    } catch (error) {
      problems.push(`file "${name}" is missing or its link is broken: ${(error as Error).message}`);
      continue;
    }
    const info = await stat(file, { bigint: true });
    if (!info.isFile()) throw new CheckpointError(folder, [notRegular(name, info)]);
    const { size, mtimeNs } = info;
    const { header, json } = await readSafetensorsHeader(file);
    identity.push(`${file}\n${size}\n${mtimeNs}\n`, json);
    for (const entry of header.entries.values()) {
      const other = entries.get(entry.name);
      if (other !== undefined) {
        problems.push(
          `parameter ${quote(entry.name)} is in "${name}" and in "${basename(other.file)}", expected it once`,
        );
      }
      entries.set(entry.name, { ...entry, file });
    }
    for (const [parameter, shard] of shardOf) {
      if (shard === name && !header.entries.has(parameter)) {
        problems.push(`parameter ${quote(parameter)} is not in "${name}", where "${INDEX}" says it is`);
      }
    }
  }
  return { entries, identity };
}

function noSafetensors(folder: string, present: readonly string[]): CheckpointError {
  if (present.includes("adapter_config.json")) {
    return new CheckpointError(folder, ["folder holds an adapter (LoRA), expected a whole checkpoint"], {
      hint: "merge it into its base model: PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(new_folder)",
    });
  }
  for (const [pattern, format] of OTHER_FORMATS) {
    const file = present.find((name) => pattern.test(name));
    if (file !== undefined) {
      const problem = `file "${file}" is in ${format}, which is not read yet, expected "${SINGLE}"`;
      return new CheckpointError(folder, [problem], { hint: CONVERT });
    }
  }
  return new CheckpointError(folder, [`folder has no "${SINGLE}" and no "${INDEX}"`]);
}

/** The error for a file that is a checkpoint in a format not read; undefined if the name says nothing. */
export function otherFormat(path: string): CheckpointError | undefined {
  const format = OTHER_FORMATS.find(([pattern]) => pattern.test(basename(path)))?.[1];
  if (format === undefined) return undefined;
  const problem = `file is in ${format}, which is not read yet, expected safetensors`;
  return new CheckpointError(path, [problem], { hint: CONVERT });
}
