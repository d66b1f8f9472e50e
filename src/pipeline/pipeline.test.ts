import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { referenceText, SAMPLES, samplePath } from "../../test/helpers/samples.ts";
import { loadAudio } from "../audio/index.ts";
import { InputError, OptionError } from "../errors.ts";
import type { Progress, Segment, Transcript } from "../transcription/index.ts";
import { WhisperPipeline, type TranscribedInput, type TranscribeOptions } from "./pipeline.ts";

let pipeline: WhisperPipeline;
beforeAll(async () => {
  pipeline = await WhisperPipeline.fromPretrained("nano", { dtype: "float32" });
});
afterAll(() => pipeline.dispose());

const short = samplePath("en-short.wav");

describe("WhisperPipeline.transcribe()", () => {
  it("gives the text of the bundled sample", async () => {
    const transcript = await pipeline.transcribe(short);
    expect(transcript.text.trim()).toBe(referenceText("en-short.wav"));
    expect(transcript).toMatchObject({ language: "en", warnings: pipeline.warnings });
    expect(transcript.languageProbability).toBeGreaterThan(0.5);
    expect(transcript.duration).toBeCloseTo(4.915, 2);
  });

  it("gives the same for a path, a URL of a file, bytes, a Blob, a stream, and samples", async () => {
    const bytes = readFileSync(short);
    const samples = await loadAudio(short);
    const expected = await pipeline.transcribe(short, { returnTimestamps: true });
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < bytes.length; i += 1000) yield bytes.subarray(i, i + 1000);
    };
    for (const input of [
      new URL(`file://${short}`),
      bytes,
      new Blob([bytes]),
      pieces(),
      samples,
      { array: samples, samplingRate: 16000 },
    ]) {
      expect(await pipeline.transcribe(input, { returnTimestamps: true })).toEqual(expected);
    }
  });

  it("gives segments and chunks in order, within the recording, whose texts make the text", async () => {
    const paths = SAMPLES.map(({ file }) => samplePath(file));
    for (const transcript of await pipeline.transcribe(paths, { returnTimestamps: true })) {
      const { text, segments, chunks, duration } = transcript;
      expect(segments.map((segment) => segment.text).join("")).toBe(text);
      expect(chunks?.map((chunk) => chunk.text).join("")).toBe(text);
      let last = 0;
      for (const [i, { id, start, end }] of segments.entries()) {
        expect(id).toBe(i);
        expect(start).toBeGreaterThanOrEqual(last);
        expect(end).toBeGreaterThanOrEqual(start);
        expect(end).toBeLessThanOrEqual(duration);
        last = end;
      }
    }
  });

  it("gives the same text and times whatever the batch size and the number of workers", async () => {
    const long = samplePath("en-long.flac");
    const run = async (on: WhisperPipeline, batchSize: number): Promise<Transcript> =>
      on.transcribe(long, { returnTimestamps: true, batchSize });
    const expected = await run(pipeline, 1);
    expect(expected.segments.length).toBeGreaterThan(10);
    const withoutScores = ({ text, segments }: Transcript): unknown => ({
      text,
      segments: segments.map(({ start, end, tokens }) => ({ start, end, tokens })),
    });
    // All windows are in one batch of 16.
    for (const batchSize of [2, 16]) {
      expect(withoutScores(await run(pipeline, batchSize))).toEqual(withoutScores(expected));
    }
    for (const workers of [1, 2]) {
      const other = await WhisperPipeline.fromPretrained("nano", { dtype: "float32", workers });
      expect(withoutScores(await run(other, 3))).toEqual(withoutScores(expected));
      await other.dispose();
    }
  });

  it("takes several recordings, in order, as if each were alone", async () => {
    const paths = ["de-short.flac", "en-short.wav", "fr-short.flac"].map(samplePath);
    const together = await pipeline.transcribe(paths);
    for (const [i, path] of paths.entries()) {
      expect(together[i].text).toBe((await pipeline.transcribe(path)).text);
    }
    expect(together.map(({ language }) => language)).toEqual(["de", "en", "fr"]);
  });

  it("takes silence, no samples, one sample and a hundredth of a second", async () => {
    for (const samples of [0, 1, 160, 16000]) {
      const { text, duration } = await pipeline.transcribe(new Float32Array(samples), { returnTimestamps: true });
      expect(text.trim()).toBe("");
      expect(duration).toBeCloseTo(samples / 16000, 6);
    }
  });

  it("warns of samples that are no numbers, and goes on", async () => {
    const samples = await loadAudio(short);
    samples[1000] = NaN;
    samples[2000] = Infinity;
    const { text, warnings } = await pipeline.transcribe(samples);
    expect(text.trim()).toBe(referenceText("en-short.wav"));
    expect(warnings).toEqual([...pipeline.warnings, expect.stringContaining("NaN")]);
  });

  it("refuses what does not exist, and says what does", async () => {
    const refusals: [TranscribeOptions | Record<string, unknown>, RegExp][] = [
      [{ language: "klingon" }, /klingon.*english/is],
      [{ task: "summarise" }, /summarise.*transcribe, translate/s],
      [{ algorithm: "magic" }, /magic.*chunked/s],
      [{ beams: 5 }, /"beams".*language/s],
      [{ batchSize: 0 }, /batch/i],
      [{ strideLength: 20 }, /stride/i],
      [{ chunkLength: 31 }, /30/],
    ];
    for (const [options, message] of refusals) {
      const refused = pipeline.transcribe(short, options as TranscribeOptions);
      await expect(refused, JSON.stringify(options)).rejects.toThrow(OptionError);
      await expect(pipeline.transcribe(short, options as TranscribeOptions)).rejects.toThrow(message);
    }
  });

  it("leaves the options as they were, and nothing of one call in the next", async () => {
    const options = Object.freeze({ language: "de", task: "translate", returnTimestamps: true } as const);
    await pipeline.transcribe(short, options);
    expect((await pipeline.transcribe(short)).text.trim()).toBe(referenceText("en-short.wav"));
  });

  it("reports progress that never goes back and reaches the end", async () => {
    const seen: Progress[] = [];
    const { duration } = await pipeline.transcribe(samplePath("en-long.flac"), {
      batchSize: 2,
      onProgress: (progress) => seen.push(progress),
    });
    expect(seen.length).toBeGreaterThan(2);
    seen.reduce((before, now) => {
      expect(now.processedSeconds).toBeGreaterThanOrEqual(before.processedSeconds);
      return now;
    });
    expect(seen.at(-1)).toEqual({ processedSeconds: duration, totalSeconds: duration });
  });

  it("stops when its signal is aborted, with the reason", async () => {
    const stop = new AbortController();
    const reason = new Error("changed my mind");
    const running = pipeline.transcribe(samplePath("en-long.flac"), {
      batchSize: 1,
      signal: stop.signal,
      onProgress: () => stop.abort(reason),
    });
    await expect(running).rejects.toBe(reason);
    await expect(pipeline.transcribe(short, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe("WhisperPipeline.transcribe() with the sequential algorithm", () => {
  const sequential = { algorithm: "sequential", temperature: 0, language: "en" } as const;

  it("gives words whose text is that of their segment", async () => {
    const { text, segments, chunks } = await pipeline.transcribe(short, {
      ...sequential,
      wordTimestamps: true,
      returnTimestamps: true,
    });
    expect(text.trim()).toBe(referenceText("en-short.wav"));
    expect(chunks).toHaveLength(segments.length);
    for (const segment of segments) {
      expect(segment.words?.map(({ word }) => word).join("")).toBe(segment.text);
      for (const { start, end } of segment.words ?? []) expect(end).toBeGreaterThanOrEqual(start);
    }
  });

  it("gives segments as they are ready", async () => {
    const streamed: Segment[] = [];
    for await (const segment of pipeline.segments(short, sequential)) streamed.push(segment);
    expect(streamed).toEqual((await pipeline.transcribe(short, sequential)).segments);
  });

  it("refuses options of the other algorithm, and says which one has them", async () => {
    const wrong = { ...sequential, chunkLength: 20 } as TranscribeOptions;
    await expect(pipeline.transcribe(short, wrong)).rejects.toThrow(/chunkLength.*sequential.*chunked/s);
    const other = { beamSize: 5 } as TranscribeOptions;
    await expect(pipeline.transcribe(short, other)).rejects.toThrow(/beamSize.*chunked.*sequential/s);
  });
});

describe("WhisperPipeline.transcribeMany()", () => {
  it("goes on after a recording that cannot be read", async () => {
    const results: TranscribedInput[] = [];
    const inputs = [short, "no-such-file.wav", samplePath("de-short.flac")];
    for await (const result of pipeline.transcribeMany(inputs)) results.push(result);
    results.sort((a, b) => a.index - b.index);
    expect(results.map(({ transcript }) => transcript?.language)).toEqual(["en", undefined, "de"]);
    expect(results[1].error).toBeInstanceOf(InputError);
    expect(results[1].error?.message).toContain("no-such-file.wav");
  });

  it("says of which recording it speaks", async () => {
    const segments: [number, string][] = [];
    const options = { returnTimestamps: true, onSegment: (s: Segment, i: number) => segments.push([i, s.text]) };
    const inputs = [short, samplePath("de-short.flac")];
    for await (const { index, transcript } of pipeline.transcribeMany(inputs, options)) {
      expect(
        segments
          .filter(([i]) => i === index)
          .map(([, text]) => text)
          .join(""),
      ).toBe(transcript?.text);
    }
    expect(segments.length).toBeGreaterThan(1);
  });
});

describe("WhisperPipeline.segments()", () => {
  it("gives the segments of the transcript", async () => {
    const path = samplePath("en-30s.flac");
    const { segments } = await pipeline.transcribe(path, { returnTimestamps: true });
    const streamed: Segment[] = [];
    for await (const segment of pipeline.segments(path)) streamed.push(segment);
    expect(streamed).toEqual(segments);
  });

  it("can be left early", async () => {
    let count = 0;
    for await (const _ of pipeline.segments(samplePath("en-long.flac"), { batchSize: 1 })) {
      if (++count === 2) break;
    }
    expect(count).toBe(2);
    expect((await pipeline.transcribe(short)).text.trim()).toBe(referenceText("en-short.wav"));
  });
});

describe("WhisperPipeline.detectLanguage()", () => {
  it("tells the languages of the samples apart", async () => {
    for (const language of ["de", "fr", "es"]) {
      const detection = await pipeline.detectLanguage(samplePath(`${language}-short.flac`));
      expect(detection.language).toBe(language);
      const sum = Object.values(detection.probabilities).reduce((total, p) => total + p, 0);
      expect(sum).toBeCloseTo(1, 5);
    }
  });
});

describe("WhisperPipeline.fromPretrained()", () => {
  it("refuses unknown options, devices and number formats before it loads anything", async () => {
    const refuse = (options: object): Promise<unknown> => WhisperPipeline.fromPretrained("nano", options);
    await expect(refuse({ quantize: true })).rejects.toThrow(/"quantize".*dtype/s);
    await expect(refuse({ device: "tpu" })).rejects.toThrow(/tpu.*auto, cpu, cuda, reference/s);
    await expect(refuse({ dtype: "int3" })).rejects.toThrow(/int3.*float32.*int8/s);
    await expect(refuse({ device: "reference", dtype: "int8" })).rejects.toThrow(OptionError);
    await expect(refuse({ threads: 0 })).rejects.toThrow(/threads/);
  });
});
