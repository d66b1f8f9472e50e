/** What a command is. Each lies in a file of its own in commands/, and is listed in commands/index.ts. */

import type { Command } from "commander";
import type { CliHost } from "./host.ts";

/** One command of the program. Its module must be quick to load: what is heavy is imported inside `run`. */
export interface CliCommand {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Flags that take True, False or nothing; spelled with `_`. */
  readonly booleanFlags?: readonly string[];
  /** Declares arguments and flags, with `_` in their names. */
  configure(command: Command): void;
  /**
   * Does the work, after `configure` and parsing.
   *
   * @returns the exit code: 0, or 1 if something failed and has been reported
   * @throws {OptionError} for what `configure` could not see wrong in the flags: reported by the caller, exit code 2
   */
  run(command: Command, host: CliHost): Promise<number>;
}
