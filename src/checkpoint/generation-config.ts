/**
 * Reads generation_config.json: which tokens the checkpoint's makers want suppressed, and what else they say about
 * decoding. Checkpoints from before that file exists say it in config.json; fine-tuned ones often say nothing (facts
 * 1.13.7), so that every field may be missing and its reader falls back to the tokenizer's own lists.
 */
import { isMultilingual, type ModelDimensions } from "../model/index.ts";
import type { JsonFields } from "./json-fields.ts";

export interface GenerationConfig {
  /** Never generated; null if the checkpoint does not say, [] if it says none. */
  readonly suppressTokens: readonly number[] | null;
  /** Not generated as the first token; null if the checkpoint does not say. */
  readonly beginSuppressTokens: readonly number[] | null;
  /** Cross-attention heads [layer, head] that follow the audio; null if the checkpoint does not say. */
  readonly alignmentHeads: readonly (readonly [layer: number, head: number])[] | null;
  /** Latest first timestamp, in steps of 0.02 s; null if the checkpoint does not say. */
  readonly maxInitialTimestampIndex: number | null;
  /** Longest token sequence, prompt included; at most `nTextCtx`. */
  readonly maxLength: number;
  /** Whether prompts carry a language and a task. False for a multilingual vocabulary that was tuned without (facts 6.10). */
  readonly isMultilingual: boolean;
  readonly noTimestampsTokenId: number | null;
  /** `<|en|>` -> id; null if the checkpoint does not say. */
  readonly langToId: ReadonlyMap<string, number> | null;
  /** `transcribe` and `translate` -> id; null if the checkpoint does not say. */
  readonly taskToId: ReadonlyMap<string, number> | null;
  /** Language that fine-tuned checkpoints are meant for, as they write it (name, code or token). */
  readonly language: string | null;
  readonly task: string | null;
  /** Old way of saying the same: [position, token], null for "to be detected". */
  readonly forcedDecoderIds: readonly (readonly [position: number, token: number | null])[] | null;
}

/**
 * @param generation null if there is no such file
 * @param config supplies what `generation` does not say
 */
export function readGenerationConfig(
  generation: JsonFields | undefined,
  config: JsonFields,
  dimensions: ModelDimensions,
): GenerationConfig {
  const { nVocab, nTextCtx, nTextLayer, nTextHead } = dimensions;
  /** The field in the first file that has it. */
  const from = (name: string): JsonFields => (generation?.get(name) === undefined ? config : generation);
  const inVocabulary = (id: number): boolean => id >= 0 && id < nVocab;
  /** Ids outside the vocabulary cannot come up and are dropped: lists are copied between checkpoints. */
  const tokens = (name: string): number[] | null => from(name).integers(name)?.filter(inVocabulary) ?? null;
  const tokenMap = (name: string): Map<string, number> | null => {
    const entries = from(name).integerMap(name);
    return entries === undefined ? null : new Map([...entries].filter(([, id]) => inVocabulary(id)));
  };

  // A distilled checkpoint may have inherited the list of its teacher, which had more layers.
  const heads = from("alignment_heads")
    .pairs("alignment_heads")
    ?.filter(([layer, head]) => layer >= 0 && layer < nTextLayer && head! >= 0 && head! < nTextHead);

  const multilingual = from("is_multilingual").boolean("is_multilingual") ?? true;
  const maxLength = from("max_length").integer("max_length", { min: 1, max: Number.MAX_SAFE_INTEGER });
  return {
    suppressTokens: tokens("suppress_tokens"),
    beginSuppressTokens: tokens("begin_suppress_tokens"),
    alignmentHeads: heads === undefined || heads.length === 0 ? null : (heads as [number, number][]),
    maxInitialTimestampIndex:
      from("max_initial_timestamp_index").integer("max_initial_timestamp_index", { max: 1500 }) ?? null,
    maxLength: Math.min(maxLength ?? nTextCtx, nTextCtx),
    isMultilingual: isMultilingual(dimensions) && multilingual,
    noTimestampsTokenId: from("no_timestamps_token_id").integer("no_timestamps_token_id", { max: nVocab - 1 }) ?? null,
    langToId: tokenMap("lang_to_id"),
    taskToId: tokenMap("task_to_id"),
    language: from("language").string("language") ?? null,
    task: from("task").string("task") ?? null,
    forcedDecoderIds: from("forced_decoder_ids").pairs("forced_decoder_ids", true) ?? null,
  };
}
