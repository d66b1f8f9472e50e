/** Refuses options that a table does not have, and values that are not of their kind. */
import { assertKnownOptions, literal, OptionError } from "../errors.ts";
import type { OptionKind, OptionTable } from "./option-kinds.ts";

/**
 * Checks all options of a call. An option that is undefined counts as not given.
 *
 * @param where what is called, for messages: "transcribe"
 * @throws {OptionError} for the first that is wrong: what was found, and what was expected
 */
export function assertOptions(where: string, options: unknown, table: OptionTable): void {
  assertOptionNames(where, options, Object.keys(table));
  for (const [name, value] of Object.entries(options)) assertOption(name, value, table[name]);
}

/** @throws {OptionError} unless it is an object that has no other names than these */
export function assertOptionNames(
  where: string,
  options: unknown,
  names: readonly string[],
): asserts options is Readonly<Record<string, unknown>> {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new OptionError("options", `Cannot use ${literal(options)} as options of ${where}, expected an object`);
  }
  assertKnownOptions(where, options, names);
}

/** @throws {OptionError} unless the value is of the kind, or undefined */
export function assertOption(name: string, value: unknown, kind: OptionKind): void {
  if (value === undefined || kind.accepts(value)) return;
  throw new OptionError(name, `Cannot use ${literal(value)} as ${name}, expected ${kind.wanted}`);
}
