/** The audio encoder, written once over the vocabulary of ops.ts (facts 0.10). */
import type { ModelDimensions } from "./dimensions.ts";
import type { BlockOps, CrossCache, EncoderOps } from "./ops.ts";
import { decoderParameters, encoderParameters, type BlockParameters } from "./parameters.ts";

/**
 * Encodes windows of audio.
 *
 * @param mel log-Mel spectrogram [batch, nMels, 2 * nAudioCtx]
 * @returns [batch, nAudioCtx, nAudioState]
 */
export function encoder<T>(ops: EncoderOps<T>, dimensions: ModelDimensions, mel: T): T {
  const p = encoderParameters(dimensions);
  let x = ops.conv1d(mel, p.conv1, 1);
  x = ops.conv1d(x, p.conv2, 2);
  x = ops.addPositions(x, p.positionalEmbedding);
  for (const block of p.blocks) x = encoderBlock(ops, block, x);
  return ops.layerNorm(x, p.norm);
}

function encoderBlock<T>(ops: EncoderOps<T>, p: BlockParameters, x: T): T {
  const normed = ops.layerNorm(x, p.attnNorm);
  const [query, key, value] = ops.linears(normed, [p.attn.query, p.attn.key, p.attn.value]);
  const attended = ops.attention(query, key, value, p.attn.nHead);
  return mlp(ops, p, ops.linear(attended, p.attn.out, { residual: x }));
}

/** The feed-forward half of a block: the same in encoder and decoder. */
export function mlp<T>(ops: BlockOps<T>, p: BlockParameters, x: T): T {
  const hidden = ops.linear(ops.layerNorm(x, p.mlpNorm), p.mlpIn, { gelu: true });
  return ops.linear(hidden, p.mlpOut, { residual: x });
}

/** What the decoder remembers of the audio: one cache a decoder layer, computed once a window. */
export function crossCaches<T>(ops: EncoderOps<T>, dimensions: ModelDimensions, audio: T): CrossCache<T>[] {
  return decoderParameters(dimensions).blocks.map(({ crossAttn: p }) => ops.crossCache(audio, p.key, p.value, p.nHead));
}
