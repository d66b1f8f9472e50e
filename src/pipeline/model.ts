/** The network with its decoding, under Hugging Face's names: features in, token sequences out. */
import type { Checkpoint } from "../checkpoint/index.ts";
import {
  assertSearch,
  decode,
  DECODING_OPTIONS,
  decodingWarnings,
  detectLanguage,
  resolveDecoding,
  SEARCH_OPTIONS,
  unusedSearchOptions,
  type DecodingOptions,
  type LanguageDetection,
  type SearchOptions,
} from "../decoding/index.ts";
import type { AudioState, Engine } from "../engine/index.ts";
import {
  assertOption,
  assertOptionNames,
  flag,
  withoutAliases,
  type Aliased,
  type OptionKind,
  type OptionTable,
} from "../options/index.ts";
import type { ModelDimensions } from "../model/index.ts";
import type { Tensor } from "../tensor/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { defaultModel } from "./choices.ts";
import { assertLoadable, loadCheckpoint, loadTokenizer, loadWarnings, openEngine, type LoadOptions } from "./load.ts";
import { ALIASES } from "./transcribe-options.ts";

type Generation = Omit<DecodingOptions, "withoutTimestamps"> & Omit<SearchOptions, keyof DecodingOptions>;

/** Greedy unless `beamSize`, or `temperature` with `bestOf`, asks for another search. */
export interface GenerateOptions extends Generation, Aliased<Generation, typeof ALIASES> {
  /** Default false. */
  readonly returnTimestamps?: boolean | undefined;
}

const { withoutTimestamps: _, ...DECODING } = DECODING_OPTIONS;
const GENERATE_OPTIONS = { ...DECODING, ...SEARCH_OPTIONS, returnTimestamps: flag } as const satisfies Readonly<
  Record<keyof Generation | "returnTimestamps", OptionKind>
>;

/** Other names of these options. */
const GENERATE_ALIASES = Object.fromEntries(
  Object.entries(ALIASES).filter(([, name]) => Object.hasOwn(GENERATE_OPTIONS, name)),
);

/** @throws {OptionError} for names and values that do not exist, and an option under two names */
function resolveGenerate(asked: GenerateOptions): Generation & Pick<GenerateOptions, "returnTimestamps"> {
  assertOptionNames("generate", asked, [...Object.keys(GENERATE_OPTIONS), ...Object.keys(GENERATE_ALIASES)]);
  const kinds: OptionTable = GENERATE_OPTIONS;
  for (const [name, value] of Object.entries(asked)) assertOption(name, value, kinds[GENERATE_ALIASES[name] ?? name]);
  return withoutAliases(asked, GENERATE_ALIASES);
}

export interface GenerateOutput {
  /** One a row: prompt, generated tokens, and endoftext if the model ended the text. Not padded. */
  readonly sequences: number[][];
  /** Code of each row's language. */
  readonly languages: string[];
  /** Mean log-probability of each row's generated tokens. */
  readonly avgLogprobs: number[];
  /** Probability that each row's window holds no speech. */
  readonly noSpeechProbs: number[];
  /** Options without effect. */
  readonly warnings: string[];
}

export class WhisperForConditionalGeneration {
  readonly engine: Engine;
  readonly #checkpoint: Checkpoint;
  readonly #tokenizer: Tokenizer;

  private constructor(
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    engine: Engine,
    /** Options of loading that have no effect. */
    readonly warnings: readonly string[],
  ) {
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
    assertLoadable(model, options);
    const name = model ?? defaultModel(options.device);
    const checkpoint = await loadCheckpoint(name, options);
    const tokenizer = await loadTokenizer(checkpoint);
    const engine = await openEngine(checkpoint, options);
    return new WhisperForConditionalGeneration(
      checkpoint,
      tokenizer,
      engine,
      await loadWarnings(name, options, engine),
    );
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
    const { returnTimestamps = false, ...rest } = resolveGenerate(options);
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
        warnings: [
          ...decodingWarnings(decoding, resolved, this.dimensions),
          ...unusedSearchOptions(decoding, [decoding], nTextCtx),
        ],
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
