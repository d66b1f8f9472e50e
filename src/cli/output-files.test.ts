import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { InputItem } from "./inputs.ts";
import { outputStems, writeWholeFile } from "./output-files.ts";

const item = (path: string): InputItem => ({ name: path, source: path, path: resolve(path), base: basename(path) });
const stems = (paths: string[], extensions = ["txt", "json"]): string[] =>
  outputStems(paths.map(item), ".", extensions);

describe("outputStems()", () => {
  it.each<[inputs: string, stems: string]>([
    ["a.mp3 b.tar.gz c", "a b.tar c"],
    ["talk.mp3 talk.wav", "talk.mp3 talk.wav"],
    ["x/talk.mp3 y/talk.mp3 z.wav", "x_talk.mp3 y_talk.mp3 z"],
    ["x/talk.mp3 w/x/talk.mp3", "x_talk.mp3 x_talk.mp3-2"],
    ["Talk.mp3 talk.wav", "Talk.mp3 talk.wav"],
    ["/x/talk.mp3 /x/talk.wav /x/talk.mp3.ogg", "x_talk.mp3 talk.wav talk.mp3.ogg"],
    [".hidden", ".hidden"],
  ])("%s -> %s", (inputs, expected) => {
    expect(stems(inputs.split(" "))).toEqual(expected.split(" "));
  });

  it("never names an output like an input", () => {
    expect(stems(["talk.txt"])).toEqual(["talk.txt"]);
    expect(stems(["talk.mp3", "talk.mp3.txt", "talk.txt"])).not.toContain("talk");
  });

  it("gives every input a name of its own, on any file system, and the same one every time", () => {
    const names = fc.array(
      fc.constantFrom(
        "a",
        "b",
        "A",
        "a.mp3",
        "a.wav",
        "x/a.mp3",
        "y/a.mp3",
        "y/x/a.mp3",
        "a.mp3-2",
        "a.txt",
        "x_a.mp3",
      ),
    );
    fc.assert(
      fc.property(names, (paths) => {
        const given = stems(paths);
        expect(new Set(given.map((stem) => stem.toLowerCase())).size).toBe(paths.length);
        for (const stem of given) expect(paths.map((path) => resolve(path))).not.toContain(resolve(`${stem}.txt`));
        expect(stems(paths)).toEqual(given);
      }),
    );
  });
});

describe("writeWholeFile()", () => {
  let folder: string;
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "sotto-write-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it("writes, writes over, and leaves nothing else behind", async () => {
    const path = join(folder, "a.txt");
    await writeWholeFile(path, "one");
    await writeWholeFile(path, "zwei é");
    expect(readFileSync(path, "utf8")).toBe("zwei é");
    expect(readdirSync(folder)).toEqual(["a.txt"]);
  });

  it("leaves a link a link", async () => {
    writeFileSync(join(folder, "real.txt"), "old");
    symlinkSync(join(folder, "real.txt"), join(folder, "link.txt"));
    await writeWholeFile(join(folder, "link.txt"), "new");
    expect(readFileSync(join(folder, "real.txt"), "utf8")).toBe("new");
    expect(readdirSync(folder).sort()).toEqual(["link.txt", "real.txt"]);
  });

  it("writes to a device as it is", async () => {
    await writeWholeFile("/dev/null", "gone");
    expect(statSync("/dev/null").isFile()).toBe(false);
  });

  it("says what went wrong, and leaves nothing behind", async () => {
    mkdirSync(join(folder, "is-folder"));
    await expect(writeWholeFile(join(folder, "is-folder"), "x")).rejects.toThrow(
      `Cannot write "${join(folder, "is-folder")}": illegal operation on a directory`,
    );
    await expect(writeWholeFile(join(folder, "no/such/a.txt"), "x")).rejects.toThrow("no such file or directory");
    // The passing file has been written here, and cannot take its name.
    await expect(writeWholeFile(join(folder, "x".repeat(300)), "x")).rejects.toThrow("name too long");
    expect(readdirSync(folder)).toEqual(["is-folder"]);
  });
});
