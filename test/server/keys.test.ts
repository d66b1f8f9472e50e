/** What API keys keep apart beside jobs (jobs.test.ts): what other protocols remember between requests. */
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { formOf, MODEL, sample, startTestServer, type TestServer } from "./start.ts";

let server: TestServer;
beforeAll(async () => {
  // One model under two names: that of its folder, and the path.
  server = await startTestServer({ apiKeys: ["ann", "bob"], models: [MODEL, MODEL] });
});
afterAll(() => server.close());

const ask = (key: string, path: string, body?: FormData | object): Promise<Response> => {
  const isForm = body instanceof FormData;
  return fetch(`${server.url}${path}`, {
    headers: { authorization: `Bearer ${key}`, ...(!isForm && body && { "content-type": "application/json" }) },
    ...(body !== undefined && { method: "POST", body: isForm ? body : JSON.stringify(body) }),
  });
};
const recording = (): FormData => formOf({ bytes: readFileSync(sample("en-short.wav")), name: "a.wav" });

describe("API keys", () => {
  it("keep Gradio's sessions and calls apart", async () => {
    const form = new FormData();
    form.append("files", recording().get("file") as File);
    const [path] = (await (await ask("ann", "/gradio_api/upload", form)).json()) as string[];
    const data = [{ path, meta: { _type: "gradio.FileData" } }, "transcribe", false];
    await (await ask("ann", "/gradio_api/queue/join", { data, fn_index: 1, session_hash: "same" })).json();
    expect(await (await ask("bob", "/gradio_api/queue/data?session_hash=same")).text()).toContain("session_not_found");
    const called = await ask("ann", "/gradio_api/call/predict_1", { data });
    const { event_id } = (await called.json()) as { event_id: string };
    expect((await ask("bob", `/gradio_api/call/predict_1/${event_id}`)).status).toBe(404);
    expect(await (await ask("ann", `/gradio_api/call/predict_1/${event_id}`)).text()).toContain("event: complete");
    expect(await (await ask("ann", "/gradio_api/queue/data?session_hash=same")).text()).toContain("process_completed");
  });

  it("choose whisper.cpp's model for themselves alone", async () => {
    const choice = new FormData();
    choice.append("model", MODEL);
    expect((await ask("ann", "/load", choice)).status).toBe(200);
    const modelOf = async (key: string): Promise<unknown> => {
      await (await ask(key, "/inference", recording())).text();
      return (server.log.findLast(({ msg }) => msg === "job ended")?.["job"] as { model: string }).model;
    };
    expect([await modelOf("ann"), await modelOf("bob")]).toEqual([MODEL, "nano"]);
  });
});

describe("wrong API keys", () => {
  let guarded: TestServer;
  beforeEach(async () => {
    guarded = await startTestServer({ apiKeys: ["right", "unused"] });
  });
  afterEach(() => guarded.close());

  const withKey = (key: string): Promise<Response> =>
    fetch(`${guarded.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  const upgrade = (path: string, protocols: string[] = []): Promise<number> =>
    new Promise((resolve) => {
      const socket = new WebSocket(guarded.url.replace("http", "ws") + path, protocols);
      socket.on("error", () => undefined);
      socket.on("open", () => {
        socket.terminate();
        resolve(101);
      });
      socket.on("unexpected-response", (_, { statusCode = 0 }) => {
        socket.terminate();
        resolve(statusCode);
      });
    });

  it.each<[place: string, send: (key: string) => Promise<number>]>([
    ["Authorization", async (key) => (await withKey(key)).status],
    ["X-API-Key", async (key) => (await fetch(`${guarded.url}/jobs`, { headers: { "x-api-key": key } })).status],
    ["the query", async (key) => (await fetch(`${guarded.url}/v1/models?api_key=${key}`)).status],
    ["a WebSocket's query", (key) => upgrade(`/live?api_key=${key}`)],
    ["a WebSocket's protocol", (key) => upgrade("/v1/realtime", ["realtime", `openai-insecure-api-key.${key}`])],
  ])("in %s are limited", async (_, send) => {
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++) statuses.push(await send(`wrong${i}`));
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
    // Nor does the answer tell a right one.
    expect(await send("unused")).toBe(429);
  });

  it("do not shut out who had the right one before, nor those who send none, nor the page", async () => {
    expect((await withKey("right")).status).toBe(200);
    for (let i = 0; i < 8; i++) await withKey(`wrong${i}`);
    const refused = await withKey("unused");
    expect([refused.status, Number(refused.headers.get("retry-after"))]).toEqual([429, expect.closeTo(60, -1)]);
    expect(await refused.json()).toMatchObject({
      error: {
        type: "rate_limit_error",
        code: "rate_limit_exceeded",
        message: expect.stringContaining("API keys") as string,
      },
    });
    expect((await withKey("right")).status).toBe(200);
    expect((await fetch(`${guarded.url}/v1/models`)).status).toBe(401);
    expect((await fetch(`${guarded.url}/health`)).status).toBe(200);
    expect((await fetch(`${guarded.url}/`)).status).toBe(200);
  });
});
