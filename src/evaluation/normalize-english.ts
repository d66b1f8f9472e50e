/** OpenAI's normaliser for English (`EnglishTextNormalizer`; facts 2.7.2), the one that published error rates are measured with. */

import { removeBracketed, removeSymbolsAndDiacritics } from "./clean-text.ts";
import { normalizeEnglishNumbers } from "./english-numbers.ts";
import { SPACE, splitWords, squeezeSpaces, WORD_END, WORD_START } from "./python-text.ts";
import { AMERICAN_SPELLINGS } from "./spelling-table.ts";

/** Words, and what they become; in this order. The titles' second space is squeezed later. */
const WHOLE_WORDS: readonly (readonly [word: string, written: string])[] = [
  ["won't", "will not"],
  ["can't", "can not"],
  ["let's", "let us"],
  ["ain't", "aint"],
  ["y'all", "you all"],
  ["wanna", "want to"],
  ["gotta", "got to"],
  ["gonna", "going to"],
  ["i'ma", "i am going to"],
  ["imma", "i am going to"],
  ["woulda", "would have"],
  ["coulda", "could have"],
  ["shoulda", "should have"],
  ["ma'am", "madam"],
  ["mr", "mister "],
  ["mrs", "missus "],
  ["st", "saint "],
  ["dr", "doctor "],
  ["prof", "professor "],
  ["capt", "captain "],
  ["gov", "governor "],
  ["ald", "alderman "],
  ["gen", "general "],
  ["sen", "senator "],
  ["rep", "representative "],
  ["pres", "president "],
  ["rev", "reverend "],
  ["hon", "honorable "],
  ["asst", "assistant "],
  ["assoc", "associate "],
  ["lt", "lieutenant "],
  ["col", "colonel "],
  ["jr", "junior "],
  ["sr", "senior "],
  ["esq", "esquire "],
];

/** The same for endings of words. */
const ENDINGS: readonly (readonly [ending: string, written: string])[] = [
  ["'d been", " had been"],
  ["'s been", " has been"],
  ["'d gone", " had gone"],
  ["'s gone", " has gone"],
  ["'d done", " had done"], // "'s done" may be "is done"
  ["'s got", " has got"],
  ["n't", " not"],
  ["'re", " are"],
  ["'s", " is"],
  ["'d", " would"],
  ["'ll", " will"],
  ["'t", " not"],
  ["'ve", " have"],
  ["'m", " am"],
];

const REPLACEMENTS: readonly (readonly [pattern: RegExp, written: string])[] = [
  ...WHOLE_WORDS.map(([word, written]) => [new RegExp(WORD_START + word + WORD_END, "gu"), written] as const),
  ...ENDINGS.map(([ending, written]) => [new RegExp(ending + WORD_END, "gu"), written] as const),
];
const HESITATIONS = new RegExp(`${WORD_START}(?:hmm|mm|mhm|mmm|uh|um)${WORD_END}`, "gu");
const SPACE_BEFORE_APOSTROPHE = new RegExp(`[${SPACE}]+'`, "gu");

/**
 * One spelling for what is said alike: lower case, no brackets, hesitations, punctuation and diacritics, contractions and titles
 * written out, numbers in figures, American spelling, single spaces.
 *
 * @see openai/whisper normalizers/english.py (v20250625)
 * @example
 * normalizeEnglish("Dr. Smith isn't the colour expert."); // "doctor smith is not the color expert"
 */
export function normalizeEnglish(text: string): string {
  let out = removeBracketed(text.toLowerCase()).replace(HESITATIONS, "").replace(SPACE_BEFORE_APOSTROPHE, "'");
  for (const [pattern, written] of REPLACEMENTS) out = out.replace(pattern, written);
  out = out.replace(/(\p{Nd}),(\p{Nd})/gu, "$1$2").replace(/\.([^0-9]|$)/gu, " $1");
  out = normalizeEnglishSpelling(normalizeEnglishNumbers(removeSymbolsAndDiacritics(out, ".%$¢€£")));
  // Symbols that belong to no number.
  out = out.replace(/[.$¢€£]([^0-9])/gu, " $1").replace(/([^0-9])%/gu, "$1 ");
  return squeezeSpaces(out);
}

/** Words in American spelling, with single spaces between them. The text must be in lower case. */
export function normalizeEnglishSpelling(text: string): string {
  return splitWords(text)
    .map((word) => AMERICAN_SPELLINGS.get(word) ?? word)
    .join(" ");
}
