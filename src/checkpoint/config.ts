/** Reads the sizes of the network from config.json (Hugging Face's WhisperConfig). */
import { parameterCount, type ModelDimensions } from "../model/index.ts";
import type { JsonFields } from "./json-fields.ts";

// Ceilings: about ten times the largest published model (facts 0.4), so that a hostile file cannot ask for more memory
// than a machine has before its parameters have been looked at.
const MAX_MELS = 1024;
const MAX_CONTEXT = 65_536;
const MAX_STATE = 16_384;
const MAX_LAYERS = 256;
const MAX_VOCAB = 1_000_000;
const MAX_PARAMETERS = 2e10;

/**
 * @param config faults are added to its problems
 * @returns undefined if a size is missing or wrong
 */
export function readDimensions(config: JsonFields): ModelDimensions | undefined {
  const type = config.string("model_type");
  if (type !== "whisper") {
    if (config.isEmpty && config.problems.some((problem) => problem.includes(`"${config.file}"`))) return undefined;
    if (type === undefined) config.problems.push(`field "model_type" is missing in "${config.file}"`);
    else config.fault("model_type", `"whisper"`);
    return undefined;
  }
  const activation = config.string("activation_function") ?? "gelu";
  if (activation !== "gelu") config.fault("activation_function", `"gelu"`);

  const size = (name: string, max: number): number => config.integer(name, { min: 1, max, required: true }) ?? 0;
  const state = size("d_model", MAX_STATE);
  const dimensions: ModelDimensions = {
    nMels: config.integer("num_mel_bins", { min: 1, max: MAX_MELS }) ?? 80,
    nAudioCtx: config.integer("max_source_positions", { min: 1, max: MAX_CONTEXT }) ?? 1500,
    nAudioState: state,
    nAudioHead: size("encoder_attention_heads", MAX_STATE),
    nAudioLayer: size("encoder_layers", MAX_LAYERS),
    nVocab: size("vocab_size", MAX_VOCAB),
    nTextCtx: config.integer("max_target_positions", { min: 1, max: MAX_CONTEXT }) ?? 448,
    nTextState: state,
    nTextHead: size("decoder_attention_heads", MAX_STATE),
    nTextLayer: size("decoder_layers", MAX_LAYERS),
  };
  if (Object.values(dimensions).includes(0)) return undefined;

  const before = config.problems.length;
  for (const heads of ["encoder_attention_heads", "decoder_attention_heads"]) {
    if (state % (config.get(heads) as number) !== 0) config.fault(heads, `a divisor of d_model ${state}`);
  }
  for (const width of ["encoder_ffn_dim", "decoder_ffn_dim"]) {
    if ((config.get(width) ?? 4 * state) !== 4 * state) config.fault(width, `4 * d_model = ${4 * state}`);
  }
  const count = parameterCount(dimensions);
  if (count > MAX_PARAMETERS) {
    config.problems.push(`"${config.file}" describes ${count} parameters, expected at most ${MAX_PARAMETERS}`);
  }
  return config.problems.length > before ? undefined : dimensions;
}
