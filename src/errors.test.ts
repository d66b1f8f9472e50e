import { describe, expect, it } from "vitest";
import { InputError, nearest, UnsupportedAudioError, type Reader } from "./errors.ts";
import { errorAnswer } from "./server/errors.ts";

const READERS: readonly Reader[] = ["library", "commandLine", "server", "client"];

describe("InputError", () => {
  it("has a hint for all readers, or one for each", () => {
    const same = new InputError("a.mp3", "it is odd", { hint: "convert it" });
    for (const reader of READERS)
      expect(same.messageFor(reader)).toBe('Cannot read "a.mp3": it is odd\nHint: convert it');
    const each = new UnsupportedAudioError("a.mp3", "it is odd", { hint: { library: "pass x", server: "set y" } });
    expect(READERS.map((reader) => each.messageFor(reader).split("\nHint: ")[1])).toEqual([
      "pass x",
      undefined,
      "set y",
      undefined,
    ]);
    expect(each.message).toBe('Cannot read "a.mp3": it is odd\nHint: pass x');
    expect(errorAnswer(each).message).toBe('Cannot read "a.mp3": it is odd');
  });
});

describe("nearest()", () => {
  const words = ["--threads", "--task", "--output", "--output_dir", "turbo", "base", "german", "transcribe"];
  it.each<[word: string, meant: string | undefined]>([
    ["--thread", "--threads"],
    ["--out", "--output"],
    ["--ouput_dir", "--output_dir"],
    ["trubo", "turbo"],
    ["TURBO", "turbo"],
    ["bas", "base"],
    ["trnscribe", "transcribe"],
    ["x", undefined],
    ["", undefined],
    ["klingon", undefined],
    ["a".repeat(100_000), undefined],
  ])("of %s is %s", (word, meant) => expect(nearest(word, words)).toBe(meant));
});
