/** The normalisers by name, and which one is for which language. */

import { assertOneOf } from "../errors.ts";
import { normalizeBasic } from "./normalize-basic.ts";
import { normalizeEnglish } from "./normalize-english.ts";
import { splitWords } from "./python-text.ts";

/** `letters` is `basic` with a space between letters, so that words of scripts without spaces are letters. */
export const NORMALIZERS = ["english", "basic", "letters", "none"] as const;
export type NormalizerName = (typeof NORMALIZERS)[number];

/** A normaliser by name, or any function of a text. */
export type Normalizer = NormalizerName | ((text: string) => string);

/**
 * Languages written without spaces between words. OpenAI's paper puts a space between all letters of Chinese, Japanese, Thai,
 * Lao and Burmese ("Robust Speech Recognition via Large-Scale Weak Supervision", 2022, section 4.4); Cantonese came later and
 * Khmer is written the same way.
 */
const UNSPACED: readonly string[] = ["zh", "ja", "th", "lo", "my", "yue", "km"];

/**
 * The normaliser that texts of a language are compared with: English has its own, languages without spaces have their letters
 * compared, all others their words.
 *
 * @param language code, as `en`
 */
export function normalizerFor(language: string): Exclude<NormalizerName, "none"> {
  if (language === "en") return "english";
  return UNSPACED.includes(language) ? "letters" : "basic";
}

/** The function of a normaliser. @throws {OptionError} if there is none of that name */
export function normalizerOf(normalizer: Normalizer): (text: string) => string {
  if (typeof normalizer === "function") return normalizer;
  assertOneOf("normalizer", normalizer, NORMALIZERS);
  switch (normalizer) {
    case "english":
      return normalizeEnglish;
    case "basic":
      return normalizeBasic;
    case "letters":
      return (text) => normalizeBasic(text, { splitLetters: true });
    case "none":
      return (text) => text;
  }
}

/**
 * The function of a normaliser for a comparison of characters. Spaces of `letters` say nothing, neither its own nor the
 * writer's: they go.
 */
export function characterNormalizerOf(normalizer: Normalizer): (text: string) => string {
  if (normalizer === "letters") return (text) => splitWords(normalizeBasic(text)).join("");
  return normalizerOf(normalizer);
}
