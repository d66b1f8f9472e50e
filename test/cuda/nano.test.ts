/** The bundled model on the CUDA engine: the same transcripts as on the processor, in all number formats. */
import { beforeAll, describe, expect, it } from "vitest";
import type { TranscribeOptions, WhisperPipeline as Pipeline } from "../../src/index.ts";
import { WhisperPipeline } from "../../src/index.ts";
import { assertAllClose } from "../helpers/close.ts";
import { samplePath } from "../helpers/samples.ts";
import { useTestDriver } from "../helpers/cuda.ts";

let missing: { reason: string } | null = null;
beforeAll(async () => {
  missing = await useTestDriver();
});

/** One step of timestamps, in seconds: 16 bits may choose the one beside. */
const TIME_STEP = 0.02;

async function transcribe(pipeline: Promise<Pipeline>, file: string, options: TranscribeOptions) {
  const opened = await pipeline;
  try {
    const { segments } = await opened.transcribe(samplePath(file), options);
    return segments.map(({ start, end, text, tokens, words }) => ({
      ...{ start, end, text, tokens },
      words: words?.map(({ word, start: from, end: to }) => ({ word, from, to })),
    }));
  } finally {
    await opened.dispose();
  }
}

describe("nano on the CUDA engine", () => {
  it.for([
    ["float32", "en-short.wav", { returnTimestamps: true }],
    ["float16", "en-short.wav", { returnTimestamps: true }],
    ["bfloat16", "de-short.flac", { returnTimestamps: true }],
    ["float16", "fr-short.flac", { task: "translate" }],
    ["float32", "en-short.wav", { algorithm: "sequential", beamSize: 3, wordTimestamps: true }],
  ] as const)("gives the processor's transcript in %s: %s, %o", async ([dtype, file, options], context) => {
    if (missing !== null) context.skip(missing.reason);
    const onProcessor = WhisperPipeline.fromPretrained("nano", { device: "cpu", dtype: "float32" });
    const onGpu = WhisperPipeline.fromPretrained("nano", { device: "cuda", dtype });
    const [actual, expected] = [await transcribe(onGpu, file, options), await transcribe(onProcessor, file, options)];
    if (dtype === "float32") {
      expect(actual).toEqual(expected);
      return;
    }
    expect(actual.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
    const times = (segments: typeof actual): number[] => segments.flatMap(({ start, end }) => [start, end]);
    assertAllClose(times(actual), times(expected), { absolute: TIME_STEP + 1e-6 }, "times");
  });
});
