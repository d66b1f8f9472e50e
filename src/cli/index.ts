/** cli/: the command line program. */

export type { CliCommand } from "./command.ts";
export type { CliHost, CliPipeline } from "./host.ts";
export { main } from "./program.ts";
