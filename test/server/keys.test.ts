/** What API keys keep apart beside jobs (jobs.test.ts): what other protocols remember between requests. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
