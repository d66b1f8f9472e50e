// Standard input and output that are full, empty or gone, and files of a model that are no files.

import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, openSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const MAIN = join(root, "dist/cli/main.js");
const SAMPLE = join(root, "samples/en-short.wav");
const NANO = ["--model", "nano", "-q"];

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "sotto-streams-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A process that would hang is ended, and its status is null. */
function run(argv: string[], stdin: number | "ignore" = "ignore", stdout: number | "pipe" = "pipe") {
  const options = { stdio: [stdin, stdout, "pipe"] as const, encoding: "utf8", timeout: 60_000 } as const;
  return spawnSync(process.execPath, [MAIN, ...argv], { ...options, stdio: [...options.stdio] });
}

describe("standard output that is full", () => {
  it.for<[what: string, argv: string[]]>([
    ["text", [SAMPLE, ...NANO]],
    ["a file's bytes", [SAMPLE, ...NANO, "--output", "-", "-f", "json"]],
    ["several texts", [SAMPLE, join(root, "samples/de-short.flac"), ...NANO]],
    ["a table", ["models"]],
    ["an evaluation", ["eval", join(root, "samples/manifest.json"), "--limit", "1", ...NANO]],
    ["help", ["--help"]],
    ["the version", ["--version"]],
  ])("is one sentence, and exit code 1: %s", ([, argv], ctx) => {
    if (!existsSync("/dev/full")) return ctx.skip("there is no /dev/full");
    const { status, stderr } = run(argv, "ignore", openSync("/dev/full", "w"));
    expect([status, stderr]).toEqual([1, "sotto: Cannot write standard output: no space left on device\n"]);
  });
});

it("a reader that has had enough ends everything quietly", () => {
  for (const argv of [["--help"], ["models"], [join(root, "samples/en-long.flac"), ...NANO]]) {
    const words = [process.execPath, MAIN, ...argv].map((word) => `'${word}'`).join(" ");
    const { stdout, stderr } = spawnSync("bash", ["-c", `${words} | head -1; echo "\${PIPESTATUS[0]}"`], {
      encoding: "utf8",
    });
    expect([stdout.trimEnd().split("\n").length, stdout.trimEnd().split("\n").at(-1), stderr]).toEqual([2, "0", ""]);
  }
});

describe("standard input that is empty", () => {
  it.each([["-", "--output", "-", "-f", "json"], ["-"], ["live", "-"]])(
    "is an error, as an empty file is: %s",
    (...argv) => {
      const { status, stdout, stderr } = run([...argv, ...NANO], openSync("/dev/null", "r"));
      expect([status, stdout, stderr]).toEqual([1, "", 'sotto: Cannot read "standard input": it is empty\n']);
    },
  );
});

describe("a model with a file that is none", () => {
  const files = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "preprocessor_config.json",
    "model.safetensors",
  ];
  it.each(files.flatMap((file) => [[file, "a pipe"] as const, [file, "a device"] as const]))(
    "is refused at once: %s is %s",
    (file, what) => {
      cpSync(join(root, "models/nano"), folder, { recursive: true });
      rmSync(join(folder, file));
      if (what === "a pipe") execFileSync("mkfifo", [join(folder, file)]);
      else symlinkSync("/dev/zero", join(folder, file));
      const { status, stderr } = run([SAMPLE, "--model", folder, "-q"]);
      expect([status, stderr]).toEqual([
        1,
        `sotto: Cannot load checkpoint "${folder}": file "${file}" is a pipe or a device, expected a regular file\n`,
      ]);
    },
  );
});

describe("a folder that cannot be made", () => {
  it.each([
    ["-o", "/proc/sotto/deep"],
    ["-o", "/proc/sotto"],
    ["-o", "/dev/null/x"],
  ])("is one sentence: %s %s", (...flags) => {
    const { status, stderr } = run([SAMPLE, ...NANO, ...flags]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^sotto: Cannot use --output_dir "[^"]+": [a-z ]+\n$/);
  });

  it("of the cache is one too", () => {
    const { status, stderr } = run([SAMPLE, "-q", "--model", "tiny", "--model_dir", "/proc/sotto/deep", "--offline"]);
    expect([status, stderr.split("\n")[0]]).toEqual([
      1,
      'sotto: Cannot get model "openai/whisper-tiny": offline, and the cache "/proc/sotto/deep/models--openai--whisper-tiny" has no such model or revision',
    ]);
  });
});
