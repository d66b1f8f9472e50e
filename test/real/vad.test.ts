/** The default algorithm on people's speech, with OpenAI's `base` in int8. */
import { afterAll, describe, expect, it, type TestContext } from "vitest";
import { loadAudio, type AudioInput } from "../../src/audio/index.ts";
import { WhisperPipeline, type TranscribeOptions } from "../../src/pipeline/index.ts";
import type { Transcript } from "../../src/transcription/index.ts";
import { makeSound } from "../../bench/accuracy/sounds.mjs";
import { realModel, realRecording } from "./files.ts";

const RATE = 16000;

let opening: Promise<WhisperPipeline> | undefined;
async function transcribe(
  context: TestContext,
  input: AudioInput,
  options: TranscribeOptions = {},
): Promise<Transcript> {
  opening ??= WhisperPipeline.fromPretrained(realModel("base", context), { device: "cpu", dtype: "int8" });
  return (await opening).transcribe(input, options);
}
afterAll(async () => {
  await (await opening)?.dispose();
});

function joined(...parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

describe("transcribe() by default", () => {
  it("writes nothing for silence, noise, hum, tones and music without a voice", async (context) => {
    for (const kind of ["silence", "white", "pink", "hum", "sine", "music"]) {
      for (const decibels of [-60, -35, -12]) {
        const { text, coverage } = await transcribe(context, makeSound(kind, 20, decibels, 5));
        expect([text, coverage?.speechSeconds], `${kind} at ${decibels} dB`).toEqual(["", 0]);
      }
    }
  });

  it("hears German after 40 s of silence, and when it begins", async (context) => {
    const speech = await loadAudio(realRecording("leopard-de.wav", context));
    const alone = await transcribe(context, speech);
    const late = await transcribe(context, joined(new Float32Array(40 * RATE), speech));
    expect([late.language, alone.language]).toEqual(["de", "de"]);
    // The first samples of speech are not quite the same beside silence of another kind.
    for (const { text } of [alone, late]) expect(text).toMatch(/^ Der hinter diesem Portal lie.*genutzt\.$/);
    expect(late.segments[0].start).toBeGreaterThanOrEqual(40);
    expect(Math.abs(late.segments[0].start - 40 - alone.segments[0].start)).toBeLessThan(0.3);
  });

  it("hears speech between noise and music, and nothing else", async (context) => {
    const speech = await loadAudio(realRecording("cheetah-en.wav", context));
    const around = (kind: string) => makeSound(kind, 20, -30, 3);
    const { text, segments, duration } = await transcribe(context, joined(around("pink"), speech, around("music")));
    expect(text.trim()).toMatch(/^Today,? only platforms 1 and 3 are used\.$/);
    expect(segments.every(({ start, end }) => start > 19.5 && end < duration - 19.5)).toBe(true);
  });

  it("hears a hoarse voice after a minute of music as without it", async (context) => {
    const speech = await loadAudio(realRecording("mfa-cold-corpus.flac", context));
    const alone = await transcribe(context, speech);
    for (const [kind, decibels] of [
      ["music", -15],
      ["white", -20],
    ] as const) {
      const { text, coverage } = await transcribe(context, joined(makeSound(kind, 40, decibels, 3), speech));
      const [words, expected] = [text, alone.text].map((one): string[] => one.toLowerCase().match(/[a-z]+/g) ?? []);
      expect(expected.length).toBeGreaterThan(50);
      const missing = expected.filter((word) => !words.includes(word));
      expect(missing.length, `after ${kind}: ${text}`).toBeLessThanOrEqual(3);
      expect(coverage?.speechSeconds).toBeGreaterThan(0.9 * (alone.coverage?.speechSeconds ?? 0));
    }
  });

  it("loses and repeats nothing of a recording of a minute and a half", async (context) => {
    const { text, coverage, segments } = await transcribe(context, realRecording("azure-en-b.flac", context));
    expect(coverage?.untranscribed).toEqual([]);
    const said = text.toLowerCase().match(/[a-z]+/g) ?? [];
    expect(said.length).toBeGreaterThan(115);
    for (let i = 0; i + 6 <= said.length; i++) {
      expect(said.slice(i, i + 3), said.slice(i, i + 6).join(" ")).not.toEqual(said.slice(i + 3, i + 6));
    }
    expect(segments.length).toBeGreaterThan(4);
  });

  it("keeps the text where a threshold is so strict that no attempt passes it", async (context) => {
    const recording = realRecording("mfa-cold-corpus3.flac", context);
    const { text } = await transcribe(context, recording);
    const strict = await transcribe(context, recording, { entropyThreshold: 3.5 });
    expect(strict.text).toBe(text);
    expect(strict.coverage?.untranscribed).toEqual([]);
    expect(strict.segments[0].fallback?.length).toBeGreaterThan(1);
  });

  it("writes Chinese in one script", async (context) => {
    const { text } = await transcribe(context, realRecording("azure-zh-b.flac", context));
    expect(text).toMatch(/测试.*识别/s);
    expect(text).not.toMatch(/[個別識聽過們這來]/);
  });
});
