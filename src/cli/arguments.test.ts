import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { normaliseArguments, orNone, parseBoolean, parseNumber, parseSeconds, parseWhole } from "./arguments.ts";

describe("normaliseArguments()", () => {
  it.each<[given: string, expected: string]>([
    ["--output-dir out a.wav", "--output_dir out a.wav"],
    ["--output_dir=a-b a.wav", "--output_dir=a-b a.wav"],
    ["--verbose a.wav", "--verbose=true a.wav"],
    ["--verbose True a.wav", "--verbose=True a.wav"],
    ["--verbose false a.wav", "--verbose=false a.wav"],
    ["--verbose=False a.wav", "--verbose=False a.wav"],
    ["--verbose=maybe a.wav", "--verbose=maybe a.wav"],
    ["a.wav --return-timestamps", "a.wav --return_timestamps=true"],
    ["--verbose --task translate", "--verbose=true --task translate"],
    ["--output - -f json -", "--output - -f json -"],
    ["-- --output-dir --verbose", "-- --output-dir --verbose"],
    ["--verbose Ture a.wav", "--verbose=Ture a.wav"],
    ["--verbose 1 a.wav", "--verbose=1 a.wav"],
    ["--verbose talks", "--verbose=true talks"],
    ["--verbose *.wav", "--verbose=true *.wav"],
    ["--verbose https://example.org/a", "--verbose=true https://example.org/a"],
    ["--verbose", "--verbose=true"],
  ])("%s -> %s", (given, expected) => {
    const flags = ["--verbose", "--return_timestamps"];
    expect(normaliseArguments(given.split(" "), flags, (word) => word === "talks").join(" ")).toBe(expected);
  });

  it("keeps what stands in a value, line ends too", () => {
    expect(normaliseArguments(["--model-dir=/a b/--c-d\ne=f"], [])).toEqual(["--model_dir=/a b/--c-d\ne=f"]);
  });
});

describe("values", () => {
  it.each([
    ["True", true],
    ["false", false],
  ])("parseBoolean() reads %s", (word, value) => expect(parseBoolean("--verbose", word)).toBe(value));

  it.each(["yes", "1", ""])("parseBoolean() refuses %j and says what exists", (word) => {
    expect(() => parseBoolean("--verbose", word)).toThrow("as --verbose, expected True or False");
  });

  it.each(["0", "-1", "1.5", "", "x", "1e3", "99999999999999999999"])("parseWhole() refuses %j", (word) => {
    expect(() => parseWhole("--batch_size", word, 1)).toThrow(OptionError);
  });

  it.each<[string, number]>([
    ["5", 5],
    ["0", 0],
    [".5", 0.5],
    ["2.", 2],
    ["1e1", 10],
  ])("parseSeconds() reads %s", (word, value) => expect(parseSeconds("--chunk_length", word)).toBe(value));

  it.each(["-1", "", "x", "Infinity", "1e999", "0x10", "1 2"])("parseSeconds() refuses %j", (word) => {
    expect(() => parseSeconds("--chunk_length", word)).toThrow(OptionError);
  });

  it.each<[string, number]>([
    ["-1", -1],
    ["+.5", 0.5],
    ["2.", 2],
    ["-1e-2", -0.01],
  ])("parseNumber() reads %s", (word, value) => expect(parseNumber("--logprob_threshold", word)).toBe(value));

  it.each(["", "x", "nan", "inf", "1e999", "0x10", "1_000", " 1", "2", "-1"])("parseNumber() refuses %j", (word) => {
    expect(() => parseNumber("--length_penalty", word, 0, 1)).toThrow("expected a number from 0 to 1");
  });

  it("orNone() reads None, and says so to who writes something else", () => {
    const read = orNone((option, word) => parseWhole(option, word, 1, 128));
    expect([read("--beam_size", "None"), read("--beam_size", "3")]).toEqual([null, 3]);
    expect(() => read("--beam_size", "none")).toThrow("expected a whole number from 1 to 128, or None");
  });
});
