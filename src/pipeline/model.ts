/** The network with its decoding, under Hugging Face's names: features in, token sequences out. */
import type { Checkpoint } from "../checkpoint/index.ts";
import {
  assertSearch,
  decode,
  detectLanguage,
  resolveDecoding,
  SEARCH_OPTIONS,
  type DecodingOptions,
  type LanguageDetection,
  type SearchOptions,
} from "../decoding/index.ts";
import type { AudioState, Engine } from "../engine/index.ts";
import { assertKnownOptions } from "../errors.ts";
import type { ModelDimensions } from "../model/index.ts";
import type { Tensor } from "../tensor/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { defaultModel } from "./choices.ts";
import {
  LOAD_OPTIONS,
  loadCheckpoint,
  loadTokenizer,
  openEngine,
  resolveEngineOptions,
  type LoadOptions,
} from "./load.ts";

/** Greedy unless `beamSize`, or `temperature` with `bestOf`, asks for another search. */
export interface GenerateOptions
  extends Omit<DecodingOptions, "withoutTimestamps">, Omit<SearchOptions, keyof DecodingOptions> {
  /** Default false. */
  readonly returnTimestamps?: boolean;
}

const GENERATE_OPTIONS = [
  "task",
  "language",
  "maxLength",
  "sampleLength",
  "suppressTokens",
  "suppressNumerals",
  "suppressBlank",
  "maxInitialTimestamp",
  "returnTimestamps",
  ...SEARCH_OPTIONS,
] as const satisfies readonly (keyof GenerateOptions)[];

export interface GenerateOutput {
  /** One a row: prompt, generated tokens, and endoftext if the model ended the text. Not padded. */
  readonly sequences: number[][];
  /** Code of each row's language. */
  readonly languages: string[];
  /** Mean log-probability of each row's generated tokens. */
  readonly avgLogprobs: number[];
  /** Probability that each row's window holds no speech. */
  readonly noSpeechProbs: number[];
}

export class WhisperForConditionalGeneration {
  readonly engine: Engine;
  readonly #checkpoint: Checkpoint;
  readonly #tokenizer: Tokenizer;

  private constructor(checkpoint: Checkpoint, tokenizer: Tokenizer, engine: Engine) {
    this.#checkpoint = checkpoint;
    this.#tokenizer = tokenizer;
    this.engine = engine;
  }

  /**
   * Loads a checkpoint onto a device.
   *
   * @param model a name ("tiny" ... "turbo", "nano"), a hub id, or a folder; default: "base" on a CPU, "turbo" on a GPU
   * @throws {OptionError} for unknown options and values, before anything is loaded
   * @throws {HubError} if the model cannot be had
   * @throws {CheckpointError} if it is damaged, or no Whisper checkpoint
   * @throws {EngineUnavailableError} if the device cannot be used
   */
  static async fromPretrained(model?: string, options: LoadOptions = {}): Promise<WhisperForConditionalGeneration> {
    assertKnownOptions("fromPretrained", options, LOAD_OPTIONS);
    resolveEngineOptions(options);
    const checkpoint = await loadCheckpoint(model ?? defaultModel(options.device), options);
    const tokenizer = await loadTokenizer(checkpoint);
    return new WhisperForConditionalGeneration(checkpoint, tokenizer, await openEngine(checkpoint, options));
  }

  get dimensions(): ModelDimensions {
    return this.engine.dimensions;
  }

  /**
   * Generates token sequences. Options are not changed, and nothing of one call leaks into the next.
   *
   * @param inputFeatures log-Mel windows [batch, nMels, 3000]
   * @throws {OptionError} for unknown options, values, and languages that the model does not know, before the model is
   * asked anything
   * @throws {ShapeError} for features of other dims
   */
  async generate(inputFeatures: Tensor, options: GenerateOptions = {}): Promise<GenerateOutput> {
    assertKnownOptions("generate", options, GENERATE_OPTIONS);
    const { returnTimestamps = false, ...rest } = options;
    const decoding = { ...rest, withoutTimestamps: !returnTimestamps };
    const { generation } = this.#checkpoint;
    const { nTextCtx } = this.dimensions;
    const resolved = resolveDecoding(this.#tokenizer, nTextCtx, decoding, generation);
    assertSearch(this.#tokenizer, nTextCtx, resolved, decoding);
    return this.#withAudio(inputFeatures, async (audio) => {
      const rows = await decode(this.engine, audio, this.#tokenizer, decoding, generation);
      const { eot } = this.#tokenizer.special;
      return {
        sequences: rows.map(({ language, task, tokens, stop }) => [
          ...this.#tokenizer.sotSequence({ language, task, timestamps: returnTimestamps }),
          ...tokens,
          ...(stop === "eot" ? [eot] : []),
        ]),
        languages: rows.map(({ language }) => language),
        avgLogprobs: rows.map(({ avgLogprob }) => avgLogprob),
        noSpeechProbs: rows.map(({ noSpeechProb }) => noSpeechProb),
      };
    });
  }

  /** Which language is spoken in each window [batch, nMels, 3000]. */
  async detectLanguage(inputFeatures: Tensor): Promise<LanguageDetection[]> {
    return this.#withAudio(inputFeatures, (audio) => detectLanguage(this.engine, audio, this.#tokenizer));
  }

  /** The encoder's output [batch, 1500, nAudioState] of windows [batch, nMels, 3000]. */
  async encode(inputFeatures: Tensor): Promise<{ lastHiddenState: Tensor }> {
    const audio = await this.engine.encode(inputFeatures, { keepFeatures: true });
    audio.dispose();
    return { lastHiddenState: audio.features as Tensor };
  }

  async #withAudio<R>(inputFeatures: Tensor, use: (audio: AudioState) => Promise<R>): Promise<R> {
    const audio = await this.engine.encode(inputFeatures);
    try {
      return await use(audio);
    } finally {
      audio.dispose();
    }
  }

  /** Frees the engine. Safe to call twice. */
  dispose(): Promise<void> {
    return this.engine.dispose();
  }
}
