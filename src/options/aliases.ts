/** Options under the names of other systems. */
import { OptionError } from "../errors.ts";

/** Other name -> our name. */
export type AliasTable = Readonly<Record<string, string>>;

/** The options of `T` under those names of a table that stand for one of them. */
export type Aliased<T, Aliases extends AliasTable> = {
  readonly [A in keyof Aliases as Aliases[A] extends keyof T ? A : never]?: T[Aliases[A] & keyof T];
};

/**
 * Gives every option its own name.
 *
 * @returns a copy; options that are undefined are left out
 * @throws {OptionError} if an option is given under two names
 */
export function withoutAliases(
  options: Readonly<Record<string, unknown>>,
  aliases: AliasTable,
): Record<string, unknown> {
  const named: Record<string, unknown> = {};
  const givenAs: Record<string, string> = {};
  for (const [given, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const name = Object.hasOwn(aliases, given) ? aliases[given] : given;
    if (Object.hasOwn(named, name)) {
      const both = [givenAs[name], given];
      throw new OptionError(given, `Cannot use ${both.join(" together with ")}: they are two names of one option`, {
        hint: `leave out ${both.find((one) => one !== name)}`,
      });
    }
    named[name] = value;
    givenAs[name] = given;
  }
  return named;
}
