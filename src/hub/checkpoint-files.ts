/** Which files of a hub repository make up a Whisper checkpoint, and how large they may be. */

/** What is wanted of a checkpoint: all of it, or what its processor is made of, which is all but the weights. */
export type ModelPart = "checkpoint" | "processor";

export const CONFIG = "config.json";
export const WEIGHTS = "model.safetensors";
export const WEIGHTS_INDEX = "model.safetensors.index.json";

/** Taken where they exist; fine-tuned checkpoints lack some of them (facts 1.13.7). */
export const OPTIONAL_FILES: readonly string[] = [
  "generation_config.json",
  "preprocessor_config.json",
  "tokenizer.json",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "special_tokens_map.json",
  "tokenizer_config.json",
  "normalizer.json",
];

/** Weights in formats that are not read, to be named where there are no others. */
export const OTHER_WEIGHTS: readonly string[] = ["pytorch_model.bin", "flax_model.msgpack", "model.bin", "tf_model.h5"];

/** Ceiling of a text file: the largest of official checkpoints is tokenizer.json, 4 MB. */
export const MAX_TEXT_BYTES = 64 * 1024 * 1024;
/** Ceiling of all weights together: large-v3 in float32 has 6.2 GB. */
export const MAX_WEIGHT_BYTES = 20e9;
/** Ceiling of the number of shards: large-v3 in float32 has 2. */
export const MAX_SHARDS = 1000;

/** Whether a file of this name belongs to a checkpoint. */
export function isCheckpointFile(name: string): boolean {
  return [CONFIG, WEIGHTS_INDEX, ...OPTIONAL_FILES, ...OTHER_WEIGHTS].includes(name) || name.endsWith(".safetensors");
}

/** Whether an index may name this file of weights: it stays in its folder on every system. */
export function isPlainFileName(file: unknown): file is string {
  return typeof file === "string" && file.length <= 255 && /^[\w-][\w.-]*\.safetensors$/.test(file);
}
