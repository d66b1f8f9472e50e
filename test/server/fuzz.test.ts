import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sample, startTestServer, until, type TestServer } from "./start.ts";

/** Requests of each kind. */
const RUNS = 150;

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
    '{"url":"http://127.0.0.1/"}',
    '{"url":"file:///etc/passwd"}',
  ),
);

describe("malformed requests", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ maxUploadBytes: 100_000, maxPerClient: 1000, maxQueue: 1000 });
  });
  afterAll(() => server.close());

  /** Status of the answer; null if the server closed the connection without one. */
  const send = ({ method, path, headers, body }: Sent): Promise<number | null> =>
    new Promise((resolve) => {
      const url = new URL(server.url);
      const request = httpRequest({ host: url.hostname, port: url.port, method, path, headers }, (response) => {
        // Events of a job that waits may go on for long.
        const isStream = String(response.headers["content-type"]).includes("event-stream");
        if (isStream) response.destroy();
        else response.resume();
        response.on("close", () => resolve(response.statusCode ?? null));
      });
      request.on("error", () => resolve(null));
      request.end(body);
    });

  /** What holds after any request. */
  async function expectUnharmed(status: number | null): Promise<void> {
    const errors = server.log.filter(({ level }) => Number(level) >= 50);
    expect(errors).toEqual([]);
    if (status !== null) expect(status).not.toBe(500);
  }

  async function expectClean(): Promise<void> {
    await until(() => server.service.load.running + server.service.load.waiting === 0);
    await until(() => server.leftFiles().length === 0);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    const form = new FormData();
    form.append("file", new Blob([Uint8Array.from(readFileSync(sample("en-short.wav")).subarray(0, 60_000))]), "a.wav");
    const answer = await fetch(`${server.url}/v1/audio/transcriptions`, { method: "POST", body: form });
    expect(answer.status).toBe(200);
  }

  it("forms: no 500, no crash, no file left", async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS.slice(0, 5)), multipart, async (path, { body, type }) => {
        const headers = { "content-type": type, "content-length": String(body.length) };
        await expectUnharmed(await send({ method: "POST", path, headers, body }));
      }),
      { numRuns: 2 * RUNS },
    );
    await expectClean();
  });

  it("JSON and other bodies: no 500, no crash, no file left", async () => {
    const types = fc.constantFrom("application/json", "text/plain", "application/x-www-form-urlencoded", "x", "");
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS), json, types, async (path, text, type) => {
        const body = Buffer.from(text);
        const headers = { ...(type !== "" && { "content-type": type }), "content-length": String(body.length) };
        await expectUnharmed(await send({ method: "POST", path, headers, body }));
      }),
      { numRuns: RUNS },
    );
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
        await expectUnharmed(await send({ method: verb, path: path + rest, headers: given, body: new Uint8Array(0) }));
      }),
      { numRuns: RUNS },
    );
    await expectClean();
  });

  it("bytes that are no HTTP: no crash", async () => {
    const port = Number(new URL(server.url).port);
    const raw = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .constantFrom(
          "GET / HTTP/9.9\r\n\r\n",
          "POST /jobs HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
          "POST /jobs HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
          "POST /jobs HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 900\r\n\r\n--x",
          "GET /health HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
          `GET /${"a".repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
        )
        .map((text) => Buffer.from(text)),
    );
    await fc.assert(
      fc.asyncProperty(raw, async (bytes) => {
        await new Promise<void>((resolve) => {
          const socket = connect(port, "127.0.0.1", () => socket.end(Buffer.from(bytes)));
          socket.on("error", () => {});
          socket.on("close", () => resolve());
          socket.resume();
        });
        await expectUnharmed(null);
      }),
      { numRuns: 40 },
    );
    await expectClean();
  });
});
