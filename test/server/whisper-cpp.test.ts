import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WhisperPipeline, type Transcript } from "../../src/index.ts";
import { coverageObject, toSrt } from "../../src/outputs/index.ts";
import { ownWarnings } from "../helpers/own-warnings.ts";
import { formOf, MODEL, sample, startTestServer, type TestServer } from "./start.ts";

describe("whisper.cpp's server", () => {
  let server: TestServer;
  let expected: Transcript;
  let long: Transcript;
  beforeAll(async () => {
    server = await startTestServer();
    const pipeline = await WhisperPipeline.fromPretrained(MODEL);
    expected = await pipeline.transcribe(sample("en-short.wav"));
    long = await pipeline.transcribe(sample("en-30s.flac"));
    await pipeline.dispose();
  });
  afterAll(() => server.close());

  const bytes = readFileSync(sample("en-short.wav"));
  const ask = (
    fields: Record<string, string> = {},
    file: { bytes: Uint8Array; name: string } | null = { bytes, name: "a.wav" },
  ) => fetch(`${server.url}/inference`, { method: "POST", body: formOf(file, fields) });
  const lines = (): string => expected.segments.map(({ text }) => `${text}\n`).join("");

  it("answers in each format", async () => {
    const json = await ask();
    expect(json.headers.get("content-type")).toContain("application/json");
    expect(await json.json()).toMatchObject({ text: lines() });
    expect(await (await ask({ response_format: "text" })).text()).toBe(lines());
    const srt = await ask({ response_format: "srt" });
    expect(srt.headers.get("content-type")).toContain("application/x-subrip");
    expect(await srt.text()).toBe(toSrt(expected, { readable: false }));
    expect(await (await ask({ response_format: "vtt" })).text()).toMatch(/^WEBVTT\n/);
    const verbose = (await (await ask({ response_format: "verbose_json", token_timestamps: "yes" })).json()) as {
      segments: { text: string; words: { word: string }[] }[];
    };
    expect(verbose).toMatchObject({
      task: "transcribe",
      language: "english",
      duration: expected.duration,
      detected_language: "english",
    });
    expect(verbose.segments.map(({ text }) => text)).toEqual(expected.segments.map(({ text }) => text));
    expect(verbose.segments[0].words.map(({ word }) => word).join("")).toBe(expected.segments[0].text);
  });

  it("writes times into cues though no_timestamps is given", async () => {
    const fields = { response_format: "srt", no_timestamps: "true" };
    expect(await (await ask(fields)).text()).toBe(toSrt(expected, { readable: false }));
  });

  it("writes a cue for each segment, and of words only what max_len asks for", async () => {
    const file = { bytes: readFileSync(sample("en-30s.flac")), name: "a.flac" };
    const read = async (fields: Record<string, string>) => (await ask(fields, file)).text();
    const cues = (text: string): string[] => text.match(/ --> .*\n.*/g) ?? [];
    for (const vad of ["true", "false"]) {
      const { segments } = JSON.parse(await read({ vad, response_format: "verbose_json" })) as { segments: object[] };
      for (const response_format of ["srt", "vtt"])
        expect(cues(await read({ vad, response_format }))).toHaveLength(segments.length);
      expect(cues(await read({ vad, response_format: "srt", max_len: "20" })).length).toBeGreaterThan(segments.length);
    }
    expect(await read({ response_format: "srt" })).toBe(toSrt(long, { readable: false }));
    expect(toSrt(long)).not.toBe(toSrt(long, { readable: false }));
  });

  it("says in verbose_json how much of the speech has text, where speech was looked for", async () => {
    const coverageOf = async (fields: Record<string, string>): Promise<unknown> =>
      ((await (await ask({ ...fields, response_format: "verbose_json" })).json()) as { coverage?: object }).coverage;
    expect(await coverageOf({})).toEqual(coverageObject(expected.coverage!));
    expect(await coverageOf({ vad: "false" })).toBeUndefined();
  });

  it("takes its fields, and cuts where offset_t and duration say", async () => {
    const fields = {
      language: "en",
      translate: "false",
      prompt: "Clara",
      temperature: "0.0",
      temperature_inc: "0.2",
      beam_size: "2",
      best_of: "2",
      entropy_thold: "2.4",
      logprob_thold: "-1",
      no_speech_thold: "0.6",
      max_context: "0",
      split_on_word: "1",
      audio_ctx: "0",
      vad: "false",
      something_new: "x",
    };
    expect((await ask(fields)).status).toBe(200);
    const second = await ask({ offset_t: "2300", duration: "2500", response_format: "verbose_json" });
    const { segments } = (await second.json()) as { segments: { start: number }[] };
    expect(segments.length).toBeGreaterThan(0);
    expect(segments.every(({ start }) => start >= 2.3)).toBe(true);
    const short = await (await ask({ max_len: "12", response_format: "srt" })).text();
    const cues = short.split("\n").filter((line) => line !== "" && !/^\d+$|-->/.test(line));
    expect(cues.length).toBeGreaterThan(expected.segments.length);
    expect(cues.every((line) => line.length <= 12)).toBe(true);
  });

  it.each<[field: string, value: string]>([
    ["vad_max_speech_duration_s", "20"],
    ["vad_samples_overlap", "0.1"],
    ["diarize", "1"],
    ["tinydiarize", "yes"],
    ["debug_mode", "true"],
    ["word_thold", "0.01"],
    ["audio_ctx", "750"],
    ["offset_n", "3"],
    ["max_context", "64"],
    ["carry_initial_prompt", "true"],
    ["something_new", "x"],
  ])("says that %s=%s has no effect", async (field, value) => {
    const json = await ask({ [field]: value });
    const { text, warnings } = (await json.json()) as { text: string; warnings: string[] };
    expect(text).toBe(lines());
    const own = ownWarnings(warnings);
    expect(own).toHaveLength(1);
    expect(own[0]).toMatch(new RegExp(`^"${field}" has no effect: `));
    const header = `199 sotto "${own[0].replaceAll('"', '\\"')}"`;
    expect(json.headers.get("warning")).toContain(header);
    for (const format of ["text", "srt", "vtt"]) {
      const answer = await ask({ [field]: value, response_format: format });
      expect([answer.status, answer.headers.get("warning")]).toEqual([200, json.headers.get("warning")]);
      await answer.body?.cancel();
    }
    const verbose = await (await ask({ [field]: value, response_format: "verbose_json" })).json();
    expect(verbose).toMatchObject({ warnings });
  });

  it("does not warn of what it does", async () => {
    const fields = {
      ...{
        vad: "false",
        diarize: "false",
        suppress_nst: "true",
        split_on_word: "true",
        audio_ctx: "0",
        max_context: "-1",
      },
      ...{ entropy_thold: "2.4", beam_size: "-1", best_of: "5", offset_n: "0" },
    };
    const answer = await ask(fields);
    expect(answer.headers.get("warning") ?? "").not.toContain("has no effect");
    const { text, warnings } = (await answer.json()) as { text: string; warnings?: string[] };
    expect([text, ownWarnings(warnings)]).toEqual([lines(), []]);
  });

  it("hears speech alone, as its fields say, unless a field needs all of the recording", async () => {
    type Answer = { text: string; warnings?: string[] };
    const of = async (fields: Record<string, string>) => (await (await ask(fields)).json()) as Answer;
    const fields = {
      ...{ vad_threshold: "0.5", vad_min_speech_duration_ms: "0", vad_min_silence_duration_ms: "160" },
      vad_speech_pad_ms: "400",
    };
    const same = await of({ ...fields, vad: "true" });
    expect([same.text, ownWarnings(same.warnings)]).toEqual([lines(), []]);
    // Speech that must last a minute is none.
    expect((await of({ vad_min_speech_duration_ms: "60000" })).text).toBe("");
    const all = await of({ vad: "false", vad_threshold: "0.5" });
    expect(all.text).not.toBe("");
    expect(ownWarnings(all.warnings)).toEqual([expect.stringMatching(/^"vad_threshold" has no effect: vad=false/)]);
    const cut = await of({ vad: "true", offset_t: "100" });
    expect(ownWarnings(cut.warnings)).toEqual(['"vad" has no effect: offset_t needs all of the recording']);
  });

  it("decodes text of low entropy again, and not text of high", async () => {
    const temperatures = async (fields: Record<string, string>): Promise<number[]> => {
      const file = { bytes: readFileSync(sample("en-30s.flac")), name: "a.flac" };
      const answer = await ask(
        { ...fields, vad: "false", temperature_inc: "0.5", response_format: "verbose_json" },
        file,
      );
      return ((await answer.json()) as { segments: { temperature: number }[] }).segments.map((one) => one.temperature);
    };
    // ln 32 is 3.466: no text has more.
    const strict = await temperatures({ entropy_thold: "3.5" });
    expect(strict.length).toBeGreaterThan(0);
    expect(strict.some((temperature) => temperature === 1)).toBe(true);
    for (const entropy_thold of ["2.4", "0", "-5"]) {
      const found = await temperatures({ entropy_thold });
      expect(found.length).toBeGreaterThan(0);
      expect(found.every((temperature) => temperature === 0)).toBe(true);
    }
  });

  it.each<[field: string, value: string, wanted: string]>([
    ["beam_size", "17", "from -1 to 16"],
    ["best_of", "1000", "from -1 to 16"],
    ["beam_size", "2.5", "whole number"],
    ["audio_ctx", "1501", "from 0 to 1500"],
    ["temperature", "1.1", "from 0 to 1"],
    ["offset_t", "-1", "from 0 to"],
    ["entropy_thold", "x", "number"],
  ])("refuses %s=%s", async (field, value, wanted) => {
    const answer = await ask({ [field]: value });
    expect(answer.status).toBe(400);
    const { error } = (await answer.json()) as { error: string };
    expect(error).toContain(`"${field}"`);
    expect(error).toContain(wanted);
  });

  it("has the errors that whisper.cpp's code means", async () => {
    const none = await ask({}, null);
    expect([none.status, await none.json()]).toEqual([400, { error: "no 'file' field in the request" }]);
    const bad = await ask({}, { bytes: Buffer.from("x"), name: "a.wav" });
    expect(bad.status).toBe(400);
    expect(Object.keys((await bad.json()) as object)).toEqual(["error"]);
    expect((await ask({ beam_size: "many" })).status).toBe(400);
    expect(server.leftFiles()).toEqual([]);
  });

  it("loads served models by name, and nothing else", async () => {
    const load = (model?: string) =>
      fetch(`${server.url}/load`, { method: "POST", body: formOf(null, model === undefined ? { x: "" } : { model }) });
    expect(await (await load("nano")).text()).toBe("Load was successful!");
    const other = await load("/etc/passwd");
    expect([other.status, await other.json()]).toEqual([400, { error: "model not found!" }]);
    const none = await load();
    expect([none.status, await none.json()]).toEqual([400, { error: "no 'model' field in the request" }]);
  });
});
