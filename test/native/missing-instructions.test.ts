/** The addon on a CPU without its instructions: it loads, says what is missing, and throws instead of ending the process. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const addon = fileURLToPath(new URL("../../prebuilt/linux-x64/sotto.node", import.meta.url));

/** Calls every function of the addon with nothing, and prints what became of it. */
const program = `
  const addon = require(${JSON.stringify(addon)});
  const calls = Object.entries(addon).filter(([, value]) => typeof value === "function");
  const results = calls.map(([name, call]) => {
    try {
      return [name, String(call())];
    } catch (error) {
      return [name, error.message];
    }
  });
  console.log(JSON.stringify({ isa: addon.isa, missing: addon.missing, results }));
`;

interface Outcome {
  readonly isa: string;
  readonly missing: string;
  readonly results: readonly (readonly [name: string, message: string])[];
}

function outcome(command: string, args: readonly string[], isa: string): Outcome {
  const { status, signal, stdout, stderr } = spawnSync(command, [...args, "--eval", program], {
    encoding: "utf8",
    env: { ...process.env, SOTTO_ISA: isa },
  });
  expect(signal, stderr).toBeNull();
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as Outcome;
}

function expectRefusals({ isa, missing, results }: Outcome, lacking: string): void {
  expect(isa).toBe("none");
  expect(missing).toContain(lacking);
  expect(results.map(([name]) => name)).toContain("open");
  for (const [name, message] of results) {
    expect(message, name).toBe(`Cannot use the native kernels: the CPU or the system lacks ${missing}`);
  }
}

it("every function of the addon refuses without instructions", (ctx) => {
  if (process.platform !== "linux" || process.arch !== "x64") return ctx.skip("the addon is for Linux x64");
  expectRefusals(outcome(process.execPath, [], "none"), "what SOTTO_ISA=none forgoes");
});

it("every function of the addon refuses on an emulated CPU without AVX-512", (ctx) => {
  const emulator = "/usr/bin/qemu-x86_64";
  if (!existsSync(emulator)) return ctx.skip('there is no "qemu-x86_64" (Debian\'s qemu-user)');
  expectRefusals(outcome(emulator, ["-cpu", "Haswell", process.execPath, "--jitless"], ""), "avx512f");
});
