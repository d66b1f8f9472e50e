/** `sotto models`: which models there are, which are on this machine already, and which it can run. */

import { totalmem } from "node:os";
import type { Command } from "commander";
import { defaultModel } from "../../pipeline/choices.ts";
import type { CliCommand } from "../command.ts";
import type { CliHost } from "../host.ts";
import { size, table } from "../report.ts";

export const models: CliCommand = {
  name: "models",
  summary: "list models: size, languages, whether they are cached, and whether they fit this machine",
  configure(command: Command): void {
    command.option("--model_dir <dir>", "folder of downloaded models (default: the Hugging Face cache)");
  },
  async run(command: Command, host: CliHost): Promise<number> {
    const { MODELS, cachedModels, cacheFolder } = await import("../../hub/index.ts");
    const { listGpus } = await import("../../engine/index.ts");
    const chosen = command.opts<{ model_dir?: string }>().model_dir;
    const options = chosen === undefined ? {} : { cacheDir: chosen };
    const bytesOf = new Map((await cachedModels(options)).map(({ repository, bytes }) => [repository, bytes]));
    const found = listGpus();
    const gpus = "gpus" in found ? found.gpus.filter(({ fault }) => fault === null) : [];
    const devices: readonly Place[] = [
      { name: "CPU", memory: availableMemory(), needed: cpuMemory, defaultModel: defaultModel("cpu") },
      ...gpus.map(({ device, totalMemory }) => ({
        name: device,
        memory: totalMemory,
        needed: gpuMemory,
        defaultModel: defaultModel("cuda"),
      })),
    ];

    const rows = MODELS.map(({ name, aliases, repository, parameters, languages, downloadBytes }) => {
      const bytes = repository === null ? undefined : bytesOf.get(repository);
      if (repository !== null) bytesOf.delete(repository);
      return [
        [name, ...aliases].join(", "),
        millions(parameters),
        languages === 1 ? "English" : String(languages),
        repository === null ? "-" : size(downloadBytes),
        repository === null ? "comes with sotto" : bytes === undefined ? "-" : size(bytes),
        repository === null ? "any; synthetic speech only" : suits(name, parameters, devices),
        repository ?? "-",
      ];
    });
    for (const [repository, bytes] of bytesOf) rows.push(["-", "-", "-", "-", size(bytes), "-", repository]);
    const header = ["MODEL", "PARAMETERS", "LANGUAGES", "DOWNLOAD", "CACHED", "RUNS HERE ON", "REPOSITORY"];
    host.stdout.write(table(header, rows, host, [1, 2, 3, 4]));
    const machine = devices.map(({ name, memory }) => `${name} with ${size(memory)} of memory`).join(", ");
    host.stdout.write(`\nThis machine: ${machine}. Cache: ${cacheFolder(options)}\n`);
    return 0;
  },
};

/** Where a model may run. */
interface Place {
  readonly name: string;
  /** Bytes. */
  readonly memory: number;
  readonly needed: (parameters: number) => number;
  readonly defaultModel: string;
}

/** 8 bits a weight, half as much again while they are packed for the first time, and Node with its windows of audio. */
const cpuMemory = (parameters: number): number => 1.5 * parameters + 0.3e9;

/** 16 bits a weight, and the caches of some windows. */
const gpuMemory = (parameters: number): number => 2 * parameters + 2e9;

/** Memory that this process may use: less than the machine's in a container. */
function availableMemory(): number {
  const limit = process.constrainedMemory(); // 0, or more than there is, where nothing limits it
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

function suits(name: string, parameters: number, places: readonly Place[]): string {
  const fitting = places.filter(({ memory, needed }) => needed(parameters) <= memory);
  if (fitting.length > 0) {
    return fitting.map((place) => (place.defaultModel === name ? `${place.name} (default)` : place.name)).join(", ");
  }
  return `nothing: needs ${size(cpuMemory(parameters))} of memory`;
}

function millions(count: number): string {
  return count >= 9.95e6 ? `${Math.round(count / 1e6)} M` : `${(count / 1e6).toFixed(1)} M`;
}
