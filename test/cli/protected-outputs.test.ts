// No output is ever written over a recording, or over the model: whatever leads there.

import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeHost } from "./fake-host.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-protect-"));
  mkdirSync(join(folder, "sub"));
  for (const name of ["a.wav", "a.mp3", "talk.txt", "talk.vtt", "a.full.mp3"])
    writeFileSync(join(folder, name), `sound of ${name}`);
  symlinkSync(join(folder, "a.wav"), join(folder, "soft.txt"));
  linkSync(join(folder, "a.wav"), join(folder, "hard.txt"));
  symlinkSync(folder, join(folder, "same"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string): string => join(folder, name);
const isWhole = (name: string): boolean => readFileSync(file(name), "utf8") === `sound of ${name}`;

describe("--output that names", () => {
  it.each<[what: string, inputs: string, output: string]>([
    ["the recording", "a.wav", "a.wav"],
    ["it by another way", "a.wav", "sub/../a.wav"],
    ["it through a linked folder", "a.wav", "same/a.wav"],
    ["a link to it", "a.wav", "soft.txt"],
    ["another name of it", "a.wav", "hard.txt"],
    ["what a linked recording is", "soft.txt", "a.wav"],
    ["a recording that a pattern finds", "*.wav", "a.wav"],
    ["a recording that lies in the folder", "sub", "sub/only.wav"],
  ])("%s is refused before a model is loaded", async (_what, inputs, output) => {
    writeFileSync(file("sub/only.wav"), "sound of sub/only.wav");
    const host = new FakeHost();
    expect(await host.run(file(inputs), "--output", file(output), "-f", "txt")).toBe(2);
    expect(host.err).toBe(`sotto: Cannot write "${file(output)}": it is the recording itself\n`);
    expect([host.made, isWhole("a.wav"), isWhole("sub/only.wav")]).toEqual([[], true, true]);
  });

  it.each(["config.json", "tokenizer.json", "model.safetensors", "generation_config.json"])(
    "%s of the model is refused",
    async (name) => {
      mkdirSync(file("model"));
      cpSync(join(root, "models/nano", name), file(`model/${name}`));
      const before = readFileSync(file(`model/${name}`));
      symlinkSync(file(`model/${name}`), file("out.json"));
      for (const output of [`model/${name}`, "out.json"]) {
        const host = new FakeHost();
        const flags = ["--model", file("model"), "-f", "json", "--output", file(output)];
        expect(await host.run(file("a.wav"), ...flags)).toBe(2);
        expect(host.err).toContain(`Cannot write "${file(output)}": it is a file of the model`);
        expect(host.made).toEqual([]);
      }
      expect(readFileSync(file(`model/${name}`)).equals(before)).toBe(true);
    },
  );

  it("the cache of downloaded models, or the bundled one, is refused", async () => {
    const snapshot = file("hub/models--openai--whisper-tiny/snapshots/1");
    mkdirSync(snapshot, { recursive: true });
    const flags = ["--model", "tiny", "--model_dir", file("hub"), "-f", "json"];
    for (const output of [join(snapshot, "config.json"), join(root, "models/nano/new.json")]) {
      const host = new FakeHost();
      expect(await host.run(file("a.wav"), ...flags, "--output", output)).toBe(2);
      expect(host.err).toMatch(/it is a file of (a downloaded model|the model "nano")/);
    }
    const host = new FakeHost();
    expect(await host.run(file("a.wav"), ...flags, "-o", snapshot)).toBe(2);
    expect(host.err).toContain(`Cannot write into "${snapshot}": each of its files is a file of a downloaded model`);
    expect(readdirSync(snapshot)).toEqual([]);
  });
});

describe("--output_dir", () => {
  it("takes another name where one would be a recording's, by whatever link", async () => {
    symlinkSync(file("a.wav"), file("b.txt"));
    linkSync(file("a.wav"), file("c.txt"));
    for (const name of ["b.mp3", "c.mp3"]) writeFileSync(file(name), `sound of ${name}`);
    const host = new FakeHost();
    const inputs = ["a.wav", "b.mp3", "c.mp3", "talk.txt", "talk.vtt"].map(file);
    expect(await host.run(...inputs, "-o", file("same"), "-f", "txt,vtt")).toBe(0);
    for (const name of ["a.wav", "b.mp3", "c.mp3", "talk.txt", "talk.vtt"])
      expect([name, isWhole(name)]).toEqual([name, true]);
    for (const name of ["a.txt", "b.mp3.txt", "c.mp3.txt", "talk.txt.txt", "talk.vtt.txt"]) {
      expect(readFileSync(file(name), "utf8")).toBe("one\ntwo\n");
    }
  });

  it("gives each output a file of its own, also where two names are one file", async () => {
    const host = new FakeHost();
    expect(await host.run(file("a.mp3"), file("a.full.mp3"), "-o", file("out"), "-f", "json,json-full")).toBe(0);
    expect(readdirSync(file("out"))).toHaveLength(4);
    writeFileSync(file("sub/a.txt"), "");
    symlinkSync(file("sub/a.txt"), file("sub/talk.txt"));
    expect(await new FakeHost().run(file("a.mp3"), file("talk.vtt"), "-o", file("sub"), "-f", "txt")).toBe(0);
    expect(readdirSync(file("sub")).sort()).toEqual(["a.mp3.txt", "a.txt", "talk.txt", "talk.vtt.txt"]);
  });

  it("leaves a model's files alone where it is the model's folder", async () => {
    mkdirSync(file("model"));
    writeFileSync(file("model/config.json"), "{}");
    writeFileSync(file("model/config.wav"), "sound");
    const host = new FakeHost();
    const flags = ["--model", file("model"), "-o", file("model"), "-f", "json"];
    expect(await host.run(file("model/config.wav"), ...flags)).toBe(0);
    expect(readFileSync(file("model/config.json"), "utf8")).toBe("{}");
    expect(existsSync(file("model/config.wav.json"))).toBe(true);
  });
});

it.each(["a.wav", "a.txt", "list.json", "link.json"])("sotto eval does not write its report over %s", async (name) => {
  writeFileSync(file("a.txt"), "one two");
  writeFileSync(file("list.json"), JSON.stringify([{ file: "a.wav", text: "one" }]));
  symlinkSync(file("list.json"), file("link.json"));
  for (const words of [
    [file("a.wav"), file("list.json")],
    [file("list.json"), folder],
  ]) {
    const before = readFileSync(file(name));
    const host = new FakeHost();
    expect(await host.run("eval", ...words, "--output", file(name))).toBe(2);
    expect(host.err).toContain(`Cannot write "${file(name)}": it is `);
    expect([host.made, readFileSync(file(name)).equals(before)]).toEqual([[], true]);
  }
});

it("standard output and input that are the recording are refused", () => {
  const main = join(root, "dist/cli/main.js");
  execFileSync("cp", [join(root, "samples/en-short.wav"), file("speech.wav")]);
  const before = readFileSync(file("speech.wav"));
  const run = (argv: string[], stdin: number | "ignore", stdout: number | "pipe") =>
    spawnSync(process.execPath, [main, "--model", "nano", ...argv], {
      stdio: [stdin, stdout, "pipe"],
      encoding: "utf8",
    });
  const appended = run([file("speech.wav")], "ignore", openSync(file("speech.wav"), "a"));
  expect([appended.status, appended.stderr]).toEqual([
    2,
    'sotto: Cannot write "standard output": it is the recording itself\n',
  ]);
  const piped = run(["-", "--output", file("speech.wav"), "-f", "txt"], openSync(file("speech.wav"), "r"), "pipe");
  expect(piped.status).toBe(2);
  expect(piped.stderr).toContain("it is the recording itself, on standard input");
  expect(readFileSync(file("speech.wav")).equals(before)).toBe(true);
  appendFileSync(file("log.txt"), "");
  expect(run([file("speech.wav")], "ignore", openSync(file("log.txt"), "a")).status).toBe(0);
});
