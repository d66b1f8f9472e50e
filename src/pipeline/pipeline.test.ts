import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ownWarnings } from "../../test/helpers/own-warnings.ts";
import { referenceText, SAMPLES, samplePath } from "../../test/helpers/samples.ts";
import { loadAudio } from "../audio/index.ts";
import { usesNativeKernels } from "../engine/index.ts";
import { InputError, OptionError } from "../errors.ts";
import { writeTranscript } from "../outputs/index.ts";
import type { Progress, Segment, Transcript } from "../transcription/index.ts";
import { WhisperForConditionalGeneration } from "./model.ts";
import { WhisperPipeline, type TranscribedInput } from "./pipeline.ts";
import type { TranscribeOptions } from "./transcribe-options.ts";

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
    for await (const { transcript, error } of pipeline.transcribeMany(paths, { returnTimestamps: true })) {
      if (error !== undefined) throw error;
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

  it.each(["chunked", "sequential"] as const)("has times unless they are turned off: %s", async (algorithm) => {
    const transcript = await pipeline.transcribe(short, { algorithm });
    expect(transcript.hasTimestamps).toBe(true);
    expect(transcript.chunks).toHaveLength(transcript.segments.length);
    expect(writeTranscript(transcript, "srt")).toMatch(/^1\n00:00:00,\d{3} --> 00:00:0[1-4],\d{3}\n/);
    expect((await pipeline.transcribe(short, { algorithm, returnTimestamps: false })).chunks).toBeUndefined();
  });

  it("without timestamps cannot be made subtitles of", async () => {
    for (const options of [{ algorithm: "chunked", returnTimestamps: false }, { withoutTimestamps: true }] as const) {
      const transcript = await pipeline.transcribe(short, options);
      expect(transcript.hasTimestamps).toBe(false);
      expect(transcript.text.trim()).toBe(referenceText("en-short.wav"));
      expect(() => writeTranscript(transcript, "vtt")).toThrow("Cannot write vtt: the transcript has no times");
    }
  });

  it('gives words with returnTimestamps "word", as Hugging Face does', async () => {
    const { segments } = await pipeline.transcribe(short, { returnTimestamps: "word" });
    expect(segments.flatMap(({ words = [] }) => words.map(({ word }) => word)).join("")).toBe(
      segments.map(({ text }) => text).join(""),
    );
  });

  it("refuses a list, and names transcribeMany()", async () => {
    const refused = pipeline.transcribe([short, short] as unknown as string);
    await expect(refused).rejects.toThrow(/^Cannot transcribe an array of 2 recordings .*\nHint: transcribeMany/);
    await expect(pipeline.transcribe([0, 0.5] as unknown as string)).rejects.toThrow("Float32Array.from(samples)");
    await expect(pipeline.transcribeMany(short as unknown as string[]).next()).rejects.toThrow(
      /as several recordings, expected an array\nHint: transcribe\(input\) takes one/,
    );
  });

  it.each<[options: TranscribeOptions, warnings: (string | RegExp)[]]>([
    [
      { algorithm: "chunked", returnTimestamps: false, maxInitialTimestamp: 1 },
      [/^"maxInitialTimestamp" has no effect/],
    ],
    [{ withoutTimestamps: true, maxInitialTimestamp: 1, temperature: 0 }, [/^"maxInitialTimestamp" has no effect/]],
    [{ prependPunctuations: "-" }, [/^"prependPunctuations" has no effect without wordTimestamps/]],
    [{ temperature: 0, bestOf: 5, seed: 1 }, [/^"bestOf" has no effect/, /^"seed" has no effect/]],
    [{ temperature: 0.5, beamSize: 2, patience: 2 }, [/^"beamSize" has no effect/, /^"patience" has no effect/]],
    [{ algorithm: "sequential", temperature: 0, lengthPenalty: 0.5 }, [/^"lengthPenalty" has no effect/]],
    [{ temperature: 0, beamSize: 2, lengthPenalty: 0.5 }, []],
    [{ temperature: [0, 0.2], beamSize: 2, patience: 1, bestOf: 2, seed: 1, lengthPenalty: 0.5 }, []],
    [{ temperature: 0, hotwords: "Clara", prefix: "Clara" }, [/^"hotwords" has no effect/]],
    [{ temperature: 0, carryInitialPrompt: true }, [/^"carryInitialPrompt" has no effect without initialPrompt/]],
  ])("warns of options without effect: %j", async (options, expected) => {
    const { warnings } = await pipeline.transcribe(short, { language: "en", ...options });
    expect(ownWarnings(warnings)).toEqual(expected.map((warning) => expect.stringMatching(warning)));
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
    const refused = (options: object): Promise<unknown> => pipeline.transcribe(short, options as TranscribeOptions);
    await expect(refused({ ...sequential, chunkLength: 20 })).rejects.toThrow(/chunkLength.*sequential.*chunked/s);
    await expect(refused({ algorithm: "chunked", beamSize: 5 })).rejects.toThrow(/beamSize.*chunked.*sequential/s);
  });

  it("is chosen by an option that only it has", async () => {
    const options = { numBeams: 2, temperature: 0, language: "en", conditionOnPreviousText: true } as const;
    const { text, segments } = await pipeline.transcribe(short, options);
    expect(segments[0].seek).toBe(0); // the other algorithms have none
    expect(text).toBe((await pipeline.transcribe(short, { ...sequential, beamSize: 2 })).text);
  });
});

describe("WhisperPipeline.transcribeMany()", () => {
  it("takes several recordings as if each were alone", async () => {
    const paths = ["de-short.flac", "en-short.wav", "fr-short.flac"].map(samplePath);
    const languages: string[] = [];
    for await (const { index, transcript, error } of pipeline.transcribeMany(paths)) {
      if (error) throw error;
      expect(transcript.text).toBe((await pipeline.transcribe(paths[index])).text);
      languages[index] = transcript.language;
    }
    expect(languages).toEqual(["de", "en", "fr"]);
  });

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
  });

  it.each<[options: object, message: string]>([
    [{ threads: 0 }, "Cannot use 0 as threads, expected a whole number from 1 to 1024"],
    [{ workers: "2" }, 'Cannot use "2" as workers, expected a whole number from 1 to 1024'],
    [{ batchSize: 0 }, "Cannot use 0 as batchSize, expected a whole number from 1 to 1024"],
    [{ batchSize: 2.5 }, "Cannot use 2.5 as batchSize"],
    [{ cacheDir: "" }, 'Cannot use "" as cacheDir, expected a string that is not empty'],
    [{ token: 5 }, "Cannot use 5 as token, expected a string"],
    [{ endpoint: new URL("http://x") }, "Cannot use a value of class URL as endpoint"],
    [{ revision: 2 }, "Cannot use 2 as revision"],
    [{ offline: "yes" }, 'Cannot use "yes" as offline, expected true or false'],
    [{ forceDownload: 1 }, "Cannot use 1 as forceDownload, expected true or false"],
    [{ signal: {} }, "Cannot use {} as signal, expected an AbortSignal"],
    [{ onProgress: true }, "Cannot use true as onProgress, expected a function"],
    [{ timeoutMs: -1 }, "Cannot use -1 as timeoutMs, expected a number above 0"],
    [
      { device: "reference", threads: 2 },
      'Cannot use threads with device "reference": only the CPU engine has threads',
    ],
    [{ device: "cuda:1", workers: 2 }, 'Cannot use workers with device "cuda:1"'],
    [{ revision: "v2" }, 'Cannot load revision "v2" of "nano": a local model has none'],
    [{ forceDownload: true }, 'Cannot download "nano" again: it is a local model'],
  ])("refuses %j", async (options, message) => {
    const load = (Class: { fromPretrained(model: string, options: object): Promise<unknown> }): Promise<unknown> =>
      Class.fromPretrained("nano", options);
    await expect(load(WhisperPipeline)).rejects.toThrow(message);
    if (!("batchSize" in options)) await expect(load(WhisperForConditionalGeneration)).rejects.toThrow(message);
  });

  it("refuses what is no model's name", async () => {
    await expect(WhisperPipeline.fromPretrained(5 as unknown as string)).rejects.toThrow("Cannot use 5 as model");
  });

  it("warns of options without effect, in every transcript", async () => {
    const options = { dtype: "float32", workers: 1, cacheDir: "/no/such/folder", token: "hf_x" } as const;
    const other = await WhisperPipeline.fromPretrained("nano", options);
    const expected = ["cacheDir", "token"].map(
      (name) => `"${name}" has no effect: the model "nano" is a local one, and nothing is downloaded`,
    );
    expect(ownWarnings(other.warnings)).toEqual(expected);
    expect(ownWarnings((await other.transcribe(short)).warnings)).toEqual(expected);
    for await (const { transcript } of other.transcribeMany([short])) {
      expect(ownWarnings(transcript?.warnings)).toEqual(expected);
    }
    await other.dispose();
  });

  it("warns of workers where the native kernels have none", async (context) => {
    if (!usesNativeKernels("int8")) return context.skip("the native kernels are not written for this machine");
    const other = await WhisperPipeline.fromPretrained("nano", { dtype: "int8", workers: 2 });
    expect(ownWarnings(other.warnings)).toEqual([expect.stringMatching(/^"workers" has no effect/)]);
    await other.dispose();
  });
});
