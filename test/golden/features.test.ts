/** The features of each sample against openai/whisper's, in both conventions. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadAudio } from "../../src/audio/index.ts";
import { logMelSpectrogram, logMelWindow, sliceFrames } from "../../src/features/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";

interface GoldenMel {
  readonly mean: number;
  readonly max: number;
  readonly min: number;
  /** mel[::8, ::250], row-major. */
  readonly values: readonly number[];
}

interface Golden {
  readonly mel_of_whole_file_first_window: GoldenMel;
  readonly mel_of_first_30s_padded_with_silence: GoldenMel;
}

const root = new URL("../../", import.meta.url);

/** The goldens were made by float32 arithmetic; its rounding is far below this where values matter to the model. */
const TOLERANCE = 1e-4;

function expectMel(mel: Tensor, golden: GoldenMel): void {
  expect(mel.dims).toEqual([80, 3000]);
  const sampled: number[] = [];
  for (let m = 0; m < 80; m += 8) for (let t = 0; t < 3000; t += 250) sampled.push(mel.data[m * 3000 + t]);
  expect(sampled).toHaveLength(golden.values.length);
  const worst = sampled.reduce((max, value, i) => Math.max(max, Math.abs(value - golden.values[i])), 0);
  expect(worst, "largest difference at mel[::8, ::250]").toBeLessThan(TOLERANCE);

  const mean = mel.data.reduce((sum, value) => sum + value, 0) / mel.data.length;
  const max = mel.data.reduce((a, b) => Math.max(a, b));
  const min = mel.data.reduce((a, b) => Math.min(a, b));
  expect(Math.abs(mean - golden.mean), "mean").toBeLessThan(TOLERANCE);
  expect(Math.abs(max - golden.max), "max").toBeLessThan(TOLERANCE);
  expect(Math.abs(min - golden.min), "min").toBeLessThan(TOLERANCE);
}

const names = readdirSync(new URL("test/golden/nano/", root))
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.slice(0, -".json".length));

describe("goldens of the features", () => {
  it.each(names)("hold for %s", async (name) => {
    const recording = [".wav", ".flac"]
      .map((extension) => new URL(`samples/${name}${extension}`, root))
      .find((url) => existsSync(url));
    if (recording === undefined) throw new Error(`samples/ has no recording of the golden "${name}"`);
    const golden = JSON.parse(readFileSync(new URL(`test/golden/nano/${name}.json`, root), "utf8")) as Golden;
    const samples = await loadAudio(fileURLToPath(recording));

    const whole = logMelSpectrogram(samples, 80, { padding: 480_000 });
    expectMel(sliceFrames(whole, 0), golden.mel_of_whole_file_first_window);
    expectMel(logMelWindow(samples, 80), golden.mel_of_first_30s_padded_with_silence);
  });
});
