/**
 * Searches of the bundled model on the samples' first windows, against openai/whisper's `decode` of the same windows
 * (test/golden/nano, written by scripts/make_golden.py).
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadAudio } from "../../src/audio/index.ts";
import { openCheckpoint } from "../../src/checkpoint/index.ts";
import { decodeWindow, resolveDecoding, type SearchOptions } from "../../src/decoding/index.ts";
import { createCpuEngine } from "../../src/engine/index.ts";
import type { AudioState, Engine } from "../../src/engine/engine.ts";
import { logMelSpectrogram, N_FRAMES, N_SAMPLES, sliceFrames } from "../../src/features/index.ts";
import { tensor } from "../../src/tensor/index.ts";
import { Tokenizer } from "../../src/tokenizer/index.ts";
import { goldenRecordings } from "./engine-golden.ts";

interface GoldenWindow {
  readonly tokens: readonly number[];
  readonly text: string;
  readonly avg_logprob: number;
  readonly no_speech_prob: number;
  readonly compression_ratio: number;
}

type Run = "first_window_timestamps" | "first_window_text_only" | "first_window_beam5";
type Golden = { readonly language: string } & Readonly<Record<Run, GoldenWindow>>;

const root = new URL("../../", import.meta.url);
const RUNS: readonly [run: Run, search: SearchOptions, withoutTimestamps: boolean][] = [
  ["first_window_timestamps", {}, false],
  ["first_window_text_only", {}, true],
  ["first_window_beam5", { beamSize: 5 }, false],
];

describe("decodeWindow() of cpu float32 gives openai/whisper's result", () => {
  let engine: Engine;
  let tokenizer: Tokenizer;

  beforeAll(async () => {
    const checkpoint = await openCheckpoint(fileURLToPath(new URL("models/nano", root)));
    engine = await createCpuEngine(checkpoint, { dtype: "float32" });
    tokenizer = Tokenizer.fromFiles(await checkpoint.tokenizerFiles(), checkpoint.dimensions.nVocab);
  });
  afterAll(async () => engine?.dispose());

  describe.each([...goldenRecordings()])("of %s", (name, path) => {
    const golden = JSON.parse(readFileSync(new URL(`test/golden/nano/${name}.json`, root), "utf8")) as Golden;
    let audio: AudioState;

    beforeAll(async () => {
      const { nMels } = engine.dimensions;
      const mel = sliceFrames(logMelSpectrogram(await loadAudio(path), nMels, { padding: N_SAMPLES }), 0, N_FRAMES);
      audio = await engine.encode(tensor(mel.data, [1, nMels, N_FRAMES]));
    });
    afterAll(() => audio?.dispose());

    // The greedy loop has goldens of its own for all recordings (engine-golden.test.ts).
    it.each(name === "en-short" ? RUNS : RUNS.slice(2))("%s", async (run, search, withoutTimestamps) => {
      const resolved = resolveDecoding(tokenizer, engine.dimensions.nTextCtx, { withoutTimestamps });
      const result = await decodeWindow(engine, audio, 0, tokenizer, golden.language, resolved, search);
      const { tokens, text, avg_logprob, no_speech_prob, compression_ratio } = golden[run];
      expect(result.tokens).toEqual(tokens);
      expect(result.text).toBe(text);
      expect(Math.abs(result.avgLogprob - avg_logprob)).toBeLessThan(1e-3);
      expect(Math.abs(result.noSpeechProb - no_speech_prob)).toBeLessThan(1e-3);
      expect(result.compressionRatio).toBeCloseTo(compression_ratio, 5);
    });
  });
});
