/** Two habits of Python's strings that decide where openai/whisper sees a word. */

// str.isspace(), which differs from trim(): it takes the separators 1C-1F and NEL, and leaves U+FEFF alone.
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const OUTER_SPACE = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");

/** `text.strip()` */
export function strip(text: string): string {
  return text.replace(OUTER_SPACE, "");
}

/**
 * `text in marks`: true for the empty text, and for several marks that stand side by side in the list as well as for one
 * (facts 2.5.6).
 */
export function isAmong(text: string, marks: string): boolean {
  return marks.includes(text);
}
