/** Tokens to words. A word is a whole number of tokens; the words of a text, joined, are the text. */
import type { Tokenizer } from "../tokenizer/index.ts";
import { isAmong, strip } from "./python-text.ts";

/** What of a tokenizer words are made with. */
export type WordTokenizer = Pick<Tokenizer, "decode" | "special">;

/** A word with its leading space, where it has one, and its tokens. */
export interface WordTokens {
  readonly word: string;
  readonly tokens: readonly number[];
}

/** Languages written without spaces: each character is a word, because nothing short of a dictionary says more. */
const WITHOUT_SPACES: ReadonlySet<string> = new Set(["zh", "ja", "th", "lo", "my", "yue"]);

const ASCII_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const REPLACEMENT = "\ufffd";

/**
 * Splits tokens into words: at spaces and ASCII punctuation, or, in languages written without spaces, at each character
 * (facts 2.5.4).
 *
 * @param tokens special tokens are words of their own
 * @param language code; undefined for a model that knows English alone
 * @see openai/whisper tokenizer.py `split_to_word_tokens` (v20250625)
 */
export function splitToWords(
  tokens: readonly number[],
  tokenizer: WordTokenizer,
  language: string | undefined,
): WordTokens[] {
  const isSpaced = language === undefined || !WITHOUT_SPACES.has(language);
  return isSpaced ? splitOnSpaces(tokens, tokenizer) : splitOnUnicode(tokens, tokenizer);
}

/**
 * Splits tokens wherever the bytes so far are whole characters. U+FFFD holds a group open, unless the text has it at this
 * very place: then the model did write bytes that are no UTF-8. Places are counted in code points.
 *
 * Bytes that are no UTF-8 may decode to fewer characters together than one by one; then places do not fit any more, and
 * openai/whisper may hold a group open to the end and lose it. Here a group ends once its last character is whole, or the text ends.
 *
 * @see openai/whisper tokenizer.py `split_tokens_on_unicode` (v20250625)
 */
export function splitOnUnicode(tokens: readonly number[], tokenizer: WordTokenizer): WordTokens[] {
  const decode = (ids: readonly number[]): string =>
    tokenizer.decode(ids, { skipSpecialTokens: false, timestamps: true });
  const text = [...decode(tokens)];
  const words: WordTokens[] = [];
  let group: number[] = [];
  let offset = 0;
  for (const token of tokens) {
    group.push(token);
    const word = decode(group);
    const hole = word.indexOf(REPLACEMENT);
    const isWhole = hole < 0 || !word.endsWith(REPLACEMENT);
    if (isWhole || text[offset + countCodePoints(word.slice(0, hole))] === REPLACEMENT) {
      words.push({ word, tokens: group });
      group = [];
      offset += countCodePoints(word);
    }
  }
  if (group.length > 0) words.push({ word: decode(group), tokens: group });
  return words;
}

function splitOnSpaces(tokens: readonly number[], tokenizer: WordTokenizer): WordTokens[] {
  const words: { word: string; tokens: number[] }[] = [];
  for (const { word, tokens: group } of splitOnUnicode(tokens, tokenizer)) {
    const isSpecial = group[0] >= tokenizer.special.eot;
    const begins = isSpecial || word.startsWith(" ") || isAmong(strip(word), ASCII_PUNCTUATION);
    const last = words.at(-1);
    if (begins || last === undefined) words.push({ word, tokens: [...group] });
    else {
      last.word += word;
      last.tokens.push(...group);
    }
  }
  return words;
}

function countCodePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
