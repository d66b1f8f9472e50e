/** `sotto models`: which models there are, and which are on this machine already. */

import type { Command } from "commander";
import type { CliCommand } from "../command.ts";
import type { CliHost } from "../host.ts";
import { size, table } from "../report.ts";

export const models: CliCommand = {
  name: "models",
  summary: "list models, their size, and which are on this machine",
  configure(command: Command): void {
    command.option("--model_dir <dir>", "folder of downloaded models (default: the Hugging Face cache)");
  },
  async run(command: Command, host: CliHost): Promise<number> {
    const { MODELS, cachedModels } = await import("../../hub/index.ts");
    const cacheDir = command.opts<{ model_dir?: string }>().model_dir;
    const cached = await cachedModels(cacheDir === undefined ? {} : { cacheDir });
    const bytesOf = new Map(cached.map(({ repository, bytes }) => [repository, bytes]));
    const onDisk = (repository: string | null): string => {
      if (repository === null) return "comes with sotto";
      const bytes = bytesOf.get(repository);
      bytesOf.delete(repository);
      return bytes === undefined ? "-" : size(bytes);
    };
    const rows = MODELS.map(({ name, aliases, repository, parameters, multilingual }) => [
      [name, ...aliases].join(", "),
      repository ?? "-",
      millions(parameters),
      multilingual ? "many" : "English",
      onDisk(repository),
    ]);
    for (const [repository, bytes] of bytesOf) rows.push(["-", repository, "-", "-", size(bytes)]);
    host.stdout.write(table(["MODEL", "REPOSITORY", "PARAMETERS", "LANGUAGES", "ON DISK"], rows, host, [2]));
    return 0;
  },
};

function millions(count: number): string {
  return count >= 9.95e6 ? `${Math.round(count / 1e6)} M` : `${(count / 1e6).toFixed(1)} M`;
}
