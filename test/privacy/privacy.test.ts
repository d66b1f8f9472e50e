/**
 * What sotto leaves on a machine and which hosts it looks up: nothing but its own cache, and no host but the hub. Every dependency with
 * native code takes part: onnxruntime, node-av, koffi.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";

import { Lookups } from "../helpers/lookups.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const main = join(root, "dist", "cli", "main.js");
const wav = join(root, "samples", "en-short.wav");
const mp3 = join(root, "test", "fixtures", "audio", "tone.mp3");

const scratch = mkdtempSync(join(tmpdir(), "sotto-privacy-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs the program in a home of its own, and lists what it left there and in the folder for temporary files. */
function run(name: string, args: readonly string[], more: Record<string, string> = {}) {
  const [home, temporary] = ["home", "tmp"].map((part) => join(scratch, name, part));
  for (const folder of [home, temporary]) mkdirSync(folder, { recursive: true });
  const lookups = Lookups.watch(join(scratch, name));
  // Nothing of this process's environment: a continuous integration's variables quieten what is looked for here.
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: home,
    USERPROFILE: home,
    TMPDIR: temporary,
    TEMP: temporary,
    SOTTO_KERNELS: "onnxruntime",
    ...lookups?.environment,
    ...more,
  };
  const { status, stderr, stdout } = spawnSync(process.execPath, [main, ...args], {
    env,
    cwd: temporary,
    encoding: "utf8",
  });
  return {
    status,
    output: stdout + stderr,
    left: [...filesBelow(home, "~"), ...filesBelow(temporary, "tmp")],
    lookups: lookups?.names ?? null,
  };
}

function filesBelow(folder: string, name: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const own = `${name}/${entry.name}`;
    return entry.isDirectory() ? [own, ...filesBelow(join(folder, entry.name), own)] : [own];
  });
}

/** Packed weights in the user's cache folder are sotto's own; whatever else is there is not. */
const foreign = (left: readonly string[]): string[] =>
  left.filter((file) => !/^~\/\.cache(\/sotto(\/[0-9a-f]{32}\.weights)?)?$/.test(file));

it("sotto leaves nothing but its packed weights, and looks up no host, with onnxruntime", () => {
  const { status, output, left, lookups } = run("transcribe", [wav, "--model", "nano", "--dtype", "int8"]);
  expect(status, output).toBe(0);
  expect(left).toContain("~/.cache/sotto");
  expect(foreign(left)).toEqual([]);
  expect(lookups ?? []).toEqual([]);
});

it("sotto leaves nothing and looks up no host when it decodes compressed audio and lists devices", () => {
  const args = [mp3, "--model", "nano", "--dtype", "float32", "--offline"];
  const decoded = run("decode", args);
  expect(decoded.status, decoded.output).toBe(0);
  expect(foreign(decoded.left)).toEqual([]);
  const listed = run("devices", ["devices"]);
  expect(listed.status, listed.output).toBe(0);
  expect(listed.left).toEqual([]);
  expect([...(decoded.lookups ?? []), ...(listed.lookups ?? [])]).toEqual([]);
});

it("sotto looks up the hub for a model of the hub, and no other host", (ctx) => {
  const { status, output, lookups } = run("hub", [wav, "--model", "tiny"], { HF_ENDPOINT: "http://hub.invalid" });
  expect(status, output).not.toBe(0);
  if (lookups === null) return ctx.skip(Lookups.MISSING);
  expect(lookups).toEqual(["hub.invalid"]);
});
