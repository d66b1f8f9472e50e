/** 2000 requests and connections that no client should make: none may harm the server, or leave anything behind. */
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MAX_MESSAGE_BYTES } from "../../src/server/live/limits.ts";
import { LiveClient } from "./live-client.ts";
import { sample, startTestServer, until, type TestServer } from "./start.ts";

/** Of each kind. */
const FORMS = 600;
const BODIES = 500;
const HEADS = 400;
const RAW = 100;
const SOCKETS = 400;

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const PATHS = [
  "/v1/audio/transcriptions",
  "/v1/audio/translations",
  "/inference",
  "/load",
  "/jobs",
  "/gradio_api/queue/join",
  "/gradio_api/call/predict",
  "/gradio_api/call/v2/predict_1",
  "/gradio_api/run/predict_2",
  "/run/predict",
  "/cancel",
  "/jobs/x",
  "/jobs/x/events",
  "/jobs/x/result",
  "/v1/models",
  "/v1/models/x",
  "/health",
  "/",
  "/docs",
];

const FIELDS = [
  "file",
  "model",
  "response_format",
  "temperature",
  "timestamp_granularities[]",
  "language",
  "stream",
  "prompt",
  "url",
  "task",
  "beam_size",
  "offset_t",
  "duration",
  "__proto__",
  "constructor",
];

const audio = readFileSync(sample("en-short.wav")).subarray(0, 4000);
const words = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.constantFrom(
    "",
    "0",
    "-1",
    "1e999",
    "NaN",
    "true",
    "json",
    "srt",
    "verbose_json",
    "nano",
    "en",
    "../../etc/passwd",
    "\u0000",
  ),
);
const content = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.constant(Uint8Array.from(audio)),
  fc
    .constantFrom("RIFF", "fLaC", "OggS", "ID3", "\u0000\u0000\u0000 ftyp")
    .map((head) => Buffer.from(`${head}nothing more`)),
);

const part = fc.record({
  name: fc.oneof(fc.constantFrom(...FIELDS), fc.string({ maxLength: 10 })),
  filename: fc.option(
    fc.oneof(fc.constantFrom("a.wav", "../../a.mp3", "", "a\u0000.wav", "C:\\a.wav"), fc.string({ maxLength: 20 })),
    {
      nil: null,
    },
  ),
  type: fc.option(fc.constantFrom("audio/wav", "application/json", "text/html", "x"), { nil: null }),
  value: fc.oneof(
    words.map((text) => Buffer.from(text)),
    content,
  ),
});

/** A form that is whole, or damaged: bytes cut off at the end, taken out, or changed. */
const multipart = fc
  .record({
    parts: fc.array(part, { maxLength: 6 }),
    boundary: fc.constantFrom("x", "----form", "a'b", "x".repeat(70)),
    declared: fc.constantFrom("same", "same", "same", "other", "none"),
    damage: fc.option(
      fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), length: fc.nat(40), byte: fc.nat(255) }),
      {
        nil: null,
      },
    ),
    cut: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null, freq: 3 }),
  })
  .map(({ parts, boundary, declared, damage, cut }) => {
    const pieces: Uint8Array[] = [];
    for (const { name, filename, type, value } of parts) {
      const file = filename === null ? "" : `; filename="${filename}"`;
      const mime = type === null ? "" : `content-type: ${type}\r\n`;
      const head = `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${file}\r\n${mime}\r\n`;
      pieces.push(Buffer.from(head), value, Buffer.from("\r\n"));
    }
    pieces.push(Buffer.from(`--${boundary}--\r\n`));
    let body = Buffer.concat(pieces);
    if (damage !== null) {
      const from = Math.floor(damage.at * body.length);
      body.subarray(from, from + damage.length).fill(damage.byte);
    }
    if (cut !== null) body = body.subarray(0, Math.floor(cut * body.length));
    const said = { same: `; boundary="${boundary}"`, other: "; boundary=other", none: "" }[declared];
    return { body, type: `multipart/form-data${said}` };
  });

const json = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc.string({ maxLength: 100 }),
  fc
    .record({ url: words, model: words, task: words, language: words }, { requiredKeys: [] })
    .map((value) => JSON.stringify(value)),
  fc.constantFrom(
    '{"__proto__":{"x":1}}',
    "[".repeat(5000),
    '{"data":[null,"sing"]}',
    '{"data":[{"path":"/etc/passwd"}],"fn_index":1,"session_hash":"s"}',
    '{"data":["http://127.0.0.1/"],"fn_index":2,"session_hash":"s"}',
    '{"fn_index":1e99,"session_hash":{}}',
    '{"url":"http://127.0.0.1/"}',
    '{"url":"file:///etc/passwd"}',
  ),
);

const HANDSHAKE =
  "HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n" +
  "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const raw = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .constantFrom(
      "GET / HTTP/9.9\r\n\r\n",
      "POST /jobs HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
      "POST /jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n",
      "POST /jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 900\r\n\r\n--x",
      "GET /health HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
      `GET /${"a".repeat(20_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
    )
    .map((text) => Buffer.from(text)),
  // A WebSocket that is opened in order, and bytes that are no frames.
  fc
    .tuple(fc.constantFrom("/live", "/v1/realtime", "/jobs"), fc.uint8Array({ maxLength: 200 }))
    .map(([path, bytes]) => Buffer.concat([Buffer.from(`GET ${path} ${HANDSHAKE}`), bytes])),
);

const value = fc.oneof(words, fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.constant({}));
const message = fc.oneof(
  { weight: 2, arbitrary: fc.string({ maxLength: 60 }) },
  { weight: 2, arbitrary: fc.json({ maxDepth: 3 }) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 500 }) },
  { weight: 1, arbitrary: fc.constantFrom({ zeros: 70_000 }, { zeros: 2 ** 20 + 1 }) },
  {
    weight: 4,
    arbitrary: fc
      .record(
        {
          type: fc.constantFrom("start", "end", "end_utterance", "clear", "ping"),
          format: fc.oneof(fc.constantFrom("pcm16", "pcmu", "opus"), value),
          sample_rate: value,
          endpointing: fc.oneof(value, fc.dictionary(fc.constantFrom("threshold", "silence_seconds"), value)),
          step_seconds: value,
          language: value,
        },
        { requiredKeys: ["type"] },
      )
      .map((fields) => JSON.stringify(fields)),
  },
  {
    weight: 4,
    arbitrary: fc
      .record(
        {
          type: fc.constantFrom(
            "session.update",
            "transcription_session.update",
            "input_audio_buffer.append",
            "input_audio_buffer.commit",
            "input_audio_buffer.clear",
            "response.create",
          ),
          event_id: value,
          audio: fc.oneof(value, fc.constantFrom("AAAA", "A", "!", "A".repeat(4000))),
          session: fc.dictionary(
            fc.constantFrom("type", "audio", "input_audio_format", "turn_detection", "include"),
            fc.oneof(value, fc.dictionary(fc.constantFrom("input", "format", "transcription", "type"), value)),
          ),
        },
        { requiredKeys: ["type"] },
      )
      .map((fields) => JSON.stringify(fields)),
  },
  { weight: 2, arbitrary: fc.constantFrom("{}", '{"format":"opus"}', '{"endpointing":null}', "[]", "null", '"x"') },
);

/** What is open in this process: the server and its clients. */
function openResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) counts.set(name, (counts.get(name) ?? 0) + 1);
  if (existsSync("/proc/self/fd")) counts.set("file descriptors", readdirSync("/proc/self/fd").length);
  return counts;
}

describe("malformed requests", () => {
  let server: TestServer;
  let before: Map<string, number>;
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });

  beforeAll(async () => {
    server = await startTestServer({ maxUploadBytes: 100_000, maxPerClient: 1000, maxQueue: 1000 });
    // What is made for the first request of a kind, and stays, is no leak.
    await sendForms(20);
    await sendBodies(20);
    await openSockets(20);
    agent.destroy();
    await expectClean();
    before = openResources();
  });
  afterAll(async () => {
    agent.destroy();
    await server.close();
  });

  /** Status of the answer; null if the server closed the connection without one. */
  const send = (sent: Sent): Promise<number | null> =>
    new Promise((resolve) => {
      const { method, path, headers, body } = sent;
      const { hostname: host, port } = new URL(server.url);
      const request = httpRequest({ host, port, method, path, headers, agent }, (response) => {
        // Events of a job that waits may go on for long.
        const isStream = String(response.headers["content-type"]).includes("event-stream");
        if (isStream) response.destroy();
        else response.resume();
        response.on("close", () => resolve(response.statusCode ?? null));
      });
      request.on("error", () => {
        // The connection may have been closed for what came before.
        if (request.reusedSocket) resolve(send(sent));
        else resolve(null);
      });
      request.end(body);
    });

  /** What holds after any request. */
  function expectUnharmed(status: number | null): void {
    const errors = server.log.filter(({ level }) => Number(level) >= 50);
    expect(errors).toEqual([]);
    expect(status).not.toBe(500);
  }

  async function expectClean(): Promise<void> {
    await until(() => Object.values(server.service.load).every((count) => count === 0));
    await until(() => server.leftFiles().length === 0);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    const form = new FormData();
    form.append("file", new Blob([Uint8Array.from(readFileSync(sample("en-short.wav")).subarray(0, 60_000))]), "a.wav");
    const answer = await fetch(`${server.url}/v1/audio/transcriptions`, { method: "POST", body: form });
    expect(answer.status).toBe(200);
    await answer.arrayBuffer();
  }

  async function sendForms(numRuns: number): Promise<void> {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS.slice(0, 5)), multipart, async (path, { body, type }) => {
        const headers = { "content-type": type, "content-length": String(body.length) };
        expectUnharmed(await send({ method: "POST", path, headers, body }));
      }),
      { numRuns },
    );
  }

  async function sendBodies(numRuns: number): Promise<void> {
    const types = fc.constantFrom("application/json", "text/plain", "application/x-www-form-urlencoded", "x", "");
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS), json, types, async (path, text, type) => {
        const body = Buffer.from(text);
        const headers = { ...(type !== "" && { "content-type": type }), "content-length": String(body.length) };
        expectUnharmed(await send({ method: "POST", path, headers, body }));
      }),
      { numRuns },
    );
  }

  async function openSockets(numRuns: number): Promise<void> {
    const url = server.url.replace("http", "ws");
    const paths = fc.constantFrom("/live", "/v1/realtime", "/v1/realtime?model=parrot", "/v1/realtime?intent=x&model=");
    await fc.assert(
      fc.asyncProperty(paths, fc.array(message, { minLength: 1, maxLength: 5 }), async (path, messages) => {
        const client = await LiveClient.connect(url + path);
        for (const one of messages) {
          client.socket.send(typeof one === "object" && "zeros" in one ? new Uint8Array(one.zeros) : one);
        }
        client.socket.close();
        const answers = JSON.stringify(await client.rest());
        expect(answers).not.toContain("server_error");
        expect(answers).not.toContain("by a fault of the server");
        expectUnharmed(null);
      }),
      { numRuns },
    );
  }

  it("forms: no 500, no crash, no file left", async () => {
    await sendForms(FORMS);
    await expectClean();
  });

  it("JSON and other bodies: no 500, no crash, no file left", async () => {
    await sendBodies(BODIES);
    await expectClean();
  });

  it("methods, paths, queries and headers: no 500, no crash", async () => {
    const method = fc.constantFrom("GET", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS");
    const tail = fc.oneof(
      fc.constantFrom(
        "",
        "/..%2f..%2fetc%2fpasswd",
        "/%00",
        "/%",
        "/%ff",
        "?format=x",
        "?format=srt&format=vtt",
        "//",
        "/..",
      ),
      fc.webPath(),
      fc.webQueryParameters().map((query) => `?${query}`),
    );
    const headers = fc.dictionary(
      fc.constantFrom(
        "range",
        "last-event-id",
        "authorization",
        "x-api-key",
        "accept",
        "if-none-match",
        "content-type",
        "origin",
      ),
      fc.oneof(
        fc.constantFrom(
          "bytes=0-",
          "bytes=-1",
          "bytes=9-1",
          "bytes=0-99999999999999",
          "Bearer",
          "Bearer x",
          "-1",
          "1e400",
          "*",
        ),
        fc.string({ unit: fc.constantFrom(..."abc019-=,;/ "), maxLength: 30 }).map((text) => text.trim()),
      ),
    );
    await fc.assert(
      fc.asyncProperty(method, fc.constantFrom(...PATHS), tail, headers, async (verb, path, rest, given) => {
        expectUnharmed(await send({ method: verb, path: path + rest, headers: given, body: new Uint8Array(0) }));
      }),
      { numRuns: HEADS },
    );
    await expectClean();
  });

  it("bytes that are no HTTP, and no frames: no crash", async () => {
    const port = Number(new URL(server.url).port);
    await fc.assert(
      fc.asyncProperty(raw, async (bytes) => {
        const socket = connect(port, "127.0.0.1", () => socket.end(Buffer.from(bytes)));
        socket.on("error", () => {});
        socket.resume();
        await once(socket, "close").catch(() => undefined);
        expectUnharmed(null);
      }),
      { numRuns: RAW },
    );
    await expectClean();
  });

  it("messages of WebSockets, in any order: no fault of the server, no crash", async () => {
    await openSockets(SOCKETS);
    await expectClean();
  });

  it.each(["/live", "/v1/realtime"])("messages that are too large: %s closes the connection", async (path) => {
    const url = server.url.replace("http", "ws") + path;
    const whole = await LiveClient.connect(url);
    whole.sendBytes(new Uint8Array(MAX_MESSAGE_BYTES + 1));
    await whole.rest();
    const pieces = await LiveClient.connect(url);
    for (let i = 0; i < 17; i++) pieces.socket.send(Buffer.alloc(2 ** 20, " "), { binary: false, fin: false });
    await pieces.rest();
    for (const { closeCode } of [whole, pieces]) expect(closeCode).toBe(1009);
    await expectClean();
  });

  it("takes the largest event of OpenAI's clients", async () => {
    const client = await LiveClient.connect(`${server.url.replace("http", "ws")}/v1/realtime`);
    const frame = '{"type":"input_audio_buffer.append","audio":""}';
    const silence = "A".repeat(4 * Math.floor((MAX_MESSAGE_BYTES - frame.length) / 4));
    client.socket.send(frame.replace('""', `"${silence}"`));
    client.send({ type: "input_audio_buffer.clear" });
    const answers = await client.until("input_audio_buffer.cleared");
    expect(answers.map(({ type }) => type)).toEqual(["session.created", "input_audio_buffer.cleared"]);
    client.socket.close();
    await client.rest();
    await expectClean();
  });

  it("leave no handle, socket or file open", async () => {
    agent.destroy();
    const grown = (): string[] =>
      [...openResources()]
        .filter(([name, count]) => count > (before.get(name) ?? 0))
        .map(([name, count]) => `${name}: ${before.get(name) ?? 0} -> ${count}`);
    for (let i = 0; i < 200 && grown().length > 0; i++) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(grown()).toEqual([]);
  });
});
