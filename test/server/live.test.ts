/** Live captions in sotto's own protocol, through ws. */
import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadAudio } from "../../src/audio/index.ts";
import { LIVE_EVENT } from "../../src/schemas/index.ts";
import { referenceText, samplePath } from "../helpers/samples.ts";
import { startServer, type TestServer } from "./gradio-harness.ts";
import { LiveClient, pcm16 } from "./live-client.ts";
import { until } from "./start.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const connect = (): Promise<LiveClient> => LiveClient.connect(`${server.url.replace("http", "ws")}/live`);
const speech = async (): Promise<Buffer> => pcm16(await loadAudio(samplePath("en-short.wav")));

describe("/live", () => {
  it("gives partial text, words that stay, and the end of each utterance", async () => {
    const client = await connect();
    client.send({ type: "start", language: "en" });
    expect(await client.next()).toEqual({ type: "ready", model: "nano", format: "pcm16", sample_rate: 16000 });
    const audio = await speech();
    for (let at = 0; at < audio.length; at += 6401) client.sendBytes(audio.subarray(at, at + 6401)); // odd on purpose
    client.send({ type: "end" });
    const events = await client.rest();
    expect(events.at(-1)).toEqual({ type: "end" });
    expect(client.closeCode).toBe(1000);
    for (const event of events.slice(0, -1)) LIVE_EVENT.parse(event);
    const committed = events.filter(({ type }) => type === "commit");
    const finals = events.filter(({ type }) => type === "final");
    expect(finals.map(({ text }) => text).join(" ")).toBe(referenceText("en-short.wav"));
    expect(
      committed
        .map(({ text }) => text)
        .join("")
        .trim(),
    ).toBe(referenceText("en-short.wav"));
    const words = committed.flatMap((event) => event["words"] as { text: string; start: number; end: number }[]);
    expect(
      words
        .map(({ text }) => text)
        .join("")
        .trim(),
    ).toBe(referenceText("en-short.wav"));
    for (const [i, { start, end }] of words.entries()) {
      expect(end).toBeGreaterThanOrEqual(start);
      if (i > 0) expect(start).toBeGreaterThanOrEqual(words[i - 1].end);
    }
    expect(events[0]).toMatchObject({ type: "speech_start", utterance: 0 });
  });

  it.each(["tone.opus", "tone.webm"])("takes Opus as browsers record it: %s", async (name) => {
    const client = await connect();
    client.send({ type: "start", format: "opus", endpointing: null });
    client.sendBytes(await readFile(new URL(`../fixtures/audio/${name}`, import.meta.url)));
    client.send({ type: "end" });
    const events = await client.rest();
    const final = events.find(({ type }) => type === "final");
    expect(final?.["end"]).toBeCloseTo(1, 1);
    expect(client.closeCode).toBe(1000);
  });

  it("leaves the ends of utterances to the client, where asked", async () => {
    const client = await connect();
    client.send({ language: "en", endpointing: null });
    client.sendBytes(await speech());
    client.send({ type: "end_utterance" });
    const events = await client.until("final");
    expect(events.at(-1)).toMatchObject({ text: referenceText("en-short.wav"), utterance: 0, language: "en" });
    client.sendBytes(await speech());
    client.send({ type: "clear" });
    client.send({ type: "end" });
    expect((await client.rest()).filter(({ type }) => type === "final")).toEqual([]);
  });

  it("ends an utterance in which nothing is understood, too, with an empty text", async () => {
    const client = await connect();
    client.send({ endpointing: null });
    client.sendBytes(pcm16(new Float32Array(16_000)));
    client.send({ type: "end_utterance" });
    client.send({ type: "end" });
    const events = (await client.rest()).slice(1);
    expect(events.map(({ type }) => type)).toEqual(["speech_start", "speech_end", "final", "end"]);
    expect(events[2]).toMatchObject({ utterance: 0, text: "", words: [], language: null });
  });

  it("finds speech as it is told, and none in noise", async () => {
    const noise = pcm16(await loadAudio(samplePath("noise.flac")));
    const said = async (audio: Buffer, start: object): Promise<unknown[]> => {
      const client = await connect();
      client.send({ type: "start", language: "en", ...start });
      client.sendBytes(audio);
      client.send({ type: "end" });
      return (await client.rest()).slice(1).map((event) => (event.type === "final" ? event["text"] : event.type));
    };
    expect(await said(noise, {})).toEqual(["end"]);
    const options = { vad_threshold: 0.6, vad_neg_threshold: 0.3, vad_min_speech_duration_ms: 200 };
    const pauses = { vad_min_silence_duration_ms: 2000, vad_speech_pad_ms: 400 };
    expect(await said(await speech(), { ...options, ...pauses })).toContain(referenceText("en-short.wav"));
    // Longer than anybody speaks here.
    expect(await said(await speech(), { vad_min_speech_duration_ms: 60_000 })).toEqual(["end"]);
  });

  it("serves several at once on one engine", async () => {
    const texts = await Promise.all(
      ["en-short.wav", "de-short.flac"].map(async (name) => {
        const client = await connect();
        client.send({ endpointing: null });
        client.sendBytes(pcm16(await loadAudio(samplePath(name))));
        client.send({ type: "end" });
        return (await client.rest()).find(({ type }) => type === "final")?.["text"];
      }),
    );
    expect(texts).toEqual([referenceText("en-short.wav"), referenceText("de-short.flac")]);
  });

  it("answers others while it takes a long message, and what comes after it in its order", async () => {
    const [speaker, other] = [await connect(), await connect()];
    for (const client of [speaker, other]) {
      client.send({ endpointing: null });
      await client.next();
    }
    const answered: string[] = [];
    speaker.sendBytes(new Uint8Array(900_000)); // as much as may wait
    speaker.send({ type: "ping" });
    expect((await speaker.next()).type).toBe("speech_start"); // its first piece is taken
    other.send({ type: "ping" });
    await Promise.all([
      speaker.until("pong").then(() => answered.push("speaker")),
      other.until("pong").then(() => answered.push("other")),
    ]);
    expect(answered).toEqual(["other", "speaker"]);
    for (const { socket } of [speaker, other]) socket.close();
  });

  it("answers a ping", async () => {
    const client = await connect();
    client.send({});
    await client.next();
    client.send({ type: "ping" });
    expect(await client.next()).toEqual({ type: "pong" });
    client.socket.close();
  });

  it.each<[what: string, messages: (string | Uint8Array)[], code: number, error: string]>([
    ["audio first", [new Uint8Array(100)], 1008, "Audio came before the first message"],
    ["no JSON", ["hello"], 1003, "not valid JSON"],
    ["an unknown option", ['{"vad":true}'], 1008, "vad"],
    ["an unknown language", ['{"language":"xx"}'], 1008, "xx"],
    ["an unknown model", ['{"model":"parrot"}'], 1008, "parrot"],
    ["a rate beyond all", ['{"sample_rate":1}'], 1008, "sample_rate"],
    ["a silence without length", ['{"endpointing":{"silence_seconds":0}}'], 1008, "silenceSeconds"],
    ["a probability above 1", ['{"vad_threshold":2}'], 1008, "vadThreshold"],
    ["a pause of a minute", ['{"vad_min_silence_duration_ms":60000}'], 1008, "vadMinSilenceDurationMs"],
    ["an unknown message", ["{}", '{"type":"dance"}'], 1008, "type"],
    ["no Opus", ['{"format":"opus"}', new Uint8Array(64)], 1008, "WebM"],
    ["much Opus at once", ['{"format":"opus"}', new Uint8Array(100_000)], 1009, "at most 65536"],
  ])("says what is wrong with %s, and closes", async (_, messages, code, error) => {
    const client = await connect();
    for (const message of messages) client.socket.send(message);
    const events = await client.rest();
    expect(events.at(-1)).toMatchObject({
      type: "error",
      error: { message: expect.stringContaining(error) as string },
    });
    expect(client.closeCode).toBe(code);
  });

  it("refuses more connections than a client may have", async () => {
    const clients: LiveClient[] = [];
    for (let i = 0; i < 8; i++) clients.push(await connect());
    const refused = await connect();
    expect(await refused.rest()).toEqual([
      {
        type: "error",
        error: {
          message: "Too many live connections",
          type: "server_error",
          param: null,
          code: "too_many_connections",
        },
      },
    ]);
    expect(refused.closeCode).toBe(1013);
    clients[0].socket.close();
    await clients[0].rest();
    const again = await connect();
    again.send({});
    expect((await again.next()).type).toBe("ready");
    for (const { socket } of [...clients, again]) socket.close();
  });

  it("survives whatever is sent", async () => {
    const message = fc.oneof(
      fc.string(),
      fc.json(),
      fc.uint8Array({ maxLength: 500 }),
      fc.constant('{"format":"opus"}'),
      fc.constant("{}"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 6 }), async (messages) => {
        const client = await connect();
        for (const one of messages) client.socket.send(one);
        client.send({ type: "end" });
        client.socket.close();
        await client.rest();
      }),
      { numRuns: 60 },
    );
    await until(() => server.service.load.live === 0);
  });

  it("forgets a client that leaves while its speech waits", async () => {
    const waiting = await connect();
    waiting.send({ endpointing: null });
    await waiting.next();
    // A minute: half of it is not taken before the other half has been transcribed.
    for (let i = 0; i < 4; i++) waiting.sendBytes(new Uint8Array(2 ** 19));
    expect((await waiting.next()).type).toBe("speech_start");
    waiting.socket.close();
    await until(() => server.service.load.live === 0);
  });
});
