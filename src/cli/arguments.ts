/** Reading words of the command line: spelling of flags, and values as openai/whisper writes them. */

import { existsSync } from "node:fs";
import { OptionError, quote } from "../errors.ts";

/**
 * Gives every flag its one spelling, so that `--output-dir` and `--output_dir` are the same, and every yes-or-no flag a
 * value: `--verbose`, `--verbose True` (openai/whisper's way) and `--verbose=true` all become `--verbose=true`. The word after
 * `--verbose` is its value if it is True or False, or a word that can be nothing else, which is then refused: `--verbose Ture`.
 *
 * @param booleans spelled with `_`: `--verbose`
 * @param exists whether a word is the path of a file or folder
 */
export function normaliseArguments(
  argv: readonly string[],
  booleans: readonly string[],
  exists: (word: string) => boolean = existsSync,
): string[] {
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
      const takesNext = /^(true|false)$/i.test(next) || (/^[a-z0-9]+$/i.test(next) && !exists(next));
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
  throw new OptionError(option, `Cannot use ${quote(word)} as ${option}, expected True or False`);
}

/** Reads the word after a flag. @throws {OptionError} if it is no value of that flag */
export type ValueReader<T> = (option: string, word: string) => T;

/** @throws {OptionError} unless the word is a whole number in the range */
export function parseWhole(option: string, word: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const value = Number(word);
  if (!/^\d+$/.test(word) || value < least || value > most) {
    const range = most === Number.MAX_SAFE_INTEGER ? `${least} on` : `${least} to ${most}`;
    throw new OptionError(option, `Cannot use ${quote(word)} as ${option}, expected a whole number from ${range}`);
  }
  return value;
}

/** @throws {OptionError} unless the word is a decimal number in the range */
export function parseNumber(option: string, word: string, least = -Infinity, most = Infinity): number {
  const value = Number(word);
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word) || !Number.isFinite(value) || value < least || value > most) {
    const to = most === Infinity ? "on" : `to ${most}`;
    const range = least !== -Infinity ? ` from ${least} ${to}` : most === Infinity ? "" : ` up to ${most}`;
    throw new OptionError(option, `Cannot use ${quote(word)} as ${option}, expected a number${range}`);
  }
  return value;
}

/** The same, but for the word None, openai/whisper's way to turn something off. */
export function orNone<T>(read: ValueReader<T>): ValueReader<T | null> {
  return (option, word) => {
    if (word === "None") return null;
    try {
      return read(option, word);
    } catch (error) {
      if (error instanceof OptionError) throw new OptionError(option, `${error.message}, or None`);
      throw error;
    }
  };
}

/** Seconds, from 0 on. @throws {OptionError} if the word is no such number */
export function parseSeconds(option: string, word: string): number {
  const value = Number(word);
  if (!/^\d*\.?\d+(e[+-]?\d+)?$|^\d+\.$/i.test(word) || !Number.isFinite(value)) {
    throw new OptionError(option, `Cannot use ${quote(word)} as ${option}, expected seconds from 0 on`);
  }
  return value;
}

/** @throws {OptionError} which says that two flags exclude one another */
export function conflict(one: string, other: string, hint?: string): never {
  throw new OptionError(
    one.replace(/^--| .*$/g, ""),
    `Cannot use ${one} with ${other}`,
    hint === undefined ? {} : { hint },
  );
}

/** @throws {OptionError} which says that a flag needs another */
export function missing(flag: string, needed: string): never {
  throw new OptionError(flag.replace(/^--| .*$/g, ""), `Cannot use ${flag} without ${needed}`);
}
