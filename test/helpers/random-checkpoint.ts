/**
 * Checkpoints with random parameters for tests: tiny dimensions, or any other. The work is done by
 * scripts/make-random-checkpoint.mjs, which also serves the command line; this gives it types and a temporary folder.
 */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SIZES, writeRandomCheckpoint } from "../../scripts/make-random-checkpoint.mjs";
import type { ModelDimensions } from "../../src/model/index.ts";
import type { StoredDType } from "../../src/tensor/index.ts";

export interface RandomCheckpointOptions {
  /** How the parameters are stored; default float32. */
  dtype?: StoredDType;
  /** Default 1. The same seed and dimensions give the same parameters in every dtype and number of shards. */
  seed?: number;
  /** Number of safetensors files, with an index if more than one; default 1. */
  shards?: number;
  /** Where to write; default a new temporary folder. */
  folder?: string;
}

/** A network small enough for plain loops, with the real vocabulary so that tokenizer and rules work on it. */
export const TINY_DIMENSIONS: ModelDimensions = {
  nMels: 80,
  nAudioCtx: 50,
  nAudioState: 16,
  nAudioHead: 2,
  nAudioLayer: 2,
  nVocab: 51865,
  nTextCtx: 32,
  nTextState: 16,
  nTextHead: 2,
  nTextLayer: 2,
};

/** Dimensions of the published models, by name. */
export const MODEL_DIMENSIONS: Readonly<Record<keyof typeof SIZES, ModelDimensions>> = SIZES;

/**
 * Writes a checkpoint folder in the Hugging Face layout. Encoder and decoder must have one state size.
 *
 * @param dimensions given ones replace those of `TINY_DIMENSIONS`; `nVocab` 51865 gets nano's tokenizer files
 * @returns the folder, which the caller removes
 */
export async function randomCheckpoint(
  dimensions: Partial<ModelDimensions> = {},
  options: RandomCheckpointOptions = {},
): Promise<string> {
  const { folder = await mkdtemp(join(tmpdir(), "sotto-checkpoint-")), ...rest } = options;
  return writeRandomCheckpoint(folder, { ...TINY_DIMENSIONS, ...dimensions }, rest);
}
