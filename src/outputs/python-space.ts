/** White space as Python sees it, because every text in a file made by openai/whisper went through `str.strip()`. */

// str.isspace() of Python, which differs from trim(): it takes the separators 1C-1F and NEL, and leaves U+FEFF alone.
/** The white space of Python's `str.isspace()` and `\s`, for a character class. */
export const PYTHON_SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const OUTER_SPACE = new RegExp(`^[${PYTHON_SPACE}]+|[${PYTHON_SPACE}]+$`, "g");

/** Removes the white space around a text, as Python's `str.strip()`. */
export function strip(text: string): string {
  return text.replace(OUTER_SPACE, "");
}
