import { describe, expect, it } from "vitest";
import { nearest } from "./errors.ts";

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
