/**
 * The kernels of kernels/ as functions: which variant for which sizes, how many blocks of how many threads, and the order of parameters. Nothing
 * but this and products.ts knows a kernel's name.
 *
 * Kernels are compiled for each number format: names end in _f32, _f16, _bf16.
 */
import type { StoredDType } from "../../tensor/index.ts";
import { i32, i64, ptr, type Argument } from "./arguments.ts";
import type { CudaDevice } from "./device.ts";
import { SUFFIX, type CudaDType } from "./dtypes.ts";
import { launchProduct, MAX_PARTIAL_BYTES, type Product, type ProductWorkspace } from "./products.ts";

/** Width of a head, as everywhere in Whisper. */
export const HEAD_SIZE = 64;

/** Which rows are run, as arrays on the device: see kernels/rows.cuh. */
export interface StepRows {
  readonly token: number;
  readonly position: number;
  readonly slot: number;
  readonly count: number;
  readonly groupFirst: number;
  readonly groupRows: number;
  readonly groupCount: number;
}

/** The self-attention caches of one layer. */
export interface SelfCaches {
  readonly cache: number;
  readonly places: number;
  readonly slots: number;
}

const ceil = (a: number, b: number): number => Math.ceil(a / b);

export class Kernels {
  readonly #suffix: string;
  readonly #workspace: ProductWorkspace;

  constructor(
    readonly device: CudaDevice,
    readonly dtype: CudaDType,
  ) {
    this.#suffix = SUFFIX[dtype];
    const partials = device.alloc(MAX_PARTIAL_BYTES);
    const counters = device.alloc(4 * MAX_COUNTERS);
    device.fill(counters.address, 0, counters.bytes);
    this.#workspace = { partials, counters };
  }

  dispose(): void {
    this.device.free(this.#workspace.partials);
    this.device.free(this.#workspace.counters);
  }

  #launch(
    name: string,
    grid: readonly [number, number, number],
    block: number,
    args: readonly Argument[],
    shared = 0,
  ): void {
    if (grid.every((size) => size > 0)) this.device.launch(name, { grid, block, shared }, args);
  }

  /** Blocks for a kernel that takes any number of them: enough to fill the GPU. */
  #blocks(items: number): number {
    return Math.max(1, Math.min(ceil(items, 256), 8 * this.device.multiprocessors));
  }

  /** out = a · weightᵀ + bias, and what the epilogue says. @param dtype what its numbers are kept in */
  product(product: Product, dtype = this.dtype): void {
    launchProduct(this.device, dtype, product, this.#workspace);
  }

  layerNorm(p: {
    readonly x: number;
    readonly weight: number;
    readonly bias: number;
    readonly out: number;
    /** Device address of which rows of x; null for all. */
    readonly rowIndex: number | null;
    readonly rowCount: number | undefined;
    readonly rows: number;
    readonly size: number;
  }): void {
    const args = [ptr(p.x), ptr(p.weight), ptr(p.bias), ptr(p.out), ptr(p.rowIndex), ptr(p.rowCount ?? null)];
    // A warp a row: few rows are spread over as many multiprocessors.
    const warps = p.rows <= 128 ? 1 : 4;
    const grid = [ceil(p.rows, warps), 1, 1] as const;
    this.#launch(`layer_norm_${this.#suffix}`, grid, 32 * warps, [...args, i32(p.rows), i32(p.size)]);
  }

  /** qkv [batch * nCtx, 3 * state] -> out [batch * nCtx, state]. */
  encoderAttention(p: {
    readonly qkv: number;
    readonly out: number;
    readonly batch: number;
    readonly nCtx: number;
    readonly nHead: number;
  }): void {
    const exact = this.dtype === "float32";
    const grid = [ceil(p.nCtx, exact ? 64 : 128), p.nHead, p.batch] as const;
    const args = [ptr(p.qkv), ptr(p.out), i32(p.nCtx), i32(p.nHead)];
    this.#launch(`encoder_attention_${this.#suffix}`, grid, exact ? 256 : 128, args);
  }

  embed(p: {
    readonly rows: StepRows;
    readonly tokenEmbedding: number;
    readonly positionalEmbedding: number;
    readonly out: number;
    readonly places: number;
    readonly m: number;
    readonly size: number;
    readonly nTextCtx: number;
  }): void {
    const { token, position, slot, count } = p.rows;
    this.#launch(`embed_${this.#suffix}`, [p.m, 1, 1], 128, [
      ...[ptr(token), ptr(position), ptr(slot), ptr(count), ptr(p.tokenEmbedding), ptr(p.positionalEmbedding)],
      ...[ptr(p.out), ptr(p.places), i32(p.m), i32(p.size), i32(p.nTextCtx)],
    ]);
  }

  /** @param append each row is of another slot, and its key and value are not in the cache yet */
  selfAttention(
    p: SelfCaches & {
      readonly qkv: number;
      readonly rows: StepRows;
      readonly out: number;
      readonly m: number;
      readonly nHead: number;
      readonly nTextCtx: number;
      readonly append: boolean;
    },
  ): void {
    const { position, slot, count } = p.rows;
    const rows = [ptr(p.qkv), ptr(slot), ptr(position), ptr(count), ptr(p.cache)];
    const sizes = [i32(p.m), i32(p.slots), i32(p.nHead), i32(p.nTextCtx)];
    if (!p.append) {
      this.#launch(`self_append_${this.#suffix}`, [ceil(p.nHead, 4), p.m, 1], 128, [...rows, ...sizes]);
    }
    this.#launch(`self_attention_${this.#suffix}`, [p.nHead, p.m, 1], 128, [
      ...[...rows, ptr(p.places), ptr(p.out)],
      ...[...sizes, i32(p.append ? 1 : 0)],
    ]);
  }

  crossAttention(p: {
    readonly query: number;
    readonly rows: StepRows;
    readonly slotAudio: number;
    readonly layer: number;
    readonly out: number;
    readonly groups: number;
    readonly groupSize: 1 | 8;
    readonly nHead: number;
    readonly nCtx: number;
  }): void {
    const splits = crossSplits(this.device.multiprocessors, p.nHead * p.groups);
    const { slot, groupFirst, groupRows, groupCount } = p.rows;
    const { partials, counters } = this.#workspace;
    const pairs = p.nHead * p.groups;
    if (pairs * splits * p.groupSize * CROSS_STATE_BYTES > partials.bytes || 4 * pairs > counters.bytes) {
      throw new Error(`Cross-attention of ${p.groups} groups with ${p.nHead} heads has no room for its parts`);
    }
    this.#launch(`cross_attention${p.groupSize}_${this.#suffix}`, [p.nHead, p.groups, splits], 256, [
      ...[ptr(p.query), ptr(p.slotAudio), i64(layerOffset(p)), ptr(slot)],
      ...[ptr(groupFirst), ptr(groupRows), ptr(groupCount), ptr(p.out), ptr(partials), ptr(counters)],
      ...[i32(p.groups), i32(p.nHead), i32(p.nCtx), i32(splits)],
    ]);
  }

  /** q · k / 8 of one head: float32 [rows, nCtx]. */
  attentionScores(p: {
    readonly query: number;
    readonly slotAudio: number;
    readonly layer: number;
    readonly slot: number;
    readonly out: number;
    readonly rows: number;
    readonly head: number;
    readonly nHead: number;
    readonly nCtx: number;
  }): void {
    const keysOfBlock = SCORES_KEYS[this.dtype];
    this.#launch(`attention_scores_${this.#suffix}`, [ceil(p.nCtx, keysOfBlock), p.rows, 1], 128, [
      ...[ptr(p.query), ptr(p.slotAudio), i64(layerOffset(p)), ptr(p.slot), ptr(p.out)],
      ...[i32(p.rows), i32(p.head), i32(p.nHead), i32(p.nCtx)],
    ]);
  }

  /** Drops finished slots from the live ones and lays out the rows of a step. */
  beginStep(p: { readonly slots: number; readonly live: number; readonly rows: StepRows }): void {
    const { token, position, slot, count, groupFirst, groupRows } = p.rows;
    const rows = [ptr(token), ptr(position), ptr(slot), ptr(groupFirst), ptr(groupRows)];
    this.#launch("begin_step", [1, 1, 1], 256, [ptr(p.slots), ptr(p.live), ptr(count), ...rows]);
  }

  chooseTokens(p: {
    readonly logits: number;
    readonly rowSlot: number;
    readonly rowCount: number | null;
    readonly slots: number;
    readonly rules: number;
    readonly tokens: number;
    readonly logprobs: number;
    readonly rows: number;
    readonly nVocab: number;
    readonly nTextCtx: number;
  }): void {
    const data = [ptr(p.logits), ptr(p.rowSlot), ptr(p.rowCount), ptr(p.slots), ptr(p.rules)];
    const out = [ptr(p.tokens), ptr(p.logprobs)];
    const sizes = [i32(p.rows), i32(p.nVocab), i32(p.nTextCtx)];
    this.#launch("choose_tokens", [p.rows, 1, 1], ROW_THREADS, [...data, ...out, ...sizes]);
  }

  /** The k likeliest tokens of each row by one set of rules. */
  rankTokens(p: {
    readonly logits: number;
    /** int32 [rows, 4]. */
    readonly history: number;
    readonly rules: number;
    readonly ids: number;
    readonly logprobs: number;
    readonly rows: number;
    readonly nVocab: number;
    readonly k: number;
  }): void {
    const data = [ptr(p.logits), ptr(p.history), ptr(p.rules), ptr(p.ids), ptr(p.logprobs)];
    this.#launch("rank_tokens", [p.rows, 1, 1], ROW_THREADS, [...data, i32(p.rows), i32(p.nVocab), i32(p.k)]);
  }

  /** out[row]: probability of ids[row] among the ids below `limit`. */
  tokenProbabilities(p: {
    readonly logits: number;
    readonly ids: number;
    readonly out: number;
    readonly rows: number;
    readonly nVocab: number;
    readonly limit: number;
  }): void {
    const data = [ptr(p.logits), ptr(p.ids), ptr(p.out)];
    this.#launch("token_probabilities", [p.rows, 1, 1], ROW_THREADS, [
      ...data,
      ...[i32(p.rows), i32(p.nVocab), i32(p.limit)],
    ]);
  }

  /** fresh[to[i]][t] = old[from[i]][t], t < length. */
  reorderPlaces(p: {
    readonly from: number;
    readonly to: number;
    readonly old: number;
    readonly fresh: number;
    readonly rows: number;
    readonly length: number;
    readonly nTextCtx: number;
  }): void {
    const data = [ptr(p.from), ptr(p.to), ptr(p.old), ptr(p.fresh)];
    this.#launch("reorder_places", [1, p.rows, 1], 256, [...data, i32(p.rows), i32(p.length), i32(p.nTextCtx)]);
  }

  /** float32 [batch, nMels, frames] -> T [batch, frames + 2, nMels], zeros at either end. */
  importMel(mel: number, out: number, batch: number, frames: number, nMels: number): void {
    const grid = [ceil(frames + 2, 32), ceil(nMels, 32), batch] as const;
    this.#launch(`import_mel_${this.#suffix}`, grid, 256, [ptr(mel), ptr(out), i32(frames), i32(nMels)]);
  }

  /** float32 [batch, nSamples] -> [batch, nSamples + 400], reflected at either end. */
  padSamples(samples: number, out: number, batch: number, nSamples: number): void {
    const grid = [this.#blocks(nSamples / 4), batch, 1] as const;
    this.#launch("pad_samples", grid, 256, [ptr(samples), ptr(out), i32(nSamples)]);
  }

  /** float32 [rows, 416] -> [rows, 208]. */
  powerSpectrum(dft: number, out: number, rows: number): void {
    this.#launch("power_spectrum", [this.#blocks(rows * 52), 1, 1], 256, [ptr(dft), ptr(out), i32(rows)]);
  }

  /** Logarithms in place, and the largest of each window, which `largest` rises to. */
  logMel(mel: number, largest: number, batch: number, frames: number, nMels: number): void {
    const grid = [this.#blocks((frames * nMels) / 4), batch, 1] as const;
    this.#launch("log_mel", grid, 256, [ptr(mel), ptr(largest), i32(frames), i32(nMels)]);
  }

  scaleMel(mel: number, largest: number, out: number, batch: number, frames: number, nMels: number): void {
    const grid = [this.#blocks((frames * nMels) / 4), batch, 1] as const;
    const args = [ptr(mel), ptr(largest), ptr(out), i32(frames), i32(nMels)];
    this.#launch(`scale_mel_${this.#suffix}`, grid, 256, args);
  }

  /** `count` numbers as they are stored -> as they are computed with. */
  cast(from: number, stored: StoredDType, to: number, dtype: CudaDType, count: number): void {
    const name = `cast_${SUFFIX[stored]}_${SUFFIX[dtype]}`;
    this.#launch(name, [this.#blocks(count / 4), 1, 1], 256, [ptr(from), ptr(to), i64(count)]);
  }

  /** [nOut, nIn, 3] as stored -> [nOut, 3, nIn] as computed with. */
  castConv(from: number, stored: StoredDType, to: number, nOut: number, nIn: number): void {
    const name = `cast_conv_${SUFFIX[stored]}_${this.#suffix}`;
    this.#launch(name, [this.#blocks(3 * nOut * nIn), 1, 1], 256, [ptr(from), ptr(to), i32(nOut), i32(nIn)]);
  }
}

/** Threads of the kernels that read a row of logits. */
const ROW_THREADS = 1024;

/** Keys that one block of attention_scores takes. */
const SCORES_KEYS = { float32: 64, float16: 128, bfloat16: 128 } as const;

/** Blocks of cross-attention for each multiprocessor, so that windows of few sequences are shared out. */
const CROSS_BLOCKS = 4;
const MAX_CROSS_SPLITS = 32;
/** What a part leaves of each row: 64 sums, the largest score and the sum of weights. */
const CROSS_STATE_BYTES = 4 * (HEAD_SIZE + 2);

function crossSplits(multiprocessors: number, pairs: number): number {
  return Math.max(1, Math.min(MAX_CROSS_SPLITS, ceil(CROSS_BLOCKS * multiprocessors, pairs)));
}

const MAX_COUNTERS = 1 << 16;

/** Numbers from a window's begin to a layer's caches. */
function layerOffset({ layer, nHead, nCtx }: { layer: number; nHead: number; nCtx: number }): number {
  return layer * 2 * nHead * nCtx * HEAD_SIZE;
}
