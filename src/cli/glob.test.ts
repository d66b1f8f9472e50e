import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expandBraces, expandGlob, isPattern, segmentPattern } from "./glob.ts";

describe("segmentPattern()", () => {
  it.each<[pattern: string, matches: string, not: string]>([
    ["*.wav", "a.wav talk.2.wav", "a.mp3 .wav .a.wav a.wav.txt"],
    ["talk?.wav", "talk1.wav talké.wav talk😀.wav", "talk.wav talk12.wav"],
    ["[a-c]*", "a.wav c", "d A"],
    ["[!a-c]*", "d", "a .d"],
    ["[]x]", "] x", "[]x]"],
    ["[^]]", "x", "]"],
    ["a[", "a[", "a"],
    [".*", ".a .wav", "a.wav"],
    ["a+b(c)$^.|\\", "a+b(c)$^.|\\", "aab"],
  ])("%s", (pattern, matches, not) => {
    const regex = segmentPattern(pattern);
    for (const name of matches.split(" ")) expect(regex.test(name), name).toBe(true);
    for (const name of not.split(" ")) expect(regex.test(name), name).toBe(false);
  });

  it("makes a valid expression of any text, which matches itself if it is no pattern", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (name) => {
        const regex = segmentPattern(name);
        if (!isPattern(name)) expect(regex.test(name)).toBe(true);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."[]!^-&~|\\a*?") }), (name) => void segmentPattern(name)),
    );
  });
});

describe("expandBraces()", () => {
  it.each<[string, string]>([
    ["a.{wav,mp3}", "a.wav a.mp3"],
    ["{a,b{c,d}}", "a bc bd"],
    ["{a}b", "{a}b"],
    ["{,x}y", "y xy"],
  ])("%s -> %s", (pattern, expected) => {
    expect(expandBraces(pattern).sort()).toEqual(expected.split(" ").sort());
  });

  it("has a ceiling", () => {
    expect(() => expandBraces("{a,b}".repeat(30))).toThrow(RangeError);
  });
});

describe("expandGlob()", () => {
  let root: string;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "sotto-glob-"));
    for (const file of ["a.wav", "b.mp3", "x/c.wav", "x/y/d.wav", "x/.hidden.wav", ".git/e.wav"]) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), "");
    }
    mkdirSync(join(root, "folder.wav"));
    symlinkSync(join(root, "a.wav"), join(root, "link.wav"));
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it.each<[pattern: string, expected: string]>([
    ["*.wav", "a.wav link.wav"],
    ["*.{wav,mp3}", "a.wav b.mp3 link.wav"],
    ["*/*.wav", "x/c.wav"],
    ["**/*.wav", "a.wav link.wav x/c.wav x/y/d.wav"],
    ["x/**", "x/c.wav x/y/d.wav"],
    ["x/**/d.wav", "x/y/d.wav"],
    ["x/.*", "x/.hidden.wav"],
    ["none/*", ""],
  ])("%s -> %s", async (pattern, expected) => {
    const found = await expandGlob(`${root}/${pattern}`);
    expect(found.map((path) => relative(root, path)).sort()).toEqual(expected.split(" ").filter(Boolean));
  });
});
