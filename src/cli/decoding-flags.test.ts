import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { ALGORITHMS, type Algorithm } from "../pipeline/choices.ts";
import { CHUNKED_OPTIONS, SEQUENTIAL_OPTIONS, VAD_TRANSCRIPTION_OPTIONS } from "../transcription/index.ts";
import { addDecodingFlags, addGeneralFlags, chooseAlgorithm, readDecodingFlags } from "./decoding-flags.ts";

function parse(...words: string[]): Command {
  const command = new Command().exitOverride();
  addGeneralFlags(command);
  addDecodingFlags(command);
  return command.parse(words, { from: "user" });
}

const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  vad: Object.keys(VAD_TRANSCRIPTION_OPTIONS),
  chunked: Object.keys(CHUNKED_OPTIONS),
  sequential: Object.keys(SEQUENTIAL_OPTIONS),
};

describe("readDecodingFlags()", () => {
  it("knows for each flag which algorithms have its option", async () => {
    const values: Record<string, string> = { clip_timestamps: "1,2", beam_size: "2", word_timestamps: "True" };
    const names = parse().options.map(({ long }) => long?.slice(2) ?? "");
    const seen = new Set<string>();
    for (const name of names.filter((one) => one !== "allowed_phrases")) {
      const word = values[name] ?? (parse().getOptionValue(name) as string | undefined) ?? "1";
      const needs = name.startsWith("hallucination") ? ["--word_timestamps", "True"] : [];
      const { settings, narrow } = await readDecodingFlags(parse(...needs, `--${name}`, word));
      const option = Object.keys(settings).at(-1) ?? "";
      seen.add(option);
      const algorithms = ALGORITHMS.filter((algorithm) => OPTIONS[algorithm].includes(option));
      expect(narrow, name).toEqual(algorithms.length === ALGORITHMS.length ? [] : [{ flag: `--${name}`, algorithms }]);
    }
    // What has a flag elsewhere, none, or a file for its value.
    const elsewhere = ["task", "language", "languagePerWindow", "signal", "onProgress", "onSegment", "allowedPhrases"];
    const without = ["maxLength", "sampleLength", "suppressBlank", "batchSize"];
    const all = new Set([...OPTIONS["sequential"], ...OPTIONS["vad"]]);
    expect([...seen, ...elsewhere, ...without].sort()).toEqual([...all].sort());
  });

  it("gives nothing where nothing was given", async () => {
    expect(await readDecodingFlags(parse())).toEqual({ settings: {}, narrow: [], warnings: [] });
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
  const HAVE: Readonly<Record<string, readonly Algorithm[]>> = {
    "--beam_size": ["vad", "sequential"],
    "--prefix": ["sequential"],
    "--chunk_length": ["chunked"],
    "--batch_size": ["vad", "chunked"],
    "--vad_threshold": ["vad"],
  };
  it.each<[asked: "auto" | Algorithm, flags: string, expected: string]>([
    ["auto", "", "vad"],
    ["auto", "--beam_size --batch_size --vad_threshold", "vad"],
    ["auto", "--beam_size --prefix", "sequential"],
    ["auto", "--batch_size --chunk_length", "chunked"],
    ["auto", "--prefix --chunk_length", "Cannot use --chunk_length with --prefix"],
    ["auto", "--beam_size --chunk_length", "Cannot use --chunk_length with --beam_size"],
    ["auto", "--prefix --vad_threshold", "Cannot use --vad_threshold with --prefix"],
    ["chunked", "--chunk_length", "chunked"],
    ["chunked", "--beam_size", "Cannot use --beam_size with --algorithm chunked"],
    ["vad", "--prefix", "Cannot use --prefix with --algorithm vad"],
    ["sequential", "--beam_size", "sequential"],
    ["sequential", "--batch_size", "Cannot use --batch_size with --algorithm sequential"],
  ])("%s, %j: %s", (asked, flags, expected) => {
    const given = flags.split(" ").filter((flag) => flag !== "");
    const choose = (): { algorithm: string; note: string | null } =>
      chooseAlgorithm(
        asked,
        given.map((flag) => ({ flag, algorithms: HAVE[flag] })),
      );
    if (expected.startsWith("Cannot")) expect(choose).toThrow(expected);
    else {
      expect(choose().algorithm).toBe(expected);
      const decisive = given.filter((flag) => !HAVE[flag].includes("vad"));
      if (asked !== "auto" || decisive.length === 0) expect(choose().note).toBeNull();
      else expect(choose().note).toBe(`using --algorithm ${expected} for ${decisive.join(", ")}`);
    }
  });
});
