/** The default algorithm on the bundled model: nothing lost, nothing said twice, nothing invented. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadAudio } from "../audio/index.ts";
import type { Progress, Segment, Transcript } from "../transcription/index.ts";
import { referenceText, SAMPLES, samplePath } from "../../test/helpers/samples.ts";
import { wordErrors, words } from "../../test/helpers/word-errors.ts";
import { WhisperPipeline } from "./pipeline.ts";

const RATE = 16000;

let pipeline: WhisperPipeline;
beforeAll(async () => {
  pipeline = await WhisperPipeline.fromPretrained("nano", { dtype: "float32" });
});
afterAll(() => pipeline.dispose());

const silence = (seconds: number): Float32Array => new Float32Array(Math.round(seconds * RATE));
function joined(parts: readonly Float32Array[]): Float32Array {
  const samples = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    samples.set(part, at);
    at += part.length;
  }
  return samples;
}

/** What holds for every transcript. */
function expectSound({ segments, text, duration, coverage }: Transcript): void {
  let last = 0;
  for (const { start, end, text: own } of segments) {
    expect(start).toBeGreaterThanOrEqual(last);
    expect(end).toBeGreaterThanOrEqual(start);
    expect(own.trim()).not.toBe("");
    last = end;
  }
  expect(last).toBeLessThanOrEqual(duration);
  expect(segments.map((segment) => segment.text).join("")).toBe(text);
  expect(coverage?.transcribedSeconds).toBeLessThanOrEqual(coverage?.speechSeconds as number);
}

describe("transcribe() by default", () => {
  it.each(SAMPLES.filter(({ text }) => text !== "").map(({ file, text }) => [file, text]))(
    "%s has the words that are said",
    async (file, reference) => {
      const transcript = await pipeline.transcribe(samplePath(file));
      expectSound(transcript);
      expect(wordErrors(reference, transcript.text) / words(reference).length).toBeLessThanOrEqual(0.06);
      expect(transcript.coverage?.untranscribed).toEqual([]);
    },
  );

  it("gives the same for every batch size, and among other recordings", async () => {
    const [long, short] = [samplePath("en-long.flac"), samplePath("de-short.flac")];
    const whole = await pipeline.transcribe(long);
    expect(whole.segments.length).toBeGreaterThan(5);
    for (const batchSize of [1, 3]) expect(await pipeline.transcribe(long, { batchSize })).toEqual(whole);
    for await (const { index, transcript } of pipeline.transcribeMany([short, long, short])) {
      if (index === 1) expect(transcript).toEqual(whole);
      else expect(transcript?.text).toBe((await pipeline.transcribe(short)).text);
    }
  });

  it("finds speech wherever it is, at any level, and places it there", async () => {
    const speech = await loadAudio(samplePath("en-short.wav"));
    const { segments } = await pipeline.transcribe(speech);
    const [first, last] = [segments[0].start, segments[segments.length - 1].end];
    const place = fc.record({
      before: fc.double({ min: 0, max: 45, noNaN: true }),
      after: fc.double({ min: 0, max: 45, noNaN: true }),
      gain: fc.constantFrom(1, 0.1, 0.01),
    });
    await fc.assert(
      fc.asyncProperty(place, async ({ before, after, gain }) => {
        const quiet = speech.map((sample) => gain * sample);
        const transcript = await pipeline.transcribe(joined([silence(before), quiet, silence(after)]));
        expectSound(transcript);
        expect(words(transcript.text)).toEqual(words(referenceText("en-short.wav")));
        const offset = Math.round(before * RATE) / RATE;
        expect(Math.abs(transcript.segments[0].start - offset - first)).toBeLessThan(0.3);
        expect(Math.abs((transcript.segments.at(-1) as Segment).end - offset - last)).toBeLessThan(0.3);
      }),
      { numRuns: 8 },
    );
  });

  it("writes nothing where nobody speaks, and spends no encoder on it", async () => {
    let random = 1;
    const noise = Float32Array.from({ length: 40 * RATE }, () => {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0;
      return (random / 2 ** 32 - 0.5) / 5;
    });
    const tone = noise.map((_, i) => 0.3 * Math.sin((2 * Math.PI * 440 * i) / RATE));
    const before = pipeline.scheduler.counters.windows;
    for (const samples of [silence(40), noise, tone, silence(0)]) {
      const { text, segments, coverage, warnings } = await pipeline.transcribe(samples);
      expect({ text, segments, coverage }).toEqual({
        text: "",
        segments: [],
        coverage: { speechSeconds: 0, transcribedSeconds: 0, untranscribed: [] },
      });
      expect(warnings.filter((warning) => !pipeline.warnings.includes(warning))).toEqual([]);
    }
    expect(pipeline.scheduler.counters.windows).toBe(before);
  });

  it("gives words that lie in their segments and are the text", async () => {
    const { segments, text } = await pipeline.transcribe(samplePath("en-long.flac"), { wordTimestamps: true });
    for (const { start, end, words: own = [] } of segments) {
      expect(own.length).toBeGreaterThan(0);
      let last = start;
      for (const word of own) {
        expect(word.start).toBeGreaterThanOrEqual(last - 1e-9);
        expect(word.end).toBeLessThanOrEqual(end);
        last = word.start;
      }
    }
    expect(segments.flatMap(({ words: own = [] }) => own.map(({ word }) => word)).join("")).toBe(text);
  });

  it("tells of segments and progress in order, and ends with all of it", async () => {
    const seen: Segment[] = [];
    const progress: Progress[] = [];
    const { segments, duration } = await pipeline.transcribe(samplePath("en-long.flac"), {
      batchSize: 2,
      onSegment: (segment) => seen.push(segment),
      onProgress: (one) => progress.push(one),
    });
    expect(seen).toEqual(segments);
    const seconds = progress.map(({ processedSeconds }) => processedSeconds);
    expect(seconds).toEqual([...seconds].sort((a, b) => a - b));
    expect(progress.at(-1)).toEqual({ processedSeconds: duration, totalSeconds: duration });
  });

  it("ends at once when it is aborted", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const running = pipeline.transcribe(samplePath("en-long.flac"), {
      batchSize: 1,
      signal: stop.signal,
      onSegment: () => stop.abort(reason),
    });
    await expect(running).rejects.toBe(reason);
  });

  it("changes the language from window to window where it is asked to", async () => {
    const [english, german] = await Promise.all(
      ["en-short.wav", "de-short.flac"].map((file) => loadAudio(samplePath(file))),
    );
    const audio = joined([english, silence(29), german]);
    const { segments } = await pipeline.transcribe(audio, { languagePerWindow: true });
    expect([segments[0].language, segments.at(-1)?.language]).toEqual(["en", "de"]);
  });
});
