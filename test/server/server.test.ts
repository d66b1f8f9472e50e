import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { resolveConfig } from "../../src/server/config.ts";
import { startServer } from "../../src/server/server.ts";
import { CHUNKED, formOf, MODEL, sample, startTestServer, until, wavOf } from "./start.ts";

const short = (): FormData => formOf({ bytes: readFileSync(sample("en-short.wav")), name: "a.wav" });
const long = (): FormData => formOf({ bytes: wavOf(240), name: "long.wav" }, CHUNKED);
const transcribe = (url: string, body = short(), signal?: AbortSignal): Promise<Response> =>
  fetch(`${url}/v1/audio/transcriptions`, { method: "POST", body, ...(signal !== undefined && { signal }) });

describe("startServer()", () => {
  it("answers /health with 503 while models are loaded, and nothing else", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sotto-test-"));
    const seen: Promise<{ health: number; body: unknown; other: number; retryAfter: string | null }>[] = [];
    const config = resolveConfig({ port: 0, models: [MODEL], uploadDir: folder, store: folder, logLevel: "silent" });
    const server = await startServer(config, {
      onListening: (url) =>
        seen.push(
          (async () => {
            const health = await fetch(`${url}/health`);
            const other = await fetch(`${url}/v1/models`);
            return {
              health: health.status,
              body: await health.json(),
              other: other.status,
              retryAfter: other.headers.get("retry-after"),
            };
          })(),
        ),
    });
    try {
      expect(await seen[0]).toEqual({ health: 503, body: { status: "loading model" }, other: 503, retryAfter: "2" });
      const health = await fetch(`${server.url}/health`);
      expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
    } finally {
      await server.close();
      rmSync(folder, { recursive: true });
    }
  });

  it("leaves nothing listening when a model cannot be loaded", async () => {
    let url = "";
    const config = resolveConfig({ port: 0, models: [join(MODEL, "missing")], logLevel: "silent" });
    await expect(startServer(config, { onListening: (at) => (url = at) })).rejects.toThrow("missing");
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  it("finishes what runs and refuses what is new when it ends", async () => {
    const server = await startTestServer();
    const running = transcribe(server.url, formOf({ bytes: wavOf(60), name: "a.wav" }, CHUNKED));
    await until(() => server.service.load.running === 1);
    // A connection that is open when the end begins.
    const keepAlive = await fetch(`${server.url}/health`);
    await keepAlive.text();
    const closed = server.close();
    expect(server.service.isAccepting).toBe(false);
    const refused = await transcribe(server.url).then(
      ({ status }) => status,
      () => "refused",
    );
    expect([503, "refused"]).toContain(refused);
    expect((await running).status).toBe(200);
    await closed;
  });

  it("cancels what has not ended within the grace", async () => {
    const server = await startTestServer({ shutdownGrace: 0 });
    const running = transcribe(server.url, long());
    await until(() => server.service.load.running === 1);
    await server.close();
    expect((await running).status).toBe(499);
  });
});

describe("limits", () => {
  it("refuses jobs past the queue's bound with 503, and past a client's with 429, and loses none", async () => {
    const server = await startTestServer({ maxRunning: 1, maxQueue: 2, maxPerClient: 3 });
    try {
      const leave = new AbortController();
      const blocker = transcribe(server.url, long(), leave.signal).catch(() => null);
      await until(() => server.service.load.running === 1);
      const accepted = [transcribe(server.url), transcribe(server.url)];
      await until(() => server.service.load.waiting === 2);
      const over = await transcribe(server.url);
      expect(over.status).toBe(429); // its own three come before the queue's bound
      expect(Number(over.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
      expect(await over.json()).toMatchObject({ error: { type: "rate_limit_error", code: "rate_limit_exceeded" } });
      leave.abort();
      await blocker;
      expect((await Promise.all(accepted)).map(({ status }) => status)).toEqual([200, 200]);
    } finally {
      await server.close();
    }
    const other = await startTestServer({ maxRunning: 1, maxQueue: 1 });
    try {
      const leave = new AbortController();
      const blocker = transcribe(other.url, long(), leave.signal).catch(() => null);
      await until(() => other.service.load.running === 1);
      const waiting = transcribe(other.url);
      await until(() => other.service.load.waiting === 1);
      const over = await transcribe(other.url);
      expect(over.status).toBe(503);
      expect(over.headers.get("retry-after")).toMatch(/^\d+$/);
      leave.abort();
      await blocker;
      expect((await waiting).status).toBe(200);
      expect(other.leftFiles()).toEqual([]);
    } finally {
      await other.close();
    }
  });

  it("refuses uploads and recordings beyond the ceilings, and leaves no file", async () => {
    const server = await startTestServer({ maxUploadBytes: 200_000, maxSeconds: 3 });
    try {
      const announced = await transcribe(server.url, formOf({ bytes: new Uint8Array(6 << 20), name: "a.wav" }));
      expect(announced.status).toBe(413);
      const streamed = await transcribe(server.url, formOf({ bytes: new Uint8Array(300_000), name: "a.wav" }));
      expect(streamed.status).toBe(413);
      expect(await streamed.json()).toMatchObject({ error: { code: "file_too_large", param: "file" } });
      const tooLong = await transcribe(server.url);
      expect(tooLong.status).toBe(400);
      expect(server.leftFiles()).toEqual([]);
    } finally {
      await server.close();
    }
  });

  it("limits requests a minute, where it is told to", async () => {
    const server = await startTestServer({ rateLimit: 3 });
    try {
      const statuses = [];
      for (let i = 0; i < 5; i++) statuses.push((await fetch(`${server.url}/v1/models`)).status);
      expect(statuses).toEqual([200, 200, 200, 429, 429]);
      expect((await fetch(`${server.url}/health`)).status).toBe(200);
    } finally {
      await server.close();
    }
  });

  it("counts what the API is asked, also with wrong keys, and nothing that pages are made of", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sotto-page-"));
    writeFileSync(join(folder, "index.html"), "<title>page</title>");
    writeFileSync(join(folder, "a.js"), "1");
    const server = await startTestServer({ rateLimit: 3, staticDir: folder, apiKeys: ["k"] });
    const statusOf = async (path: string, key?: string): Promise<number> =>
      (await fetch(server.url + path, { headers: key === undefined ? {} : { authorization: `Bearer ${key}` } })).status;
    try {
      const paths = ["/", "/a.js", "/docs/", "/docs/static/swagger-ui.css", "/openapi.json", "/health", "/metrics"];
      for (const path of [...paths, ...paths]) expect(await statusOf(path), path).toBe(200);
      const asked = [await statusOf("/v1/models", "wrong"), await statusOf("/jobs"), await statusOf("/v1/models", "k")];
      expect(asked).toEqual([401, 401, 200]);
      for (const key of ["k", "wrong", undefined]) expect(await statusOf("/v1/models", key)).toBe(429);
      for (const path of paths) expect(await statusOf(path), path).toBe(200);
    } finally {
      await server.close();
      rmSync(folder, { recursive: true });
    }
  });

  it("removes an upload that breaks off", async () => {
    const server = await startTestServer();
    try {
      const request = httpRequest(`${server.url}/v1/audio/transcriptions`, {
        method: "POST",
        headers: { "content-type": "multipart/form-data; boundary=x", "content-length": "1000000" },
      });
      request.on("error", () => {});
      request.write('--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF');
      request.write(Buffer.alloc(70_000));
      await until(() => server.leftFiles().length === 1);
      request.destroy();
      await until(() => server.leftFiles().length === 0);
      expect((await transcribe(server.url)).status).toBe(200);
    } finally {
      await server.close();
    }
  });
});

describe("headers, pages and documents", () => {
  it("describes its API, and shows it", async () => {
    const server = await startTestServer();
    try {
      const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
        openapi: string;
        paths: Record<string, Record<string, { requestBody?: unknown }>>;
      };
      expect(document.openapi).toMatch(/^3\./);
      for (const path of [
        "/v1/audio/transcriptions",
        "/v1/models",
        "/inference",
        "/jobs",
        "/jobs/{id}/events",
        "/health",
      ]) {
        expect(Object.keys(document.paths), path).toContain(path);
      }
      expect(JSON.stringify(document.paths["/v1/audio/transcriptions"]["post"].requestBody)).toContain("verbose_json");
      const page = await fetch(`${server.url}/docs/`);
      expect(await page.text()).toContain("swagger");
      const missing = await fetch(`${server.url}/nothing?api_key=x`);
      expect([missing.status, await missing.json()]).toEqual([
        404,
        {
          error: { message: "There is no GET /nothing", type: "invalid_request_error", param: null, code: "not_found" },
        },
      ]);
      expect(missing.headers.get("x-content-type-options")).toBe("nosniff");
      expect(missing.headers.get("content-security-policy")).toContain("default-src 'self'");
      // The page plays links from where they are, over https or, in a private network, without.
      expect(missing.headers.get("content-security-policy")).toMatch(/media-src [^;]*blob: https: http:/);
      expect(missing.headers.get("access-control-allow-origin")).toBeNull();
      const figures = await (await fetch(`${server.url}/metrics`)).text();
      for (const name of [
        "sotto_queue_length",
        "sotto_jobs_total",
        "sotto_audio_seconds_total",
        "process_resident_memory_bytes",
      ]) {
        expect(figures).toContain(name);
      }
    } finally {
      await server.close();
    }
  });

  it("serves the page of a folder, and lets the origins in that it is told", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sotto-page-"));
    writeFileSync(join(folder, "index.html"), "<title>page</title>");
    writeFileSync(join(folder, "a.js"), "1");
    const server = await startTestServer({ staticDir: folder, corsOrigins: ["https://example.org"], apiKeys: ["k"] });
    try {
      const page = await fetch(`${server.url}/`);
      expect(await page.text()).toContain("<title>page</title>");
      expect((await fetch(`${server.url}/a.js`)).status).toBe(200);
      expect((await fetch(`${server.url}/..%2f..%2fetc%2fpasswd`)).status).toBeGreaterThanOrEqual(400);
      const ask = (origin: string) => fetch(`${server.url}/health`, { headers: { origin } });
      expect((await ask("https://example.org")).headers.get("access-control-allow-origin")).toBe("https://example.org");
      expect((await ask("https://evil.example")).headers.get("access-control-allow-origin")).not.toBe(
        "https://evil.example",
      );
    } finally {
      await server.close();
      rmSync(folder, { recursive: true });
    }
  });
});
