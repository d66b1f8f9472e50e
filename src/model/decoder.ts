/** The text decoder, written once over the vocabulary of ops.ts (facts 0.10). */
import type { ModelDimensions } from "./dimensions.ts";
import { mlp } from "./encoder.ts";
import type { CrossCache, DecoderOps, SelfCache } from "./ops.ts";
import { decoderParameters, type DecoderBlockParameters } from "./parameters.ts";

/**
 * Runs new tokens through the decoder, after those that are cached. One token at a time or a whole prompt: the same program.
 *
 * @param tokens ids [rows, length]
 * @param selfCaches one a layer; empty caches for the first call
 * @param crossCaches one a layer, of the windows that the rows listen to
 * @returns the final hidden states [rows, length, nTextState] (logits are `ops.logits` of the positions wanted), and the
 * caches for the next call
 */
export function decoderStep<T>(
  ops: DecoderOps<T>,
  dimensions: ModelDimensions,
  tokens: T,
  selfCaches: readonly SelfCache<T>[],
  crossCaches: readonly CrossCache<T>[],
): { hidden: T; selfCaches: SelfCache<T>[] } {
  const p = decoderParameters(dimensions);
  let x = ops.embed(tokens, p.tokenEmbedding, p.positionalEmbedding);
  const updated: SelfCache<T>[] = [];
  p.blocks.forEach((block, layer) => {
    const step = decoderBlock(ops, block, x, selfCaches[layer], crossCaches[layer]);
    x = step.out;
    updated.push(step.cache);
  });
  return { hidden: ops.layerNorm(x, p.norm), selfCaches: updated };
}

function decoderBlock<T>(
  ops: DecoderOps<T>,
  p: DecoderBlockParameters,
  x: T,
  selfCache: SelfCache<T>,
  crossCache: CrossCache<T>,
): { out: T; cache: SelfCache<T> } {
  const [query, key, value] = ops.linears(ops.layerNorm(x, p.attnNorm), [p.attn.query, p.attn.key, p.attn.value]);
  const self = ops.cachedSelfAttention(query, key, value, selfCache, p.attn.nHead);
  x = ops.linear(self.out, p.attn.out, { residual: x });
  const crossQuery = ops.linear(ops.layerNorm(x, p.crossAttnNorm), p.crossAttn.query);
  const heard = ops.crossAttention(crossQuery, crossCache, p.crossAttn.nHead);
  x = ops.linear(heard, p.crossAttn.out, { residual: x });
  return { out: mlp(ops, p, x), cache: self.cache };
}
