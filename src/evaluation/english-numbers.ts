/**
 * Spelled numbers as figures: `two point five million dollars` becomes `$2500000` (OpenAI's `EnglishNumberNormalizer`; facts
 * 2.7.3). What it makes of odd input is kept as it is, because figures measured with it are compared with other people's:
 * "3 o'clock" becomes "30 clock".
 */

import { asciiDigits, SPACE, splitWords, WORD_END, WORD_START } from "./python-text.ts";

/** What a word does to the number that is being read. */
type NumberWord =
  | { readonly kind: "zero" }
  | { readonly kind: "ones" | "tens" | "multiplier"; readonly value: bigint; readonly suffix: string }
  /** A word before a number: minus. */
  | { readonly kind: "sign"; readonly symbol: string }
  /** A word after a number whose symbol goes before it: dollars. */
  | { readonly kind: "currency"; readonly symbol: string }
  | { readonly kind: "per" | "percent" | "and" | "point" }
  | { readonly kind: "repeat"; readonly times: number };

const ONES =
  "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen";
const TENS = "twenty thirty forty fifty sixty seventy eighty ninety";
const POWERS_OF_1000 =
  "thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion decillion";
const IRREGULAR_ORDINALS: ReadonlyMap<string, readonly [ordinal: string, suffix: string]> = new Map([
  ["one", ["first", "st"]],
  ["two", ["second", "nd"]],
  ["three", ["third", "rd"]],
  ["five", ["fifth", "th"]],
  ["twelve", ["twelfth", "th"]],
]);

const WORDS: ReadonlyMap<string, NumberWord> = new Map(listWords());

function* listWords(): Generator<[string, NumberWord]> {
  for (const zero of ["o", "oh", "zero"]) yield [zero, { kind: "zero" }];
  yield ["zeroth", { kind: "ones", value: 0n, suffix: "th" }];
  for (const [i, name] of ONES.split(" ").entries()) {
    const one = { kind: "ones", value: BigInt(i + 1) } as const;
    yield [name, { ...one, suffix: "" }];
    yield [name === "six" ? "sixes" : `${name}s`, { ...one, suffix: "s" }];
    const [ordinal, suffix] = IRREGULAR_ORDINALS.get(name) ?? [name + (name.endsWith("t") ? "h" : "th"), "th"];
    yield [ordinal, { ...one, suffix }]; // "nineth", not "ninth": OpenAI's table has it so
  }
  for (const [i, name] of TENS.split(" ").entries()) {
    const ten = { kind: "tens", value: BigInt(10 * (i + 2)) } as const;
    yield [name, { ...ten, suffix: "" }];
    yield [name.replace("y", "ies"), { ...ten, suffix: "s" }];
    yield [name.replace("y", "ieth"), { ...ten, suffix: "th" }];
  }
  for (const [i, name] of ["hundred", ...POWERS_OF_1000.split(" ")].entries()) {
    const multiplier = { kind: "multiplier", value: i === 0 ? 100n : 1000n ** BigInt(i) } as const;
    for (const suffix of ["", "s", "th"]) yield [name + suffix, { ...multiplier, suffix }];
  }
  for (const name of ["minus", "negative"]) yield [name, { kind: "sign", symbol: "-" }];
  for (const name of ["plus", "positive"]) yield [name, { kind: "sign", symbol: "+" }];
  for (const [name, symbol] of [
    ["pound", "£"],
    ["euro", "€"],
    ["dollar", "$"],
    ["cent", "¢"],
  ]) {
    yield [name, { kind: "currency", symbol }];
    yield [`${name}s`, { kind: "currency", symbol }];
  }
  for (const kind of ["per", "percent", "and", "point"] as const) yield [kind, { kind }];
  yield ["double", { kind: "repeat", times: 2 }];
  yield ["triple", { kind: "repeat", times: 3 }];
}

/** Whether a word is one of the plain names (without plural or ordinal ending) of these kinds. */
function isPlain(word: string | undefined, ...kinds: readonly NumberWord["kind"][]): boolean {
  const found = word === undefined ? undefined : WORDS.get(word);
  return found !== undefined && kinds.includes(found.kind) && (!("suffix" in found) || found.suffix === "");
}

/**
 * Writes spelled numbers of an English text, in lower case and without punctuation, as figures.
 *
 * Years, ordinals, plurals, decimals, signs, percent and currencies too; the number 1 stays `one`, for readability.
 *
 * @see openai/whisper normalizers/english.py `EnglishNumberNormalizer` (v20250625)
 * @example
 * normalizeEnglishNumbers("two dollars and seventy cents"); // "$2.70"
 */
export function normalizeEnglishNumbers(text: string): string {
  const words = splitWords(markBoundaries(text));
  return joinCents(new NumberReader(words).read().join(" "));
}

/** "and a half" after a number as "point five", and a space between figures and letters, but not before an ending. */
function markBoundaries(text: string): string {
  const pieces = text.split(AND_A_HALF);
  const out: string[] = [];
  for (const [i, piece] of pieces.entries()) {
    const words = splitWords(piece);
    if (words.length === 0) continue;
    out.push(piece);
    if (i === pieces.length - 1) continue;
    out.push(isPlain(words[words.length - 1], "zero", "ones", "tens", "multiplier") ? "point five" : "and a half");
  }
  return out
    .join(" ")
    .replace(/([a-z])([0-9])/g, "$1 $2")
    .replace(/([0-9])([a-z])/g, "$1 $2")
    .replace(DETACHED_ENDING, "$1$2");
}

const AND_A_HALF = new RegExp(`${WORD_START}and[${SPACE}]+a[${SPACE}]+half${WORD_END}`, "u");
const DETACHED_ENDING = new RegExp(`([0-9])[${SPACE}]+(st|nd|rd|th|s)${WORD_END}`, "gu");

/** "$2 and ¢7" as "$2.07", "$0.36" as "¢36", and "1" as "one". */
function joinCents(text: string): string {
  return text
    .replace(DOLLARS_AND_CENTS, (_all, currency: string, whole: string, cents: string) => {
      return `${currency}${whole}.${cents.padStart(2, "0")}`;
    })
    .replace(CENTS_ALONE, (_all, cents: string) => `¢${Number(cents)}`)
    .replace(FIGURE_ONE, "one$1");
}

const DOLLARS_AND_CENTS = new RegExp(`([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})${WORD_END}`, "gu");
const CENTS_ALONE = new RegExp(`[€£$]0[^\\n]([0-9]{1,2})${WORD_END}`, "gu"); // any character: OpenAI's "." is not escaped
const FIGURE_ONE = new RegExp(`${WORD_START}1(s?)${WORD_END}`, "gu");

const SYMBOLS = "-+£€$¢";

/** Reads words from left to right, putting a number together until something ends it. */
class NumberReader {
  readonly #words: readonly string[];
  readonly #out: string[] = [];
  /** The number so far: a bigint while it may still be added to, a string where digits are only appended. */
  #value: bigint | string | null = null;
  #prefix = "";

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  read(): string[] {
    for (let i = 0; i < this.#words.length;) i += this.#take(this.#words[i - 1], this.#words[i], this.#words[i + 1]);
    this.#finish();
    return this.#out;
  }

  /** Takes one word, seeing those beside it. Returns how many words it used. */
  #take(before: string | undefined, word: string, after: string | undefined): 1 | 2 {
    const sign = SYMBOLS.includes(word[0]) ? word[0] : "";
    const figures = word.slice(sign.length);
    if (isFigures(figures)) {
      this.#figures(word, sign, figures);
      return 1;
    }
    const meaning = WORDS.get(word);
    switch (meaning?.kind) {
      case undefined:
        this.#plain(word);
        return 1;
      case "zero":
        this.#value = `${this.#digits()}0`;
        return 1;
      case "ones":
        this.#add(appendOnes(this.#value, meaning.value, before), meaning.suffix);
        return 1;
      case "tens":
        this.#add(appendTens(this.#value, meaning.value), meaning.suffix);
        return 1;
      case "multiplier":
        this.#multiply(meaning.value, meaning.suffix);
        return 1;
      case "sign":
        this.#finish();
        if (mayBeNumber(after)) this.#prefix = meaning.symbol;
        else this.#write(word);
        return 1;
      case "currency":
        if (this.#value !== null) {
          this.#prefix = meaning.symbol;
          this.#finish();
        } else {
          this.#write(word);
        }
        return 1;
      case "percent":
        this.#percent(word);
        return 1;
      case "per":
        if (this.#value === null || after !== "cent") {
          this.#plain(word);
          return 1;
        }
        this.#percent(word);
        return 2;
      case "and":
        // Between parts of a number it is silent: "two hundred and one".
        if (!mayBeNumber(after) || !isPlain(before, "multiplier")) this.#plain(word);
        return 1;
      case "repeat":
        if (!isPlain(after, "zero", "ones")) {
          this.#plain(word);
          return 1;
        }
        this.#value = this.#digits() + figureOf(after as string).repeat(meaning.times);
        return 2;
      case "point":
        if (!mayBeNumber(after)) this.#plain(word);
        else if (isFigures(after as string) || isPlain(after, "zero", "ones", "tens"))
          this.#value = `${this.#digits()}.`;
        return 1;
    }
  }

  #figures(word: string, sign: string, figures: string): void {
    if (typeof this.#value === "string" && this.#value.endsWith(".")) {
      this.#value += word; // decimals, or the next part of an address
      return;
    }
    this.#finish();
    if (sign !== "") this.#prefix = sign;
    this.#value = wholeTimes(figures, 1n) ?? figures;
  }

  /** Goes on with a longer number; an ending ends it. */
  #add(value: bigint | string, suffix: string): void {
    this.#value = value;
    if (suffix !== "") this.#end(`${value}${suffix}`);
  }

  #multiply(multiplier: bigint, suffix: string): void {
    const value = this.#value;
    if (value === null) {
      this.#value = multiplier;
    } else if (typeof value === "string") {
      const product = wholeTimes(value, multiplier);
      if (product === null) this.#finish();
      this.#value = product ?? multiplier;
    } else if (value === 0n) {
      this.#value = 0n;
    } else {
      const below = value % 1000n;
      this.#value = value - below + below * multiplier;
    }
    if (suffix !== "") this.#end(`${this.#value}${suffix}`);
  }

  #percent(word: string): void {
    if (this.#value === null) this.#write(word);
    else this.#end(`${this.#value}%`);
  }

  /** A word that has nothing to do with the number. */
  #plain(word: string): void {
    this.#finish();
    this.#write(word);
  }

  /** The digits so far, none for a bare 0: Python's `str(value or "")`. */
  #digits(): string {
    return this.#value === null || this.#value === 0n ? "" : String(this.#value);
  }

  #finish(): void {
    if (this.#value !== null) this.#end(String(this.#value));
  }

  #end(number: string): void {
    this.#value = null;
    this.#write(number);
  }

  /** A sign that waits is written before whatever comes, number or not. */
  #write(text: string): void {
    this.#out.push(this.#prefix + text);
    this.#prefix = "";
  }
}

function isFigures(word: string): boolean {
  return /^\p{Nd}+(\.\p{Nd}+)?$/u.test(word);
}

function mayBeNumber(word: string | undefined): boolean {
  return word !== undefined && (WORDS.has(word) || isFigures(word));
}

/** The digit of a name from zero to nineteen. */
function figureOf(name: string): string {
  const word = WORDS.get(name);
  return word?.kind === "ones" ? String(word.value) : "0";
}

function appendOnes(value: bigint | string | null, ones: bigint, before: string | undefined): bigint | string {
  if (value === null) return ones;
  if (typeof value === "string" || isPlain(before, "ones")) {
    const digits = String(value);
    return (isPlain(before, "tens") && ones < 10n ? digits.slice(0, -1) : digits) + String(ones);
  }
  return value % (ones < 10n ? 10n : 100n) === 0n ? value + ones : `${value}${ones}`;
}

function appendTens(value: bigint | string | null, tens: bigint): bigint | string {
  if (value === null) return tens;
  return typeof value === "bigint" && value % 100n === 0n ? value + tens : `${value}${tens}`;
}

/** The product, if digits with at most one point give a whole number; else null. */
function wholeTimes(digits: string, multiplier: bigint): bigint | null {
  const match = /^(\d*)(?:\.(\d*))?$/.exec(asciiDigits(digits));
  if (match === null) return null;
  const [, whole, decimals = ""] = match;
  if (whole + decimals === "") return null;
  const product = BigInt(whole + decimals) * multiplier;
  const unit = 10n ** BigInt(decimals.length);
  return product % unit === 0n ? product / unit : null;
}
