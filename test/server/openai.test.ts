import { createReadStream, readFileSync } from "node:fs";
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WhisperPipeline, type Transcript } from "../../src/index.ts";
import { toSrt, toVtt } from "../../src/outputs/index.ts";
import { ownWarnings } from "../helpers/own-warnings.ts";
import { CHUNKED, formOf, MODEL, sample, startTestServer, until, wavOf, type TestServer } from "./start.ts";

describe("OpenAI's audio API, with the openai client", () => {
  let server: TestServer;
  let client: OpenAI;
  /** What the library gives for the same recordings. */
  let english: Transcript;
  let german: Transcript;
  beforeAll(async () => {
    server = await startTestServer();
    client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
    const pipeline = await WhisperPipeline.fromPretrained(MODEL);
    english = await pipeline.transcribe(sample("en-short.wav"), { wordTimestamps: true });
    german = await pipeline.transcribe(sample("de-short.flac"), { returnTimestamps: true, wordTimestamps: true });
    await pipeline.dispose();
  });
  afterAll(() => server.close());
  const file = (name = "en-short.wav"): ReturnType<typeof createReadStream> => createReadStream(sample(name));

  it("transcribes", async () => {
    const answer = await client.audio.transcriptions.create({ file: file(), model: "whisper-1" });
    expect(answer.text).toBe(english.text.trim());
    expect(answer.usage).toEqual({ type: "duration", seconds: Math.ceil(english.duration) });
  });

  it.each(["whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15", "nano"])(
    "takes %s for a model",
    async (model) => {
      const { text } = await client.audio.transcriptions.create({ file: file(), model });
      expect(text).toBe(english.text.trim());
    },
  );

  it.each<[what: string, fields: Record<string, string>, warned: string | null]>([
    [
      "a strategy of chunks, without voice activity detection,",
      { "chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "0.5", algorithm: "chunked" },
      "chunking_strategy",
    ],
    [
      "nothing of a strategy of chunks",
      { chunking_strategy: '{"type":"server_vad","threshold":0.5}', algorithm: "vad" },
      null,
    ],
    ["names of speakers", { "known_speaker_names[]": "Ada" }, "known_speaker_names"],
    ["a field of another server", { hotwords: "Ada" }, "hotwords"],
    ["nothing of what it does itself", { chunking_strategy: "auto", language: "en" }, null],
  ])("says that %s has no effect", async (_, fields, warned) => {
    const ask = (more: Record<string, string> = {}): Promise<Response> =>
      fetch(`${server.url}/v1/audio/transcriptions`, {
        method: "POST",
        body: formOf({ bytes: readFileSync(sample("en-short.wav")), name: "a.wav" }, { ...fields, ...more }),
      });
    const matching = warned === null ? [] : [expect.stringMatching(`^"${warned}" has no effect: `)];
    const json = await ask();
    expect(ownWarnings(((await json.json()) as { warnings?: string[] }).warnings)).toEqual(matching);
    const text = await ask({ response_format: "text" });
    expect(await text.text()).toBe(`${english.text.trim()}\n`);
    for (const { headers } of [json, text])
      expect(headers.get("warning")?.includes("has no effect") ?? false).toBe(warned !== null);
    const events = (await (await ask({ stream: "true" })).text()).split("\n\n");
    const done = events.find((event) => event.includes("transcript.text.done"))?.split("data: ")[1] ?? "{}";
    expect(ownWarnings((JSON.parse(done) as { warnings?: string[] }).warnings)).toEqual(matching);
  });

  it("answers text, srt and vtt as strings", async () => {
    const ask = (response_format: "text" | "srt" | "vtt"): Promise<string> =>
      client.audio.transcriptions.create({
        file: file(),
        model: "nano",
        response_format,
      }) as unknown as Promise<string>;
    expect(await ask("text")).toBe(`${english.text.trim()}\n`);
    expect(await ask("srt")).toBe(toSrt(english));
    expect(await ask("vtt")).toBe(toVtt(english));
  });

  it("gives openai/whisper's subtitles of its algorithm: one per segment, without word times", async () => {
    const ask = async (response_format: string): Promise<string> => {
      const fields = { response_format, algorithm: "sequential" };
      const body = formOf({ bytes: readFileSync(sample("en-medium.flac")), name: "a.flac" }, fields);
      return (await fetch(`${server.url}/v1/audio/transcriptions`, { method: "POST", body })).text();
    };
    const { segments } = JSON.parse(await ask("verbose_json")) as { segments: { text: string }[] };
    const cues = [...(await ask("srt")).matchAll(/ --> .*\n(.*)\n\n/g)].map(([, text]) => text);
    expect(cues).toEqual(segments.map(({ text }) => text.trim()));
  });

  it("answers verbose_json with the segments and words asked for", async () => {
    const ask = (timestamp_granularities?: ("word" | "segment")[]) =>
      client.audio.transcriptions.create({
        file: file("de-short.flac"),
        model: "nano",
        response_format: "verbose_json",
        ...(timestamp_granularities !== undefined && { timestamp_granularities }),
      });
    const plain = await ask();
    expect(plain).toMatchObject({ language: "german", text: german.text.trim(), duration: german.duration });
    expect(plain.words).toBeUndefined();
    expect(plain.segments?.map(({ text }) => text)).toEqual(german.segments.map(({ text }) => text));
    for (const key of ["id", "seek", "start", "end", "tokens", "temperature", "avg_logprob", "compression_ratio"]) {
      expect(plain.segments?.[0]).toHaveProperty(key);
    }
    const words = await ask(["word"]);
    expect(words.segments).toBeUndefined();
    const expected = german.segments.flatMap(({ words: all = [] }) => all);
    expect(words.words).toEqual(expected.map(({ word, start, end }) => ({ word: word.trim(), start, end })));
    const both = await ask(["word", "segment"]);
    expect([both.segments?.length, both.words?.length]).toEqual([german.segments.length, expected.length]);
  });

  it("translates, and always says english", async () => {
    const answer = await client.audio.translations.create({
      file: file("de-short.flac"),
      model: "whisper-1",
      response_format: "verbose_json",
    });
    expect(answer).toMatchObject({ task: "translate", language: "english" });
    expect(answer.text.length).toBeGreaterThan(10);
  });

  it("takes a language, a prompt and temperatures", async () => {
    const answer = await client.audio.transcriptions.create({
      file: file(),
      model: "nano",
      language: "en",
      prompt: "Clara",
      temperature: 0,
      response_format: "verbose_json",
    });
    expect(answer.language).toBe("english");
    expect(answer.segments?.every(({ temperature }) => temperature === 0)).toBe(true);
    const hot = await client.audio.transcriptions.create({
      file: file(),
      model: "nano",
      temperature: 0.4,
      response_format: "verbose_json",
    });
    expect(hot.segments?.every(({ temperature }) => temperature === 0.4)).toBe(true);
  });

  it("climbs the ladder of temperatures for temperature 0, where a window needs it", async () => {
    const answer = await client.audio.transcriptions.create({
      file: await toFile(wavOf(3), "tone.wav"),
      model: "nano",
      temperature: 0,
      response_format: "verbose_json",
      ...{ algorithm: "sequential" }, // which hears the tone that voice activity detection leaves out
    });
    const library = await WhisperPipeline.fromPretrained(MODEL);
    const own = await library.transcribe(
      Float32Array.from({ length: 48000 }, (_, i) => Math.round(3000 * Math.sin(i / 10)) / 32768),
      {
        algorithm: "sequential",
      },
    );
    await library.dispose();
    expect(answer.segments?.map(({ temperature }) => temperature)).toEqual(
      own.segments.map(({ temperature }) => temperature),
    );
  });

  it("streams deltas that make the text", async () => {
    const stream = await client.audio.transcriptions.create({ file: file("en-30s.flac"), model: "nano", stream: true });
    const events = [];
    for await (const event of stream) events.push(event);
    const deltas = events.flatMap((event) => (event.type === "transcript.text.delta" ? [event.delta] : []));
    expect(deltas.length).toBeGreaterThan(3);
    const last = events.at(-1);
    expect(last?.type).toBe("transcript.text.done");
    expect(last).toMatchObject({ text: deltas.join("") });
    const whole = await client.audio.transcriptions.create({ file: file("en-30s.flac"), model: "nano" });
    expect(deltas.join("")).toBe(whole.text);
  });

  it("cancels the job when the client leaves, with and without a stream", async () => {
    const long = await toFile(wavOf(600), "long.wav");
    const cancelled = (): number =>
      server.log.filter(({ job }) => (job as { status?: string } | undefined)?.status === "cancelled").length;
    const leave = new AbortController();
    const stream = await client.audio.transcriptions.create(
      { file: long, model: "nano", stream: true, ...CHUNKED },
      { signal: leave.signal },
    );
    void stream;
    leave.abort();
    await until(() => cancelled() === 1);

    const again = new AbortController();
    const asked = client.audio.transcriptions.create(
      { file: long, model: "nano", ...CHUNKED },
      { signal: again.signal },
    );
    await until(() => server.service.load.running === 1);
    again.abort();
    await expect(asked).rejects.toThrow();
    await until(() => cancelled() === 2 && server.service.load.running === 0);
    expect(server.leftFiles()).toEqual([]);
  });

  it("lists and describes its models", async () => {
    const { data } = await client.models.list();
    expect(data).toMatchObject([{ id: "nano", object: "model", owned_by: "sotto", is_multilingual: true }]);
    expect(await client.models.retrieve("nano")).toEqual(data[0]);
    await expect(client.models.retrieve("openai/whisper-tiny")).rejects.toThrow(OpenAI.NotFoundError);
  });

  it.each([
    ["no audio", { file: "bytes" }, OpenAI.BadRequestError, "unsupported_audio", "file"],
    ["an empty file", { file: "" }, OpenAI.BadRequestError, "unsupported_audio", "file"],
    ["an unknown model", { model: "whisper-9" }, OpenAI.NotFoundError, "model_not_found", "model"],
    ["an unknown format", { response_format: "xml" }, OpenAI.BadRequestError, "invalid_value", "response_format"],
    ["an unknown language", { language: "klingon" }, OpenAI.BadRequestError, "invalid_value", "language"],
    ["a temperature out of range", { temperature: 3 }, OpenAI.BadRequestError, "invalid_value", "temperature"],
    [
      "words without verbose_json",
      { timestamp_granularities: ["word"] },
      OpenAI.BadRequestError,
      "unsupported_parameter",
      "timestamp_granularities",
    ],
    ["log-probabilities", { include: ["logprobs"] }, OpenAI.BadRequestError, "unsupported_parameter", "include"],
  ] as const)("refuses %s in OpenAI's words", async (_name, change, Class, code, param) => {
    const { file: content, ...fields } = change as { file?: string };
    const body = {
      file: content === undefined ? file() : await toFile(Buffer.from(content), "talk.mp3"),
      model: "nano",
      ...fields,
    };
    const failure: unknown = await client.audio.transcriptions.create(body).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Class);
    expect(failure).toMatchObject({ code, param, type: "invalid_request_error" });
    expect((failure as Error).message).not.toMatch(/\/tmp|node_modules| at .*:\d+/);
    expect((failure as { requestID?: string }).requestID).toMatch(/^[0-9a-f-]{36}$/);
    expect(server.leftFiles()).toEqual([]);
  });

  it("refuses a request without a file", async () => {
    const form = new FormData();
    form.append("model", "nano");
    const answer = await fetch(`${server.url}/v1/audio/transcriptions`, { method: "POST", body: form });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { param: "file", code: "missing_required_parameter" } });
  });

  it("names the file as the client does, not as the server keeps it", async () => {
    const body = { file: await toFile(Buffer.from("nothing of the kind"), "../../talk.mp3"), model: "nano" };
    await expect(client.audio.transcriptions.create(body)).rejects.toThrow('Cannot read "talk.mp3"');
  });

  // Tones are no speech: only an algorithm that hears all there is has work with them.
  const chunked = { model: "nano", ...CHUNKED } as const;

  it("gives one client's short recording before another's long one", async () => {
    const order: string[] = [];
    const long = client.audio.transcriptions
      .create({ file: await toFile(wavOf(300), "long.wav"), ...chunked })
      .then(() => order.push("long"));
    await until(() => server.service.load.running === 1);
    await client.audio.transcriptions.create({ file: file(), ...chunked });
    order.push("short");
    await long;
    expect(order).toEqual(["short", "long"]);
  });

  it("gives the same text to many at once as to one", async () => {
    const before = server.service.counters[0].counters;
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => client.audio.transcriptions.create({ file: file(), ...chunked })),
    );
    expect(answers.map(({ text }) => text)).toEqual(new Array(8).fill(english.text.trim()));
    const after = server.service.counters[0].counters;
    expect(after.rows - before.rows).toBe(8);
    expect(after.generateCalls - before.generateCalls).toBeLessThan(8); // they shared batches
  });
});

describe("API keys", () => {
  it("lets in who has one, and says 401 to others", async () => {
    const server = await startTestServer({ apiKeys: ["right", "other"] });
    try {
      const ask = (apiKey: string) => new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 }).models.list();
      expect((await ask("right")).data).toHaveLength(1);
      expect((await ask("other")).data).toHaveLength(1);
      await expect(ask("wrong")).rejects.toMatchObject({ status: 401, code: "invalid_api_key" });
      const open = await Promise.all(
        ["/health", "/metrics", "/openapi.json", "/docs/"].map((path) => fetch(server.url + path)),
      );
      expect(open.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      const bare = await Promise.all(
        ["/v1/models", "/jobs/x", "/inference"].map((path) =>
          fetch(server.url + path, { method: path === "/inference" ? "POST" : "GET" }),
        ),
      );
      expect(bare.map(({ status }) => status)).toEqual([401, 401, 401]);
      const log = JSON.stringify(server.log);
      expect(log).not.toContain("right");
      expect(await (await fetch(`${server.url}/v1/models?api_key=right`)).json()).toMatchObject({ object: "list" });
      expect(JSON.stringify(server.log)).not.toContain("api_key=");
    } finally {
      await server.close();
    }
  });
});
