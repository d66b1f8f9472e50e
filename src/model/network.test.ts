/** The network run by an interpreter that only checks: dims of every operand, and which parameters are read. */
import { describe, expect, it } from "vitest";
import { decoderStep } from "./decoder.ts";
import type { ModelDimensions } from "./dimensions.ts";
import { crossCaches, encoder } from "./encoder.ts";
import type { CrossCache, Ops, SelfCache } from "./ops.ts";
import { decoderParameters, parameterDims, type LinearParameters } from "./parameters.ts";

type Dims = readonly number[];

class CheckingOps implements Ops<Dims> {
  /** Times that each parameter was read. */
  readonly reads = new Map<string, number>();
  private readonly dims: Map<string, Dims>;

  constructor(dimensions: ModelDimensions) {
    this.dims = parameterDims(dimensions);
  }

  private read(name: string, ...want: number[]): void {
    expect(this.dims.get(name), name).toEqual(want);
    this.reads.set(name, (this.reads.get(name) ?? 0) + 1);
  }

  conv1d(
    [batch, nIn, length]: Dims,
    p: { weight: string; bias: string; nIn: number; nOut: number },
    stride: 1 | 2,
  ): Dims {
    this.read(p.weight, p.nOut, p.nIn, 3);
    this.read(p.bias, p.nOut);
    expect(nIn).toBe(p.nIn);
    return [batch, p.nOut, length / stride];
  }

  addPositions([batch, state, length]: Dims, name: string): Dims {
    this.read(name, length, state);
    return [batch, length, state];
  }

  layerNorm(x: Dims, p: { weight: string; bias: string; size: number }): Dims {
    this.read(p.weight, p.size);
    this.read(p.bias, p.size);
    expect(x.at(-1)).toBe(p.size);
    return x;
  }

  linear(x: Dims, p: LinearParameters, then: { gelu?: boolean; residual?: Dims } = {}): Dims {
    this.read(p.weight, p.nOut, p.nIn);
    if (p.bias !== null) this.read(p.bias, p.nOut);
    expect(x.at(-1)).toBe(p.nIn);
    const out = [...x.slice(0, -1), p.nOut];
    if (then.residual !== undefined) expect(then.residual).toEqual(out);
    return out;
  }

  linears<const P extends readonly LinearParameters[]>(x: Dims, parameters: P): { [K in keyof P]: Dims } {
    return parameters.map((p) => this.linear(x, p)) as { [K in keyof P]: Dims };
  }

  attention(query: Dims, key: Dims, value: Dims, nHead: number): Dims {
    expect([key, value]).toEqual([query, query]);
    expect(query[2] % nHead).toBe(0);
    return query;
  }

  cachedSelfAttention(
    query: Dims,
    key: Dims,
    value: Dims,
    cache: SelfCache<Dims>,
  ): { out: Dims; cache: SelfCache<Dims> } {
    expect([key, value]).toEqual([query, query]);
    expect(cache.value).toEqual(cache.key);
    const longer = [query[0], cache.key[1] + query[1], query[2]];
    return { out: query, cache: { key: longer, value: longer } };
  }

  crossCache(audio: Dims, key: LinearParameters, value: LinearParameters): CrossCache<Dims> {
    return this.linears(audio, [key, value]);
  }

  crossAttention(query: Dims, [key, value]: CrossCache<Dims>): Dims {
    expect(value).toEqual(key);
    expect([query[0] % key[0], query[2]]).toEqual([0, key[2]]);
    return query;
  }

  embed([rows, length]: Dims, tokenEmbedding: string, positionalEmbedding: string): Dims {
    this.read(tokenEmbedding, ...this.dims.get(tokenEmbedding)!);
    this.read(positionalEmbedding, ...this.dims.get(positionalEmbedding)!);
    return [rows, length, this.dims.get(tokenEmbedding)![1]];
  }

  logits([rows, n, state]: Dims, tokenEmbedding: string, nVocab: number): Dims {
    this.read(tokenEmbedding, nVocab, state);
    return [rows, n, nVocab];
  }
}

const dimensions: ModelDimensions = {
  nMels: 80,
  nAudioCtx: 50,
  nAudioState: 192,
  nAudioHead: 3,
  nAudioLayer: 3,
  nVocab: 301,
  nTextCtx: 20,
  nTextState: 192,
  nTextHead: 3,
  nTextLayer: 2,
};

function run(ops: CheckingOps): { audio: Dims; hidden: Dims; selfCaches: SelfCache<Dims>[] } {
  const audio = encoder(ops, dimensions, [2, 80, 100]);
  const caches = crossCaches(ops, dimensions, audio);
  const past = Array.from({ length: 2 }, () => ({ key: [4, 5, 192], value: [4, 5, 192] }));
  const { hidden, selfCaches } = decoderStep(ops, dimensions, [4, 3], past, caches);
  return { audio, hidden, selfCaches };
}

describe("the network", () => {
  it("encoder() halves the frames, and crossCaches() gives one cache a decoder layer", () => {
    const ops = new CheckingOps(dimensions);
    const audio = encoder(ops, dimensions, [2, 80, 100]);
    expect(audio).toEqual([2, 50, 192]);
    expect(crossCaches(ops, dimensions, audio)).toEqual([
      [audio, audio],
      [audio, audio],
    ]);
  });

  it("decoderStep() gives hidden states of the new tokens, and longer caches", () => {
    const { hidden, selfCaches } = run(new CheckingOps(dimensions));
    expect(hidden).toEqual([4, 3, 192]);
    expect(selfCaches.map(({ key }) => key)).toEqual([
      [4, 8, 192],
      [4, 8, 192],
    ]);
  });

  it("reads every parameter once, the token embedding again for the logits, and no other", () => {
    const ops = new CheckingOps(dimensions);
    const { hidden } = run(ops);
    const { tokenEmbedding } = decoderParameters(dimensions);
    expect(ops.logits(hidden, tokenEmbedding, dimensions.nVocab)).toEqual([4, 3, 301]);
    expect([...ops.reads.keys()].sort()).toEqual([...parameterDims(dimensions).keys()].sort());
    expect([...ops.reads].filter(([, times]) => times !== 1)).toEqual([[tokenEmbedding, 2]]);
  });
});

describe("parameterDims()", () => {
  it("has openai/whisper's names", () => {
    const names = [...parameterDims(dimensions).keys()];
    for (const name of [
      "encoder.conv1.weight",
      "encoder.positional_embedding",
      "encoder.blocks.2.attn.query.bias",
      "encoder.blocks.0.mlp.2.weight",
      "encoder.ln_post.bias",
      "decoder.token_embedding.weight",
      "decoder.positional_embedding",
      "decoder.blocks.1.cross_attn.value.bias",
      "decoder.blocks.1.cross_attn_ln.weight",
      "decoder.ln.weight",
    ]) {
      expect(names).toContain(name);
    }
    expect(
      names.filter((name) => name.endsWith("key.bias")),
      "key projections have no bias (facts 0.10)",
    ).toEqual([]);
    expect(names.filter((name) => /encoder\.blocks.*cross/.test(name))).toEqual([]);
  });
});
