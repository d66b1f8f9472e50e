/** Words with their times. Punctuation is a word of its own here; merge-punctuation.ts changes that. */
import type { AudioState } from "../engine/engine.ts";
import { alignTokens, type AligningEngine, type AlignRequest, type Heads, type TokenTiming } from "./token-times.ts";
import { splitToWords, type WordTokenizer } from "./words.ts";

/** A word and when it is spoken; times are in seconds, from where those of its tokens are counted. */
export interface WordTiming {
  /** With its leading space, where it has one. */
  readonly word: string;
  readonly tokens: readonly number[];
  readonly start: number;
  readonly end: number;
  /** Mean over its tokens. */
  readonly probability: number;
}

/**
 * Words of aligned tokens: from the start of the first token to the end of the last.
 *
 * The tokens may come from several windows, whose times do not agree to the last frame: a word never starts before the
 * end of the word before it. (In one window that is so by itself.)
 *
 * @param language code; undefined for a model that knows English alone
 * @see openai/whisper timing.py `find_alignment` (v20250625; facts 2.5.3)
 */
export function wordTimes(
  timings: readonly TokenTiming[],
  tokenizer: WordTokenizer,
  language: string | undefined,
): WordTiming[] {
  const text = timings.map(({ token }) => token);
  const words: WordTiming[] = [];
  let at = 0;
  let spoken = -Infinity;
  for (const { word, tokens } of splitToWords(text, tokenizer, language)) {
    const parts = timings.slice(at, at + tokens.length);
    at += tokens.length;
    const start = Math.max(spoken, parts[0].start);
    const end = Math.max(start, parts[parts.length - 1].end);
    const probability = parts.reduce((sum, part) => sum + part.probability, 0) / parts.length;
    words.push({ word, tokens, start, end, probability });
    spoken = end;
  }
  return words;
}

/**
 * Words of one window's text, times in seconds from the start of the window.
 *
 * @param language code; undefined for a model that knows English alone
 * @see openai/whisper timing.py `find_alignment` (v20250625)
 */
export async function findAlignment(
  engine: AligningEngine,
  audio: AudioState,
  request: AlignRequest,
  heads: Heads,
  tokenizer: WordTokenizer,
  language: string | undefined,
): Promise<WordTiming[]> {
  const [timings] = await alignTokens(engine, audio, [request], heads, tokenizer.special);
  return wordTimes(timings, tokenizer, language);
}
