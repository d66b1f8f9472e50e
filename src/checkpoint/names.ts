/**
 * Translates Hugging Face's names of Whisper's parameters into those of model/parameters.ts. By table: a name that is not
 * in it is not a parameter of ours, whatever its shape.
 */
import type { ModelDimensions } from "../model/index.ts";

const ATTENTION: Readonly<Record<string, string>> = {
  "q_proj.weight": "query.weight",
  "q_proj.bias": "query.bias",
  "k_proj.weight": "key.weight",
  "v_proj.weight": "value.weight",
  "v_proj.bias": "value.bias",
  "out_proj.weight": "out.weight",
  "out_proj.bias": "out.bias",
};

const ENCODER_PARTS: Readonly<Record<string, string>> = {
  self_attn_layer_norm: "attn_ln",
  fc1: "mlp.0",
  fc2: "mlp.2",
  final_layer_norm: "mlp_ln",
};

const DECODER_PARTS: Readonly<Record<string, string>> = {
  ...ENCODER_PARTS,
  encoder_attn_layer_norm: "cross_attn_ln",
};

/**
 * Names that a checkpoint may have and that are not used. The output head is the token embedding (facts 0.10): a copy
 * of it under a name of its own says nothing new.
 */
const TIED: ReadonlySet<string> = new Set(["proj_out.weight", "model.proj_out.weight"]);

/** Whether the name is that of the output head, which is the token embedding again. */
export function isTiedHead(name: string): boolean {
  return TIED.has(name);
}

/**
 * Every Hugging Face name of a network of these dimensions -> its name in model/parameters.ts. Names are given without the
 * prefix `model.`, which `withoutPrefix` takes off.
 */
export function huggingFaceNames(dimensions: ModelDimensions): Map<string, string> {
  const names = new Map<string, string>();
  const add = (from: string, to: string, parts: readonly string[] = ["weight", "bias"]): void => {
    for (const part of parts) names.set(`${from}.${part}`, `${to}.${part}`);
  };
  const addAttention = (from: string, to: string): void => {
    for (const [part, own] of Object.entries(ATTENTION)) names.set(`${from}.${part}`, `${to}.${own}`);
  };

  add("encoder.conv1", "encoder.conv1");
  add("encoder.conv2", "encoder.conv2");
  names.set("encoder.embed_positions.weight", "encoder.positional_embedding");
  for (let i = 0; i < dimensions.nAudioLayer; i++) {
    const [from, to] = [`encoder.layers.${i}`, `encoder.blocks.${i}`];
    addAttention(`${from}.self_attn`, `${to}.attn`);
    for (const [part, own] of Object.entries(ENCODER_PARTS)) add(`${from}.${part}`, `${to}.${own}`);
  }
  add("encoder.layer_norm", "encoder.ln_post");

  add("decoder.embed_tokens", "decoder.token_embedding", ["weight"]);
  names.set("decoder.embed_positions.weight", "decoder.positional_embedding");
  for (let i = 0; i < dimensions.nTextLayer; i++) {
    const [from, to] = [`decoder.layers.${i}`, `decoder.blocks.${i}`];
    addAttention(`${from}.self_attn`, `${to}.attn`);
    addAttention(`${from}.encoder_attn`, `${to}.cross_attn`);
    for (const [part, own] of Object.entries(DECODER_PARTS)) add(`${from}.${part}`, `${to}.${own}`);
  }
  add("decoder.layer_norm", "decoder.ln");
  return names;
}

/** A name without `model.`: checkpoints of the bare network (WhisperModel) are written without it. */
export function withoutPrefix(name: string): string {
  return name.startsWith("model.") ? name.slice("model.".length) : name;
}
