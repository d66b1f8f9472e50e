/** Voice activity against silero-vad (probabilities) and faster-whisper (spans). */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it, type TestContext } from "vitest";
import { loadAudio } from "../../src/audio/index.ts";
import { loadSileroVad } from "../../src/pipeline/load-vad.ts";
import { speechSpans, SpeechSegmenter, VoiceActivityDetector, type SpeechSpan, type VadOptions } from "../../src/vad/index.ts";
import { realRecording } from "../real/files.ts";

interface GoldenRecording {
  readonly folder: "samples" | "real";
  readonly file: string;
  readonly nSamples: number;
  readonly probabilities: readonly number[];
}

interface GoldenSpans {
  readonly file?: string;
  readonly percents?: readonly number[];
  readonly nSamples?: number;
  /** For each set of options. */
  readonly spans: readonly (readonly [number, number])[][];
}

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`vad/${name}`, import.meta.url), "utf8"));
const recordings = (read("probabilities.json") as { rows: readonly GoldenRecording[] }).rows;
const golden = read("spans.json") as {
  options: readonly Readonly<Record<string, number>>[];
  rows: readonly GoldenSpans[];
};

/** faster-whisper's names to ours: max_speech_duration_s to vadMaxSpeechDurationS. */
const optionSets = golden.options.map((options) =>
  Object.fromEntries(
    Object.entries(options).map(([name, value]) => [
      `vad_${name}`.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  ),
) as readonly VadOptions[];

/** The difference asked for; torch and onnxruntime differ from each other by 7e-6, and the goldens are rounded to 6 digits. */
const TOLERANCE = 1e-4;

const pathOf = ({ folder, file }: GoldenRecording, context: TestContext): string =>
  folder === "real" ? realRecording(file, context) : fileURLToPath(new URL(`../../samples/${file}`, import.meta.url));

describe("VoiceActivityDetector", () => {
  it.for(recordings)("gives silero-vad's probabilities of $folder/$file", async (recording, context) => {
    const samples = await loadAudio(pathOf(recording, context));
    expect(samples).toHaveLength(recording.nSamples);
    const detector = new VoiceActivityDetector(await loadSileroVad());
    const probabilities = [...detector.push(samples), ...detector.finish()];
    expect(probabilities).toHaveLength(recording.probabilities.length);
    const differences = probabilities.map((value, i) => Math.abs(value - recording.probabilities[i]));
    expect(Math.max(...differences)).toBeLessThan(TOLERANCE);
  });
});

describe("speechSpans()", () => {
  const cases = golden.rows.map(({ file, percents, nSamples, spans }, i) => {
    const recording = recordings.find((one) => one.file === file);
    const probabilities = recording?.probabilities ?? percents!.map((percent) => percent / 100);
    return {
      name: file ?? `random probabilities ${i}`,
      probabilities: Float32Array.from(probabilities),
      nSamples: recording?.nSamples ?? nSamples!,
      spans,
    };
  });

  it.each(cases)("gives faster-whisper's spans of $name", ({ probabilities, nSamples, spans }) => {
    for (const [i, options] of optionSets.entries()) {
      const expected = spans[i].map(([start, end]): SpeechSpan => ({ start, end }));
      expect(speechSpans(probabilities, nSamples, options), JSON.stringify(options)).toEqual(expected);
    }
  });

  it("is what a SpeechSegmenter gives, however the probabilities are cut", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...cases),
        fc.constantFrom(...optionSets),
        fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1 }),
        ({ probabilities, nSamples }, options, sizes) => {
          const segmenter = new SpeechSegmenter(options);
          const spans: SpeechSpan[] = [];
          for (let at = 0, i = 0; at < probabilities.length; i++) {
            const size = Math.max(sizes[i % sizes.length], i % sizes.length === 0 ? 1 : 0);
            const earliest = segmenter.earliestStart;
            const found = segmenter.push(probabilities.subarray(at, at + size));
            for (const { start } of found) expect(start).toBeGreaterThanOrEqual(earliest);
            spans.push(...found);
            at += size;
          }
          const earliest = segmenter.earliestStart;
          const rest = segmenter.finish(nSamples);
          for (const { start } of rest) expect(start).toBeGreaterThanOrEqual(Math.min(earliest, nSamples));
          expect([...spans, ...rest]).toEqual(speechSpans(probabilities, nSamples, options));
        },
      ),
    );
  });
});
