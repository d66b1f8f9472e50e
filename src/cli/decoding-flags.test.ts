import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { CHUNKED_OPTIONS, SEQUENTIAL_OPTIONS } from "../transcription/index.ts";
import { addDecodingFlags, addGeneralFlags, chooseAlgorithm, readDecodingFlags } from "./decoding-flags.ts";

function parse(...words: string[]): Command {
  const command = new Command().exitOverride();
  addGeneralFlags(command);
  addDecodingFlags(command);
  return command.parse(words, { from: "user" });
}

describe("readDecodingFlags()", () => {
  it("knows for each flag whether the chunked algorithm has its option too", async () => {
    const values: Record<string, string> = { clip_timestamps: "1,2", beam_size: "2", word_timestamps: "True" };
    const chunked = Object.keys(CHUNKED_OPTIONS);
    const names = parse().options.map(({ long }) => long?.slice(2) ?? "");
    const seen = new Set<string>();
    for (const name of names.filter((one) => one !== "allowed_phrases")) {
      const word = values[name] ?? (parse().getOptionValue(name) as string | undefined) ?? "1";
      const needs = name.startsWith("hallucination") ? ["--word_timestamps", "True"] : [];
      const { settings, sequentialOnly } = await readDecodingFlags(parse(...needs, `--${name}`, word));
      const option = Object.keys(settings).at(-1) ?? "";
      seen.add(option);
      expect(Object.keys(SEQUENTIAL_OPTIONS), name).toContain(option);
      expect(sequentialOnly, name).toEqual(chunked.includes(option) ? [] : [`--${name}`]);
    }
    // What has a flag elsewhere, none, or a file for its value.
    const elsewhere = ["task", "language", "languagePerWindow", "signal", "onProgress", "onSegment", "allowedPhrases"];
    const without = ["maxLength", "sampleLength", "suppressBlank"];
    expect([...seen, ...elsewhere, ...without].sort()).toEqual(Object.keys(SEQUENTIAL_OPTIONS).sort());
  });

  it("gives nothing where nothing was given", async () => {
    expect(await readDecodingFlags(parse())).toEqual({ settings: {}, sequentialOnly: [], warnings: [] });
  });

  it.each<[flags: string, temperatures: number[]]>([
    ["--temperature 0", [0, 0.2, 0.4, 0.6, 0.8, 1]],
    ["--temperature 0.5", [0.5, 0.7, 0.9]],
    ["--temperature 1", [1]],
    ["--temperature_increment_on_fallback 0.3", [0, 0.3, 0.6, 0.9]],
    ["--temperature_increment_on_fallback 0.1", [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]],
    ["--temperature 0.4 --temperature_increment_on_fallback None", [0.4]],
    ["--temperature_increment_on_fallback 5", [0]],
  ])("counts temperatures up to 1, 1 included: %s (facts 2.1.1)", async (flags, temperature) => {
    expect((await readDecodingFlags(parse(...flags.split(" ")))).settings).toEqual({ temperature });
  });
});

describe("chooseAlgorithm()", () => {
  it.each<[asked: "auto" | "chunked" | "sequential", sequential: string, chunked: string, expected: string]>([
    ["auto", "", "", "chunked"],
    ["auto", "--beam_size", "", "sequential"],
    ["auto", "", "--chunk_length", "chunked"],
    ["auto", "--beam_size", "--chunk_length", "Cannot use --beam_size with --chunk_length"],
    ["chunked", "", "--chunk_length", "chunked"],
    ["chunked", "--beam_size", "", "Cannot use --beam_size with --algorithm chunked"],
    ["sequential", "", "", "sequential"],
    ["sequential", "--beam_size", "", "sequential"],
    ["sequential", "", "--chunk_length", "Cannot use --chunk_length with --algorithm sequential"],
  ])("%s, %j and %j: %s", (asked, sequential, chunked, expected) => {
    const list = (flag: string): string[] => (flag === "" ? [] : [flag]);
    const choose = (): unknown => chooseAlgorithm(asked, list(sequential), list(chunked));
    if (expected.startsWith("Cannot")) expect(choose).toThrow(expected);
    else {
      const note = asked === "auto" && sequential !== "" ? (expect.stringContaining(sequential) as unknown) : null;
      expect(choose()).toEqual({ algorithm: expected, note });
    }
  });
});
