/** The languages Whisper knows: codes in the order of their tokens, names, and other names people use (facts 0.7, 0.8). */
import { OptionError, quote } from "../errors.ts";

/**
 * Code to name, in the order of the language tokens: English is the first, Cantonese, which only large-v3 and its
 * descendants have, the last. Javanese is "jw" here, not "jv".
 */
export const LANGUAGES: ReadonlyMap<string, string> = new Map([
  ["en", "english"],
  ["zh", "chinese"],
  ["de", "german"],
  ["es", "spanish"],
  ["ru", "russian"],
  ["ko", "korean"],
  ["fr", "french"],
  ["ja", "japanese"],
  ["pt", "portuguese"],
  ["tr", "turkish"],
  ["pl", "polish"],
  ["ca", "catalan"],
  ["nl", "dutch"],
  ["ar", "arabic"],
  ["sv", "swedish"],
  ["it", "italian"],
  ["id", "indonesian"],
  ["hi", "hindi"],
  ["fi", "finnish"],
  ["vi", "vietnamese"],
  ["he", "hebrew"],
  ["uk", "ukrainian"],
  ["el", "greek"],
  ["ms", "malay"],
  ["cs", "czech"],
  ["ro", "romanian"],
  ["da", "danish"],
  ["hu", "hungarian"],
  ["ta", "tamil"],
  ["no", "norwegian"],
  ["th", "thai"],
  ["ur", "urdu"],
  ["hr", "croatian"],
  ["bg", "bulgarian"],
  ["lt", "lithuanian"],
  ["la", "latin"],
  ["mi", "maori"],
  ["ml", "malayalam"],
  ["cy", "welsh"],
  ["sk", "slovak"],
  ["te", "telugu"],
  ["fa", "persian"],
  ["lv", "latvian"],
  ["bn", "bengali"],
  ["sr", "serbian"],
  ["az", "azerbaijani"],
  ["sl", "slovenian"],
  ["kn", "kannada"],
  ["et", "estonian"],
  ["mk", "macedonian"],
  ["br", "breton"],
  ["eu", "basque"],
  ["is", "icelandic"],
  ["hy", "armenian"],
  ["ne", "nepali"],
  ["mn", "mongolian"],
  ["bs", "bosnian"],
  ["kk", "kazakh"],
  ["sq", "albanian"],
  ["sw", "swahili"],
  ["gl", "galician"],
  ["mr", "marathi"],
  ["pa", "punjabi"],
  ["si", "sinhala"],
  ["km", "khmer"],
  ["sn", "shona"],
  ["yo", "yoruba"],
  ["so", "somali"],
  ["af", "afrikaans"],
  ["oc", "occitan"],
  ["ka", "georgian"],
  ["be", "belarusian"],
  ["tg", "tajik"],
  ["sd", "sindhi"],
  ["gu", "gujarati"],
  ["am", "amharic"],
  ["yi", "yiddish"],
  ["lo", "lao"],
  ["uz", "uzbek"],
  ["fo", "faroese"],
  ["ht", "haitian creole"],
  ["ps", "pashto"],
  ["tk", "turkmen"],
  ["nn", "nynorsk"],
  ["mt", "maltese"],
  ["sa", "sanskrit"],
  ["lb", "luxembourgish"],
  ["my", "myanmar"],
  ["bo", "tibetan"],
  ["tl", "tagalog"],
  ["mg", "malagasy"],
  ["as", "assamese"],
  ["tt", "tatar"],
  ["haw", "hawaiian"],
  ["ln", "lingala"],
  ["ha", "hausa"],
  ["ba", "bashkir"],
  ["jw", "javanese"],
  ["su", "sundanese"],
  ["yue", "cantonese"],
]);

/** Other names of languages, to codes. */
export const LANGUAGE_ALIASES: ReadonlyMap<string, string> = new Map([
  ["burmese", "my"],
  ["valencian", "ca"],
  ["flemish", "nl"],
  ["haitian", "ht"],
  ["letzeburgesch", "lb"],
  ["pushto", "ps"],
  ["panjabi", "pa"],
  ["moldavian", "ro"],
  ["moldovan", "ro"],
  ["sinhalese", "si"],
  ["castilian", "es"],
  ["mandarin", "zh"],
]);

/** Codes that BCP 47 has, or had, for languages which Whisper calls something else. */
const OTHER_CODES: ReadonlyMap<string, string> = new Map([
  ["cmn", "zh"],
  ["fil", "tl"],
  ["in", "id"],
  ["iw", "he"],
  ["ji", "yi"],
  ["jv", "jw"],
  ["mo", "ro"],
  ["nb", "no"],
]);

const codesByName = new Map([
  ...[...LANGUAGES].map(([code, name]): [string, string] => [name, code]),
  ...LANGUAGE_ALIASES,
]);

/**
 * Finds the code of a language.
 *
 * @param nameOrCodeOrToken "de", "German", "castilian", "<|de|>"; capitals do not matter. Of a tag with a region or a script (BCP 47:
 * "en-US", "pt_BR", "zh-Hans-CN", "zh-yue") the language counts
 * @returns the code: two letters, or "haw" or "yue"
 * @throws {OptionError} listing what exists, as codes, tokens or names, whichever the value looks like (facts 1.8.2)
 */
export function languageCode(nameOrCodeOrToken: string): string {
  const value = typeof nameOrCodeOrToken === "string" ? nameOrCodeOrToken.toLowerCase() : "";
  const inToken = /^<\|(.+)\|>$/.exec(value)?.[1];
  if (inToken !== undefined && LANGUAGES.has(inToken)) return inToken;
  if (LANGUAGES.has(value)) return value;
  const code = codesByName.get(value) ?? codeOfTag(value);
  if (code !== undefined) return code;

  const codes = [...LANGUAGES.keys()];
  let accepted = [...codesByName.keys()];
  if (/[<|>]/.test(value)) accepted = codes.map(languageToken);
  else if (value.length === 2) accepted = codes;
  throw new OptionError(
    "language",
    `Unknown language ${quote(nameOrCodeOrToken)}, expected one of ${accepted.join(", ")}`,
  );
}

/** The language of a tag; undefined if it is none, or Whisper does not know it. */
function codeOfTag(tag: string): string | undefined {
  const [language, ...rest] = tag.split(/[-_]/);
  if (!/^[a-z]{2,3}$/.test(language) || !rest.every((part) => /^[a-z0-9]{1,8}$/.test(part))) return undefined;
  // "zh-yue" is Cantonese, the older way to say "yue"; what else may follow a language says nothing of it.
  for (const code of [...rest.slice(0, 1).filter((part) => part.length === 3), language]) {
    const known = OTHER_CODES.get(code) ?? code;
    if (LANGUAGES.has(known) && (code === language || OTHER_CODES.has(code) || known === "yue")) return known;
  }
  return undefined;
}

/** English name of a language in lower case; the code itself where no name is known, which a fine-tuned model may have. */
export function languageName(code: string): string {
  return LANGUAGES.get(code) ?? code;
}

/** The token of a language: "<|de|>" for "de". */
export function languageToken(code: string): string {
  return `<|${code}|>`;
}
