// openai/whisper's flags (facts 2.1): what they become, and what is refused before a model is loaded.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { APPEND_PUNCTUATIONS, PREPEND_PUNCTUATIONS } from "../../src/alignment/index.ts";
import { writeTranscript } from "../../src/outputs/index.ts";
import type { Transcript } from "../../src/transcription/index.ts";
import { FakeHost, segment, type Settings } from "./fake-host.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-flags-"));
  writeFileSync(join(folder, "a.wav"), "");
  writeFileSync(join(folder, "phrases.txt"), "\ufefflights on\r\n\r\n  lights off \n");
  writeFileSync(join(folder, "empty.txt"), "\n \n");
  writeFileSync(join(folder, "many.txt"), "yes\n".repeat(10_001));
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (name: string): string => join(folder, name);

/** Words of a command line; "" stands for an empty word, `@` for the folder. */
const words = (flags: string): string[] =>
  flags.split(" ").map((word) => (word === '""' ? "" : word.replace("@", `${folder}/`)));

async function run(flags: string): Promise<FakeHost> {
  const host = new FakeHost();
  expect([await host.run(file("a.wav"), ...words(flags)), host.err]).toEqual([0, host.err]);
  return host;
}

/** What was asked of the library, without what the command line always adds. */
function asked(host: FakeHost): Partial<Settings> {
  const { onProgress: _p, onSegment: _s, signal: _a, returnTimestamps: _t, task: _k, ...rest } = host.asked[0].settings;
  return rest;
}

describe("a flag that vad and sequential have becomes an option of vad", () => {
  it.each<[flags: string, option: object]>([
    ["--best_of 3", { bestOf: 3 }],
    ["--best_of None", { bestOf: null }],
    ["--beam_size 8", { beamSize: 8 }],
    ["--beam_size None", { beamSize: null }],
    ["--beam-size=5", { beamSize: 5 }],
    ["--patience 2.0", { patience: 2 }],
    ["--length_penalty 0.6", { lengthPenalty: 0.6 }],
    ["--initial_prompt Numbers,", { initialPrompt: "Numbers," }],
    ["--temperature 0.8", { temperature: [0.8, 1] }],
    ["--temperature_increment_on_fallback None", { temperature: [0] }],
    ["--compression_ratio_threshold 2", { compressionRatioThreshold: 2 }],
    ["--compression_ratio_threshold None", { compressionRatioThreshold: null }],
    ["--logprob_threshold -0.5", { logprobThreshold: -0.5 }],
    ["--logprob_threshold None", { logprobThreshold: null }],
    ["--no_speech_threshold 0.3", { noSpeechThreshold: 0.3 }],
    ["--no-speech-threshold None", { noSpeechThreshold: null }],
    ["--hotwords sotto", { hotwords: "sotto" }],
    ["--seed 7", { seed: 7 }],
    ["--allowed_phrases @phrases.txt", { allowedPhrases: ["lights on", "lights off"] }],
    ["--vad_threshold 0.4 --vad-neg-threshold 0.2", { vadThreshold: 0.4, vadNegThreshold: 0.2 }],
    ["--vad_min_speech_duration_ms 100", { vadMinSpeechDurationMs: 100 }],
    ["--vad_min_silence_duration_ms 500", { vadMinSilenceDurationMs: 500 }],
    ["--vad_speech_pad_ms 200", { vadSpeechPadMs: 200 }],
  ])("%s", async (flags, option) => {
    const host = await run(flags);
    expect(asked(host)).toEqual({ algorithm: "vad", ...option });
    expect(host.err).not.toContain("--algorithm");
  });
});

describe("a flag that only the sequential algorithm has becomes its option", () => {
  it.each<[flags: string, option: object]>([
    ["--carry_initial_prompt True", { carryInitialPrompt: true }],
    ["--condition_on_previous_text False", { conditionOnPreviousText: false }],
    ["--clip_timestamps 0.5,2.5,3", { clipTimestamps: [0.5, 2.5, 3] }],
    ["--clip_timestamps 0", { clipTimestamps: [0] }],
    [
      "--hallucination_silence_threshold 2 --word_timestamps True",
      { hallucinationSilenceThreshold: 2, wordTimestamps: true },
    ],
    ["--hallucination_silence_threshold None", { hallucinationSilenceThreshold: null }],
    ["--prefix Well", { prefix: "Well" }],
    ["--without_timestamps True", { withoutTimestamps: true }],
  ])("%s", async (flags, option) => {
    const host = await run(flags);
    expect(asked(host)).toEqual({ algorithm: "sequential", beamSize: 5, bestOf: 5, ...option });
    expect(host.err).toContain(`sotto: using --algorithm sequential for --`);
  });
});

describe("a flag that every algorithm has leaves the default", () => {
  it.each<[flags: string, option: object]>([
    ["--word_timestamps True", { wordTimestamps: true }],
    [
      `--prepend_punctuations ${PREPEND_PUNCTUATIONS} --append_punctuations ${APPEND_PUNCTUATIONS}`,
      { prependPunctuations: PREPEND_PUNCTUATIONS, appendPunctuations: APPEND_PUNCTUATIONS },
    ],
    ['--append_punctuations ""', { appendPunctuations: "" }],
    ["--suppress_tokens -1", { suppressTokens: "-1" }],
    ["--suppress_tokens -1,11,13", { suppressTokens: "-1,11,13" }],
    ['--suppress_tokens ""', { suppressTokens: "" }],
    ["--suppress_numerals", { suppressNumerals: true }],
    ["--suppress-numerals False", { suppressNumerals: false }],
    ["--language_per_window", { languagePerWindow: true }],
    ["--multilingual", { languagePerWindow: true }],
    ["--multilingual True --language_per_window True", { languagePerWindow: true }],
    ["--multilingual False --language_per_window False", {}],
    ["--max_initial_timestamp 0.5", { maxInitialTimestamp: 0.5 }],
    ["--max_initial_timestamp None", { maxInitialTimestamp: null }],
    ["--fp16 True --threads None", {}],
  ])("%s", async (flags, option) => {
    const host = await run(flags);
    expect(asked(host)).toEqual({ algorithm: "vad", ...option });
    expect(host.err).not.toContain("--algorithm");
  });
});

describe("--algorithm", () => {
  it("sequential has openai/whisper's defaults, and no window of the other", async () => {
    const host = await run("--algorithm sequential");
    expect(asked(host)).toEqual({ algorithm: "sequential", beamSize: 5, bestOf: 5 });
    expect(host.err).not.toContain("slower");
  });

  it("is told in one line that names all flags it was chosen for", async () => {
    const { err } = await run("--beam_size 2 --prefix a --clip_timestamps 3 --word_timestamps");
    expect(err.match(/--algorithm sequential for (.*)\n/)?.[1].replace(/\x1b.*/, "")).toBe(
      "--prefix, --clip_timestamps",
    );
  });

  it("is that of an evaluation too", async () => {
    writeFileSync(file("a.txt"), "one two");
    const host = new FakeHost();
    expect(await host.run("eval", folder, "--condition_on_previous_text", "False", "--fp16", "False")).toBe(0);
    expect(asked(host)).toEqual({
      algorithm: "sequential",
      beamSize: 5,
      bestOf: 5,
      conditionOnPreviousText: false,
    });
    expect(host.made[0][1]).toMatchObject({ dtype: "float32" });
    expect(host.err).toContain("using --algorithm sequential");
    expect(host.out).toContain("sequential, transcribe");
  });
});

it.each<[flags: string, dtype: string]>([
  ["--fp16 True", "auto"],
  ["--fp16 False", "float32"],
  ["--fp16 False --dtype int8", "int8"],
])("%s computes in %s", async (flags, dtype) => {
  expect((await run(flags)).made[0][1].dtype).toBe(dtype);
});

describe("conflicts are told before a model is loaded, with exit code 2", () => {
  it.each<[flags: string, message: string]>([
    ["--algorithm chunked --beam_size 5", "Cannot use --beam_size with --algorithm chunked"],
    ["--algorithm sequential --stride_length 5", "Cannot use --stride_length with --algorithm sequential"],
    ["--patience 1 --chunk_length 20", "Cannot use --patience with --chunk_length"],
    ["--prefix a --batch_size 4", "Cannot use --prefix with --batch_size"],
    ["--patience 1 --beam_size None", "Cannot use --patience with --beam_size None"],
    ["--patience 0.1", "Cannot use --patience 0.1: 5 beams would wait for no text"],
    ["--highlight_words True", "Cannot use --highlight_words without --word_timestamps True"],
    ["--max_line_width 40", "Cannot use --max_line_width without --word_timestamps True"],
    ["--max_line_count 2", "Cannot use --max_line_count without --word_timestamps True"],
    [
      "--max_words_per_line 5 --word_timestamps False",
      "Cannot use --max_words_per_line without --word_timestamps True",
    ],
    [
      "--hallucination_silence_threshold 2",
      "Cannot use --hallucination_silence_threshold without --word_timestamps True",
    ],
    ["--without_timestamps --return_timestamps", "Cannot use --without_timestamps True with --return_timestamps True"],
    ["--multilingual --language de", "Cannot use --multilingual with --language"],
    ["--multilingual True --language_per_window False", "Cannot use --language_per_window with --multilingual"],
    ["-f lrc --return_timestamps False", "Cannot write lrc with --return_timestamps False"],
    ["--beam_size 0", 'Cannot use "0" as --beam_size, expected a whole number from 1 to 128, or None'],
    ["--best_of many", 'Cannot use "many" as --best_of'],
    ["--length_penalty 1.5", 'Cannot use "1.5" as --length_penalty, expected a number from 0 to 1, or None'],
    ...["-1", "7", "1.01", "NaN", "1e300", '""'].map((word): [string, string] => [
      `--temperature ${word}`,
      `Cannot use "${word.replaceAll('"', "")}" as --temperature, expected a number from 0 to 1`,
    ]),
    [
      "--compression_ratio_threshold -1",
      'Cannot use "-1" as --compression_ratio_threshold, expected a number from 0 on, or None',
    ],
    ["--logprob_threshold 0.5", 'Cannot use "0.5" as --logprob_threshold, expected a number up to 0, or None'],
    ["--no_speech_threshold 1.5", 'Cannot use "1.5" as --no_speech_threshold, expected a number from 0 to 1, or None'],
    ["--hallucination_silence_threshold 1e9 --word_timestamps", "expected a number from 0 to 604800, or None"],
    ["--clip_timestamps 1e300", "expected a number from 0 to 604800"],
    ["--suppress_tokens 99999999999999999999", "expected token ids or -1, comma-separated"],
    ["--threads 5000", 'Cannot use "5000" as --threads, expected a whole number from 0 to 1024, or None'],
    ["--threads 1e3", 'Cannot use "1e3" as --threads, expected a whole number from 0 to 1024, or None'],
    ["--batch_size 9007199254740991", "expected a whole number from 1 to 1024"],
    ["--chunk_length 0.001", 'Cannot use "0.001" as --chunk_length, expected at least 1 second, or 0'],
    ["--seed -1", 'Cannot use "-1" as --seed, expected a whole number from 0 on'],
    ["--temperature_increment_on_fallback 0", "it makes more than 100 tries"],
    ["--temperature_increment_on_fallback 1e-9", "it makes more than 100 tries"],
    ["--max_initial_timestamp 31", "expected a number from 0 to 30, or None"],
    ["--suppress_tokens -2", 'Cannot use "-2" as --suppress_tokens, expected token ids or -1, comma-separated'],
    ["--suppress_tokens 1,,2", 'Cannot use "1,,2" as --suppress_tokens'],
    ["--clip_timestamps 3,2", 'Cannot use "3,2" as --clip_timestamps: a clip ends before it starts'],
    ["--clip_timestamps 0,x", 'Cannot use "x" as --clip_timestamps, expected a number from 0 to 604800'],
    ["--word_timestamps=yes", 'Cannot use "yes" as --word_timestamps, expected True or False'],
    ["--max_line_width 0 --word_timestamps", 'Cannot use "0" as --max_line_width, expected a whole number from 1 on'],
    ["--allowed_phrases @none.txt", 'none.txt": no such file or directory'],
    ["--allowed_phrases @empty.txt", 'empty.txt": it holds no phrases'],
    ["--allowed_phrases @many.txt", 'many.txt": it holds 10001 phrases, expected at most 10000'],
    ["--allowed_phrases /dev/zero", "it has more than 1000000 bytes"],
    ["--allowed_phrases @", "illegal operation on a directory"],
  ])("%s", async (flags, message) => {
    const host = new FakeHost();
    expect(await host.run(file("a.wav"), ...words(flags))).toBe(2);
    expect(host.err).toContain(message);
    expect([host.made.length, host.out]).toEqual([0, ""]);
  });
});

describe("what has no effect is warned of", () => {
  it.each<[flags: string, warning: string]>([
    ["--word_timestamps --max_line_count 2", "--max_line_count has no effect without --max_line_width"],
    [
      "--word_timestamps --max_line_width 9 --max_words_per_line 2",
      "--max_words_per_line has no effect with --max_line",
    ],
    ["--hotwords a --prefix b", "--hotwords has no effect with --prefix"],
    ["--model tiny.en --language de", 'model "tiny.en" knows English only: --language en is used'],
  ])("%s", async (flags, warning) => {
    const host = await run(flags);
    expect(host.err).toContain("warning:");
    expect(host.err).toContain(warning);
    expect(host.err.match(/warning/g)).toHaveLength(1);
  });

  it("a language that an English-only model lacks is English", async () => {
    expect(asked(await run("--model tiny.en --language de"))).toMatchObject({ language: "en" });
  });

  it.each(["--highlight_words False", "--max_line_width None", "--language en --model tiny.en"])(
    "not %s",
    async (flags) => {
      expect((await run(flags)).err).not.toContain("warning");
    },
  );
});

it("the flags of subtitles shape them", async () => {
  const spoken = ["one", "two", "three", "four"].map((word, i) => ({
    word: ` ${word}`,
    start: i,
    end: i + 1,
    probability: 1,
  }));
  const result: Transcript = {
    text: " one two three four",
    language: "en",
    languageProbability: null,
    duration: 4,
    segments: [{ ...segment(0, 0, 4, " one two three four"), words: spoken }],
    warnings: [],
  };
  const host = new FakeHost(() => Promise.resolve(result));
  const flags = "-f srt --word_timestamps True --highlight_words True --max_line_width 8 --max_line_count 1";
  expect(await host.run(file("a.wav"), "-o", folder, ...flags.split(" "))).toBe(0);
  const written = readFileSync(file("a.srt"), "utf8");
  expect(written).toBe(writeTranscript(result, "srt", { highlightWords: true, maxLineWidth: 8, maxLineCount: 1 }));
  expect(written).toContain("<u>one</u> two\n");
  expect(written).not.toContain("two three");
});

describe("subtitles that are divided for reading", () => {
  const long = " This is a first sentence that fills a line. And this is a second one, which is as long as that.";
  const result: Transcript = {
    ...{ text: long, language: "en", languageProbability: null, duration: 12, warnings: [] },
    segments: [segment(0, 0, 12, long)],
  };
  const written = async (flags: string): Promise<{ asked: Partial<Settings>; srt: string }> => {
    const host = new FakeHost(() => Promise.resolve(result));
    expect([await host.run(file("a.wav"), "-o", folder, ...words(flags)), host.err]).toEqual([0, host.err]);
    return { asked: asked(host), srt: flags.includes("srt") ? readFileSync(file("a.srt"), "utf8") : "" };
  };

  it.each<[flags: string, wordTimestamps: boolean | undefined]>([
    ["-f srt", true],
    ["-f txt,vtt", true],
    ["-f ass", true],
    ["-f srt --algorithm chunked", true],
    ["-f srt --word_timestamps False", false],
    ["-f srt --readable False", undefined],
    ["-f srt --task translate", undefined],
    ["-f txt,json,tsv,csv,lrc", undefined],
    ["-f srt --algorithm sequential", undefined],
    ["-f srt --algorithm sequential --readable True", true],
    ["-f srt --clip_timestamps 1,5", undefined],
  ])("take word times: %s asks for %s", async (flags, wordTimestamps) => {
    expect((await written(flags)).asked.wordTimestamps).toBe(wordTimestamps);
  });

  it.each<[flags: string, readable: boolean]>([
    ["-f srt", true],
    ["-f srt --algorithm chunked", true],
    ["-f srt --readable False", false],
    ["-f srt --algorithm sequential", false],
    ["-f srt --algorithm sequential --word_timestamps True", false],
    ["-f srt --algorithm sequential --readable True", true],
  ])("are not those of openai/whisper's algorithm: %s", async (flags, readable) => {
    const { srt } = await written(flags);
    expect(srt).toBe(writeTranscript(result, "srt", { readable }));
    expect(srt.match(/-->/g)).toHaveLength(readable ? 2 : 1);
  });
});
