/** What is really written fits the schemas, and docs/schemas is made of them. Live events, jobs and reports: in the tests of those. */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { schemaText } from "../scripts/make-schemas.mjs";
import { segmentObject, toJsonFull, transcriptObject, writeTranscript } from "../src/outputs/index.ts";
import { WhisperPipeline, type TranscribeOptions } from "../src/pipeline/index.ts";
import { SCHEMAS, SEGMENT, TRANSCRIPT, TRANSCRIPT_JSON, TRANSCRIPT_JSON_FULL } from "../src/schemas/index.ts";
import type { Transcript } from "../src/transcription/index.ts";
import { BENCH_REPORT } from "../src/schemas/index.ts";
import { FakeHost } from "./cli/fake-host.ts";
import { samplePath } from "./helpers/samples.ts";

const folder = new URL("../docs/schemas/", import.meta.url);

let pipeline: WhisperPipeline;
beforeAll(async () => {
  pipeline = await WhisperPipeline.fromPretrained("nano");
});
afterAll(() => pipeline.dispose());

const fit = (schema: { parse(value: unknown): unknown }, text: string): unknown => schema.parse(JSON.parse(text));

describe("schemas", () => {
  it("are what docs/schemas says", () => {
    expect(readdirSync(folder).sort()).toEqual(
      Object.keys(SCHEMAS)
        .map((name) => `${name}.json`)
        .sort(),
    );
    for (const [name, schema] of Object.entries(SCHEMAS)) {
      expect(readFileSync(new URL(`${name}.json`, folder), "utf8"), `${name}: node scripts/make-schemas.mjs`).toBe(
        schemaText(schema),
      );
    }
  });

  it.each<[what: string, file: string, options: TranscribeOptions]>([
    ["a transcript without times", "en-short.wav", {}],
    ["times of words", "de-short.flac", { returnTimestamps: true, wordTimestamps: true }],
    [
      "chunks, languages per window",
      "en-medium.flac",
      { returnTimestamps: true, returnLanguage: true, languagePerWindow: true },
    ],
    ["the sequential algorithm", "en-short.wav", { algorithm: "sequential", wordTimestamps: true }],
    ["attempts that failed", "en-short.wav", { algorithm: "sequential", logprobThreshold: 0, temperature: [0, 0.1] }],
    ["silence", "silence.flac", { returnTimestamps: true }],
  ])("fit %s", async (_, file, options) => {
    const transcript: Transcript = await pipeline.transcribe(samplePath(file), options);
    fit(TRANSCRIPT_JSON, writeTranscript(transcript, "json"));
    fit(TRANSCRIPT_JSON_FULL, writeTranscript(transcript, "json-full"));
    const { dimensions } = pipeline.engine;
    const decode = (tokens: readonly number[]): string => pipeline.tokenizer.decode(tokens);
    const details = { model: "nano", dimensions, dtype: pipeline.dtype, task: "transcribe", decode } as const;
    fit(TRANSCRIPT_JSON_FULL, toJsonFull(transcript, details));
    fit(TRANSCRIPT, JSON.stringify(transcriptObject(transcript)));
    for (const segment of transcript.segments) fit(SEGMENT, JSON.stringify(segmentObject(segment)));
  });

  it("have no name but snake_case", () => {
    const names = Object.values(SCHEMAS)
      .flatMap((schema) => [...schemaText(schema).matchAll(/"([^"]+)": \{/g)])
      .map(([, name]) => name)
      .filter((name) => !["additionalProperties", "propertyNames", "anyOf"].includes(name));
    for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
  });

  it("fit what sotto bench prints", async () => {
    const host = new FakeHost();
    expect(
      await host.run("bench", "--model", "nano", "--json", "--rounds", "1", "--tokens", "1", "--batch_size", "1"),
    ).toBe(0);
    fit(BENCH_REPORT, host.out);
  });
});
