/**
 * The vocabulary in which the network is written, once (encoder.ts, decoder.ts).
 *
 * An engine is an interpreter of this vocabulary: the reference engine computes each word at once, onnxruntime's records
 * it as ONNX nodes, a GPU engine as kernel launches. Each word is coarse enough to be one fused kernel, and an engine may
 * choose another number format for it without the network knowing.
 *
 * `T` is the engine's handle of a tensor: data, or the name of a value to come. Dims in comments: batch = windows of audio,
 * rows = token sequences (several rows may listen to one window: beams), length = positions.
 */
import type { ConvParameters, LinearParameters, NormParameters } from "./parameters.ts";

/** Keys and values of one decoder layer for the tokens so far, in whatever layout the engine likes. */
export interface SelfCache<T> {
  readonly key: T;
  readonly value: T;
}

/** Keys and values of one decoder layer for the audio, possibly quantised: as many tensors as the engine needs. */
export type CrossCache<T> = readonly T[];

/** What both halves of the network say. */
export interface BlockOps<T> {
  /** Normalises the last axis to mean 0 and variance 1 (eps 1e-5), scales and shifts. */
  layerNorm(x: T, p: NormParameters): T;

  /**
   * x [..., nIn] -> [..., nOut]; then exact GELU, or the sum with a residual of the output's dims, where asked. The residual is not used
   * again: the sum may take its place.
   */
  linear(x: T, p: LinearParameters, then?: { gelu?: boolean; residual?: T }): T;

  /** Several linear maps of one input, which an engine may compute as one. */
  linears<const P extends readonly LinearParameters[]>(x: T, parameters: P): { [K in keyof P]: T };
}

export interface EncoderOps<T> extends BlockOps<T> {
  /**
   * One-dimensional convolution, kernel 3, padding 1, with bias, then exact GELU.
   * @param x [batch, nIn, length]
   * @returns [batch, nOut, length / stride]
   */
  conv1d(x: T, p: ConvParameters, stride: 1 | 2): T;

  /** [batch, state, length] -> [batch, length, state], plus a position embedding [length, state]. */
  addPositions(x: T, positionalEmbedding: string): T;

  /** Full attention, scale 1/sqrt(head size): q, k, v [batch, length, state] -> the same dims. */
  attention(query: T, key: T, value: T, nHead: number): T;

  /** Keys and values of one decoder layer for encoded audio [batch, nAudioCtx, state]. */
  crossCache(audio: T, key: LinearParameters, value: LinearParameters, nHead: number): CrossCache<T>;
}

export interface DecoderOps<T> extends BlockOps<T> {
  /**
   * Causal attention of new positions to themselves and to the cached ones.
   * @param query new positions: query, key, value [rows, length, state]
   * @returns [rows, length, state], and the cache with the new positions added
   */
  cachedSelfAttention(query: T, key: T, value: T, cache: SelfCache<T>, nHead: number): { out: T; cache: SelfCache<T> };

  /**
   * Attention of tokens to the audio.
   * @param query [rows, length, state], where rows = batch * k: the rows of one window lie together
   */
  crossAttention(query: T, cache: CrossCache<T>, nHead: number): T;

  /**
   * Sum of token and position embeddings.
   * @param tokens ids [rows, length]
   * @returns [rows, length, state]; the positions are those that follow the cached ones
   */
  embed(tokens: T, tokenEmbedding: string, positionalEmbedding: string): T;

  /** Scores of every token, with the token embedding as the output matrix: [rows, n, state] -> [rows, n, nVocab]. */
  logits(x: T, tokenEmbedding: string, nVocab: number): T;
}

/** The whole vocabulary. */
export interface Ops<T> extends EncoderOps<T>, DecoderOps<T> {}
