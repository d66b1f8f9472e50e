/** What a processor is made of: sizes, the feature extractor's settings, the tokenizer's files. Weights are not looked at. */
import { CheckpointError } from "../errors.ts";
import type { ModelDimensions } from "../model/index.ts";
import { readDimensions } from "./config.ts";
import { JsonFields, readTextFile } from "./json-fields.ts";
import { locateCheckpoint } from "./locate.ts";

/** Texts of the tokenizer's files; those that the folder has. */
export interface TokenizerFiles {
  tokenizerJson?: string;
  vocabJson?: string;
  mergesTxt?: string;
  addedTokensJson?: string;
}

/** The part of a checkpoint that a processor needs. */
export interface ProcessorFiles {
  /** Absolute path of the folder. */
  readonly folder: string;
  readonly dimensions: ModelDimensions;
  /** What the feature extractor is told: mel bins, and seconds of one window. */
  readonly preprocessor: { readonly nMels: number; readonly chunkLength: number };
  /**
   * Reads the tokenizer's files.
   *
   * @throws {CheckpointError} if there is neither tokenizer.json nor vocab.json with merges.txt
   */
  tokenizerFiles(): Promise<TokenizerFiles>;
}

/**
 * Opens what a processor needs of a folder in the Hugging Face layout: config.json and, where it is there,
 * preprocessor_config.json. The folder may lack weights; those that are there are not opened.
 *
 * @param path the folder, or a safetensors file with config.json beside it
 * @throws {CheckpointError} listing every wrong field
 */
export async function openProcessorFiles(path: string): Promise<ProcessorFiles> {
  const { folder } = await locateCheckpoint(path);
  const problems: string[] = [];
  const config = await JsonFields.read(folder, "config.json", problems);
  if (config === undefined) throw new CheckpointError(path, [`folder has no "config.json"`]);
  const dimensions = readDimensions(config);
  if (dimensions === undefined) throw new CheckpointError(path, problems);
  const preprocessor = await readPreprocessor(folder, dimensions, problems);
  if (problems.length > 0) throw new CheckpointError(path, problems);
  return { folder, dimensions, preprocessor, tokenizerFiles: () => readTokenizerFiles(path, folder) };
}

/**
 * Reads preprocessor_config.json, which may be missing. The network takes windows of one size: what the feature extractor is
 * told must agree with it.
 *
 * @param problems every wrong field is added
 */
export async function readPreprocessor(
  folder: string,
  dimensions: ModelDimensions,
  problems: string[],
): Promise<ProcessorFiles["preprocessor"]> {
  const file = await JsonFields.read(folder, "preprocessor_config.json", problems);
  const chunkLength = dimensions.nAudioCtx / 50; // 50 encoder positions a second (facts 0.1)
  const { nMels } = dimensions;
  if (file !== undefined) {
    if ((file.get("feature_size") ?? nMels) !== nMels) file.fault("feature_size", `num_mel_bins ${nMels}`);
    if ((file.get("chunk_length") ?? chunkLength) !== chunkLength) {
      file.fault("chunk_length", `max_source_positions / 50 = ${chunkLength}`);
    }
  }
  return { nMels, chunkLength };
}

/**
 * Reads the texts of the tokenizer's files.
 *
 * @param path what the caller calls the checkpoint, for messages
 * @throws {CheckpointError} if there is neither tokenizer.json nor vocab.json with merges.txt
 */
export async function readTokenizerFiles(path: string, folder: string): Promise<TokenizerFiles> {
  const names = {
    tokenizerJson: "tokenizer.json",
    vocabJson: "vocab.json",
    mergesTxt: "merges.txt",
    addedTokensJson: "added_tokens.json",
  } as const;
  const files: TokenizerFiles = {};
  for (const [key, name] of Object.entries(names)) {
    const text = await readTextFile(folder, name).catch((error: Error) => {
      throw new CheckpointError(path, [error.message], { cause: error });
    });
    if (text !== undefined) files[key as keyof TokenizerFiles] = text;
  }
  if (files.tokenizerJson === undefined && (files.vocabJson === undefined || files.mergesTxt === undefined)) {
    throw new CheckpointError(path, [`folder has no "tokenizer.json", nor "vocab.json" with "merges.txt"`], {
      hint: "copy the tokenizer files of the model it was tuned from into the folder",
    });
  }
  return files;
}
