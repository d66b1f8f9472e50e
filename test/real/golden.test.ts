/**
 * OpenAI's own weights on recordings of people, in float32 by the sequential algorithm, against what openai/whisper makes of the
 * same samples (golden/, written by scripts/make_real_golden.py): text, tokens, language, and times to a hundredth of a second.
 */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { loadAudio } from "../../src/audio/index.ts";
import { WhisperPipeline, type SequentialTranscribeOptions } from "../../src/pipeline/index.ts";
import type { Segment } from "../../src/transcription/index.ts";
import { assertAllClose } from "../helpers/close.ts";
import { realModel, realRecording, type RealModel } from "./files.ts";

interface GoldenWord {
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

interface GoldenSegment {
  readonly seek: number;
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly tokens: readonly number[];
  readonly words?: readonly GoldenWord[];
}

interface GoldenRun {
  readonly model: RealModel;
  readonly run: string;
  readonly options: { readonly word_timestamps?: boolean; readonly beam_size?: number };
  readonly result: { readonly text: string; readonly language: string; readonly segments: readonly GoldenSegment[] };
}

interface Golden {
  readonly audio: string;
  readonly samples: { readonly count: number; readonly at_every: number; readonly values: readonly number[] };
  readonly runs: readonly GoldenRun[];
}

/** Six digits of a sample are written down; decoders of lossy formats round in their own order. */
const SAMPLES = { absolute: 1e-4 };
const HUNDREDTH = { absolute: 0.01 + 1e-6 };
const RATE = 16000;

const folder = new URL("golden/", import.meta.url);
const goldens = readdirSync(folder).map((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Golden);

const pipelines = new Map<string, Promise<WhisperPipeline>>();
function pipelineOf(model: string): Promise<WhisperPipeline> {
  const known = pipelines.get(model);
  if (known !== undefined) return known;
  const opening = WhisperPipeline.fromPretrained(model, { device: "cpu", dtype: "float32" });
  pipelines.set(model, opening);
  return opening;
}
afterAll(async () => {
  for (const opening of pipelines.values()) await (await opening).dispose();
});

function optionsOf({ word_timestamps, beam_size }: GoldenRun["options"]): SequentialTranscribeOptions {
  return {
    algorithm: "sequential",
    ...(word_timestamps === undefined ? {} : { wordTimestamps: word_timestamps }),
    ...(beam_size === undefined ? {} : { beamSize: beam_size }),
  };
}

type Timed = Pick<GoldenWord, "start" | "end">;

/** openai/whisper lets segments end after the audio; sotto ends them with it. */
function expectTimes(found: readonly Timed[], expected: readonly Timed[], duration: number, what: string): void {
  const within = (time: number): number => Math.min(time, duration);
  assertAllClose(
    found.flatMap(({ start, end }) => [start, end]),
    expected.flatMap(({ start, end }) => [within(start), within(end)]),
    HUNDREDTH,
    what,
  );
}

const wordsOf = (segments: readonly (Segment | GoldenSegment)[]): readonly GoldenWord[] =>
  segments.flatMap(({ words }) => words ?? []);

describe.each(goldens.map((golden) => [golden.audio, golden] as const))("%s", (file, { samples, runs }) => {
  it("loadAudio() reads the samples that openai/whisper was given", async (context) => {
    const read = await loadAudio(realRecording(file, context));
    expect(read.length).toBe(samples.count);
    assertAllClose(
      samples.values.map((_, i) => read[i * samples.at_every]),
      samples.values,
      SAMPLES,
      "samples",
    );
  });

  for (const { model, run, options, result } of runs) {
    it(`transcribe() with ${model} gives openai/whisper's ${run}`, async (context) => {
      const path = realRecording(file, context);
      const pipeline = await pipelineOf(realModel(model, context));
      const { text, language, segments, duration } = await pipeline.transcribe(path, optionsOf(options));
      expect(duration).toBe(samples.count / RATE);
      expect(text).toBe(result.text);
      expect(language).toBe(result.language);
      const exact = (all: readonly (Segment | GoldenSegment)[]) =>
        all.map(({ seek, text: said, tokens }) => ({ seek, said, tokens }));
      expect(exact(segments)).toEqual(exact(result.segments));
      expectTimes(segments, result.segments, duration, "times of segments");
      expect(wordsOf(segments).map(({ word }) => word)).toEqual(wordsOf(result.segments).map(({ word }) => word));
      expectTimes(wordsOf(segments), wordsOf(result.segments), duration, "times of words");
    });
  }
});
