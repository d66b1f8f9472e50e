/**
 * Decodes all windows of an audio state. Where each takes its likeliest tokens, the loop runs in the engine
 * (`Engine.generate`), for all windows at once; other searches go window by window.
 */
import type { AudioState, Engine, Generated } from "../engine/engine.ts";
import { decodeWindow } from "./decode-window.ts";
import { detectLanguage } from "./language.ts";
import {
  resolveDecoding,
  type DecodingDefaults,
  type DecodingOptions,
  type DecodingTokenizer,
  type ResolvedDecoding,
} from "./options.ts";
import { decodingResult, hypothesisOf, type DecodingResult } from "./result.ts";
import { resolveSearch, type SearchOptions } from "./search-options.ts";

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
  options: DecodingOptions & SearchOptions = {},
  defaults: DecodingDefaults = {},
): Promise<DecodingResult[]> {
  const { nTextCtx } = engine.dimensions;
  const decoding = resolveDecoding(tokenizer, nTextCtx, options, defaults);
  const isPlain = isPlainGreedy(options, nTextCtx);
  const languages =
    decoding.language === undefined
      ? (await detectLanguage(engine, audio, tokenizer)).map((detection) => detection.language)
      : new Array<string>(audio.batch).fill(decoding.language);
  if (isPlain) return decodeGreedy(engine, audio, tokenizer, languages, decoding);
  return Promise.all(
    languages.map((code, window) => decodeWindow(engine, audio, window, tokenizer, code, decoding, options)),
  );
}

/** Whether all windows can be decoded in one call of the engine. */
function isPlainGreedy(search: SearchOptions, nTextCtx: number): boolean {
  const { prompt = [], prefix = "", hotwords = "", allowedPhrases } = search;
  const { kind } = resolveSearch(search, nTextCtx);
  return kind === "greedy" && prompt.length + prefix.length + hotwords.length === 0 && allowedPhrases === undefined;
}

/**
 * Decodes every window of an audio state by its likeliest tokens, each in its language.
 *
 * @param languages one code a window
 * @param onResult called with each window's result as soon as it is there
 * @returns one result a window, in order
 */
export async function decodeGreedy(
  engine: Engine,
  audio: AudioState,
  tokenizer: DecodingTokenizer,
  languages: readonly string[],
  { task, timestamps, rules, maxLength, sampleLength }: ResolvedDecoding,
  onResult?: (window: number, result: DecodingResult) => void,
): Promise<DecodingResult[]> {
  const requests = languages.map((language, window) => {
    const prompt = tokenizer.sotSequence({ language, task, timestamps });
    const maxNewTokens = Math.min(sampleLength, maxLength - prompt.length);
    return { window, prompt, sotIndex: 0, noSpeech: tokenizer.special.noSpeech, rules, maxNewTokens };
  });
  const results: DecodingResult[] = [];
  const add = (window: number, generated: Generated): void => {
    if (results[window] !== undefined) return;
    const { noSpeechProb } = generated;
    const language = languages[window];
    results[window] = decodingResult(hypothesisOf(generated), {
      tokenizer,
      language,
      task,
      noSpeechProb,
      temperature: 0,
    });
    onResult?.(window, results[window]);
  };
  const generated = await engine.generate(audio, requests, add);
  for (const [window, row] of generated.entries()) add(window, row);
  return results;
}
