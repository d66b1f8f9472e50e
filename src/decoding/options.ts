/**
 * What a caller may ask of decoding, checked once and turned into data: the token rules of the engines, and the limits.
 * Names and defaults are openai/whisper's DecodingOptions (facts 2.4.1) where Hugging Face has none of its own.
 */
import type { TokenRules } from "../engine/token-rules.ts";
import { OptionError, quote } from "../errors.ts";
import type { ModelDimensions } from "../model/index.ts";
import {
  anyOf,
  assertOption,
  flag,
  listOf,
  number,
  oneOf,
  orNull,
  text,
  whole,
  type OptionKind,
} from "../options/index.ts";
import { TASKS, TIME_PRECISION, languageCode, type Task, type Tokenizer } from "../tokenizer/index.ts";
import { numeralTokens } from "./numerals.ts";
import { roundHalfEven } from "../tensor/index.ts";

/** Largest timestamp of a window. */
const MAX_TIMESTAMP = 30;

/** Timestamp index of the first timestamp's limit where neither caller nor checkpoint says: 1 s (facts 2.4.1). */
const DEFAULT_MAX_INITIAL_TIMESTAMP_INDEX = 50;

/** What decoding needs of a tokenizer. */
export type DecodingTokenizer = Pick<
  Tokenizer,
  "special" | "multilingual" | "encode" | "decode" | "sotSequence" | "nonSpeechTokens"
>;

export interface DecodingOptions {
  /** "transcribe" (default), or "translate": into English. */
  readonly task?: Task | undefined;
  /** Code, name or token: "de", "german", "<|de|>". Detected where it is missing. */
  readonly language?: string | undefined;
  /**
   * Most tokens of a window, prompt included, as Hugging Face counts (facts 1.2.3). Default: the checkpoint's, else all
   * that fit.
   */
  readonly maxLength?: number | undefined;
  /** Most generated tokens of a window, as openai/whisper counts. Default: no limit beyond `maxLength`. */
  readonly sampleLength?: number | undefined;
  /**
   * Tokens never generated: ids, or openai/whisper's comma-separated list of them, where -1 stands for the non-speech
   * symbols. Six special tokens are always among them. Default: the checkpoint's list, else -1.
   */
  readonly suppressTokens?: string | readonly number[] | undefined;
  /** Spells numbers out: no token with a digit, %, $ or £. Default false. */
  readonly suppressNumerals?: boolean | undefined;
  /** Whether a window may not begin with a space or with its end. Default true. */
  readonly suppressBlank?: boolean | undefined;
  /** Default false. */
  readonly withoutTimestamps?: boolean | undefined;
  /** Latest start of a window's first segment, in seconds; null for no limit. Default: the checkpoint's, else 1. */
  readonly maxInitialTimestamp?: number | null | undefined;
}

/** Values that each option takes, whatever the model. */
export const DECODING_OPTIONS = {
  task: oneOf(TASKS),
  language: text,
  maxLength: whole(1),
  sampleLength: whole(1),
  suppressTokens: anyOf(text, listOf(number(), "ids of tokens")),
  suppressNumerals: flag,
  suppressBlank: flag,
  withoutTimestamps: flag,
  maxInitialTimestamp: orNull(number({ from: 0, to: MAX_TIMESTAMP }), "no limit"),
} as const satisfies Readonly<Record<keyof DecodingOptions, OptionKind>>;

/** What a checkpoint says of its own decoding; fields that it lacks are null or missing (facts 1.13.7). */
export interface DecodingDefaults {
  readonly suppressTokens?: readonly number[] | null;
  readonly beginSuppressTokens?: readonly number[] | null;
  readonly maxInitialTimestampIndex?: number | null;
  readonly maxLength?: number | null;
}

/** Options after the check. */
export interface ResolvedDecoding {
  readonly task: Task;
  /** Code of the language, undefined where it is to be detected. */
  readonly language: string | undefined;
  readonly timestamps: boolean;
  readonly rules: TokenRules;
  /** Most tokens, prompt included. */
  readonly maxLength: number;
  /** Most generated tokens. */
  readonly sampleLength: number;
}

/**
 * Checks the options against the vocabulary and fills in what is missing.
 *
 * @param nTextCtx longest sequence of the model
 * @throws {OptionError} listing what exists, for an unknown task, language or token, or a limit out of range
 */
export function resolveDecoding(
  tokenizer: DecodingTokenizer,
  nTextCtx: number,
  options: DecodingOptions = {},
  defaults: DecodingDefaults = {},
): ResolvedDecoding {
  assertKinds(options);
  const task = options.task ?? "transcribe";
  const language = resolveLanguage(tokenizer, options.language, task);
  const timestamps = options.withoutTimestamps !== true;
  const promptLength = tokenizer.sotSequence({ language: language ?? "en", task, timestamps }).length;
  assertOption("maxLength", options.maxLength, whole(promptLength + 1, nTextCtx));
  assertOption("sampleLength", options.sampleLength, whole(1, nTextCtx));
  const own = defaults.maxLength ?? nTextCtx;
  return {
    task,
    language,
    timestamps,
    rules: tokenRules(tokenizer, options, defaults),
    maxLength: options.maxLength ?? (own > promptLength ? Math.min(own, nTextCtx) : nTextCtx),
    sampleLength: options.sampleLength ?? nTextCtx,
  };
}

/** Models of this shape, turbo and the distilled ones, were not trained to translate: few layers of text under many of sound. */
const isDistilled = ({ nAudioLayer, nTextLayer }: ModelDimensions): boolean => nAudioLayer >= 3 * nTextLayer;

/**
 * Options that change nothing, or not what they say, and why: for warnings.
 *
 * @param resolved of the options
 */
export function decodingWarnings(
  options: DecodingOptions,
  resolved: ResolvedDecoding,
  dimensions: ModelDimensions,
): string[] {
  const warnings: string[] = [];
  if (resolved.task === "translate" && isDistilled(dimensions)) {
    warnings.push(
      "The task translate may have no effect: models of this shape (turbo, distilled) were not trained to translate",
    );
  }
  if (options.maxInitialTimestamp !== undefined && !resolved.timestamps) {
    warnings.push('"maxInitialTimestamp" has no effect: the model is not asked for timestamps');
  }
  return warnings;
}

/** Other options may stand beside: those of a search, or of an algorithm. */
function assertKinds(options: DecodingOptions): void {
  for (const [name, kind] of Object.entries(DECODING_OPTIONS))
    assertOption(name, options[name as keyof DecodingOptions], kind);
}

/**
 * Code of the language asked for.
 *
 * An English-only checkpoint takes what it does anyway, "en" and "transcribe", and refuses the rest (facts 4b.10).
 *
 * @returns undefined where none was asked for and the vocabulary has language tokens; "en" for an English-only checkpoint
 * @throws {OptionError} for an unknown language (lists the known ones), or one this checkpoint has no token for
 */
export function resolveLanguage(
  tokenizer: Pick<DecodingTokenizer, "special" | "multilingual">,
  language: string | undefined,
  task: Task = "transcribe",
): string | undefined {
  // A fine-tuned checkpoint may have a language that Whisper has no name for.
  const isOwn = language !== undefined && tokenizer.multilingual && tokenizer.special.languages.has(language);
  const code = language === undefined || isOwn ? language : languageCode(language);
  if (!tokenizer.multilingual) {
    const hint = "choose a multilingual checkpoint, one whose name does not end in .en";
    if (code !== undefined && code !== "en") {
      throw new OptionError("language", `Cannot decode language ${quote(language)}: the checkpoint is English-only`, {
        hint,
      });
    }
    if (task !== "transcribe") {
      throw new OptionError("task", `Cannot carry out task ${quote(task)}: the checkpoint is English-only`, { hint });
    }
    return "en";
  }
  if (code !== undefined && !tokenizer.special.languages.has(code)) {
    const codes = [...tokenizer.special.languages.keys()].join(", ");
    throw new OptionError(
      "language",
      `The checkpoint has no token for language ${quote(language)}, expected one of ${codes}`,
    );
  }
  return code;
}

/**
 * The rules that an engine applies while it generates (facts 2.4.5-2.4.7).
 *
 * @throws {OptionError} for values that are none of the option's, and tokens outside the vocabulary
 */
export function tokenRules(
  tokenizer: DecodingTokenizer,
  options: DecodingOptions = {},
  defaults: DecodingDefaults = {},
): TokenRules {
  assertKinds(options);
  const { special } = tokenizer;
  return {
    eot: special.eot,
    timestampBegin: special.timestampBegin,
    suppress: suppressedTokens(tokenizer, options, defaults.suppressTokens),
    suppressAtBegin: options.suppressBlank === false ? [] : blankTokens(tokenizer, defaults.beginSuppressTokens),
    timestamps:
      options.withoutTimestamps === true
        ? null
        : {
            noTimestamps: special.noTimestamps,
            maxInitialTimestampIndex: initialTimestampIndex(options.maxInitialTimestamp, defaults),
          },
  };
}

function suppressedTokens(
  tokenizer: DecodingTokenizer,
  { suppressTokens: asked, suppressNumerals }: DecodingOptions,
  ofCheckpoint: readonly number[] | null | undefined,
): number[] {
  const { special } = tokenizer;
  const last = Math.max(
    special.timestampBegin + Math.round(MAX_TIMESTAMP / TIME_PRECISION),
    ...special.languages.values(),
  );
  const suppressed = new Set<number>();
  // An empty list is what conversion leaves in fine-tuned checkpoints: no wish of anyone's (facts 1.13.7).
  const own = ofCheckpoint == null || ofCheckpoint.length === 0 ? [-1] : ofCheckpoint;
  for (const id of asked === undefined ? own : parseTokens(asked)) {
    if (id === -1) for (const symbol of tokenizer.nonSpeechTokens) suppressed.add(symbol);
    else if (Number.isInteger(id) && id >= 0 && id <= last) suppressed.add(id);
    else if (asked !== undefined) {
      throw new OptionError(
        "suppressTokens",
        `Cannot suppress token ${quote(id)}, expected ids from 0 to ${last}, or -1 for the non-speech symbols`,
      );
    }
  }
  if (suppressNumerals === true) for (const id of numeralTokens(tokenizer)) suppressed.add(id);
  for (const id of [
    special.transcribe,
    special.translate,
    special.sot,
    special.sotPrev,
    special.sotLm,
    special.noSpeech,
  ]) {
    suppressed.add(id);
  }
  return [...suppressed].sort((a, b) => a - b);
}

function parseTokens(tokens: string | readonly number[]): readonly number[] {
  if (typeof tokens !== "string") return tokens;
  if (tokens.trim() === "") return [];
  return tokens.split(",").map((token) => (token.trim() === "" ? Number.NaN : Number(token)));
}

function blankTokens(tokenizer: DecodingTokenizer, ofCheckpoint: readonly number[] | null | undefined): number[] {
  // The checkpoint's list spares reading the merges, which only encoding needs.
  if (ofCheckpoint != null && ofCheckpoint.length > 0) return [...ofCheckpoint];
  return [...tokenizer.encode(" "), tokenizer.special.eot];
}

function initialTimestampIndex(seconds: number | null | undefined, defaults: DecodingDefaults): number | null {
  if (seconds === null) return null;
  if (seconds === undefined) return defaults.maxInitialTimestampIndex ?? DEFAULT_MAX_INITIAL_TIMESTAMP_INDEX;
  return roundHalfEven(seconds / TIME_PRECISION);
}
