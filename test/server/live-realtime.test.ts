/** OpenAI's realtime API for transcription sessions, through ws. Ids R1 and R2 of facts ecosystem 12. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadAudio, Resampler } from "../../src/audio/index.ts";
import { referenceText, samplePath } from "../helpers/samples.ts";
import { startServer, type TestServer } from "./gradio-harness.ts";
import { LiveClient, pcm16, type LiveMessage } from "./live-client.ts";

let server: TestServer;
let speech: Float32Array;
beforeAll(async () => {
  server = await startServer();
  speech = await loadAudio(samplePath("en-short.wav"));
});
afterAll(() => server.close());

const TEXT = referenceText("en-short.wav");
const TRANSCRIPTION = "conversation.item.input_audio_transcription";

async function connect(query = "intent=transcription", headers: Record<string, string> = {}): Promise<LiveClient> {
  return LiveClient.connect(`${server.url.replace("http", "ws")}/v1/realtime?${query}`, { headers });
}

/** Samples at another rate, with silence behind them that ends the last turn. */
function at(rate: number, silenceSeconds = 0): Float32Array {
  const padded = new Float32Array(speech.length + silenceSeconds * 16_000);
  padded.set(speech);
  const resampler = new Resampler(16_000, rate);
  return Float32Array.from([...resampler.push(padded), ...resampler.flush()]);
}

function append(client: LiveClient, bytes: Buffer, piece = 9601): void {
  for (let from = 0; from < bytes.length; from += piece) {
    client.send({ type: "input_audio_buffer.append", audio: bytes.subarray(from, from + piece).toString("base64") });
  }
}

const session = (input: object): object => ({
  type: "session.update",
  session: { type: "transcription", audio: { input } },
});
const types = (events: readonly LiveMessage[]): string[] => events.map(({ type }) => type);
const transcripts = (events: readonly LiveMessage[]): string =>
  events.flatMap((event) => (event.type === `${TRANSCRIPTION}.completed` ? [event["transcript"]] : [])).join(" ");

/** ITU-T G.711 mu-law of a sample in [-1, 1]. */
function muLaw(sample: number): number {
  const clipped = Math.min(32635, Math.abs(Math.round(sample * 32768))) + 132;
  const exponent = Math.max(0, 24 - Math.clz32(clipped));
  const mantissa = (clipped >> (exponent + 3)) & 15;
  return ~((sample < 0 ? 0x80 : 0) | (exponent << 4) | mantissa) & 0xff;
}

describe("/v1/realtime", () => {
  it("gives the events of a session in their order, for 24 kHz in odd pieces", async () => {
    const client = await connect();
    const [created] = await client.until("session.created");
    expect(created["session"]).toMatchObject({
      object: "realtime.transcription_session",
      type: "transcription",
      audio: { input: { format: { type: "audio/pcm", rate: 24000 }, turn_detection: { type: "server_vad" } } },
    });
    client.send(
      session({
        transcription: { model: "gpt-4o-transcribe", language: "en" },
        turn_detection: { type: "server_vad", silence_duration_ms: 2000 },
      }),
    );
    expect((await client.next())["session"]).toMatchObject({ audio: { input: { transcription: { language: "en" } } } });

    append(client, pcm16(at(24_000, 3)));
    const events = await client.until(`${TRANSCRIPTION}.completed`);
    const order = types(events).filter((type, i, all) => type !== all[i - 1]);
    expect(order).toEqual([
      "input_audio_buffer.speech_started",
      "input_audio_buffer.speech_stopped",
      "input_audio_buffer.committed",
      "conversation.item.added",
      "conversation.item.done",
      `${TRANSCRIPTION}.delta`,
      `${TRANSCRIPTION}.completed`,
    ]);
    const completed = events.at(-1) as LiveMessage;
    expect(completed).toMatchObject({ transcript: TEXT, content_index: 0, usage: { type: "duration" } });
    const deltas = events.filter(({ type }) => type === `${TRANSCRIPTION}.delta`).map((event) => event["delta"]);
    expect(deltas.join("")).toBe(TEXT);
    const ofItem = events.filter((event) => event["item_id"] !== undefined);
    expect(new Set(ofItem.map((event) => event["item_id"]))).toEqual(new Set([completed["item_id"]]));
    expect(new Set(events.map((event) => event["event_id"])).size).toBe(events.length);
    const [started, stopped] = events;
    expect(started["audio_start_ms"]).toBeLessThan(500);
    expect(stopped["audio_end_ms"]).toBeGreaterThan(4000);
    client.socket.close();
  });

  it("hears all samples of a turn before it ends", async () => {
    const client = await connect("model=whisper-1");
    client.send(session({ turn_detection: null, transcription: { language: "en" } }));
    await client.until("session.updated");
    for (const seconds of [1, 2]) {
      append(client, pcm16(at(24_000)).subarray(0, seconds * 48_000));
      client.send({ type: "input_audio_buffer.commit" });
      const completed = (await client.until(`${TRANSCRIPTION}.completed`)).at(-1);
      expect(completed?.["usage"]).toEqual({ type: "duration", seconds });
    }
    append(client, pcm16(at(24_000)).subarray(0, 48_000));
    client.send(session({ turn_detection: null, transcription: { language: "de" } }));
    const completed = (await client.until(`${TRANSCRIPTION}.completed`)).at(-1);
    expect(completed?.["usage"]).toEqual({ type: "duration", seconds: 1 });
    client.socket.close();
  });

  it("lets the client end turns, and refuses a turn without audio", async () => {
    const client = await connect("model=whisper-1");
    client.send(session({ turn_detection: null, transcription: { language: "en" } }));
    await client.until("session.updated");
    client.send({ type: "input_audio_buffer.commit", event_id: "mine" });
    expect(await client.next()).toMatchObject({
      type: "error",
      error: { type: "invalid_request_error", code: "input_audio_buffer_commit_empty", event_id: "mine" },
    });
    append(client, pcm16(at(24_000)).subarray(0, 30_000));
    client.send({ type: "input_audio_buffer.clear" });
    expect((await client.next()).type).toBe("input_audio_buffer.cleared");
    append(client, pcm16(at(24_000)));
    client.send({ type: "input_audio_buffer.commit" });
    const events = await client.until(`${TRANSCRIPTION}.completed`);
    expect(types(events)).not.toContain("input_audio_buffer.speech_started");
    expect(transcripts(events)).toBe(TEXT);
    const first = events.at(-1)?.["item_id"];
    append(client, pcm16(at(24_000)));
    client.send({ type: "input_audio_buffer.commit" });
    const [committed] = await client.until("input_audio_buffer.committed");
    expect(committed["previous_item_id"]).toBe(first);
    client.socket.close();
  });

  it("completes a turn in which nothing is understood with an empty transcript", async () => {
    const client = await connect("model=whisper-1");
    client.send(session({ turn_detection: null, transcription: { language: "en" } }));
    await client.until("session.updated");
    append(client, pcm16(new Float32Array(24_000)));
    client.send({ type: "input_audio_buffer.commit" });
    const events = await client.until(`${TRANSCRIPTION}.completed`);
    expect(types(events)).not.toContain(`${TRANSCRIPTION}.delta`);
    expect(events.at(-1)).toMatchObject({ transcript: "", usage: { type: "duration", seconds: 1 } });
    client.socket.close();
  });

  it("gives text while somebody speaks where a delay is asked for", async () => {
    const client = await connect();
    client.send(session({ turn_detection: null, transcription: { language: "en", delay: "low" } }));
    await client.until("session.updated");
    append(client, pcm16(at(24_000)));
    await client.until(`${TRANSCRIPTION}.delta`);
    client.send({ type: "input_audio_buffer.commit" });
    expect(transcripts(await client.until(`${TRANSCRIPTION}.completed`))).toBe(TEXT);
    client.socket.close();
  });

  it("speaks the beta's words to the beta's clients, and takes G.711", async () => {
    const client = await connect("intent=transcription", { "openai-beta": "realtime=v1" });
    expect((await client.next()).type).toBe("transcription_session.created");
    client.send({
      type: "transcription_session.update",
      session: {
        input_audio_format: "g711_ulaw",
        input_audio_transcription: { model: "whisper-1", language: "en" },
        turn_detection: { type: "server_vad", silence_duration_ms: 2000 },
      },
    });
    expect(await client.next()).toMatchObject({
      type: "transcription_session.updated",
      session: { input_audio_format: "g711_ulaw", input_audio_transcription: { language: "en" } },
    });
    append(client, Buffer.from(Uint8Array.from(at(8000, 3), muLaw)));
    const events = await client.until(`${TRANSCRIPTION}.completed`);
    expect(types(events)).toContain("conversation.item.created");
    // A telephone's band: the words are the same but for what only higher sounds tell.
    expect(transcripts(events).split(" ").length).toBeGreaterThan(5);
    client.socket.close();
  });

  it.each<[what: string, message: string, error: object]>([
    ["no JSON", "{", { code: "invalid_json" }],
    ["no object", "[1]", { code: "invalid_value" }],
    [
      "an unknown event",
      '{"type":"response.create","event_id":"e1"}',
      { code: "invalid_value", param: "type", event_id: "e1" },
    ],
    ["no audio", '{"type":"input_audio_buffer.append"}', { param: "audio" }],
    ["audio that is no base64", '{"type":"input_audio_buffer.append","audio":"@@"}', { param: "audio" }],
    ["a voice session", '{"type":"session.update","session":{"type":"realtime"}}', { param: "session.type" }],
    ["an unknown language", JSON.stringify(session({ transcription: { language: "xx" } })), { param: "language" }],
    ["an unknown model", JSON.stringify(session({ transcription: { model: "parrot" } })), { param: "model" }],
    [
      "a rate beyond all",
      JSON.stringify(session({ format: { type: "audio/pcm", rate: 1 } })),
      { param: "session.audio.input.format.rate" },
    ],
  ])("answers %s with an error, and keeps the connection", async (_, message, error) => {
    const client = await connect();
    await client.next();
    client.socket.send(message);
    expect(await client.next()).toMatchObject({ type: "error", error: { type: "invalid_request_error", ...error } });
    client.send(session({}));
    expect((await client.next()).type).toBe("session.updated");
    client.socket.close();
  });

  it("frees the engine when a client leaves", async () => {
    await expect.poll(() => server.service.load.live).toBe(0);
    const client = await connect();
    append(client, pcm16(at(24_000)));
    await client.until("input_audio_buffer.speech_started");
    expect(server.service.load.live).toBe(1);
    client.socket.terminate();
    await expect.poll(() => server.service.load.live).toBe(0);
  });
});
