/**
 * The parameters of the network: openai/whisper's names, their dims, and how an engine gets at them.
 *
 * Checkpoint formats translate their own names into these (checkpoint/names.ts); engines know no others.
 */
import type { StoredDType } from "../tensor/index.ts";
import type { ModelDimensions } from "./dimensions.ts";

/** Where one parameter lies: so many bytes of a file, row-major, little-endian. */
export interface StoredParameter {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly dims: readonly number[];
  /** Absolute path of a regular file (never a symbolic link: engines map it by its folder). */
  readonly file: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** A checkpoint, opened and checked: every parameter of `parameterDims(dimensions)` is there with the right dims. */
export interface ParameterSource {
  readonly dimensions: ModelDimensions;
  /** What the user called it: for messages. */
  readonly path: string;
  /** Changes whenever the parameters may have changed: keys caches made from them. */
  readonly fingerprint: string;
  /** @throws {Error} if there is no parameter of this name: a defect of the caller, since the source has been checked */
  stored(name: string): StoredParameter;
  /**
   * Reads one parameter as float32, [..dims] row-major: a new array.
   *
   * @throws {CheckpointError} for a number that is not finite
   */
  read(name: string): Promise<Float32Array>;
}

export interface LinearParameters {
  readonly weight: string;
  /** `null`: key projections have no bias (facts 0.10). */
  readonly bias: string | null;
  readonly nIn: number;
  readonly nOut: number;
}

export interface NormParameters {
  readonly weight: string;
  readonly bias: string;
  readonly size: number;
}

export interface ConvParameters {
  readonly weight: string;
  readonly bias: string;
  readonly nIn: number;
  readonly nOut: number;
}

export interface AttentionParameters {
  readonly query: LinearParameters;
  readonly key: LinearParameters;
  readonly value: LinearParameters;
  readonly out: LinearParameters;
  readonly nHead: number;
}

export interface BlockParameters {
  readonly attnNorm: NormParameters;
  readonly attn: AttentionParameters;
  readonly mlpNorm: NormParameters;
  readonly mlpIn: LinearParameters;
  readonly mlpOut: LinearParameters;
}

export interface DecoderBlockParameters extends BlockParameters {
  readonly crossAttnNorm: NormParameters;
  readonly crossAttn: AttentionParameters;
}

const linear = (name: string, nIn: number, nOut: number, bias = true): LinearParameters => ({
  weight: `${name}.weight`,
  bias: bias ? `${name}.bias` : null,
  nIn,
  nOut,
});

const norm = (name: string, size: number): NormParameters => ({ weight: `${name}.weight`, bias: `${name}.bias`, size });

const conv = (name: string, nIn: number, nOut: number): ConvParameters => ({
  weight: `${name}.weight`,
  bias: `${name}.bias`,
  nIn,
  nOut,
});

const attention = (name: string, size: number, nHead: number): AttentionParameters => ({
  query: linear(`${name}.query`, size, size),
  key: linear(`${name}.key`, size, size, false),
  value: linear(`${name}.value`, size, size),
  out: linear(`${name}.out`, size, size),
  nHead,
});

export interface EncoderParameters {
  readonly conv1: ConvParameters;
  readonly conv2: ConvParameters;
  readonly positionalEmbedding: string;
  readonly blocks: readonly BlockParameters[];
  readonly norm: NormParameters;
}

export interface DecoderParameters {
  readonly tokenEmbedding: string;
  readonly positionalEmbedding: string;
  readonly blocks: readonly DecoderBlockParameters[];
  readonly norm: NormParameters;
}

/** Names and sizes of the encoder's parameters. */
export function encoderParameters(dimensions: ModelDimensions): EncoderParameters {
  const { nMels, nAudioState: size, nAudioHead, nAudioLayer } = dimensions;
  return {
    conv1: conv("encoder.conv1", nMels, size),
    conv2: conv("encoder.conv2", size, size),
    positionalEmbedding: "encoder.positional_embedding",
    blocks: Array.from({ length: nAudioLayer }, (_, i) => block(`encoder.blocks.${i}`, size, nAudioHead)),
    norm: norm("encoder.ln_post", size),
  };
}

/** Names and sizes of the decoder's parameters. */
export function decoderParameters(dimensions: ModelDimensions): DecoderParameters {
  const { nTextState: size, nTextHead, nTextLayer } = dimensions;
  return {
    tokenEmbedding: "decoder.token_embedding.weight",
    positionalEmbedding: "decoder.positional_embedding",
    blocks: Array.from({ length: nTextLayer }, (_, i) => ({
      ...block(`decoder.blocks.${i}`, size, nTextHead),
      crossAttnNorm: norm(`decoder.blocks.${i}.cross_attn_ln`, size),
      crossAttn: attention(`decoder.blocks.${i}.cross_attn`, size, nTextHead),
    })),
    norm: norm("decoder.ln", size),
  };
}

function block(name: string, size: number, nHead: number): BlockParameters {
  return {
    attnNorm: norm(`${name}.attn_ln`, size),
    attn: attention(`${name}.attn`, size, nHead),
    mlpNorm: norm(`${name}.mlp_ln`, size),
    mlpIn: linear(`${name}.mlp.0`, size, 4 * size),
    mlpOut: linear(`${name}.mlp.2`, 4 * size, size),
  };
}

/** Every parameter of a network of these dimensions: name -> dims, in the order of computation. */
export function parameterDims(dimensions: ModelDimensions): Map<string, readonly number[]> {
  const dims = new Map<string, readonly number[]>();
  const addLinear = (p: LinearParameters): void => {
    dims.set(p.weight, [p.nOut, p.nIn]);
    if (p.bias !== null) dims.set(p.bias, [p.nOut]);
  };
  const addNorm = (p: NormParameters): void => {
    dims.set(p.weight, [p.size]).set(p.bias, [p.size]);
  };
  const addConv = (p: ConvParameters): void => {
    dims.set(p.weight, [p.nOut, p.nIn, 3]).set(p.bias, [p.nOut]);
  };
  const addAttention = (p: AttentionParameters): void => [p.query, p.key, p.value, p.out].forEach(addLinear);
  const addBlock = (p: BlockParameters): void => {
    addNorm(p.attnNorm);
    addAttention(p.attn);
    addNorm(p.mlpNorm);
    addLinear(p.mlpIn);
    addLinear(p.mlpOut);
  };

  const encoder = encoderParameters(dimensions);
  addConv(encoder.conv1);
  addConv(encoder.conv2);
  dims.set(encoder.positionalEmbedding, [dimensions.nAudioCtx, dimensions.nAudioState]);
  encoder.blocks.forEach(addBlock);
  addNorm(encoder.norm);

  const decoder = decoderParameters(dimensions);
  dims.set(decoder.tokenEmbedding, [dimensions.nVocab, dimensions.nTextState]);
  dims.set(decoder.positionalEmbedding, [dimensions.nTextCtx, dimensions.nTextState]);
  for (const p of decoder.blocks) {
    addBlock(p);
    addNorm(p.crossAttnNorm);
    addAttention(p.crossAttn);
  }
  addNorm(decoder.norm);
  return dims;
}
