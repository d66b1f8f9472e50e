/**
 * What Python's `re` and `str` mean by a word, a space and a digit, for rules that were written in it. JavaScript's `\b` and
 * `\w` know ASCII alone, and its `\s` has other members at the edges.
 */

/** A character of `\w`: letters and numbers of any script, and `_`. */
const WORD = "[\\p{L}\\p{N}_]";

/** `\b` before a character of a word. */
export const WORD_START = `(?<!${WORD})`;

/** `\b` after a character of a word. */
export const WORD_END = `(?!${WORD})`;

/** Members of `\s`, for use in `[...]`: without U+FEFF, with U+001C to U+001F and U+0085. */
export const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

const SPACES = new RegExp(`[${SPACE}]+`, "gu");

/** The words between white space: `str.split()`. */
export function splitWords(text: string): string[] {
  return text.split(SPACES).filter((word) => word !== "");
}

/** Every run of white space as one space: `re.sub(r"\s+", " ", text)`. The ends are not trimmed. */
export function squeezeSpaces(text: string): string {
  return text.replace(SPACES, " ");
}

/** Decimal digits of any script as 0 to 9; all else stays. */
export function asciiDigits(text: string): string {
  return text.replace(/[^\0-\x7f]/gu, (character) => {
    if (!IS_DIGIT.test(character)) return character;
    // Unicode keeps each script's digits together and in order, from 0 to 9.
    const code = character.codePointAt(0) as number;
    let first = code;
    while (IS_DIGIT.test(String.fromCodePoint(first - 1))) first--;
    return String((code - first) % 10);
  });
}

const IS_DIGIT = /^\p{Nd}$/u;
