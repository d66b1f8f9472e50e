import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PackedFile } from "./packed-file.ts";

let cacheDir: string;
beforeEach(() => (cacheDir = mkdtempSync(join(tmpdir(), "sotto-packed-"))));
afterEach(() => rmSync(cacheDir, { recursive: true, force: true }));

const bytes = (length: number, seed: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) % 251);

/** Two parts of odd lengths, and how often their bytes were asked for. */
function file(key = "a key"): { packed: PackedFile; offsets: number[]; made: () => number } {
  let made = 0;
  const packed = new PackedFile(key);
  const add = (name: string, length: number, seed: number): number =>
    packed.add(name, length, () => {
      made++;
      return Promise.resolve(bytes(length, seed));
    });
  return { packed, offsets: [add("first", 100, 1), add("second", 3, 2), add("first", 100, 1)], made: () => made };
}

describe("PackedFile", () => {
  it("holds each part once, at offsets that are cache lines", async () => {
    const { packed, offsets } = file();
    expect(offsets).toEqual([0, 128, 0]);
    expect(await packed.ready(cacheDir)).toBe(cacheDir);
    const content = readFileSync(join(cacheDir, packed.name));
    expect([...content.subarray(0, 100)]).toEqual([...bytes(100, 1)]);
    expect([...content.subarray(128, 131)]).toEqual([...bytes(3, 2)]);
  });

  it("is written once, and leaves nothing beside it", async () => {
    await Promise.all([1, 2, 3].map(() => file().packed.ready(cacheDir)));
    const { packed, made } = file();
    await packed.ready(cacheDir);
    expect(made()).toBe(0);
    expect(readdirSync(cacheDir)).toEqual([packed.name]);
  });

  it("has another name for another key", () => {
    expect(file("one").packed.name).not.toBe(file("another").packed.name);
  });

  const damages: [string, (content: Buffer) => Buffer][] = [
    ["one bit", (content) => Buffer.from(content.map((byte, i) => (i === 50 ? byte ^ 4 : byte)))],
    ["its end", (content) => content.subarray(0, -1)],
    ["its checksum", (content) => Buffer.concat([content.subarray(0, -1), Buffer.of(content[content.length - 1] ^ 1)])],
    ["everything, as after a crash", (content) => Buffer.alloc(content.length)],
  ];
  it.each(damages)("is written anew when it has lost %s", async (_, damage) => {
    const { packed } = file();
    await packed.ready(cacheDir);
    const path = join(cacheDir, packed.name);
    const whole = readFileSync(path);
    writeFileSync(path, damage(whole));
    const again = file();
    await again.packed.ready(cacheDir);
    expect(again.made()).toBe(2);
    expect(readFileSync(path).equals(whole)).toBe(true);
  });

  it("is not touched when it is whole", async () => {
    const { packed } = file();
    await packed.ready(cacheDir);
    const path = join(cacheDir, packed.name);
    utimesSync(path, 1000, 1000);
    await file().packed.ready(cacheDir);
    expect(statSync(path).mtimeMs).toBe(1000_000);
  });

  it("leaves no half-written file behind when a part cannot be made", async () => {
    const packed = new PackedFile("broken");
    packed.add("part", 10, () => Promise.reject(new Error("no such weight")));
    await expect(packed.ready(cacheDir)).rejects.toThrow("weights cannot be packed: no such weight");
    expect(readdirSync(cacheDir)).toEqual([]);
  });

  it("removes what a process that was killed a day ago has left half written, and nothing younger", async () => {
    const { packed } = file();
    const [old, young] = ["0a", "0b"].map((id) => `.${packed.name}.${id}`);
    for (const name of [old, young]) writeFileSync(join(cacheDir, name), "half");
    utimesSync(join(cacheDir, old), 1000, 1000);
    await packed.ready(cacheDir);
    expect(readdirSync(cacheDir).sort()).toEqual([young, packed.name]);
  });
});

describe("PackedFile, where the cache cannot be written", () => {
  const uid = process.getuid?.() ?? 0;
  let temporary: string;
  let unwritable: string;
  /** The user's own folder of temporary files. */
  let own: string;
  beforeEach(() => {
    temporary = join(cacheDir, "tmp");
    mkdirSync(temporary);
    own = join(temporary, process.getuid === undefined ? "sotto" : `sotto-${uid}`);
    unwritable = join(cacheDir, "file");
    writeFileSync(unwritable, "");
    vi.stubEnv("TMPDIR", temporary);
    vi.stubEnv("TEMP", temporary);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it("is in a folder of the user's own, which others cannot enter", async () => {
    const { packed } = file();
    expect(await packed.ready(unwritable)).toBe(own);
    expect(readdirSync(own)).toEqual([packed.name]);
    if (process.platform !== "win32") expect(statSync(own).mode & 0o777).toBe(0o700);
    const again = file();
    expect(await again.packed.ready(unwritable)).toBe(own);
    expect(again.made()).toBe(0);
  });

  it("is not held up by a folder that another user made first", async (context) => {
    if (uid !== 0) context.skip("only root can make a folder of another user");
    mkdirSync(join(temporary, "sotto"));
    chownSync(join(temporary, "sotto"), 65534, 65534);
    expect(await file().packed.ready(unwritable)).toBe(own);
  });

  const foreign: [string, RegExp, () => void][] = [
    ["a symbolic link", /it is a symbolic link/, () => symlinkSync(cacheDir, own)],
    ["a file", /it is not a folder/, () => writeFileSync(own, "")],
    [
      "a folder that others can write to",
      /other users can write to it/,
      () => {
        mkdirSync(own);
        chmodSync(own, 0o777);
      },
    ],
    [
      "another user's folder",
      /it belongs to another user/,
      () => {
        mkdirSync(own, { mode: 0o700 });
        chownSync(own, 65534, 65534);
      },
    ],
  ];
  it.for(foreign)("is not read out of %s, and says why for each folder", async ([what, reason, make], context) => {
    if (process.platform === "win32") context.skip("folders of temporary files are the user's own here");
    if (what === "another user's folder" && uid !== 0) context.skip("only root can make a folder of another user");
    const { packed } = file();
    make();
    const failed = packed.ready(unwritable);
    await expect(failed).rejects.toThrow(`\n  - "${unwritable}": it is not a folder\n  - "${own}": `);
    await expect(failed).rejects.toThrow(reason);
  });
});
