/**
 * The bundled model on the samples through the sequential algorithm, against what openai/whisper's `transcribe` makes of
 * them (test/golden/nano, written by scripts/make_golden.py): text, times and tokens are the same, one test a recording and
 * a run of scripts/make_golden.py.
 *
 * No segment of the goldens was sampled (all were decoded at temperature 0), so that nothing depends on random numbers.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openAudio } from "../../src/audio/index.ts";
import { openCheckpoint } from "../../src/checkpoint/index.ts";
import { createCpuEngine } from "../../src/engine/index.ts";
import { Tokenizer } from "../../src/tokenizer/index.ts";
import {
  transcribeChunked,
  transcribeSequential,
  type Segment,
  type SequentialOptions,
  type TranscriptionContext,
} from "../../src/transcription/index.ts";
import { assertAllClose } from "../helpers/close.ts";
import { goldenRecordings } from "./engine-golden.ts";

interface GoldenSegment {
  readonly id: number;
  readonly seek: number;
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly tokens: readonly number[];
  readonly temperature: number;
  readonly avg_logprob: number;
  readonly compression_ratio: number;
  readonly no_speech_prob: number;
  readonly words?: readonly { word: string; start: number; end: number; probability: number }[];
}

interface GoldenRun {
  readonly options: Readonly<Record<string, unknown>>;
  readonly result: { readonly text: string; readonly language: string; readonly segments: readonly GoldenSegment[] };
}

interface Golden {
  readonly seconds: number;
  readonly transcribe: Readonly<Record<string, GoldenRun>>;
}

/** Log-probabilities and probabilities, as the project promises; the goldens have six digits. */
const PROBABILITIES = { absolute: 1e-3 };
/** Word times: one step of the model's clock. */
const WORD_TIMES = { absolute: 0.02 + 1e-9 };
const SIX_DIGITS = { absolute: 1e-6 };

const root = new URL("../../", import.meta.url);
const cacheDir = mkdtempSync(join(tmpdir(), "sotto-cache-"));
let context: TranscriptionContext;

beforeAll(async () => {
  const checkpoint = await openCheckpoint(fileURLToPath(new URL("models/nano", root)));
  const engine = await createCpuEngine(checkpoint, { dtype: "float32", cacheDir });
  const tokenizer = Tokenizer.fromFiles(await checkpoint.tokenizerFiles(), checkpoint.dimensions.nVocab);
  context = { engine, tokenizer, generation: checkpoint.generation };
});
afterAll(async () => {
  await context?.engine.dispose();
  rmSync(cacheDir, { recursive: true, force: true });
});

/** `no_speech_threshold` -> `noSpeechThreshold` */
function optionsOf(options: GoldenRun["options"]): SequentialOptions {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [
      name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );
}

/** Seconds at which the sound of the window at this frame ends, if that is before 30 s. */
function soundEnd({ clip_timestamps: clips }: GoldenRun["options"], seek: number, { seconds }: Golden): number {
  const ends = typeof clips === "string" ? clips.split(",").map(Number).filter((_, i) => i % 2 === 1) : [];
  return Math.min(...ends.filter((end) => end > seek / 100), Math.floor(seconds * 100) / 100);
}

function expectScores(segments: readonly Segment[], golden: readonly GoldenSegment[]): void {
  const pairs = [
    ["avgLogprob", "avg_logprob", PROBABILITIES],
    ["noSpeechProb", "no_speech_prob", PROBABILITIES],
    ["compressionRatio", "compression_ratio", SIX_DIGITS],
  ] as const;
  for (const [name, goldenName, tolerance] of pairs) {
    const expected = golden.map((segment) => segment[goldenName]);
    assertAllClose(
      segments.map((segment) => segment[name]),
      expected,
      tolerance,
      name,
    );
  }
}

function expectWords(segments: readonly Segment[], golden: readonly GoldenSegment[]): void {
  const found = segments.flatMap(({ words }) => words ?? []);
  const expected = golden.flatMap(({ words }) => words ?? []);
  expect(found.map(({ word }) => word)).toEqual(expected.map(({ word }) => word));
  for (const name of ["start", "end"] as const) {
    const times = expected.map((word) => word[name]);
    assertAllClose(
      found.map((word) => word[name]),
      times,
      WORD_TIMES,
      `word ${name}s`,
    );
  }
  const probabilities = expected.map(({ probability }) => probability);
  assertAllClose(
    found.map(({ probability }) => probability),
    probabilities,
    PROBABILITIES,
    "word probabilities",
  );
}

/** Above this a recording is decoded with fewer options, in seconds. */
const LONG = 20;

/** Runs that do the same as another one that is there, and are left out for long recordings. */
const SAME_AS: Readonly<Record<string, string>> = {
  greedy_no_fallback: "default", // which never fell back
  beam5: "beam5_patience2_length_penalty", // which differs in what it does with finished beams alone
};

function runsOf({ seconds, transcribe }: Golden): [name: string, run: GoldenRun][] {
  return Object.entries(transcribe).filter(([name]) => seconds <= LONG || !(SAME_AS[name] in transcribe));
}

describe.each([...goldenRecordings()])("%s", (recording, path) => {
  const golden = JSON.parse(readFileSync(new URL(`test/golden/nano/${recording}.json`, root), "utf8")) as Golden;

  it.each(runsOf(golden))("transcribeSequential() gives openai/whisper's %s", async (_, run) => {
    const { text, language, segments } = await transcribeSequential(
      context,
      await openAudio(path),
      optionsOf(run.options),
    );
    const expected = run.result.segments;
    expect(expected.every(({ temperature }) => temperature === 0)).toBe(true);
    expect(text).toBe(run.result.text);
    expect(language).toBe(run.result.language);
    const exact = segments.map(({ id, seek, text: said, tokens, temperature }) => ({ id, seek, said, tokens, temperature }));
    expect(exact).toEqual(
      expected.map(({ id, seek, text: said, tokens, temperature }) => ({ id, seek, said, tokens, temperature })),
    );
    // openai/whisper lets a segment end after its clip and after the audio, in the padding that the model saw.
    const times = expected.flatMap(({ seek, start, end }) => [start, Math.min(end, soundEnd(run.options, seek, golden))]);
    // With words a segment ends with its last word, whose time may be a step of the clock away.
    const tolerance = run.options["word_timestamps"] === true ? WORD_TIMES : SIX_DIGITS;
    assertAllClose(
      segments.flatMap(({ start, end }) => [start, end]),
      times,
      tolerance,
      "times",
    );
    expectScores(segments, expected);
    expectWords(segments, expected);
  });
});

describe("transcribeChunked() with words", () => {
  const transcribe = async (recording: string) =>
    transcribeChunked(context, await openAudio(goldenRecordings().get(recording)!), {
      returnTimestamps: true,
      wordTimestamps: true,
    });

  it("gives the words of one window about the times that openai/whisper gives them", async () => {
    const golden = JSON.parse(readFileSync(new URL("test/golden/nano/en-short.json", root), "utf8")) as Golden;
    const expected = golden.transcribe["words"].result.segments.flatMap(({ words }) => words ?? []);
    const found = (await transcribe("en-short")).segments.flatMap(({ words }) => words ?? []);
    expect(found.map(({ word }) => word)).toEqual(expected.map(({ word }) => word));
    // The log-Mel of a window by itself is another than that of the recording (facts 8.1).
    const tolerance = { absolute: 0.1 };
    const starts = expected.map(({ start }) => start);
    assertAllClose(
      found.map(({ start }) => start),
      starts,
      tolerance,
    );
  });

  it("gives words in order, which are the text, over many windows", async () => {
    const { segments, duration } = await transcribe("en-long");
    expect(segments.length).toBeGreaterThan(30);
    let time = 0;
    for (const { start, end, text, words = [] } of segments) {
      expect(words.map(({ word }) => word).join("")).toBe(text);
      expect([start, end]).toEqual([words[0].start, words.at(-1)!.end]);
      for (const word of words) {
        expect(word.start).toBeGreaterThanOrEqual(time);
        expect(word.end).toBeGreaterThanOrEqual(word.start);
        time = word.end;
      }
    }
    expect(time).toBeLessThanOrEqual(duration);
  });
});
