/**
 * Finds values in JSON text without making objects of them.
 *
 * A tokenizer.json holds 50,000 tokens and 50,000 merges, of which a transcription reads a few hundred; JSON.parse makes
 * strings of all. This scanner checks no more than it needs to keep its place: what it points at is parsed afterwards.
 * It is made of sticky regular expressions, since they are machine code from their second use on, where a loop over the
 * characters of a file that is read once would mostly be interpreted.
 */

const SPACE = /[ \n\r\t]*/y;
const STRING = /"(?:[^"\\]|\\.)*"/y;
const PRIMITIVE = /[-+.\w]+/y;
/** A stretch without braces and brackets, short enough not to fill the stack of the regular expression. */
const STRETCH = /(?:[^"{}[\]]|"(?:[^"\\]|\\.)*"){1,4096}/y;
const NUMBER_MEMBER = /"(?:[^"\\]|\\.)*"\s*:\s*\d+\s*,\s*/y;
const LAST_NUMBER_MEMBER = /"(?:[^"\\]|\\.)*"\s*:\s*\d+\s*\}/y;
const KEY_AND_NUMBER = /("(?:[^"\\]|\\.)*")\s*:\s*(\d+)/y;

/** Index after what `pattern` matches at `at`; -1 if it does not. */
function after(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

function fail(text: string, at: number, wanted: string): never {
  const found = at < text.length ? `"${text[at]}"` : "the end";
  throw new SyntaxError(`found ${found} at character ${at}, expected ${wanted}`);
}

function skipSpace(text: string, at: number): number {
  return after(SPACE, text, at);
}

function skipString(text: string, at: number): number {
  const end = after(STRING, text, at);
  return end < 0 ? fail(text, at, "a string") : end;
}

/**
 * Finds the end of a value.
 *
 * @param at index of its first character
 * @returns index after its last
 * @throws {SyntaxError} if no value begins there, or it does not end
 */
export function skipValue(text: string, at: number): number {
  const first = text[at];
  if (first === '"') return skipString(text, at);
  if (first !== "{" && first !== "[") {
    const end = after(PRIMITIVE, text, at);
    return end < 0 ? fail(text, at, "a value") : end;
  }
  let depth = 0;
  for (let i = at; i < text.length;) {
    const c = text[i];
    if (c === "{" || c === "[") depth++;
    else if (c === "}" || c === "]") depth--;
    else {
      i = after(STRETCH, text, i);
      if (i < 0) break;
      continue;
    }
    i++;
    if (depth === 0) return i;
  }
  return fail(text, text.length, `the end of the ${first === "{" ? "object" : "array"} of character ${at}`);
}

/**
 * Finds the members of an object whose values are whole numbers from 0.
 *
 * @param at index of the opening brace
 * @returns the index of each key's opening quote, in order, and the index after the closing brace
 * @throws {SyntaxError} where the text is no such object
 */
export function scanNumbers(text: string, at: number): { keys: Int32Array; end: number } {
  if (text[at] !== "{") fail(text, at, 'an object ("{")');
  let i = skipSpace(text, at + 1);
  if (text[i] === "}") return { keys: new Int32Array(0), end: i + 1 };
  let keys = new Int32Array(1 << 16);
  let count = 0;
  for (;;) {
    if (count === keys.length) {
      const larger = new Int32Array(2 * count);
      larger.set(keys);
      keys = larger;
    }
    keys[count++] = i;
    const next = after(NUMBER_MEMBER, text, i);
    if (next < 0) break;
    i = next;
  }
  const end = after(LAST_NUMBER_MEMBER, text, i);
  return end < 0 ? fail(text, i, "a key and a whole number") : { keys: keys.slice(0, count), end };
}

/** The key and the number of a member that `scanNumbers` has found. */
export function parseNumberMember(text: string, at: number): { key: string; value: number } {
  KEY_AND_NUMBER.lastIndex = at;
  const match = KEY_AND_NUMBER.exec(text);
  if (match === null) return fail(text, at, "a key and a whole number");
  return { key: unquote(match[1]), value: Number(match[2]) };
}

/**
 * Calls `visit` for each member of an object, in order.
 *
 * @param at index of the opening brace, or of white space before it
 * @param visit gets the key and the index of the value's first character; returns the index after the value, as
 *   `skipValue` gives it
 * @returns index after the closing brace
 * @throws {SyntaxError} where the text is no object
 */
export function scanObject(text: string, at: number, visit: (key: string, valueStart: number) => number): number {
  let i = skipSpace(text, at);
  if (text[i] !== "{") fail(text, i, 'an object ("{")');
  i = skipSpace(text, i + 1);
  if (text[i] === "}") return i + 1;
  for (;;) {
    const keyStart = i;
    const keyEnd = skipString(text, i);
    i = skipSpace(text, keyEnd);
    if (text[i] !== ":") fail(text, i, '":"');
    i = skipSpace(text, visit(unquote(text.slice(keyStart, keyEnd)), skipSpace(text, i + 1)));
    if (text[i] === "}") return i + 1;
    if (text[i] !== ",") fail(text, i, '"," or "}"');
    i = skipSpace(text, i + 1);
  }
}

/** The string that JSON text in quotes stands for. */
function unquote(json: string): string {
  return json.includes("\\") ? (JSON.parse(json) as string) : json.slice(1, -1);
}
