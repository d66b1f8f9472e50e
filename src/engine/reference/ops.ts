/**
 * The network's vocabulary computed at once with plain loops over Float32Array: what every other engine is compared with.
 *
 * Right before fast. All sums are float64; results are stored as float32 between words, where other engines store theirs.
 * Tokens travel as float32 too, which holds ids exactly up to 2^24.
 */
import type {
  ConvParameters,
  CrossCache,
  LinearParameters,
  ModelDimensions,
  NormParameters,
  Ops,
  SelfCache,
} from "../../model/index.ts";
import { tensor, type Tensor } from "../../tensor/index.ts";
import { dotRows, type Rows } from "./dot-rows.ts";
import { gelu } from "./gelu.ts";

const LAYER_NORM_EPSILON = 1e-5;

export class ReferenceOps implements Ops<Tensor> {
  /**
   * @param parameters name -> float32 values, row-major
   * @param past number of cached positions: tokens to be embedded stand after them
   * @param crossQueries gets the query of each cross-attention, in the order of the layers
   */
  constructor(
    private readonly dimensions: ModelDimensions,
    private readonly parameters: ReadonlyMap<string, Float32Array>,
    private readonly past = 0,
    private readonly crossQueries: Tensor[] = [],
  ) {}

  private parameter(name: string): Float32Array {
    const values = this.parameters.get(name);
    if (values === undefined) throw new Error(`The network has no parameter "${name}"`);
    return values;
  }

  conv1d(x: Tensor, { weight, bias, nIn, nOut }: ConvParameters, stride: 1 | 2): Tensor {
    const [batch, , length] = x.dims;
    const nOutLength = length / stride;
    const shift = this.parameter(bias);
    const out = tensor(new Float32Array(batch * nOut * nOutLength), [batch, nOut, nOutLength]);
    const columns = new Float32Array(nOutLength * nIn * 3); // what the kernel sees at each output position, zeros past the ends
    for (let b = 0; b < batch; b++) {
      for (let t = 0; t < nOutLength; t++) {
        for (let channel = 0; channel < nIn; channel++) {
          for (let k = 0; k < 3; k++) {
            const at = t * stride + k - 1;
            const inside = at >= 0 && at < length;
            columns[(t * nIn + channel) * 3 + k] = inside ? x.data[(b * nIn + channel) * length + at] : 0;
          }
        }
      }
      const from = b * nOut * nOutLength;
      const kernels = rows(this.parameter(weight), nIn * 3);
      dotRows(kernels, rows(columns, nIn * 3), rows(out.data, nOutLength, from), nOut, nOutLength, nIn * 3);
      for (let channel = 0; channel < nOut; channel++) {
        for (let t = 0; t < nOutLength; t++) {
          const i = from + channel * nOutLength + t;
          out.data[i] = gelu(out.data[i] + shift[channel]);
        }
      }
    }
    return out;
  }

  addPositions(x: Tensor, positionalEmbedding: string): Tensor {
    const [batch, state, length] = x.dims;
    const positions = this.parameter(positionalEmbedding);
    const out = tensor(new Float32Array(x.data.length), [batch, length, state]);
    for (let b = 0; b < batch; b++) {
      for (let t = 0; t < length; t++) {
        for (let i = 0; i < state; i++) {
          out.data[(b * length + t) * state + i] = x.data[(b * state + i) * length + t] + positions[t * state + i];
        }
      }
    }
    return out;
  }

  layerNorm(x: Tensor, { weight, bias, size }: NormParameters): Tensor {
    const scale = this.parameter(weight);
    const shift = this.parameter(bias);
    const out = tensor(new Float32Array(x.data.length), x.dims);
    for (let from = 0; from < x.data.length; from += size) {
      let sum = 0;
      for (let i = 0; i < size; i++) sum += x.data[from + i];
      const mean = sum / size;
      let squares = 0;
      for (let i = 0; i < size; i++) squares += (x.data[from + i] - mean) ** 2;
      const perDeviation = 1 / Math.sqrt(squares / size + LAYER_NORM_EPSILON);
      for (let i = 0; i < size; i++)
        out.data[from + i] = (x.data[from + i] - mean) * perDeviation * scale[i] + shift[i];
    }
    return out;
  }

  linear(
    x: Tensor,
    { weight, bias, nIn, nOut }: LinearParameters,
    then: { gelu?: boolean; residual?: Tensor } = {},
  ): Tensor {
    const count = x.data.length / nIn;
    const out = tensor(new Float32Array(count * nOut), [...x.dims.slice(0, -1), nOut]);
    dotRows(rows(x.data, nIn), rows(this.parameter(weight), nIn), rows(out.data, nOut), count, nOut, nIn);
    if (bias !== null) {
      const shift = this.parameter(bias);
      for (let from = 0; from < out.data.length; from += nOut) {
        for (let i = 0; i < nOut; i++) out.data[from + i] += shift[i];
      }
    }
    if (then.gelu === true) for (let i = 0; i < out.data.length; i++) out.data[i] = gelu(out.data[i]);
    if (then.residual !== undefined) for (let i = 0; i < out.data.length; i++) out.data[i] += then.residual.data[i];
    return out;
  }

  linears<const P extends readonly LinearParameters[]>(x: Tensor, parameters: P): { [K in keyof P]: Tensor } {
    return parameters.map((p) => this.linear(x, p)) as { [K in keyof P]: Tensor };
  }

  attention(query: Tensor, key: Tensor, value: Tensor, nHead: number): Tensor {
    return attend(query, key, value, nHead, null);
  }

  cachedSelfAttention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cache: SelfCache<Tensor>,
    nHead: number,
  ): { out: Tensor; cache: SelfCache<Tensor> } {
    const longer = { key: appendPositions(cache.key, key), value: appendPositions(cache.value, value) };
    return { out: attend(query, longer.key, longer.value, nHead, { past: cache.key.dims[1] }), cache: longer };
  }

  crossCache(audio: Tensor, key: LinearParameters, value: LinearParameters): CrossCache<Tensor> {
    return this.linears(audio, [key, value]);
  }

  crossAttention(query: Tensor, [key, value]: CrossCache<Tensor>, nHead: number): Tensor {
    this.crossQueries.push(query);
    // No query sees another, so the rows of one window are as good as one longer row.
    const [batch, , state] = key.dims;
    const oneRowPerWindow = tensor(query.data, [batch, query.data.length / (batch * state), state]);
    return tensor(attend(oneRowPerWindow, key, value, nHead, null).data, query.dims);
  }

  embed(tokens: Tensor, tokenEmbedding: string, positionalEmbedding: string): Tensor {
    const [nRows, length] = tokens.dims;
    const { nTextState: state } = this.dimensions;
    const embedding = this.parameter(tokenEmbedding);
    const positions = this.parameter(positionalEmbedding);
    const out = tensor(new Float32Array(nRows * length * state), [nRows, length, state]);
    for (let i = 0; i < nRows * length; i++) {
      const token = tokens.data[i] * state;
      const position = (this.past + (i % length)) * state;
      for (let k = 0; k < state; k++) out.data[i * state + k] = embedding[token + k] + positions[position + k];
    }
    return out;
  }

  logits(x: Tensor, tokenEmbedding: string, nVocab: number): Tensor {
    const nIn = x.dims[x.dims.length - 1];
    return this.linear(x, { weight: tokenEmbedding, bias: null, nIn, nOut: nVocab });
  }
}

const rows = (data: Float32Array, stride: number, from = 0): Rows => ({ data, from, stride });

/** [rows, past, state] and [rows, length, state] -> [rows, past + length, state]. */
function appendPositions(cached: Tensor, added: Tensor): Tensor {
  const [nRows, past, state] = cached.dims;
  const length = past + added.dims[1];
  const out = new Float32Array(nRows * length * state);
  for (let row = 0; row < nRows; row++) {
    out.set(cached.data.subarray(row * past * state, (row + 1) * past * state), row * length * state);
    const from = row * (length - past) * state;
    out.set(added.data.subarray(from, from + (length - past) * state), (row * length + past) * state);
  }
  return tensor(out, [nRows, length, state]);
}

/**
 * Attention of queries [batch, nQuery, state] to keys and values [batch, nKey, state], head by head.
 *
 * @param causal query i sees keys 0 .. past + i; `null`: all keys
 * @returns [batch, nQuery, state]
 */
function attend(query: Tensor, key: Tensor, value: Tensor, nHead: number, causal: { past: number } | null): Tensor {
  const [batch, nQuery, state] = query.dims;
  const nKey = key.dims[1];
  const size = state / nHead;
  const scale = 1 / Math.sqrt(size);
  const out = tensor(new Float32Array(query.data.length), query.dims);
  const weights = new Float32Array(nQuery * nKey);
  const columns = new Float32Array(size * nKey); // one head's values, transposed
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < nHead; head++) {
      const queries = rows(query.data, state, b * nQuery * state + head * size);
      const keys = rows(key.data, state, b * nKey * state + head * size);
      dotRows(queries, keys, rows(weights, nKey), nQuery, nKey, size);
      for (let i = 0; i < nQuery; i++) {
        softmax(weights.subarray(i * nKey, (i + 1) * nKey), scale, causal === null ? nKey : causal.past + i + 1);
      }
      for (let j = 0; j < nKey; j++) {
        const from = (b * nKey + j) * state + head * size;
        for (let i = 0; i < size; i++) columns[i * nKey + j] = value.data[from + i];
      }
      const heard = rows(out.data, state, b * nQuery * state + head * size);
      dotRows(rows(weights, nKey), rows(columns, nKey), heard, nQuery, size, nKey);
    }
  }
  return out;
}

/** Replaces the first `seen` scores by the softmax of `scale` times them, and the others by 0. */
function softmax(scores: Float32Array, scale: number, seen: number): void {
  let largest = -Infinity;
  for (let i = 0; i < seen; i++) largest = Math.max(largest, scores[i]);
  let sum = 0;
  for (let i = 0; i < seen; i++) sum += scores[i] = Math.exp((scores[i] - largest) * scale);
  for (let i = 0; i < seen; i++) scores[i] /= sum;
  scores.fill(0, seen);
}
