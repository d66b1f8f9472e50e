/** The endpoint of Whisper JAX, through the real @gradio/client and bare requests. Ids P1 and P2 of facts ecosystem 12. */
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Client, handle_file } from "@gradio/client";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { WhisperPipeline } from "../../src/index.ts";
import { gradioText } from "../../src/server/gradio/format-text.ts";
import { referenceText, samplePath } from "../helpers/samples.ts";
import { fakeYtDlp } from "./fake-yt-dlp.ts";
import { startServer, type TestServer } from "./gradio-harness.ts";

const SHORT = samplePath("en-short.wav");
const TEXT = ` ${referenceText("en-short.wav")}`;
const MAX_UPLOAD_BYTES = 5_000_000;

let server: TestServer;
let client: Client;

beforeAll(async () => {
  server = await startServer({ maxUploadBytes: MAX_UPLOAD_BYTES, maxSeconds: 7200 });
  client = await Client.connect(server.url, { events: ["data", "status"] });
});
afterAll(async () => {
  client.close();
  await server.close();
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** Everything that a call reports, until it ends. */
async function eventsOf(call: ReturnType<Client["submit"]>): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of call) {
    if (event.type === "data") seen.push("data");
    else if (event.type === "status") {
      const desc = event.progress_data?.[0]?.desc;
      seen.push([event.stage, desc, event.stage === "error" ? event.message : null].filter(Boolean).join(": "));
    }
  }
  return seen;
}

async function upload(bytes: Uint8Array<ArrayBuffer>, name = "talk.wav", prefix = "/gradio_api"): Promise<Response> {
  const form = new FormData();
  form.append("files", new File([bytes], name));
  return fetch(`${server.url}${prefix}/upload`, { method: "POST", body: form });
}

async function post(path: string, body: unknown): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

const shortBytes = async (): Promise<Uint8Array<ArrayBuffer>> => Uint8Array.from(await readFile(SHORT));

describe("@gradio/client", () => {
  it.each(["/predict", "/predict_1"])("calls %s with a Blob by position, and gets text and seconds", async (name) => {
    const { data } = await client.predict(name, [new Blob([await shortBytes()]), "transcribe", false]);
    expect(data).toEqual([TEXT, expect.any(Number)]);
  });

  it("calls with a File by name, and gets lines with times", async () => {
    const inputs = new File([await shortBytes()], "talk.wav", { type: "audio/wav" });
    const { data } = await client.predict<[string, number]>("/predict_1", { inputs, return_timestamps: true });
    const lines = data[0].split("\n");
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toMatch(/^\[\d\d:\d\d\.\d{3} -> \d\d:\d\d\.\d{3}\] {2}\S/);
    expect(lines.map((line: string) => line.slice(line.indexOf("]") + 2)).join("")).toBe(TEXT);
  });

  it("is given what the vad algorithm makes of a recording, and its warnings as those of a page", async () => {
    const path = samplePath("en-medium.flac");
    const pipeline = await WhisperPipeline.fromPretrained("nano");
    const [vad, chunked] = [await pipeline.transcribe(path), await pipeline.transcribe(path, { algorithm: "chunked" })];
    await pipeline.dispose();
    expect(gradioText(vad, true)).not.toBe(gradioText(chunked, true));
    const all = await Client.connect(server.url, { events: ["data", "log"] });
    const seen: unknown[] = [];
    for await (const event of all.submit("/predict_1", [handle_file(path), "transcribe", true])) {
      if (event.type === "log") seen.push([event.level, event.log]);
      else if (event.type === "data") seen.push(event.data);
    }
    all.close();
    expect(vad.warnings.length).toBeGreaterThan(0);
    const warnings = vad.warnings.map((warning) => ["warning", warning]);
    expect(seen).toEqual([...warnings, [gradioText(vad, true), expect.any(Number)]]);
  });

  it("calls with a path of its own machine, which it uploads", async () => {
    const { data } = await client.predict("/predict_1", [handle_file(SHORT), "transcribe", false]);
    expect(data).toEqual([TEXT, expect.any(Number)]);
  });

  it("fills in defaults where arguments are missing", async () => {
    const { data } = await client.predict("/predict_1", [handle_file(SHORT)]);
    expect(data).toEqual([TEXT, expect.any(Number)]);
  });

  it("translates", async () => {
    const { data } = await client.predict<[string, number]>("/predict_1", [
      handle_file(samplePath("de-short.flac")),
      "translate",
      false,
    ]);
    expect(data[0].trim().split(" ").length).toBeGreaterThan(3);
    expect(data[0]).not.toContain("ü");
  });

  it("reports waiting, progress, data and the end, in this order", async () => {
    const seen = await eventsOf(client.submit("/predict_1", [handle_file(SHORT), "transcribe", false]));
    const distinct = seen.filter((event, i) => event !== seen[i - 1]);
    expect(distinct).toEqual([
      "pending",
      "pending: Loading audio file...",
      "pending: Pre-processing audio file...",
      "pending: Transcribing...",
      "data",
      "complete",
    ]);
  });

  it("answers a call without audio with the words of Whisper JAX", async () => {
    await expect(client.predict("/predict_1", [null, "transcribe", false])).rejects.toMatchObject({
      message: "No audio file submitted! Please upload an audio file before submitting your request.",
    });
  });

  it("answers what is no audio with what is wrong, and nothing of the server", async () => {
    const text = new File(["no audio"], "notes.txt");
    const failure: unknown = await client
      .predict("/predict_1", [text, "transcribe", false])
      .catch((error: unknown) => error);
    const { message } = failure as { message: string };
    expect(message).toContain('Cannot read "notes.txt"');
    expect(message).not.toContain(server.uploads.folder);
  });

  it("runs two calls at once on one session", async () => {
    const both = await Promise.all(
      ["en-short.wav", "de-short.flac"].map((name) =>
        client.predict<[string]>("/predict_1", [handle_file(samplePath(name))]),
      ),
    );
    expect(both.map(({ data }: { data: [string] }) => data[0])).toEqual([TEXT, ` ${referenceText("de-short.flac")}`]);
  });

  it("cancels a call", async () => {
    const call = client.submit("/predict_1", [handle_file(samplePath("en-long.flac")), "transcribe", false]);
    const seen: string[] = [];
    for await (const event of call) {
      if (event.type !== "status") continue;
      seen.push(event.stage);
      if (event.stage === "pending" && event.progress_data?.[0]?.desc === "Loading audio file...") void call.cancel();
    }
    expect(seen.at(-1)).toBe("error");
    expect(seen).not.toContain("complete");
  });

  it("refuses URLs that point into private networks", async () => {
    const url = `${server.url}/config`;
    await expect(client.predict("/predict_1", [handle_file(url)])).rejects.toMatchObject({
      message: expect.stringContaining("private network") as string,
    });
  });

  it("is told by 503 that the queue is full", async () => {
    const busy = await startServer({ maxQueue: 1, maxRunning: 1 });
    const other = await Client.connect(busy.url, { events: ["data", "status"] });
    const long = handle_file(samplePath("en-long.flac"));
    const calls = [1, 2, 3, 4].map(() => other.submit("/predict_1", [long, "transcribe", false]));
    const refused = "error: This application is currently busy. Please try again. ";
    const first = await Promise.race(calls.map(async (call) => [call, await eventsOf(call)] as const));
    expect(first[1].at(-1)).toBe(refused);
    await Promise.all(calls.map((call) => call.cancel()));
    other.close();
    await busy.close();
  });
});

describe("URLs", () => {
  it("are downloaded by the server where it may", async () => {
    const files = createServer((_request, response) => void readFile(SHORT).then((bytes) => response.end(bytes)));
    await new Promise<void>((resolve) => files.listen(0, "127.0.0.1", resolve));
    const trusting = await startServer({ allowPrivateAddresses: true });
    const other = await Client.connect(trusting.url);
    const { port } = files.address() as AddressInfo;
    const { data } = await other.predict("/predict_1", [handle_file(`http://127.0.0.1:${port}/talk.wav`)]);
    expect(data).toEqual([TEXT, expect.any(Number)]);
    other.close();
    await trusting.close();
    files.close();
  });
});

describe("files", () => {
  it.each<[what: string, path: string]>([
    ["a file of the server", "/etc/passwd"],
    ["a relative path", "samples/en-short.wav"],
    ["a file URL", "file:///etc/passwd"],
    ["a path below a made-up upload", "/tmp/gradio/00/../../../etc/passwd"],
  ])("are only ever ones that the server issued: %s", async (_, path) => {
    for (const value of [path, { path, meta: { _type: "gradio.FileData" } }, { path: null, url: path }]) {
      const answer = await post("/gradio_api/run/predict_1", { data: [value] });
      expect(answer.status).toBe(400);
      expect(await answer.json()).toEqual({ error: expect.stringContaining("was not uploaded") as string });
    }
  });

  it("are not found by their real path, nor by the issued one with dots", async () => {
    const [issued] = (await (await upload(await shortBytes())).json()) as [string];
    const [name] = await readdir(server.uploads.folder);
    const paths = [
      join(server.uploads.folder, name),
      `${issued}/../${issued.split("/").at(-1)}`,
      issued.replace("/tmp", "/tmp/."),
    ];
    for (const path of paths) {
      expect((await post("/gradio_api/run/predict_1", { data: [{ path }] })).status).toBe(400);
    }
    expect((await post("/gradio_api/run/predict_1", { data: [{ path: issued }] })).status).toBe(200);
  });

  it("keep no folders of their names", async () => {
    const [issued] = (await (await upload(await shortBytes(), "../../etc/cron.d/x.wav")).json()) as [string];
    expect(issued).toMatch(/^\/tmp\/gradio\/[0-9a-f]{48}\/x\.wav$/);
  });

  it("are refused above the ceiling, in the words of Whisper JAX", async () => {
    const answer = await upload(new Uint8Array(MAX_UPLOAD_BYTES + 1_000_000));
    expect(answer.status).toBe(413);
    expect(await answer.text()).toMatch(
      /^File size exceeds file size limit\. Got file of size 5\.72MB for a limit of 4\.77MB\.$/,
    );
  });

  it("are asked for where a form holds none", async () => {
    expect((await fetch(`${server.url}/upload`, { method: "POST", body: new FormData() })).status).toBe(400);
  });
});

describe("requests without a client library", () => {
  it.each(["", "/gradio_api"])("call and fetch below %j", async (prefix) => {
    const [path] = (await (await upload(await shortBytes(), "talk.wav", prefix)).json()) as [string];
    const { event_id } = (await (await post(`${prefix}/call/predict_1`, { data: [{ path }, null, null] })).json()) as {
      event_id: string;
    };
    const stream = await (await fetch(`${server.url}${prefix}/call/predict_1/${event_id}`)).text();
    const [, data] = /^event: complete\ndata: (.*)\n\n$/m.exec(stream.slice(stream.indexOf("event: complete"))) ?? [];
    expect(JSON.parse(data)).toEqual([TEXT, expect.any(Number)]);
    expect((await fetch(`${server.url}${prefix}/call/predict_1/${event_id}`)).status).toBe(404);
  });

  it("call with named arguments", async () => {
    const [path] = (await (await upload(await shortBytes())).json()) as [string];
    const named = { inputs: { path }, task: "transcribe" };
    const { event_id } = (await (await post("/gradio_api/call/v2/predict_1", named)).json()) as { event_id: string };
    expect(await (await fetch(`${server.url}/gradio_api/call/predict_1/${event_id}`)).text()).toContain(TEXT);
    expect((await post("/gradio_api/call/v2/predict_1", { audio: { path } })).status).toBe(400);
  });

  it.each(["/run/predict_1", "/api/predict_1", "/gradio_api/run/predict_1"])(
    "are answered at once at %s",
    async (route) => {
      const [path] = (await (await upload(await shortBytes())).json()) as [string];
      const answer = (await (await post(route, { data: [{ path }] })).json()) as { data: unknown[] };
      expect(answer.data).toEqual([TEXT, expect.any(Number)]);
      const empty = await post(route, { data: [null] });
      expect(empty.status).toBe(400);
      expect(await empty.json()).toEqual({ error: expect.stringContaining("No audio file submitted!") as string });
    },
  );

  it.each<[what: string, body: unknown, status: number]>([
    ["no session", { data: [], fn_index: 1 }, 422],
    ["data that is no list", { data: "x", fn_index: 1, session_hash: "s" }, 422],
    ["another function", { data: [], fn_index: 3, session_hash: "s" }, 400],
  ])("are refused with %s", async (_, body, status) => {
    const answer = await post("/queue/join", body);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toHaveProperty("detail");
  });

  it.each<[what: string, data: unknown[], message: string | RegExp]>([
    ["an unknown task", [null, "sing"], 'Value of "task" is not in the list of choices: ["transcribe", "translate"]'],
    ["a number for a file", [7], /^Value of the first argument is no file/],
    [
      "a path of the client's machine",
      ["C:\\talks\\a.mp3"],
      /^Cannot read "C:.*": it was not uploaded to this server\nHint: wrap the path: handle_file\("C:\\\\talks\\\\a.mp3"\)/,
    ],
    [
      "a file that is gone",
      [{ path: "/tmp/gradio/x/a.mp3" }],
      /it was not uploaded to this server, or was removed since; upload it again$/,
    ],
  ])("end as an error that clients show, with %s", async (_, data, message) => {
    const told = typeof message === "string" ? message : (expect.stringMatching(message) as string);
    await expect(client.predict("/predict_1", data)).rejects.toMatchObject({ message: told });
    const answer = await post("/run/predict_1", { data });
    expect([answer.status, await answer.json()]).toEqual([400, { error: told }]);
    const { event_id } = (await (await post("/call/predict_1", { data })).json()) as { event_id: string };
    const events = await (await fetch(`${server.url}/call/predict_1/${event_id}`)).text();
    const [, ended] = /event: error\ndata: (.*)\n/.exec(events) ?? [];
    expect(JSON.parse(ended)).toEqual({ error: told });
  });

  it("end as an error with too many arguments", async () => {
    const answer = await post("/run/predict_1", { data: [null, null, null, null] });
    const error = "Too many arguments: got 4, expected at most 3";
    expect([answer.status, await answer.json()]).toEqual([400, { error }]);
  });

  it("hear that a session is not known", async () => {
    const stream = await (await fetch(`${server.url}/gradio_api/queue/data?session_hash=nobody`)).text();
    expect(JSON.parse(stream.slice("data: ".length))).toMatchObject({
      msg: "unexpected_error",
      session_not_found: true,
    });
  });
});

describe("/predict_2", () => {
  const VIDEO = "https://www.youtube.com/watch?v=abcdefghijk&t=1";

  it("takes a link to a recording, and embeds it", async () => {
    const http = createServer((_request, response) => response.end(readFileSync(SHORT)));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/talk.mp4?a=1&b=2`;
    vi.stubEnv("PATH", "/nowhere"); // no yt-dlp
    const trusting = await startServer({ allowPrivateAddresses: true });
    const other = await Client.connect(trusting.url);
    for (const link of [url, handle_file(url)]) {
      const { data } = await other.predict<[string, string, number]>("/predict_2", [link, "transcribe", false]);
      expect(data[0]).toContain(`href="${url.replace("&", "&#38;")}"`);
      expect(data.slice(1)).toEqual([TEXT, expect.any(Number)]);
    }
    expect(await readdir(trusting.uploads.folder)).toEqual([]);
    other.close();
    await trusting.close();
    http.closeAllConnections();
    http.close();
  });

  it("says that it cannot read pages where yt-dlp is missing", async () => {
    vi.stubEnv("PATH", "/nowhere");
    const trusting = await startServer({ allowPrivateAddresses: true });
    const answer = await fetch(`${trusting.url}/run/predict_2`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ data: [VIDEO] }),
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({
      error:
        `Cannot read "${VIDEO}": it is a page of a video site, and this server reads only links to recordings\n` +
        "Hint: give the link of the audio or video file itself, or download it and send the file",
    });
    await trusting.close();
  });

  it("downloads, transcribes and embeds, and leaves no file", async () => {
    const program = await fakeYtDlp({ recording: SHORT });
    const trusting = await startServer({ allowPrivateAddresses: true }); // no name is looked up
    const other = await Client.connect(trusting.url);
    const { data } = await other.predict<[string, string, number]>("/predict_2", [VIDEO, "transcribe", false]);
    expect(data[0]).toContain('src="https://www.youtube.com/embed/abcdefghijk"');
    expect(data.slice(1)).toEqual([TEXT, expect.any(Number)]);
    expect(await readdir(trusting.uploads.folder)).toEqual([]);
    const calls = await program.calls();
    expect(calls.map((args) => args.slice(-2))).toEqual([
      ["--", VIDEO],
      ["--", VIDEO],
    ]);
    other.close();
    await trusting.close();
    await program.remove();
  });

  it("refuses videos that are too long, in the words of Whisper JAX", async () => {
    const program = await fakeYtDlp({ duration: 7 * 3600 + 61 });
    const trusting = await startServer({ allowPrivateAddresses: true });
    const other = await Client.connect(trusting.url);
    await expect(other.predict("/predict_2", [VIDEO])).rejects.toMatchObject({
      message: expect.stringContaining(
        "Maximum YouTube length is 02H:00M:00S, got 07H:01M:01S YouTube video.",
      ) as string,
    });
    other.close();
    await trusting.close();
    await program.remove();
  });

  it.each(["file:///etc/passwd", "-v", "http://127.0.0.1:9/x", "http://[::1]/x", "ftp://example.org/x"])(
    "runs nothing for %s",
    async (url) => {
      const program = await fakeYtDlp({ recording: SHORT });
      const answer = await post("/run/predict_2", { data: [url] });
      expect(answer.status).toBe(400);
      expect(await program.calls()).toEqual([]);
      await program.remove();
    },
  );
});

describe("configuration", () => {
  it("names the three functions, in the order of the app's tabs", () => {
    expect(client.config?.dependencies.map(({ api_name }: { api_name: string }) => api_name)).toEqual([
      "predict",
      "predict_1",
      "predict_2",
    ]);
    const named = client.api_info?.named_endpoints ?? {};
    expect(Object.keys(named)).toEqual(["/predict", "/predict_1", "/predict_2"]);
    expect(
      named["/predict_1"].parameters.map(({ parameter_name }: { parameter_name: string }) => parameter_name),
    ).toEqual(["inputs", "task", "return_timestamps"]);
  });
});
