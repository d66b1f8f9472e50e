/**
 * The program: finds the command that the words name, reads its flags, and turns what happens into an exit code: 0 done,
 * 1 something failed, 2 the command line is wrong, 130 interrupted.
 */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { Command, CommanderError } from "commander";
import { nearest, OptionError, quote, withHint } from "../errors.ts";
import { normaliseArguments } from "./arguments.ts";
import type { CliCommand } from "./command.ts";
import { COMMANDS } from "./commands/index.ts";
import { type CliHost, OutputError } from "./host.ts";
import { openReport } from "./report.ts";

const EXAMPLES = `
Examples:
  sotto talk.mp3                              print the transcript
  sotto talk.mp3 --model turbo -f srt,txt     write talk.srt and talk.txt here
  sotto talk.mp3 --algorithm sequential       openai/whisper's algorithm and results
  sotto recordings/ -o out --language de      transcribe a folder into out/*.txt, .vtt, .srt, .tsv, .json
  sotto - --output - -f json < talk.mp3       read standard input, print JSON

Flags can be written with - or _ (--output-dir, --output_dir). Exit code: 0 success, 1 something failed, 2 wrong usage.`;

/**
 * Runs the program.
 *
 * @param argv the words after the program's name
 * @returns the exit code
 */
export async function main(argv: readonly string[], host: CliHost): Promise<number> {
  const code = await run(argv, host);
  // What was written may fail only when it has been flushed.
  await new Promise<void>((resolve) => host.stdout.write("", () => setImmediate(resolve)));
  const { reason } = host.outputClosed as { readonly reason: unknown };
  if (!(reason instanceof OutputError)) return code;
  (await openReport(host, true)).failure(reason);
  return code === 0 ? 1 : code;
}

async function run(given: readonly string[], host: CliHost): Promise<number> {
  const argv = given[0] === "help" && !existsSync("help") ? helpOf(given[1]) : given;
  const named = COMMANDS.find(({ name }) => name === argv[0]);
  const command = named ?? COMMANDS[0];
  if (named === undefined) {
    const mistyped = mistypedCommand(argv[0]);
    if (mistyped !== undefined) {
      (await openReport(host, true)).fatal(mistyped);
      return 2;
    }
  }
  const words = normaliseArguments(named === undefined ? argv : argv.slice(1), command.booleanFlags ?? []);
  const parser = build(command, named !== undefined, host);
  try {
    if (named === undefined && asksForVersion(words)) {
      host.stdout.write(`${await version()}\n`);
      return 0;
    }
    assertTwoDashes(words, parser);
    parser.parse(words, { from: "user" });
    return await command.run(parser, host);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0; // help was asked for and given
    const report = await openReport(host, true);
    if (error instanceof CommanderError) report.fatal(usageMessage(error, parser, argv));
    else report.fatal(error);
    return error instanceof CommanderError || error instanceof OptionError ? 2 : 1;
  }
}

/** `sotto help` and `sotto help COMMAND`, as many programs have it. */
function helpOf(word: string | undefined): readonly string[] {
  return COMMANDS.some(({ name }) => name === word) ? [word as string, "--help"] : ["--help"];
}

function build(command: CliCommand, named: boolean, host: CliHost): Command {
  const parser = new Command(named ? `sotto ${command.name}` : "sotto")
    .description(
      named
        ? `${command.summary[0].toUpperCase()}${command.summary.slice(1)}.`
        : "Transcribes speech with OpenAI's Whisper.",
    )
    .exitOverride()
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => void host.stdout.write(text),
      writeErr: () => undefined, // said by main, in our own words
      getOutHelpWidth: () => Math.min(host.stdout.columns ?? 120, 120),
    });
  command.configure(parser);
  if (!named) {
    parser.option("-V, --version", "print the version");
    const width = Math.max(...COMMANDS.map(({ name }) => name.length));
    const list = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join("\n");
    parser.addHelpText("after", `\nCommands (sotto COMMAND --help):\n${list}\n${EXAMPLES}`);
  }
  return parser.helpOption("-h, --help", "show this help");
}

/** What to say of a first word that is neither a command nor a file, but much like a command; undefined if it is not so. */
function mistypedCommand(word: string | undefined): Error | undefined {
  if (word === undefined || !/^[a-z]+$/i.test(word) || existsSync(word)) return undefined;
  const names = COMMANDS.map(({ name }) => name);
  const meant = nearest(word, names);
  if (meant === undefined) return undefined;
  return new OptionError("command", `Unknown command "${word}", and no such file; did you mean "sotto ${meant}"?`, {
    hint: "see sotto --help",
  });
}

/** commander's message in the style of the others; what does not exist is answered with what was probably meant. */
function usageMessage(error: CommanderError, parser: Command, argv: readonly string[]): string {
  const help = `see ${parser.name()} --help`;
  const [first] = error.message.replace(/^error: /, "").split("\n");
  if (error.code === "commander.excessArguments") {
    return withHint(`Too many arguments: found ${parser.args.map(quote).join(", ")}`, help);
  }
  if (error.code === "commander.optionMissingArgument") {
    const [, flag, value] = /'(?:-\w, )?(\S+) (<.*>)'/.exec(first) ?? [];
    return withHint(`Option "${flag}" needs a value, ${value}`, help);
  }
  if (error.code !== "commander.unknownOption") {
    return withHint(first.replace(/^./, (letter) => letter.toUpperCase()).replace(/'/g, '"'), help);
  }
  const flag = nameOf(/'([^]*)'$/.exec(first)?.[1] ?? "");
  // As it was typed: with "-" for "_", or behind other letters that are flags in one word.
  const typed =
    argv.find((word) => nameOf(word) === flag) ??
    argv.find((word) => /^-[^-]/.test(word) && word.endsWith(flag.slice(1))) ??
    flag;
  if (existsSync(typed) || (typed.length > 2 && /\.[a-z]\w*$/i.test(typed))) {
    return `Unknown option ${quote(typed)}: put file names that begin with "-" after "--": ${parser.name()} -- ${typed}`;
  }
  return unknownOption(typed.replace(/=.*$/s, ""), nearest(`--${flag.replace(/^-+/, "")}`, longFlags(parser)), parser);
}

function unknownOption(typed: string, meant: string | undefined, parser: Command): string {
  const question = meant === undefined ? "" : `, did you mean "${meant}"?`;
  return withHint(`Unknown option ${quote(typed)}${question}`, `see ${parser.name()} --help`);
}

function longFlags(parser: Command): string[] {
  return parser.options.flatMap(({ long }) => long ?? []);
}

/** The flag of a word, in the spelling of the parser: `--output_dir` of `--output-dir=x`. */
function nameOf(word: string): string {
  const name = word.replace(/=.*$/s, "");
  return name.startsWith("--") ? `--${name.slice(2).replaceAll("-", "_")}` : name;
}

/**
 * `-output_dir x` is `-o utput_dir` to the parser, and would write into a folder of that name: a long flag with one dash is refused.
 *
 * @throws {OptionError}
 */
function assertTwoDashes(words: readonly string[], parser: Command): void {
  const end = words.indexOf("--");
  for (const word of end < 0 ? words : words.slice(0, end)) {
    const name = nameOf(`-${word}`);
    if (!/^-[^-]./.test(word) || !longFlags(parser).includes(name)) continue;
    throw new OptionError(word, unknownOption(word, name, parser));
  }
}

function asksForVersion(words: readonly string[]): boolean {
  const end = words.indexOf("--");
  return (end < 0 ? words : words.slice(0, end)).some((word) => word === "--version" || word === "-V");
}

async function version(): Promise<string> {
  const text = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
