/** OpenAI's normaliser for texts of any language (`BasicTextNormalizer`; facts 2.7.1). */

import { assertOptions, flag } from "../options/index.ts";
import { removeBracketed, removeSymbols, removeSymbolsAndDiacritics } from "./clean-text.ts";
import { squeezeSpaces } from "./python-text.ts";

/** What `normalizeBasic` may do beyond the rule. */
export interface BasicNormalizerOptions {
  /** Write é as e, ß as ss and so on. Default false. */
  readonly removeDiacritics?: boolean | undefined;
  /** Put spaces between letters (grapheme clusters): for scripts without spaces between words. Default false. */
  readonly splitLetters?: boolean | undefined;
}

const BASIC_OPTIONS = { removeDiacritics: flag, splitLetters: flag };

/**
 * Lower case, nothing in brackets, NFKC, a space for each mark, symbol and punctuation character, single spaces.
 *
 * The ends are not trimmed, as in OpenAI's: `"Hola güey!"` becomes `"hola güey "`.
 *
 * @see openai/whisper normalizers/basic.py (v20250625)
 * @example
 * normalizeBasic("Ça va, très bien?"); // "ça va très bien "
 */
export function normalizeBasic(text: string, options: BasicNormalizerOptions = {}): string {
  assertOptions("normalizeBasic", options, BASIC_OPTIONS);
  const bare = removeBracketed(text.toLowerCase());
  const clean = (
    options.removeDiacritics === true ? removeSymbolsAndDiacritics(bare) : removeSymbols(bare)
  ).toLowerCase();
  return squeezeSpaces(options.splitLetters === true ? splitGraphemes(clean).join(" ") : clean);
}

let segmenter: Intl.Segmenter | undefined;

function splitGraphemes(text: string): string[] {
  segmenter ??= new Intl.Segmenter("und", { granularity: "grapheme" });
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}
