/** The commands, in the order in which the help lists them. The first is the one meant when none is named. */

import type { CliCommand } from "../command.ts";
import { bench } from "./bench.ts";
import { devices } from "./devices.ts";
import { evaluate } from "./eval.ts";
import { live } from "./live.ts";
import { models } from "./models.ts";
import { serve } from "./serve.ts";
import { transcribe } from "./transcribe.ts";

export const COMMANDS: readonly CliCommand[] = [transcribe, serve, models, devices, live, evaluate, bench];
