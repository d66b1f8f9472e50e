#!/usr/bin/env node
/** The executable `sotto`. The program itself is in program.ts, which tests call without a process. */

import { nodeHost } from "./host.ts";
import { main } from "./program.ts";

const alive = setInterval(() => undefined, 2 ** 30); // whatever is awaited, the process stays until it is there
const code = await main(process.argv.slice(2), nodeHost());
clearInterval(alive);
// What was written to a pipe may still be on its way; then end, whatever is still about.
process.exitCode = code;
process.stdout.write("", () => process.exit(code));
