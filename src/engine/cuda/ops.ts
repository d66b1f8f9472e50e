/**
 * The network's vocabulary as kernel launches: `EncoderLaunches` and `DecoderLaunches` ask for each word's kernels when it is said, to be run or to
 * be captured as a graph.
 *
 * Every word writes to the one place that it always writes to (the network needs no two results of one word at a time), so a whole network
 * needs the memory of one layer. A result that is used after its place was written again would be a defect of the network, and is refused.
 */
import {
  decoderParameters,
  type BlockOps,
  type ConvParameters,
  type CrossCache,
  type DecoderOps,
  type DecoderParameters,
  type EncoderOps,
  type LinearParameters,
  type ModelDimensions,
  type NormParameters,
  type SelfCache,
} from "../../model/index.ts";
import { BYTES_PER_ELEMENT } from "../../tensor/index.ts";
import { HEAD_SIZE, type Kernels, type StepRows } from "./kernels.ts";
import type { DecoderScratch, EncoderScratch } from "./scratch.ts";
import type { DeviceWeights } from "./weights.ts";

/** A result: rows of numbers in the place of the word that made it. */
export interface Value {
  readonly place: string;
  /** How often the place had been written when the result was made. */
  readonly version: number;
  readonly address: number;
  /** Numbers from one row to the next. */
  readonly stride: number;
}

/** What is asked of each cross-attention besides its result: for word times. */
export type CrossQueryListener = (layer: number, query: number) => void;

abstract class Launches implements BlockOps<Value> {
  readonly #versions = new Map<string, number>();

  constructor(
    protected readonly kernels: Kernels,
    protected readonly weights: DeviceWeights,
    protected readonly dimensions: ModelDimensions,
    /** Width of the rows. */
    protected readonly state: number,
    /** Most rows. */
    protected readonly m: number,
    /** Device address of how many there are; undefined for `m`. */
    protected readonly rowCount: number | undefined,
    private readonly places: { readonly x: number; readonly normed: number; readonly wide: number },
  ) {}

  /** Marks a place as written. */
  protected made(place: string, address: number, stride: number): Value {
    const version = (this.#versions.get(place) ?? 0) + 1;
    this.#versions.set(place, version);
    return { place, version, address, stride };
  }

  protected use(value: Value): Value {
    if (this.#versions.get(value.place) !== value.version) {
      throw new Error(`The network uses a result of "${value.place}" that has been overwritten`);
    }
    return value;
  }

  /** The residual stream: float32 [m, state]. */
  protected freshResidual(): Value {
    return this.made("residual", this.places.x, this.state);
  }

  /** Bytes of so many numbers of a row, for all rows. */
  protected rowsOf(numbers: number): number {
    return this.m * numbers * BYTES_PER_ELEMENT[this.kernels.dtype];
  }

  /** Keys, queries and values take three quarters of the place where the hidden layer is made later, what was heard the rest. */
  protected get heardPlace(): number {
    return this.places.wide + this.rowsOf(3 * this.state);
  }

  layerNorm(x: Value, p: NormParameters): Value {
    this.kernels.layerNorm({
      x: this.use(x).address,
      weight: this.weights.address(p.weight),
      bias: this.weights.address(p.bias),
      out: this.places.normed,
      rowIndex: null,
      rowCount: this.rowCount,
      rows: this.m,
      size: p.size,
    });
    return this.made("normed", this.places.normed, p.size);
  }

  linear(x: Value, p: LinearParameters, then: { gelu?: boolean; residual?: Value } = {}): Value {
    const a = { address: this.use(x).address, stride: x.stride };
    const shared = {
      weight: this.weights.address(p.weight),
      bias: this.weights.bias(p),
      m: this.m,
      n: p.nOut,
      k: p.nIn,
      rowCount: this.rowCount,
    };
    if (then.residual !== undefined) {
      const out = this.use(then.residual);
      this.kernels.product({ ...shared, a, out, epilogue: "residual" });
      return out;
    }
    const epilogue = then.gelu === true ? "gelu" : "store";
    this.kernels.product({ ...shared, a, out: { address: this.places.wide, stride: p.nOut }, epilogue });
    return this.made("wide", this.places.wide, p.nOut);
  }

  linears<const P extends readonly LinearParameters[]>(x: Value, parameters: P): { [K in keyof P]: Value } {
    const [first] = parameters;
    const width = parameters.reduce((sum, { nOut }) => sum + nOut, 0);
    this.kernels.product({
      a: { address: this.use(x).address, stride: x.stride },
      weight: this.weights.address(first.weight),
      bias: this.weights.bias(first),
      out: { address: this.places.wide, stride: width },
      m: this.m,
      n: width,
      k: first.nIn,
      rowCount: this.rowCount,
      epilogue: "store",
    });
    const all = this.made("wide", this.places.wide, width);
    let column = 0;
    return parameters.map(({ nOut }) => {
      const address = all.address + column * BYTES_PER_ELEMENT[this.kernels.dtype];
      column += nOut;
      return { ...all, address };
    }) as { [K in keyof P]: Value };
  }
}

export class EncoderLaunches extends Launches implements EncoderOps<Value> {
  readonly #scratch: EncoderScratch;
  readonly #batch: number;
  /** Where the cross-attention caches of the next layer go: [batch] windows, `windowBytes` apart. */
  #cache: number;
  readonly #windowBytes: number;
  /** A convolution that waits for the positions that are added to it. */
  #waiting: { readonly x: Value; readonly p: ConvParameters } | null = null;

  /** @param caches where the cross-attention caches of the windows go */
  constructor(
    kernels: Kernels,
    weights: DeviceWeights,
    dimensions: ModelDimensions,
    scratch: EncoderScratch,
    batch: number,
    caches: { readonly address: number; readonly windowBytes: number },
  ) {
    const { nAudioCtx, nAudioState } = dimensions;
    super(kernels, weights, dimensions, nAudioState, batch * nAudioCtx, undefined, scratch);
    this.#scratch = scratch;
    this.#batch = batch;
    this.#cache = caches.address;
    this.#windowBytes = caches.windowBytes;
  }

  /** The log-Mel spectrogram that the scratch memory holds. */
  get mel(): Value {
    return this.made("mel", this.#scratch.mel, this.dimensions.nMels);
  }

  /**
   * A row of three neighbours is a row of three times the width that overlaps the next: a convolution is a product. Batches have a row of zeros at
   * either end.
   */
  conv1d(x: Value, p: ConvParameters, stride: 1 | 2): Value {
    this.use(x);
    if (stride === 2) {
      this.#waiting = { x, p };
      return x;
    }
    const length = 2 * this.dimensions.nAudioCtx;
    const out = this.#scratch.convolved;
    const rowBytes = p.nOut * BYTES_PER_ELEMENT[this.kernels.dtype];
    const { device } = this.kernels;
    device.fill(out, 0, rowBytes);
    for (let b = 1; b < this.#batch; b++) device.fill(out + (b * (length + 2) - 1) * rowBytes, 0, 2 * rowBytes);
    device.fill(out + (this.#batch * (length + 2) - 1) * rowBytes, 0, rowBytes);
    this.kernels.product({
      a: { address: x.address, stride: p.nIn, perBatch: length, batchStride: (length + 2) * p.nIn },
      weight: this.weights.address(p.weight),
      bias: this.weights.address(p.bias),
      out: { address: out + rowBytes, stride: p.nOut, perBatch: length, batchStride: (length + 2) * p.nOut },
      m: this.#batch * length,
      n: p.nOut,
      k: 3 * p.nIn,
      epilogue: "gelu",
    });
    return this.made("wide", out, p.nOut);
  }

  addPositions(_convolved: Value, positionalEmbedding: string): Value {
    if (this.#waiting === null) throw new Error("Positions are added to a convolution with stride 2 alone");
    const { x, p } = this.#waiting;
    this.#waiting = null;
    const { nAudioCtx } = this.dimensions;
    const out = this.freshResidual();
    this.kernels.product({
      a: {
        address: this.use(x).address,
        stride: 2 * p.nIn,
        perBatch: nAudioCtx,
        batchStride: (2 * nAudioCtx + 2) * p.nIn,
      },
      weight: this.weights.address(p.weight),
      bias: this.weights.address(p.bias),
      out: { address: out.address, stride: p.nOut, perBatch: nAudioCtx, batchStride: nAudioCtx * p.nOut },
      m: this.m,
      n: p.nOut,
      k: 3 * p.nIn,
      epilogue: "positions",
      positions: this.weights.address(positionalEmbedding),
    });
    return out;
  }

  attention(query: Value, key: Value, value: Value, nHead: number): Value {
    for (const part of [query, key, value]) this.use(part);
    const { nAudioCtx } = this.dimensions;
    this.kernels.encoderAttention({
      qkv: query.address,
      out: this.heardPlace,
      batch: this.#batch,
      nCtx: nAudioCtx,
      nHead,
    });
    return this.made("heard", this.heardPlace, nHead * HEAD_SIZE);
  }

  crossCache(audio: Value, key: LinearParameters, value: LinearParameters, nHead: number): CrossCache<Value> {
    const { nAudioCtx } = this.dimensions;
    const numbers = 2 * nHead * nAudioCtx * HEAD_SIZE;
    const bytes = BYTES_PER_ELEMENT[this.kernels.dtype];
    this.kernels.product({
      a: { address: this.use(audio).address, stride: audio.stride },
      weight: this.weights.address(key.weight),
      bias: this.weights.bias(key),
      out: {
        address: this.#cache,
        stride: HEAD_SIZE,
        perBatch: nAudioCtx,
        batchStride: this.#windowBytes / bytes,
      },
      m: this.m,
      n: key.nOut + value.nOut,
      k: key.nIn,
      epilogue: "crossCache",
      heads: nHead,
    });
    this.#cache += numbers * bytes;
    return [];
  }
}

/** Sequences that a decoder run reads and extends. */
export interface DecoderTarget {
  readonly rows: StepRows;
  /** Most rows of this run. */
  readonly m: number;
  /** Most groups of rows that listen to one window; as many as rows where each is a group. */
  readonly groups: number;
  /** Most rows of a group. */
  readonly groupSize: 1 | 8;
  /** Whether every row is of another sequence, and adds itself to the cache: a step. Else rows are prompts. */
  readonly step: boolean;
  /** float32, [slots][nTextCtx] places and so on: see lanes.ts. */
  readonly caches: {
    readonly address: number;
    readonly layerBytes: number;
    readonly places: number;
    readonly slots: number;
    readonly slotAudio: number;
  };
}

export class DecoderLaunches extends Launches implements DecoderOps<Value> {
  readonly #target: DecoderTarget;
  readonly #scratch: DecoderScratch;
  readonly #listener: CrossQueryListener | null;
  readonly #parameters: DecoderParameters;
  #layer = 0;

  constructor(
    kernels: Kernels,
    weights: DeviceWeights,
    dimensions: ModelDimensions,
    scratch: DecoderScratch,
    target: DecoderTarget,
    listener: CrossQueryListener | null = null,
  ) {
    super(kernels, weights, dimensions, dimensions.nTextState, target.m, target.rows.count, scratch);
    this.#target = target;
    this.#scratch = scratch;
    this.#listener = listener;
    this.#parameters = decoderParameters(dimensions);
  }

  /** Stands for the tokens of the rows, which are on the device. */
  get tokens(): Value {
    return this.made("tokens", this.#target.rows.token, 1);
  }

  /** Stands for the caches of each layer, which are where they always are. */
  get selfCaches(): SelfCache<Value>[] {
    const { address, layerBytes } = this.#target.caches;
    return Array.from({ length: this.dimensions.nTextLayer }, (_, layer) => {
      const cache = this.made(`cache ${layer}`, address + layer * layerBytes, HEAD_SIZE);
      return { key: cache, value: cache };
    });
  }

  embed(_tokens: Value, tokenEmbedding: string, positionalEmbedding: string): Value {
    const out = this.freshResidual();
    this.kernels.embed({
      rows: this.#target.rows,
      tokenEmbedding: this.weights.address(tokenEmbedding),
      positionalEmbedding: this.weights.address(positionalEmbedding),
      out: out.address,
      places: this.#target.caches.places,
      m: this.m,
      size: this.state,
      nTextCtx: this.dimensions.nTextCtx,
    });
    return out;
  }

  cachedSelfAttention(
    query: Value,
    key: Value,
    value: Value,
    cache: SelfCache<Value>,
    nHead: number,
  ): { out: Value; cache: SelfCache<Value> } {
    for (const part of [query, key, value]) this.use(part);
    this.kernels.selfAttention({
      qkv: query.address,
      rows: this.#target.rows,
      cache: this.use(cache.key).address,
      places: this.#target.caches.places,
      slots: this.#target.caches.slots,
      out: this.heardPlace,
      m: this.m,
      nHead,
      nTextCtx: this.dimensions.nTextCtx,
      append: this.#target.step,
    });
    return { out: this.made("heard", this.heardPlace, nHead * HEAD_SIZE), cache };
  }

  crossAttention(query: Value, _cache: CrossCache<Value>, nHead: number): Value {
    const layer = this.#layer++;
    this.kernels.crossAttention({
      query: this.use(query).address,
      rows: this.#target.rows,
      slotAudio: this.#target.caches.slotAudio,
      layer,
      out: this.heardPlace,
      groups: this.#target.groups,
      groupSize: this.#target.groupSize,
      nHead,
      nCtx: this.dimensions.nAudioCtx,
    });
    this.#listener?.(layer, query.address);
    return this.made("heard", this.heardPlace, nHead * HEAD_SIZE);
  }

  /** The final norm is computed of the rows whose logits are wanted, when they are: see `logits`. */
  override layerNorm(x: Value, p: NormParameters): Value {
    return p.weight === this.#parameters.norm.weight ? this.use(x) : super.layerNorm(x, p);
  }

  /** Not in the way of the network: `logitsOf` computes some rows at a time. */
  logits(): never {
    throw new Error("Logits are computed by logitsOf()");
  }

  /**
   * Logits of some rows, after `decoderStep` or a graph of it.
   *
   * @param rows how many, at most as many as the scratch memory has room for
   * @param rowIndex device address of which rows; null for all
   * @returns float32 [rows, nVocab], valid until the next call
   */
  logitsOf(rows: number, rowIndex: number | null): number {
    const { normed, logits } = this.#scratch;
    const { norm, tokenEmbedding } = this.#parameters;
    const rowCount = rowIndex === null ? this.rowCount : undefined;
    this.kernels.layerNorm({
      x: this.#scratch.x,
      weight: this.weights.address(norm.weight),
      bias: this.weights.address(norm.bias),
      out: normed,
      rowIndex,
      rowCount,
      rows,
      size: norm.size,
    });
    this.kernels.product({
      a: { address: normed, stride: norm.size },
      weight: this.weights.address(tokenEmbedding),
      bias: null,
      out: { address: logits, stride: this.dimensions.nVocab },
      m: rows,
      n: this.dimensions.nVocab,
      k: norm.size,
      rowCount,
      epilogue: "float",
    });
    return logits;
  }
}
