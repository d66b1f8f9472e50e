/**
 * Tokens of speaker tags, sound effects and music, which a transcript of speech does not want: `[LAUGHTER]`, `♪♪♪`, `>>`.
 * The rule is openai/whisper's `Tokenizer.non_speech_tokens` (facts 2.4.5): the symbols that are one token, and the first
 * byte of note signs in any case. Apostrophe and hyphen stay allowed inside a word, and are not at its beginning.
 */
import { toByteAlphabet } from "./byte-alphabet.ts";

const SYMBOLS = [
  ...'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
  ..."<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪".split(" "),
];

/** U+2640 to U+267F: all are three bytes of which the first two are one token, and rarely anything but music. */
const NOTE_SIGNS = [..."♩♪♫♬♭♮♯"];

/**
 * Byte-pair encoding of one short word, where ids are in the order of the merges: that of GPT-2 and all made like it.
 * The pair that makes the token of the lowest id is joined first, until none does (tiktoken's rule).
 */
function encodeWord(word: string, idOf: (token: string) => number | undefined): number[] {
  const parts = [...word];
  for (;;) {
    let best = -1;
    let lowest = Infinity;
    for (let i = 0; i + 1 < parts.length; i++) {
      const id = idOf(parts[i] + parts[i + 1]);
      if (id !== undefined && id < lowest) {
        lowest = id;
        best = i;
      }
    }
    if (best < 0) return parts.flatMap((part) => idOf(part) ?? []);
    parts.splice(best, 2, parts[best] + parts[best + 1]);
  }
}

/**
 * @param idOf id of a token as a byte-level vocabulary writes it
 * @returns ids in ascending order; 82 of the multilingual vocabulary, 84 of the English one (facts 6.4)
 */
export function nonSpeechTokens(idOf: (token: string) => number | undefined): number[] {
  const ids = new Set<number>();
  const add = (text: string, evenIfLonger: boolean): void => {
    const encoded = encodeWord(toByteAlphabet(text), idOf);
    if (encoded.length > 0 && (encoded.length === 1 || evenIfLonger)) ids.add(encoded[0]);
  };
  add(" -", true);
  add(" '", true);
  for (const symbol of SYMBOLS) {
    add(symbol, false);
    add(` ${symbol}`, false);
  }
  for (const sign of NOTE_SIGNS) {
    add(sign, true);
    add(` ${sign}`, true);
  }
  return [...ids].sort((a, b) => a - b);
}
