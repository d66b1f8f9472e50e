/** Native libraries that are missing or do not load: the reason is told, nothing is blamed on the recording, and devices knows. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { loadKernels } from "../../src/engine/native/index.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const wav = join(root, "samples", "en-short.wav");
const mp3 = join(root, "test", "fixtures", "audio", "tone.mp3");

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "sotto-broken-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What is wrong with a copy of the package. */
interface Damage {
  /** node_modules/NAME is not there, or its native library is no library. */
  readonly missing?: string;
  readonly broken?: string;
  readonly addon?: boolean;
}

/** Lays a copy of the built package whose node_modules are this one's, all but what is damaged. */
function damaged({ missing, broken, addon = false }: Damage): void {
  for (const part of ["dist", "prebuilt", "models", "package.json"]) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  const names = readdirSync(join(root, "node_modules")).filter((name) => !name.startsWith("."));
  const all = names.flatMap((name) =>
    name.startsWith("@") ? readdirSync(join(root, "node_modules", name)).map((own) => `${name}/${own}`) : [name],
  );
  // Node looks for a module's dependencies from its real path: whoever depends on what is damaged is copied, not linked.
  const isCopied = (name: string): boolean =>
    name === broken || (name === "node-av" && broken?.startsWith("@seydx/") === true);
  for (const name of all.filter((each) => each !== missing)) {
    const [from, to] = [join(root, "node_modules", name), join(modules, name)];
    mkdirSync(join(to, ".."), { recursive: true });
    if (!isCopied(name)) symlinkSync(from, to, "junction");
    else cpSync(from, to, { recursive: true, filter: (file) => !/\.(so(\.\d+)*|dylib|dll)$/.test(file) });
    if (name === broken) ruin(to);
  }
  if (addon) ruin(join(folder, "prebuilt"));
}

/** Puts text in the place of every native library below a folder. */
function ruin(below: string): void {
  for (const entry of readdirSync(below, { withFileTypes: true })) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) ruin(path);
    else if (entry.name.endsWith(".node")) {
      rmSync(path);
      writeFileSync(path, "no library");
    }
  }
}

function sotto(args: readonly string[], environment: Record<string, string> = {}) {
  const env = { ...process.env, SOTTO_KERNELS: undefined, SOTTO_CACHE: join(folder, "cache"), ...environment };
  return spawnSync(process.execPath, [join(folder, "dist", "cli", "main.js"), ...args], { encoding: "utf8", env });
}

const SYSTEM_SAYS = /file too short|invalid ELF header|not a mach-o|not a valid Win32|slice is not valid/;

describe("sotto without a native library that loads", () => {
  it("says why the native kernels do not load, and computes with onnxruntime", (ctx) => {
    if ("reason" in loadKernels()) return ctx.skip("the native kernels are not for this machine");
    damaged({ addon: true });
    const { status, stdout, stderr } = sotto([wav, "--model", "nano", "--dtype", "int8", "-f", "txt", "--output", "-"]);
    expect(stderr).toMatch(/The native kernels are not used, and onnxruntime, which is slower, takes their place/);
    expect(stderr).toMatch(SYSTEM_SAYS);
    expect(stdout).toContain("Clara likes to sing");
    expect(status).toBe(0);
    expect(sotto(["devices"]).stdout).toMatch(/ready, onnxruntime; native kernels: they cannot be loaded: /);
    const forced = sotto([wav, "--model", "nano", "--dtype", "int8"], { SOTTO_KERNELS: "native" });
    expect(forced.stderr).toMatch(/Cannot use engine "cpu": no native kernels: they cannot be loaded/);
    expect(forced.status).not.toBe(0);
  });

  for (const [what, damage, reason] of [
    ["does not load", { broken: "onnxruntime-node" }, SYSTEM_SAYS],
    ["is missing", { missing: "onnxruntime-node" }, /Cannot find module 'onnxruntime-node'/],
  ] as const) {
    it(`says that onnxruntime ${what}, before any recording is read`, () => {
      damaged(damage);
      const { status, stdout, stderr } = sotto([wav, "--model", "nano"], { SOTTO_KERNELS: "onnxruntime" });
      expect(stderr).toMatch(/Cannot use engine "cpu": onnxruntime cannot be loaded: /);
      expect(stderr).toMatch(reason);
      expect(stderr).not.toContain("en-short.wav");
      expect(stdout).toBe("");
      expect(status).not.toBe(0);
      const devices = sotto(["devices"], { SOTTO_KERNELS: "onnxruntime" });
      expect(devices.stdout).toMatch(/^cpu .*cannot be used; .*onnxruntime cannot be loaded/m);
      expect(devices.status).toBe(0);
    });
  }

  it("says that koffi is not installed", () => {
    const library = join(root, "package.json"); // a driver that is there: koffi is what is looked at
    damaged({ missing: "koffi" });
    expect(sotto(["devices"], { SOTTO_LIBCUDA: library }).stdout).toMatch(/"koffi" is not installed/);
  });

  it("says why node-av does not load, where there is no other decoder", () => {
    damaged({
      broken: `@seydx/node-av-${process.platform}-${process.arch}${process.platform === "win32" ? "-msvc" : ""}`,
    });
    const { status, stderr } = sotto([mp3, "--model", "nano"], { PATH: "" });
    expect(stderr).toMatch(/no decoder for other formats works here: node-av: /);
    expect(stderr).toMatch(SYSTEM_SAYS);
    expect(status).not.toBe(0);
  });
});
