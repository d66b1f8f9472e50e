import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WhisperPipeline, type Transcript } from "../../src/index.ts";
import { toSrt } from "../../src/outputs/index.ts";
import { formOf, MODEL, sample, startTestServer, type TestServer } from "./start.ts";

describe("whisper.cpp's server", () => {
  let server: TestServer;
  let expected: Transcript;
  beforeAll(async () => {
    server = await startTestServer();
    const pipeline = await WhisperPipeline.fromPretrained(MODEL);
    expected = await pipeline.transcribe(sample("en-short.wav"), { algorithm: "sequential" });
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
    expect(await json.json()).toEqual({ text: lines() });
    expect(await (await ask({ response_format: "text" })).text()).toBe(lines());
    const srt = await ask({ response_format: "srt" });
    expect(srt.headers.get("content-type")).toContain("application/x-subrip");
    expect(await srt.text()).toBe(toSrt(expected));
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
    expect(await (await ask(fields)).text()).toBe(toSrt(expected));
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
