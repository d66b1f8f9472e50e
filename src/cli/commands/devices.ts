/** `sotto devices`: where a model can run on this machine. */
import { availableParallelism, cpus } from "node:os";
import type { Command } from "commander";
import type { CliCommand } from "../command.ts";
import type { CliHost } from "../host.ts";
import { size, table } from "../report.ts";

export const devices: CliCommand = {
  name: "devices",
  summary: "list the CPU and the GPUs that models can run on",
  configure(): void {},
  async run(_command: Command, host: CliHost): Promise<number> {
    const { listGpus, probeCpu } = await import("../../engine/index.ts");
    const found = listGpus();
    const { kernels, reason } = await probeCpu();
    const state = [kernels === null ? "cannot be used" : `ready, ${kernels}`, ...(reason === null ? [] : [reason])];
    const rows = [["cpu", cpus()[0]?.model ?? process.arch, `${availableParallelism()} threads`, state.join("; ")]];
    for (const gpu of "gpus" in found ? found.gpus : []) {
      rows.push([gpu.device, gpu.name, size(gpu.totalMemory), gpu.fault ?? "ready"]);
    }
    if ("reason" in found) rows.push(["cuda", "-", "-", found.reason]);
    host.stdout.write(table(["DEVICE", "NAME", "SIZE", "STATE"], rows, host, [2]));
    return 0;
  },
};
