/** `sotto serve`: the server. Flags, environment variables and a file say the same things; the flags come first. */
import type { Command } from "commander";
import { CONFIG_FIELDS, flagOf, variableOf, type ConfigField } from "../../server/config-fields.ts";
import type { CliCommand } from "../command.ts";
import { assertModel } from "../options.ts";
import { stopExitCode, type CliHost, type StopSignal } from "../host.ts";

const BOOLEANS = CONFIG_FIELDS.filter(({ kind }) => kind === "boolean").map(flagOf);

const PLACEHOLDERS: Readonly<Record<ConfigField["kind"], string>> = {
  text: "<text>",
  number: "<n>",
  list: "<list>",
  boolean: "[bool]",
};

const HELP = `
Every setting can also be an environment variable, SOTTO_ and the flag in capitals (${variableOf({ key: "maxQueue" })}=20), or a
field of the JSON file given by --config ({"maxQueue": 20}). Flags override variables, and variables override the file.

Examples:
  sotto serve --model turbo                      web page at http://127.0.0.1:8000, OpenAI's API at /v1, docs at /docs
  sotto serve --host 0.0.0.0 --api_keys secret   open to other machines, with a key
  sotto serve --model small,small.en --config server.json`;

export const serve: CliCommand = {
  name: "serve",
  summary: "run a server: OpenAI's API, Gradio's, jobs, live captions and a web page",
  booleanFlags: BOOLEANS,
  configure(command: Command): void {
    let group = "";
    for (const field of CONFIG_FIELDS as readonly ConfigField[]) {
      if (field.group !== group) command.optionsGroup(`${(group = field.group)}:`);
      const value = field.value === undefined ? PLACEHOLDERS[field.kind] : `<${field.value}>`;
      command.option(`--${flagOf(field)} ${value}`, field.help);
    }
    command
      .optionsGroup("Other:")
      .option("--config <file>", "JSON file with any of these settings")
      .addHelpText("after", HELP);
  },
  async run(command: Command, host: CliHost): Promise<number> {
    const given = command.opts<Record<string, string | true | undefined>>();
    const { readConfig, startServer } = await import("../../server/index.ts");
    const file = given["config"] ?? process.env["SOTTO_CONFIG"];
    const config = await readConfig({
      flags: Object.fromEntries(CONFIG_FIELDS.map((field) => [field.key, given[flagOf(field)]])),
      environment: process.env,
      file: typeof file === "string" ? file : undefined,
    });
    for (const model of config.models) await assertModel(model);
    const starting = new AbortController();
    let stoppedBy: StopSignal | undefined;
    let stop = (): void => {};
    const stopped = new Promise<void>((resolve) => (stop = resolve));
    const removeStop = host.onStop((signal) => {
      stoppedBy = signal;
      starting.abort();
      stop();
    });
    try {
      const server = await startServer(config, { signal: starting.signal, log: host.stderr });
      host.stdout.write(`Listening on ${server.url}\n`);
      await stopped;
      await server.close();
      return 0; // it was asked to end, and has ended in order
    } catch (error) {
      if (stoppedBy === undefined) throw error;
      return stopExitCode(stoppedBy);
    } finally {
      removeStop();
    }
  },
};
