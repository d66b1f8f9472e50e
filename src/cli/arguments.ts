/** Reading words of the command line: spelling of flags, and values as openai/whisper writes them. */

import { OptionError, quote } from "../errors.ts";

/**
 * Gives every flag its one spelling, so that `--output-dir` and `--output_dir` are the same, and every yes-or-no flag a
 * value: `--verbose`, `--verbose True` (openai/whisper's way) and `--verbose=true` all become `--verbose=true`, and the word
 * after `--verbose` is taken for its value only if it is True or False.
 *
 * @param booleans spelled with `_`: `--verbose`
 */
export function normaliseArguments(argv: readonly string[], booleans: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (word === "--") return [...out, ...argv.slice(i)];
    const match = /^(--[A-Za-z][^=]*)(=[^]*)?$/.exec(word);
    if (match === null) {
      out.push(word);
      continue;
    }
    const flag = `--${match[1].slice(2).replaceAll("-", "_")}`;
    const value = match[2] ?? "";
    if (booleans.includes(flag) && value === "") {
      const next = argv[i + 1] ?? "";
      const takesNext = /^(true|false)$/i.test(next);
      if (takesNext) i++;
      out.push(`${flag}=${takesNext ? next : "true"}`);
    } else {
      out.push(flag + value);
    }
  }
  return out;
}

/** @throws {OptionError} unless the word is True or False, in any case */
export function parseBoolean(option: string, word: string): boolean {
  if (/^true$/i.test(word)) return true;
  if (/^false$/i.test(word)) return false;
  throw new OptionError(option, `Unknown value ${quote(word)} of ${option}, expected one of True, False`);
}

/** @throws {OptionError} unless the word is a whole number from `least` on */
export function parseWhole(option: string, word: string, least: number): number {
  const value = Number(word);
  if (!/^\d+$/.test(word) || value < least || value > Number.MAX_SAFE_INTEGER) {
    throw new OptionError(option, `Cannot use ${quote(word)} as ${option}, expected a whole number from ${least} on`);
  }
  return value;
}

/** Seconds, from 0 on. @throws {OptionError} if the word is no such number */
export function parseSeconds(option: string, word: string): number {
  const value = Number(word);
  if (!/^\d*\.?\d+(e[+-]?\d+)?$|^\d+\.$/i.test(word) || !Number.isFinite(value)) {
    throw new OptionError(option, `Cannot use ${quote(word)} as ${option}, expected seconds from 0 on`);
  }
  return value;
}
