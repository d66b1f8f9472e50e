import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { InputError } from "../errors.ts";
import { expandInputs } from "./inputs.ts";

describe("expandInputs()", () => {
  let root: string;
  const stdin = (async function* () {})();
  const expand = async (...words: string[]): Promise<{ names: string[]; failures: string[] }> => {
    const { items, failures } = await expandInputs(words, () => stdin);
    for (const failure of failures) expect(failure).toBeInstanceOf(InputError);
    return {
      names: items.map(({ name }) => name.replace(`${root}/`, "")),
      failures: failures.map(({ message }) => message.replace(`${root}/`, "")),
    };
  };

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "sotto-inputs-"));
    const files = [
      "10.mp3",
      "2.MP3",
      "notes.txt",
      "sub/3.flac",
      "sub/.4.wav",
      ".git/5.wav",
      "empty/readme.md",
      "[1].wav",
    ];
    for (const file of files) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), "");
    }
    symlinkSync(root, join(root, "sub/up"));
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it("takes a folder's audio files, deep, in natural order, without hidden ones or loops", async () => {
    expect(await expand(root)).toEqual({ names: ["[1].wav", "2.MP3", "10.mp3", "sub/3.flac"], failures: [] });
  });

  it("takes a named file whatever its extension, and each file once", async () => {
    const { names } = await expand(`${root}/notes.txt`, `${root}/10.mp3`, `${root}/sub/../10.mp3`, `${root}/*.txt`);
    expect(names).toEqual(["notes.txt", "10.mp3"]);
  });

  it("takes an existing name for itself, though it looks like a pattern", async () => {
    expect((await expand(`${root}/[1].wav`)).names).toEqual(["[1].wav"]);
  });

  it("expands patterns", async () => {
    expect((await expand(`${root}/*.{mp3,MP3}`)).names).toEqual(["2.MP3", "10.mp3"]);
  });

  it("reports each word that names nothing, and keeps the others", async () => {
    const { names, failures } = await expand(
      "none.wav",
      `${root}/empty`,
      `${root}/2.MP3`,
      `${root}/*.ogg`,
      "",
      "http://",
    );
    expect(names).toEqual(["2.MP3"]);
    expect(failures[0]).toBe('Cannot read "none.wav": no such file or folder');
    expect(failures[1]).toMatch(/^Cannot read "empty": the folder holds no audio files\nHint: /);
    expect(failures[2]).toBe('Cannot read "*.ogg": no file matches');
    expect(failures[3]).toBe('Cannot read "": the name is empty');
    expect(failures[4]).toBe('Cannot read "http://": it is not a valid URL');
    expect(failures).toHaveLength(5);
  });

  it("reads standard input once", async () => {
    const { items } = await expandInputs(["-", "-"], () => stdin);
    expect(items).toEqual([{ name: "standard input", source: stdin, path: null, base: "stdin" }]);
  });

  it.each<[url: string, base: string]>([
    ["https://a.example/x/talk%20one.mp3?token=1#t", "talk one.mp3"],
    ["http://a.example/", "a.example"],
    ["https://a.example/x%2Fy%00.mp3", "x_y_.mp3"],
    ["https://a.example/50%.mp3", "50%.mp3"],
    ["https://a.example/..%2f..%2fetc", ".._.._etc"],
  ])("names the outputs of %s after %s", async (url, base) => {
    const { items } = await expandInputs([url], () => stdin);
    expect(items).toEqual([{ name: url, source: url, path: null, base }]);
  });
});
