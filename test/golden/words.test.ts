/**
 * Word times of the bundled model against openai/whisper's (test/golden/nano, run "words"): openai's own segments,
 * aligned by the cpu engine. What is compared is alignment alone, as the text is given.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { attachWords, findAlignment, speechEnd } from "../../src/alignment/index.ts";
import { loadAudio } from "../../src/audio/index.ts";
import { openCheckpoint, type Checkpoint } from "../../src/checkpoint/index.ts";
import { createCpuEngine } from "../../src/engine/index.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { HOP_LENGTH, logMelSpectrogram, N_FRAMES, N_SAMPLES, sliceFrames } from "../../src/features/index.ts";
import { alignmentHeads } from "../../src/model/index.ts";
import { tensor } from "../../src/tensor/index.ts";
import { TIME_PRECISION, Tokenizer } from "../../src/tokenizer/index.ts";
import { assertAllClose } from "../helpers/close.ts";
import { goldenRecordings } from "./engine-golden.ts";

interface GoldenSegment {
  readonly seek: number;
  readonly start: number;
  readonly end: number;
  readonly tokens: readonly number[];
  readonly words: readonly { word: string; start: number; end: number; probability: number }[];
}

interface Golden {
  readonly audio: string;
  readonly seconds: number;
  readonly language: string;
  readonly transcribe: { readonly words?: { readonly result: { readonly segments: readonly GoldenSegment[] } } };
}

/** One step of the decoder's clock, as the project promises; what was measured is no difference at all. */
const TIMES = { absolute: 0.02 + 1e-6 };
const PROBABILITIES = { absolute: 1e-3 };

const root = new URL("../../", import.meta.url);
const folder = new URL("test/golden/nano/", root);

interface Window {
  readonly golden: Golden;
  readonly seek: number;
  readonly segments: readonly GoldenSegment[];
  /** Where the words of the windows before end. */
  readonly lastSpeech: number;
}

/** Windows of a golden in which no segment was emptied, as that loses the tokens that were aligned with the others. */
function windowsOf(golden: Golden): Window[] {
  const segments = golden.transcribe.words?.result.segments ?? [];
  return [...new Set(segments.map(({ seek }) => seek))]
    .map((seek) => ({
      golden,
      seek,
      segments: segments.filter((segment) => segment.seek === seek),
      lastSpeech: speechEnd(segments.filter((segment) => segment.seek < seek)) ?? 0,
    }))
    .filter((window) => window.segments.every(({ tokens }) => tokens.length > 0));
}

const windows = readdirSync(folder)
  .map((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Golden)
  .flatMap(windowsOf);

describe("words of openai/whisper's segments", () => {
  const cacheDir = mkdtempSync(join(tmpdir(), "sotto-cache-"));
  let engine: Engine;
  let checkpoint: Checkpoint;
  let tokenizer: Tokenizer;

  beforeAll(async () => {
    checkpoint = await openCheckpoint(fileURLToPath(new URL("models/nano", root)));
    engine = await createCpuEngine(checkpoint, { dtype: "float32", cacheDir });
    tokenizer = Tokenizer.fromFiles(await checkpoint.tokenizerFiles(), checkpoint.dimensions.nVocab);
  });
  afterAll(async () => {
    await engine?.dispose();
    rmSync(cacheDir, { recursive: true, force: true });
  });

  it("are there for most samples", () => {
    expect(windows.length).toBeGreaterThanOrEqual(14);
  });

  it.each(windows.map((window) => [window.golden.audio, window.seek, window] as const))(
    "%s, window at frame %i",
    async (file, seek, { golden, segments: expected, lastSpeech }) => {
      const { eot, timestampBegin } = tokenizer.special;
      const timeOffset = seek / 100;
      // Segments as the decoder gave them: their times are those of their first and last timestamp.
      const timeOf = (token: number): number => timeOffset + (token - timestampBegin) * TIME_PRECISION;
      const given = expected.map(({ tokens }) => ({
        tokens,
        start: timeOf(tokens[0]),
        end: timeOf(tokens[tokens.length - 1]),
      }));
      for (const { start, end } of given) expect(end).toBeGreaterThan(start);

      const samples = await loadAudio(goldenRecordings().get(file.replace(/\.\w+$/, ""))!);
      const { nMels } = engine.dimensions;
      // The padding counts for the loudest cell alone; the window has 0.0 where the recording is over (facts 2.2.2).
      const whole = logMelSpectrogram(samples, nMels, { padding: N_SAMPLES });
      const frames = Math.min(N_FRAMES, Math.floor(samples.length / HOP_LENGTH) - seek);
      const mel = sliceFrames(sliceFrames(whole, seek, frames), 0, N_FRAMES);
      const audio = await engine.encode(tensor(mel.data, [1, nMels, N_FRAMES]));
      const alignment = await findAlignment(
        engine,
        audio,
        {
          window: 0,
          startSequence: tokenizer.sotSequence({ language: golden.language, timestamps: true }),
          textTokens: given.flatMap(({ tokens }) => tokens.filter((token) => token < eot)),
          frames,
        },
        alignmentHeads(engine.dimensions, checkpoint.generation.alignmentHeads),
        tokenizer,
        golden.language,
      );
      audio.dispose();
      const actual = attachWords(given, alignment, { eot, timeOffset, lastSpeech });

      const texts = (items: readonly { words: readonly { word: string }[] }[]): string[][] =>
        items.map(({ words }) => words.map(({ word }) => word));
      expect(texts(actual)).toEqual(texts(expected));
      const words = actual.flatMap((segment) => segment.words);
      const wanted = expected.flatMap((segment) => segment.words);
      for (const at of ["start", "end"] as const) {
        const times = (items: readonly { start: number; end: number }[]): number[] => items.map((item) => item[at]);
        assertAllClose(times(words), times(wanted), TIMES, `${at} of words`);
        assertAllClose(times(actual), times(expected), TIMES, `${at} of segments`);
      }
      const probabilities = (items: readonly { probability: number }[]): number[] =>
        items.map(({ probability }) => probability);
      assertAllClose(probabilities(words), probabilities(wanted), PROBABILITIES, "probabilities");
    },
  );
});
