/** Steps that OpenAI's normalisers share: what is in brackets goes, and marks, symbols and punctuation make room. */

/** Letters that have no decomposition, and what stands for them in ASCII. */
const PLAIN_LETTERS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...{ œ: "oe", Œ: "OE", ø: "o", Ø: "O", æ: "ae", Æ: "AE", ß: "ss", ẞ: "SS", đ: "d", Đ: "D" },
    ...{ ð: "d", Ð: "D", þ: "th", Þ: "th", ł: "l", Ł: "L" }, // "th" for both: OpenAI's table has it so
  }),
);

/** Removes `<...>` and `[...]` (either bracket closes either), then `(...)` with something in it. */
export function removeBracketed(text: string): string {
  return text.replace(/[<[][^>\]]*[>\]]/gu, "").replace(/\([^)]+\)/gu, "");
}

/**
 * A space for each mark, symbol and punctuation character, after NFKC. Marks that NFKC could not join to their letter are
 * among them, so vowel signs of Indic scripts break words, as they do in OpenAI's.
 */
export function removeSymbols(text: string): string {
  return text.normalize("NFKC").replace(/[\p{M}\p{S}\p{P}]/gu, " ");
}

/**
 * The same after NFKD, with combining marks removed and not spaced, and letters such as æ in ASCII.
 *
 * @param keep characters that stay whatever they are
 */
export function removeSymbolsAndDiacritics(text: string, keep = ""): string {
  return text
    .normalize("NFKD")
    .replace(/[œŒøØæÆßẞđĐðÐþÞłŁ\p{M}\p{S}\p{P}]/gu, (character) =>
      keep.includes(character) ? character : (PLAIN_LETTERS.get(character) ?? (/^\p{Mn}$/u.test(character) ? "" : " ")),
    );
}
