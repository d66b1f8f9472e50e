/**
 * The reference engine: the network computed by reference/ops.ts on the caller's thread, one request after another.
 *
 * Made to be believed, not to be used: tests hold the other engines to it. Everything happens before a promise is
 * returned, and no row ever meets another, so its results cannot depend on order or batch.
 */
import {
  crossCaches,
  decoderParameters,
  decoderStep,
  encoder,
  parameterDims,
  windowFrames,
  type CrossCache,
  type ModelDimensions,
  type ParameterSource,
  type SelfCache,
} from "../../model/index.ts";
import { assertShape, sizeOf, tensor, type Tensor } from "../../tensor/index.ts";
import type {
  AttendRequest,
  Attention,
  AudioState,
  AudioWindowRef,
  DecoderRow,
  DecoderState,
  EncodeOptions,
  Engine,
  Generated,
  GenerateRequest,
  Generation,
  OnGenerated,
  RankedTokens,
  RankRequest,
} from "../engine.ts";
import { applyTokenRules, argmax, logSumExp } from "../token-rules.ts";
import { IDLE, rankRows } from "../token-scores.ts";
import {
  checkAttend,
  checkCombine,
  checkRank,
  checkReorder,
  checkRequests,
  checkRows,
  checkStep,
  finiteAttention,
  finiteGenerated,
  finiteLogits,
} from "../checks.ts";
import { processorBatchSize } from "../batch-size.ts";
import { runToEnd } from "../generation.ts";
import { KeptAudio, ownAudio, ownDecoder } from "../kept-audio.ts";
import { ReferenceOps } from "./ops.ts";

/** Reads every parameter into memory as float32. */
export async function createReferenceEngine(parameters: ParameterSource): Promise<ReferenceEngine> {
  const values = new Map<string, Float32Array>();
  for (const name of parameterDims(parameters.dimensions).keys()) values.set(name, await parameters.read(name));
  return new ReferenceEngine(parameters.dimensions, values);
}

/** What is kept of a window: cross caches, one a decoder layer. */
type WindowCaches = readonly CrossCache<Tensor>[];

class ReferenceDecoderState implements DecoderState {
  disposed = false;

  constructor(
    readonly owner: ReferenceEngine,
    readonly rows: number,
    readonly windows: number,
    public selfCaches: SelfCache<Tensor>[],
    readonly crossCaches: readonly CrossCache<Tensor>[],
  ) {}

  get length(): number {
    return this.selfCaches[0].key.dims[1];
  }

  dispose(): void {
    this.disposed = true;
    this.selfCaches = this.selfCaches.map(({ key, value }) => ({ key: empty(key), value: empty(value) }));
  }
}

/** See the head of this file; made by `createReferenceEngine`. */
export class ReferenceEngine implements Engine {
  readonly device = "reference";
  readonly dtype = "float32";
  readonly parallelism = 1;
  readonly batchSize: number;
  private disposed = false;

  constructor(
    readonly dimensions: ModelDimensions,
    private readonly parameters: Map<string, Float32Array>,
  ) {
    this.batchSize = processorBatchSize(dimensions, this.parallelism);
  }

  async encode(mel: Tensor, options: EncodeOptions = {}): Promise<AudioState> {
    this.check();
    assertShape("mel", mel, ["batch", this.dimensions.nMels, windowFrames(this.dimensions)]);
    const ops = new ReferenceOps(this.dimensions, this.parameters);
    const features = encoder(ops, this.dimensions, mel);
    const caches = crossCaches(ops, this.dimensions, features);
    const windows = Array.from({ length: mel.dims[0] }, (_, window): WindowCaches =>
      caches.map((cache) => cache.map((part) => pick(part, [window]))),
    );
    options.onEncoded?.(windows.length);
    return KeptAudio.of(this, windows, options.keepFeatures === true ? features : null, () => {});
  }

  combine(windows: readonly AudioWindowRef[]): AudioState {
    const parts = windows.map(({ audio, window }) => ({ audio: this.audio(audio), window }));
    checkCombine(parts);
    return KeptAudio.combine(this, parts);
  }

  async generate(
    audio: AudioState,
    requests: readonly GenerateRequest[],
    onGenerated?: OnGenerated,
  ): Promise<Generated[]> {
    return runToEnd(this.startGeneration(audio, requests), requests.length, onGenerated);
  }

  startGeneration(audio: AudioState, requests: readonly GenerateRequest[]): Generation {
    const state = this.audio(audio);
    checkRequests(requests, audio.batch, this.dimensions);
    const rows = new Map(requests.map((request, index) => [index, this.generateOne(state, request)]));
    return {
      get rows(): number {
        return rows.size;
      },
      advance: async (steps) => {
        this.check();
        // One row after another: a row's steps are not cheaper beside others'.
        for (const [index, row] of rows) {
          for (let step = 0; step < steps; step++) {
            const { done, value } = row.next();
            if (done !== true) continue;
            rows.delete(index);
            return [{ index, generated: finiteGenerated(this, [value])[0] }];
          }
          return [];
        }
        return [];
      },
      cancel: (index) => void rows.delete(index),
      dispose: () => rows.clear(),
    };
  }

  /** A token at each turn. */
  private *generateOne(
    audio: KeptAudio<WindowCaches>,
    request: GenerateRequest,
  ): Generator<undefined, Generated, undefined> {
    const { window, prompt, sotIndex, noSpeech, rules, maxNewTokens } = request;
    const { state, hidden } = this.prefill(audio, [request], [window]);
    const atSot = this.logits(hidden, [sotIndex]);
    const noSpeechProb = Math.exp(atSot[noSpeech] - logSumExp(atSot));

    let logits = this.logits(hidden, [prompt.length - 1]);
    const tokens: number[] = [];
    const tokenLogprobs: number[] = [];
    let stop: Generated["stop"] = "length";
    while (tokens.length < maxNewTokens) {
      applyTokenRules(logits, tokens, rules);
      const token = argmax(logits);
      tokenLogprobs.push(logits[token] - logSumExp(logits));
      if (token === rules.eot) {
        stop = "eot";
        break;
      }
      tokens.push(token);
      if (tokens.length < maxNewTokens) logits = this.advance(state, [token]);
      yield;
    }
    return { tokens: Int32Array.from(tokens), tokenLogprobs: Float32Array.from(tokenLogprobs), noSpeechProb, stop };
  }

  async startDecoder(
    audio: AudioState,
    rows: readonly DecoderRow[],
    at?: readonly number[],
  ): Promise<{ state: DecoderState; logits: Float32Array }> {
    const windows = checkRows(rows, at, audio.batch, this.dimensions);
    const { state, hidden } = this.prefill(this.audio(audio), rows, windows);
    return { state, logits: finiteLogits(this, this.logits(hidden, at ?? [rows[0].prompt.length - 1])) };
  }

  async step(state: DecoderState, tokens: Int32Array): Promise<Float32Array> {
    const decoder = this.decoder(state);
    checkStep(tokens, decoder.rows, decoder.length, this.dimensions);
    return finiteLogits(this, this.advance(decoder, tokens));
  }

  async stepRanked(state: DecoderState, request: RankRequest): Promise<RankedTokens> {
    const decoder = this.decoder(state);
    checkRank(request, decoder.rows, decoder.length, this.dimensions);
    // Idle rows are computed with the others, and not looked at.
    const tokens = request.tokens.map((token) => (token === IDLE ? request.rules.eot : token));
    return rankRows(finiteLogits(this, this.advance(decoder, tokens)), request);
  }

  async reorder(state: DecoderState, from: Int32Array): Promise<void> {
    const decoder = this.decoder(state);
    checkReorder(from, decoder.rows, decoder.windows);
    const order = [...from];
    decoder.selfCaches = decoder.selfCaches.map(({ key, value }) => ({
      key: pick(key, order),
      value: pick(value, order),
    }));
  }

  async attend(
    audio: AudioState,
    requests: readonly AttendRequest[],
    heads: readonly (readonly [layer: number, head: number])[],
  ): Promise<Attention[]> {
    const encoded = this.audio(audio);
    checkAttend(requests, heads, audio.batch, this.dimensions);
    return finiteAttention(
      this,
      requests.map((request) => this.attendOne(encoded, request, heads)),
    );
  }

  private attendOne(
    audio: KeptAudio<WindowCaches>,
    { window, tokens, from, eot }: AttendRequest,
    heads: readonly (readonly [layer: number, head: number])[],
  ): Attention {
    const queries: Tensor[] = [];
    const { state, hidden } = this.prefill(audio, [{ prompt: tokens }], [window], queries);
    const { nTextState, nTextHead, nAudioCtx, nVocab } = this.dimensions;
    const size = nTextState / nTextHead;
    const scores = new Float32Array(heads.length * tokens.length * nAudioCtx);
    let next = 0;
    for (const [layer, head] of heads) {
      const query = queries[layer].data; // [1, tokens, state]
      const key = state.crossCaches[layer][0].data; // [1, nAudioCtx, state]
      for (let t = 0; t < tokens.length; t++) {
        for (let frame = 0; frame < nAudioCtx; frame++) {
          let sum = 0;
          for (let i = head * size; i < (head + 1) * size; i++) {
            sum += query[t * nTextState + i] * key[frame * nTextState + i];
          }
          scores[next++] = sum / Math.sqrt(size);
        }
      }
    }
    const text = tokens.slice(from + 1, -1);
    const positions = text.map((_, i) => from + i);
    const logits = this.logits(hidden, positions);
    const tokenProbs = Float32Array.from(text, (id, i) => {
      const row = logits.subarray(i * nVocab, i * nVocab + eot);
      return Math.exp(row[id] - logSumExp(row));
    });
    return { scores: tensor(scores, [heads.length, tokens.length, nAudioCtx]), tokenProbs };
  }

  async dispose(): Promise<void> {
    this.disposed = true;
    this.parameters.clear();
  }

  /** Runs the prompts; `hidden` is [rows, length, nTextState]. */
  private prefill(
    audio: KeptAudio<WindowCaches>,
    rows: readonly Pick<DecoderRow, "prompt">[],
    windows: readonly number[],
    queries: Tensor[] = [],
  ): { state: ReferenceDecoderState; hidden: Tensor } {
    const nothing = tensor(new Float32Array(0), [rows.length, 0, this.dimensions.nTextState]);
    const selfCaches = decoderParameters(this.dimensions).blocks.map(() => ({ key: nothing, value: nothing }));
    const state = new ReferenceDecoderState(this, rows.length, windows.length, selfCaches, cachesOf(audio, windows));
    return {
      state,
      hidden: this.run(
        state,
        rows.flatMap((row) => row.prompt),
        queries,
      ),
    };
  }

  /** Adds one token to each row: logits [rows, nVocab]. */
  private advance(state: ReferenceDecoderState, tokens: ArrayLike<number>): Float32Array {
    return this.logits(this.run(state, tokens), [0]);
  }

  /** @param queries gets each layer's cross-attention query [rows, length, state] */
  private run(state: ReferenceDecoderState, tokens: ArrayLike<number>, queries: Tensor[] = []): Tensor {
    const ops = new ReferenceOps(this.dimensions, this.parameters, state.length, queries);
    const ids = tensor(Float32Array.from(tokens), [state.rows, tokens.length / state.rows]);
    const step = decoderStep(ops, this.dimensions, ids, state.selfCaches, state.crossCaches);
    state.selfCaches = step.selfCaches;
    return step.hidden;
  }

  /** Logits of some positions of hidden states [rows, length, nTextState]: [rows, at.length, nVocab]. */
  private logits(hidden: Tensor, at: readonly number[]): Float32Array {
    const [rows, length, size] = hidden.dims;
    const wanted = Array.from({ length: rows }, (_, row) => at.map((position) => row * length + position)).flat();
    const chosen = pick(tensor(hidden.data, [rows * length, 1, size]), wanted);
    const ops = new ReferenceOps(this.dimensions, this.parameters);
    return ops.logits(chosen, decoderParameters(this.dimensions).tokenEmbedding, this.dimensions.nVocab).data;
  }

  private check(): void {
    if (this.disposed) throw new Error("Cannot use an engine after its dispose()");
  }

  private audio(state: AudioState): KeptAudio<WindowCaches> {
    this.check();
    return ownAudio(this, state);
  }

  private decoder(state: DecoderState): ReferenceDecoderState {
    this.check();
    const decoder = ownDecoder(this, state, ReferenceDecoderState);
    if (decoder.disposed) throw new Error("Cannot use a decoder state after its dispose()");
    return decoder;
  }
}

/** Cross caches of these windows together, one a decoder layer. */
function cachesOf(audio: KeptAudio<WindowCaches>, windows: readonly number[]): CrossCache<Tensor>[] {
  const each = windows.map((window) => audio.window(window));
  return each[0].map((cache, layer) => cache.map((_, i) => stack(each.map((caches) => caches[layer][i]))));
}

/** Chosen slices of the outermost axis, copied unless it is one. */
function pick(x: Tensor, indices: readonly number[]): Tensor {
  const dims = [indices.length, ...x.dims.slice(1)];
  const size = sizeOf(x.dims.slice(1));
  if (indices.length === 1) return tensor(x.data.subarray(indices[0] * size, (indices[0] + 1) * size), dims);
  const out = new Float32Array(indices.length * size);
  indices.forEach((index, i) => out.set(x.data.subarray(index * size, (index + 1) * size), i * size));
  return tensor(out, dims);
}

/** Tensors of equal dims below each other. */
function stack(parts: readonly Tensor[]): Tensor {
  if (parts.length === 1) return parts[0];
  const { dims, data } = parts[0];
  const out = new Float32Array(parts.length * data.length);
  parts.forEach((part, i) => out.set(part.data, i * data.length));
  return tensor(out, [parts.length * dims[0], ...dims.slice(1)]);
}

function empty({ dims: [rows, , state] }: Tensor): Tensor {
  return tensor(new Float32Array(0), [rows, 0, state]);
}
