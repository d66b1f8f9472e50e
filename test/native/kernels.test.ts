/** The kernels' own tests (native/test), where there is a compiler to build them with. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { loadKernels } from "../../src/engine/native/index.ts";

const compiler = process.env["CXX"] ?? "g++";
const script = fileURLToPath(new URL("../../scripts/build-native.mjs", import.meta.url));

it("kernels pass their tests on each instruction set of this machine", { timeout: 600_000 }, (context) => {
  const native = loadKernels();
  if ("reason" in native) context.skip(`no native kernels: ${native.reason}`);
  const version = spawnSync(compiler, ["-dumpversion"], { encoding: "utf8" });
  if (version.status !== 0) context.skip(`there is no compiler "${compiler}"`);
  if (Number.parseInt(version.stdout) < 12)
    context.skip(`"${compiler}" ${version.stdout.trim()} knows no AMX, 12 is needed`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "--test"], { encoding: "utf8" });
  expect(status, stdout.slice(-4000) + stderr.slice(-4000)).toBe(0);
});
