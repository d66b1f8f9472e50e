import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { samplePath, referenceText } from "../../test/helpers/samples.ts";
import { loadAudio, SAMPLE_RATE } from "../audio/index.ts";
import { OptionError } from "../errors.ts";
import { WhisperPipeline } from "../pipeline/index.ts";
import type { LiveEvent } from "./events.ts";
import type { LiveOptions } from "./live-options.ts";
import { LiveSession } from "./live-session.ts";

let pipeline: WhisperPipeline;
let speech: Float32Array;
beforeAll(async () => {
  pipeline = await WhisperPipeline.fromPretrained("nano");
  speech = await loadAudio(samplePath("en-short.wav"));
});
afterAll(() => pipeline.dispose());

const TEXT = referenceText("en-short.wav");

function session(events: LiveEvent[], options: LiveOptions = { language: "en" }): LiveSession {
  return new LiveSession(pipeline.context, options, (event) => events.push(event));
}

/** Events of samples that come in pieces of this many, each waited for. */
async function listen(samples: Float32Array, piece: number, options?: LiveOptions): Promise<LiveEvent[]> {
  const events: LiveEvent[] = [];
  const live = session(events, options);
  for (let at = 0; at < samples.length; at += piece) await live.push(samples.subarray(at, at + piece));
  await live.end();
  return events;
}

const finals = (events: readonly LiveEvent[]): string[] =>
  events.flatMap((event) => (event.type === "final" ? [event.text] : []));

describe("LiveSession", () => {
  it("commits what never changes, and ends each utterance with all of it", async () => {
    const events = await listen(speech, 8000);
    expect(finals(events).join(" ")).toBe(TEXT);
    const committed = new Map<number, string>();
    const open = new Set<number>();
    for (const event of events) {
      const { utterance } = event;
      if (event.type === "speechStart") open.add(utterance);
      else if (event.type === "commit") {
        committed.set(utterance, (committed.get(utterance) ?? "") + event.text);
        expect(event.words.map(({ word }) => word).join("")).toBe(event.text);
      } else if (event.type === "final") {
        // nano hears this right from the beginning.
        expect(event.text).toBe(committed.get(utterance)?.trim());
        expect(event.language).toBe("en");
        open.delete(utterance);
      }
      expect(utterance).toBeLessThanOrEqual(open.size + finals(events).length);
    }
    expect(open.size).toBe(0);
    expect(events.some(({ type }) => type === "partial")).toBe(true);
  });

  it.each(["en-short.wav", "en-30s.flac", "en-noisy.flac", "de-medium.flac", "es-short.flac"])(
    "says of an utterance what the same audio says as a file: %s",
    async (file) => {
      const samples = await loadAudio(samplePath(file));
      const { text } = await pipeline.transcribe(samples);
      expect(text).not.toBe("");
      for (const piece of [4800, samples.length]) {
        expect(finals(await listen(samples, piece, { endpointing: null }))).toEqual([text.trim()]);
      }
    },
  );

  it("says so of utterances that it has found, and of one that is longer than a window", async () => {
    const samples = (await loadAudio(samplePath("en-long.flac"))).subarray(0, 75 * SAMPLE_RATE);
    const options = { language: "en", prompt: "Names: Anna, Clara" };
    const file = { language: "en", initialPrompt: options.prompt, wordTimestamps: true };
    const manual = await listen(samples, 32_000, { ...options, endpointing: null });
    expect(finals(manual)).toEqual([(await pipeline.transcribe(samples, file)).text.trim()]);

    const events = await listen(samples, 32_000, { ...options, vadMinSilenceDurationMs: 400 });
    const found = events.filter((event) => event.type === "final");
    expect(found.length).toBeGreaterThan(1);
    for (const { start, end, text, words } of found) {
      const stretch = samples.subarray(Math.round(start * SAMPLE_RATE), Math.round(end * SAMPLE_RATE));
      const transcript = await pipeline.transcribe(stretch, file);
      expect(text).toBe(transcript.text.trim());
      const expected = transcript.segments.flatMap((segment) => segment.words ?? []);
      expect(words.map(({ start: time }) => time)).toEqual(expected.map((word) => word.start + start));
    }
  });

  it("takes a pause of a second for one within a sentence, but not the silence that it is told", async () => {
    const pause = new Float32Array(0.6 * SAMPLE_RATE); // and what is silent at the ends of the recording
    const whole = Float32Array.from([...speech, ...pause, ...speech]);
    const count = async (options: LiveOptions): Promise<number> =>
      finals(await listen(whole, 16_000, { language: "en", ...options })).length;
    expect(await count({})).toBe(1);
    expect(await count({ endpointing: { silenceSeconds: 1 } })).toBeGreaterThan(1);
  });

  it("gives the same events for the same samples", async () => {
    expect(await listen(speech, 16_000)).toEqual(await listen(speech, 16_000));
  });

  it("gives the text whether or not anybody waits for it", async () => {
    const events: LiveEvent[] = [];
    const live = session(events);
    for (let at = 0; at < speech.length; at += 1600) void live.push(speech.subarray(at, at + 1600));
    expect(live.queuedSeconds).toBeGreaterThan(1);
    await live.end();
    expect(live.queuedSeconds).toBe(0);
    expect(finals(events).join(" ")).toBe(TEXT);
  });

  it("leaves the ends of utterances to the caller, where asked", async () => {
    const events: LiveEvent[] = [];
    const live = session(events, { language: "en", endpointing: null });
    await live.push(speech);
    expect(finals(events)).toEqual([]);
    expect(live.isSpeaking).toBe(true);
    await live.endUtterance();
    expect(finals(events)).toEqual([TEXT]);
    expect(live.isSpeaking).toBe(false);
    await live.end();
    expect(finals(events)).toEqual([TEXT]);
  });

  it("forgets what is cleared", async () => {
    const events: LiveEvent[] = [];
    const live = session(events, { language: "en", endpointing: null });
    void live.push(speech.subarray(0, 40_000));
    live.clear();
    expect(live.queuedSeconds).toBe(0);
    await live.push(speech);
    await live.endUtterance();
    expect(finals(events)).toEqual([TEXT]);
    expect(events.at(-1)).toMatchObject({ type: "final", utterance: 1 });
  });

  it("says nothing after it was closed, and takes nothing after its end", async () => {
    const events: LiveEvent[] = [];
    const live = session(events, { language: "en", endpointing: null });
    const heard = live.push(speech);
    live.close();
    await heard;
    expect(events.map(({ type }) => type)).toEqual(["speechStart"]);
    await expect(live.push(speech)).rejects.toThrow("has ended");
  });

  it("refuses integers as floats, and goes on without them", async () => {
    const events: LiveEvent[] = [];
    const live = session(events, { language: "en", endpointing: null });
    await expect(live.push(speech.map((value) => value * 32768))).rejects.toThrow(RangeError);
    await live.push(speech);
    await live.end();
    expect(finals(events)).toEqual([TEXT]);
  });

  it("says nothing of silence and noise, and encodes none of it", async () => {
    const encode = vi.spyOn(pipeline.engine, "encode");
    const encodeSamples = pipeline.engine.encodeSamples && vi.spyOn(pipeline.engine, "encodeSamples");
    const encoded = (): number => encode.mock.calls.length + (encodeSamples?.mock.calls.length ?? 0);
    try {
      for (const samples of [new Float32Array(80_000), await loadAudio(samplePath("noise.flac"))]) {
        expect(await listen(samples, 16_000)).toEqual([]);
        const told = await listen(samples, 16_000, { endpointing: null });
        expect(told.map(({ type }) => type)).toEqual(["speechStart", "speechEnd", "final"]);
        expect(told[2]).toMatchObject({ text: "", words: [], language: null });
      }
      expect(encoded()).toBe(0);
      await listen(speech, 16_000);
      expect(encoded()).toBeGreaterThan(1);
    } finally {
      vi.restoreAllMocks();
    }
  });

  it("spends nothing on the silence of a caller who does not say that an utterance ends", async () => {
    const whole = Float32Array.from([...speech, ...new Float32Array(60 * SAMPLE_RATE), ...speech]);
    const events = await listen(whole, 16_000, { language: "en", endpointing: null });
    expect(finals(events)).toEqual([`${TEXT} ${TEXT}`]);
    const commits = events.filter((event) => event.type === "commit");
    for (const { words } of commits) {
      for (const { start } of words) expect(start < 7 || start > 60 + speech.length / SAMPLE_RATE - 1).toBe(true);
    }
  });

  it.each<[what: string, options: LiveOptions]>([
    ["an unknown language", { language: "xx" }],
    ["an unknown option", { vad: true } as LiveOptions],
    ["a silence without length", { endpointing: { silenceSeconds: 0 } }],
    ["a step that fills the window", { stepSeconds: 30 }],
    ["a threshold above 1", { endpointing: { threshold: 2 } }],
    ["a probability above 1", { vadThreshold: 2 }],
    ["a pause of a minute", { vadMinSilenceDurationMs: 60_000 }],
    ["a novel for a prompt", { prompt: "once ".repeat(1000) }],
  ])("refuses %s", (_, options) => {
    expect(() => session([], options)).toThrow(OptionError);
  });
});
