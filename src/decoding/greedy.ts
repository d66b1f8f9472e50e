/**
 * Decodes windows by always taking the likeliest token. The loop itself runs in the engine (`Engine.generate`); here the
 * prompt is made before it, and the scores and the text after it.
 */
import type { AudioState, Engine, Generated } from "../engine/engine.ts";
import type { Task } from "../tokenizer/index.ts";
import { compressionRatio } from "./compression-ratio.ts";
import { detectLanguage } from "./language.ts";
import {
  resolveDecoding,
  type DecodingDefaults,
  type DecodingOptions,
  type DecodingTokenizer,
  type ResolvedDecoding,
} from "./options.ts";
import { averageLogprob } from "./scores.ts";

/** One decoded window. */
export interface DecodingResult {
  /** Generated ids, timestamps included, without prompt and without endoftext. */
  readonly tokens: readonly number[];
  /** Stripped text of the tokens, without timestamps. */
  readonly text: string;
  /** Code: given, or detected. */
  readonly language: string;
  readonly task: Task;
  /** Mean log-probability of the tokens, endoftext included. */
  readonly avgLogprob: number;
  /** Probability that the window holds no speech. */
  readonly noSpeechProb: number;
  /** Of the text; above 2.4 it probably repeats itself. */
  readonly compressionRatio: number;
  /** 0: greedy. */
  readonly temperature: number;
  /** Whether the model ended the text, or the limit cut it. */
  readonly stop: "eot" | "length";
}

/**
 * Decodes every window of an audio state, in the language asked for or each in the one detected in it.
 *
 * @param defaults what the checkpoint says where the options are silent
 * @returns one result a window, in order
 * @throws {OptionError} for options that do not exist or do not fit the checkpoint
 */
export async function decode(
  engine: Engine,
  audio: AudioState,
  tokenizer: DecodingTokenizer,
  options: DecodingOptions = {},
  defaults: DecodingDefaults = {},
): Promise<DecodingResult[]> {
  const decoding = resolveDecoding(tokenizer, engine.dimensions.nTextCtx, options, defaults);
  const languages =
    decoding.language === undefined
      ? (await detectLanguage(engine, audio, tokenizer)).map((detection) => detection.language)
      : new Array<string>(audio.batch).fill(decoding.language);
  return decodeGreedy(engine, audio, tokenizer, languages, decoding);
}

/**
 * Decodes every window of an audio state, each in its language.
 *
 * @param languages one code a window
 * @returns one result a window, in order
 */
export async function decodeGreedy(
  engine: Engine,
  audio: AudioState,
  tokenizer: DecodingTokenizer,
  languages: readonly string[],
  { task, timestamps, rules, maxLength, sampleLength }: ResolvedDecoding,
): Promise<DecodingResult[]> {
  const requests = languages.map((language, window) => {
    const prompt = tokenizer.sotSequence({ language, task, timestamps });
    const maxNewTokens = Math.min(sampleLength, maxLength - prompt.length);
    return { window, prompt, sotIndex: 0, noSpeech: tokenizer.special.noSpeech, rules, maxNewTokens };
  });
  const generated = await engine.generate(audio, requests);
  return generated.map((row, i) => resultOf(row, tokenizer, languages[i], task));
}

function resultOf(generated: Generated, tokenizer: DecodingTokenizer, language: string, task: Task): DecodingResult {
  const tokens = Array.from(generated.tokens);
  const text = tokenizer.decode(tokens).trim();
  return {
    tokens,
    text,
    language,
    task,
    avgLogprob: averageLogprob(generated.tokenLogprobs, tokens.length),
    noSpeechProb: generated.noSpeechProb,
    compressionRatio: compressionRatio(text),
    temperature: 0,
    stop: generated.stop,
  };
}
