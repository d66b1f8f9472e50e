/**
 * What an engine is: a checkpoint made ready on a device. Decoding and transcription see nothing else of it.
 *
 * Engines: reference (plain loops, tests), native and cuda (kernels of our own), onnxruntime (graphs of our own). Every engine passes
 * test/contract/engine-contract.ts, which settles the details: requests that cannot be met are refused with a RangeError, states of
 * another engine with a TypeError, before any work is done; a result with NaN or an infinity in it is a NotFiniteError; calls may be made
 * at the same time.
 */
import type { ModelDimensions } from "../model/index.ts";
import type { ComputeDType, Tensor } from "../tensor/index.ts";
import type { TokenRules } from "./token-rules.ts";

/** Encoded windows of audio, kept where the engine likes them. */
export interface AudioState {
  /** Number of windows. */
  readonly batch: number;
  /** The encoder's output [batch, nAudioCtx, nAudioState], where `encode` was asked to keep it. */
  readonly features: Tensor | null;
  /** Frees the memory; the state cannot be used afterwards. Safe to call twice. */
  dispose(): void;
}

/** A window of an audio state. */
export interface AudioWindowRef {
  readonly audio: AudioState;
  /** Index of the window in it. */
  readonly window: number;
}

/** One token sequence to be generated greedily. */
export interface GenerateRequest {
  /** Index of the window in the audio state. */
  readonly window: number;
  /** Tokens before the first generated one: [context] startoftranscript [language task] [notimestamps]. */
  readonly prompt: readonly number[];
  /** Index in `prompt` of startoftranscript, where the no-speech probability is read (facts 2.4.4). */
  readonly sotIndex: number;
  /** Id of the no-speech token. */
  readonly noSpeech: number;
  readonly rules: TokenRules;
  /** Most tokens to generate, 0 for none; the prompt and these must fit nTextCtx. */
  readonly maxNewTokens: number;
}

export interface Generated {
  /** Generated ids, without prompt and without endoftext. */
  readonly tokens: Int32Array;
  /** Log-probability of each token after the rules; has one more entry, for endoftext, if `stop` is "eot". */
  readonly tokenLogprobs: Float32Array;
  /** Probability of the no-speech token at startoftranscript, before any rule. */
  readonly noSpeechProb: number;
  /** Why it ended: the model said so, or `maxNewTokens`. */
  readonly stop: "eot" | "length";
}

/** Called with each row as it ends: its index among the requests, and what it gave. */
export type OnGenerated = (index: number, generated: Generated) => void;

/**
 * Greedy generation that is run a few tokens at a time, so that other calls get their turn between, rows are known as they end, and
 * those that nobody waits for any more are given up. The audio state of a row must live until the row has ended.
 */
export interface Generation {
  /** Rows that have neither ended nor been cancelled. */
  readonly rows: number;
  /**
   * Adds rows to those under way, where the engine can.
   * @returns index of the first; the others count on from it
   */
  add?(audio: AudioState, requests: readonly GenerateRequest[]): number;
  /**
   * Generates at most `steps` tokens of each row. Not to be called again before it has been answered.
   * @returns the rows that ended
   */
  advance(steps: number): Promise<readonly { readonly index: number; readonly generated: Generated }[]>;
  /** Gives a row up: it is not among the results of the next `advance`. Nothing happens if it has ended. */
  cancel(index: number): void;
  /** Frees the memory; safe to call twice. */
  dispose(): void;
}

/** One token sequence of the general path. */
export interface DecoderRow {
  /** Index of the window in the audio state. Every window has the same number of rows, and they lie together. */
  readonly window: number;
  /** First tokens; the same number for every row. */
  readonly prompt: readonly number[];
}

/** A known token sequence of one window, to be laid beside its audio. */
export interface AttendRequest {
  /** Index of the window in the audio state. */
  readonly window: number;
  /** The whole sequence: start sequence, notimestamps, text, endoftext. */
  readonly tokens: readonly number[];
  /** Index of the token before the first text token, which predicts it: notimestamps. */
  readonly from: number;
  /** Id of endoftext: probabilities are among the ids below it. */
  readonly eot: number;
}

/** How a token sequence hears its audio. */
export interface Attention {
  /** Cross-attention logits q.k / 8 of the heads asked for: [heads, tokens, nAudioCtx]. */
  readonly scores: Tensor;
  /** Probability of each text token where it is predicted: [tokens - from - 2]. */
  readonly tokenProbs: Float32Array;
}

/** One token more for each row of a decoder state, and what may follow it. */
export interface RankRequest {
  /**
   * The new token of each row: [rows]. -1 for a row that nobody waits for any more: it reads nothing, now or later, and costs nothing where the
   * engine can leave it out; all rows of a window are idle together.
   */
  readonly tokens: Int32Array;
  /** All tokens of each row after its prompt, the new one included. */
  readonly generated: readonly (readonly number[])[];
  readonly rules: TokenRules;
  /** How many tokens of each row are wanted, at least 1. */
  readonly k: number;
}

/** The likeliest next tokens of each row, the likeliest first; of equally likely ones the lower id first. */
export interface RankedTokens {
  /** [rows, k]; -1 where the rules leave fewer than k, and for idle rows. */
  readonly ids: Int32Array;
  /** Log-probabilities after the rules [rows, k]; -Infinity beside -1. */
  readonly logprobs: Float32Array;
}

/** Token sequences under way, with their caches. */
export interface DecoderState {
  readonly rows: number;
  /** Tokens cached in each row. */
  readonly length: number;
  /** Frees the memory; safe to call twice. The audio state is not touched. */
  dispose(): void;
}

export interface EncodeOptions {
  /** Also give the encoder's output, which decoding does not need. */
  readonly keepFeatures?: boolean;
  /** Called with the number of windows that are done, at the latest before the call is answered. */
  readonly onEncoded?: ((windows: number) => void) | undefined;
}

export interface Engine {
  readonly dimensions: ModelDimensions;
  /** "cpu", "reference" ... */
  readonly device: string;
  readonly dtype: ComputeDType;
  /** How many windows the engine encodes side by side. */
  readonly parallelism: number;
  /** Windows that are best decoded together: more gain nothing, or their caches fill the memory. */
  readonly batchSize: number;
  /** Whether rows of `generate` join those of calls under way, and other calls have their turn meanwhile; else calls wait for each other. */
  readonly joinsRows?: boolean;

  /**
   * Encodes windows.
   * @param mel log-Mel [batch, nMels, 2 * nAudioCtx]; not modified
   * @throws {ShapeError} for other dims
   */
  encode(mel: Tensor, options?: EncodeOptions): Promise<AudioState>;

  /**
   * Encodes windows from their samples: as `encode` of `logMelWindow` of each. Engines have it that compute log-Mel spectrograms faster
   * than the caller.
   * @param windows mono samples at 16 kHz, each at most a window long
   * @throws {RangeError} for longer ones
   */
  encodeSamples?(windows: readonly Float32Array[], options?: Pick<EncodeOptions, "onEncoded">): Promise<AudioState>;

  /**
   * Windows of several states as one state, so that what several callers have encoded is decoded together. It is a view: nothing
   * is copied, disposing it frees nothing, and it can be used as long as the states it is made of.
   *
   * @param windows at least one; the view has them in this order, and no features
   * @throws {RangeError} if there are none, or a state has no such window
   * @throws {TypeError} for states that another engine made
   */
  combine(windows: readonly AudioWindowRef[]): AudioState;

  /**
   * Greedy generation for all rows in one call, rules applied on the device: the hot path. A row's result does not depend
   * on its batch mates.
   * @param onGenerated called once for each row, before the call is answered
   * @returns one result a request, in order
   */
  generate(audio: AudioState, requests: readonly GenerateRequest[], onGenerated?: OnGenerated): Promise<Generated[]>;

  /** Begins what `generate` does in one call. Engines have it that would otherwise keep other calls waiting. */
  startGeneration?(audio: AudioState, requests: readonly GenerateRequest[]): Generation;

  /**
   * The general path, for whatever wants the logits: detection, beams, sampling.
   * @param at positions in the prompt whose logits are wanted; default the last one
   * @returns the state, and logits [rows, at.length, nVocab]
   */
  startDecoder(
    audio: AudioState,
    rows: readonly DecoderRow[],
    at?: readonly number[],
  ): Promise<{ state: DecoderState; logits: Float32Array }>;

  /**
   * Adds one token to each row.
   * @param tokens [rows]
   * @returns logits [rows, nVocab]
   */
  step(state: DecoderState, tokens: Int32Array): Promise<Float32Array>;

  /**
   * Adds one token to each row, and gives the likeliest next ones by the rules: a turn of beam search, without its logits
   * leaving the device.
   */
  stepRanked(state: DecoderState, request: RankRequest): Promise<RankedTokens>;

  /**
   * Makes row i a copy of what row `from[i]` was: beams. Rows must stay with their window.
   * @param from [rows]
   */
  reorder(state: DecoderState, from: Int32Array): Promise<void>;

  /**
   * Runs known tokens through the decoder and gives what word times are made of (facts 2.5.1).
   * @param heads [layer, head] of the decoder's cross-attention
   * @returns one result a request, in order
   */
  attend(
    audio: AudioState,
    requests: readonly AttendRequest[],
    heads: readonly (readonly [layer: number, head: number])[],
  ): Promise<Attention[]>;

  /** Frees everything and ends the workers; states made by the engine are gone with it. Safe to call twice. */
  dispose(): Promise<void>;
}
