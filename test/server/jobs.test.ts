import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WhisperPipeline, writeTranscript, type Transcript } from "../../src/index.ts";
import { segmentObject } from "../../src/outputs/index.ts";
import { JOB, JOB_EVENTS } from "../../src/schemas/index.ts";
import { CHUNKED, formOf, MODEL, ROOT, sample, startTestServer, until, wavOf, type TestServer } from "./start.ts";

interface JobBody {
  readonly id: string;
  readonly status: string;
  readonly text: string | null;
  readonly error: { readonly message: string; readonly code: string | null } | null;
  readonly position: number | null;
  readonly queue_size: number | null;
  readonly [key: string]: unknown;
}

const bytes = (name: string): Uint8Array => readFileSync(sample(name));

async function post(url: string, form: FormData | object): Promise<{ status: number; body: JobBody }> {
  const answer =
    form instanceof FormData
      ? await fetch(`${url}/jobs`, { method: "POST", body: form })
      : await fetch(`${url}/jobs`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(form),
        });
  return { status: answer.status, body: (await answer.json()) as JobBody };
}

async function statusOf(url: string, id: string): Promise<JobBody> {
  return JOB.parse(await (await fetch(`${url}/jobs/${id}`)).json());
}

async function ended(url: string, id: string): Promise<JobBody> {
  let job = await statusOf(url, id);
  while (job.status === "queued" || job.status === "running") {
    await new Promise((resolve) => setTimeout(resolve, 20));
    job = await statusOf(url, id);
  }
  return job;
}

interface Received {
  readonly id: string;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** Reads events until the stream ends, or `most` have come. */
async function eventsOf(url: string, id: string, lastId?: string, most = Infinity): Promise<Received[]> {
  const answer = await fetch(`${url}/jobs/${id}/events`, {
    headers: lastId === undefined ? {} : { "last-event-id": lastId },
  });
  const events: Received[] = [];
  if (answer.status === 204) return events;
  expect(answer.headers.get("content-type")).toContain("text/event-stream");
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1] ?? "";
      if (field("event") === "") continue;
      events.push({ id: field("id"), event: field("event"), data: JSON.parse(field("data")) as Received["data"] });
    }
    if (events.length >= most) break; // which closes the connection
  }
  return events.slice(0, most);
}

describe("the jobs API", () => {
  let server: TestServer;
  let expected: Transcript;
  let worded: Transcript;
  beforeAll(async () => {
    server = await startTestServer({ maxRunning: 2, allowPrivateAddresses: true });
    const pipeline = await WhisperPipeline.fromPretrained(MODEL);
    expected = await pipeline.transcribe(sample("en-medium.flac"), { returnTimestamps: true });
    worded = await pipeline.transcribe(sample("en-medium.flac"), { wordTimestamps: true });
    await pipeline.dispose();
  });
  afterAll(() => server.close());

  it("takes a file, and gives status, events and the result in every format", async () => {
    const { status, body } = await post(server.url, formOf({ bytes: bytes("en-medium.flac"), name: "my talk.flac" }));
    expect(status).toBe(202);
    expect(body).toMatchObject({ status: "queued", name: "my talk.flac", model: "nano", text: null, error: null });
    const early = await fetch(`${server.url}/jobs/${body.id}/result`);
    expect([early.status, early.headers.get("retry-after")]).toEqual([409, "2"]);
    await early.body?.cancel();

    const events = await eventsOf(server.url, body.id);
    const kinds = events.map(({ event }) => event);
    expect(kinds.at(-1)).toBe("done");
    expect(kinds).toContain("started");
    const segments = events.filter(({ event }) => event === "segment").map(({ data }) => data);
    expect(segments).toEqual(JSON.parse(JSON.stringify(expected.segments.map(segmentObject))));
    for (const { event, data } of events) JOB_EVENTS.parse({ [event]: data });
    expect(events.at(-1)?.data["transcript"]).toMatchObject({
      language: "en",
      language_probability: expect.any(Number) as number,
    });
    const ids = events.map(({ id }) => Number(id));
    expect([...ids].sort((a, b) => a - b)).toEqual(ids);

    expect(await ended(server.url, body.id)).toMatchObject({
      status: "done",
      text: expected.text.trim(),
      language: "en",
      progress: { seconds: expected.duration, duration: expected.duration },
    });
    for (const format of ["txt", "srt", "vtt", "tsv", "json", "lrc", "csv", "ass"] as const) {
      const answer = await fetch(`${server.url}/jobs/${body.id}/result?format=${format}`);
      expect(await answer.text(), format).toBe(writeTranscript(expected, format));
    }
    const full = await fetch(`${server.url}/jobs/${body.id}/result?format=json-full`);
    expect(await full.json()).toMatchObject({ params: { model: "nano", language: "en" } });
    expect((await fetch(`${server.url}/jobs/${body.id}/result?format=docx`)).status).toBe(400);
    await until(() => server.leftFiles().length === 0);
  });

  it("divides subtitles at the times of words, where the job says that it is for subtitles", async () => {
    const talk = formOf({ bytes: bytes("en-medium.flac"), name: "talk.flac" }, { format: "srt" });
    const { status, body } = await post(server.url, talk);
    expect([status, body["format"]]).toEqual([202, "srt"]);
    await ended(server.url, body.id);
    const result = async (query: string): Promise<string> =>
      (await fetch(`${server.url}/jobs/${body.id}/result${query}`)).text();
    const srt = await result("");
    expect(srt).toBe(writeTranscript(worded, "srt"));
    expect(await result("?format=vtt")).toBe(writeTranscript(worded, "vtt"));
    expect(await result("?format=json")).toBe(writeTranscript(worded, "json"));
    // Else they would be where the length of the words puts them.
    expect(srt).not.toBe(writeTranscript(expected, "srt"));
  });

  it.each<[fields: Record<string, string>, hasWords: boolean]>([
    [{ format: "ass" }, true],
    [{ format: "srt", algorithm: "chunked" }, true],
    [{ format: "srt", word_timestamps: "false" }, false],
    [{ format: "srt", task: "translate" }, false],
    [{ format: "srt", algorithm: "sequential" }, false],
    [{ format: "tsv" }, false],
    [{ format: "json", word_timestamps: "true" }, true],
  ])("times words of a job for %j: %s", async (fields, hasWords) => {
    const { body } = await post(server.url, formOf({ bytes: bytes("en-short.wav"), name: "a.wav" }, fields));
    await ended(server.url, body.id);
    const answer = await fetch(`${server.url}/jobs/${body.id}/result?format=json`);
    const { segments } = (await answer.json()) as { segments: { words?: object[] }[] };
    expect(segments.map(({ words }) => words !== undefined)).toEqual(segments.map(() => hasWords));
  });

  it("gives openai/whisper's subtitles of its algorithm: one per segment", async () => {
    const fields = { format: "srt", algorithm: "sequential" };
    const { body } = await post(server.url, formOf({ bytes: bytes("en-medium.flac"), name: "a.flac" }, fields));
    await ended(server.url, body.id);
    const read = async (query = ""): Promise<Response> => fetch(`${server.url}/jobs/${body.id}/result${query}`);
    const { segments } = (await (await read("?format=json")).json()) as { segments: object[] };
    expect((await (await read()).text()).match(/-->/g)).toHaveLength(segments.length);
  });

  it("resumes events after the last one that the client had", async () => {
    const { body } = await post(server.url, formOf({ bytes: bytes("en-30s.flac"), name: "a.flac" }));
    const first = await eventsOf(server.url, body.id, undefined, 1);
    const segmentsOf = (events: Received[]): unknown[] =>
      events.filter(({ event }) => event === "segment").map(({ data }) => data["id"]);
    const rest = await eventsOf(server.url, body.id, first[0].id);
    expect(rest.some(({ id }) => Number(id) <= Number(first[0].id))).toBe(false);
    const all = segmentsOf(rest);
    expect(all).toEqual(all.map((_, i) => i));
    // Cut off in the middle, after the job has ended: nothing is missing.
    const again = await eventsOf(server.url, body.id, rest[1].id);
    expect(segmentsOf(again).slice(-3)).toEqual(all.slice(-3));
    expect(again.at(-1)?.event).toBe("done");
    // With the last event nothing more is to come, which EventSource hears by 204.
    expect(await eventsOf(server.url, body.id, again.at(-1)?.id)).toEqual([]);
  });

  it("takes a URL, as JSON", async () => {
    const files = createServer((_request, response) => response.end(bytes("en-short.wav")));
    await new Promise<void>((resolve) => files.listen(0, "127.0.0.1", resolve));
    try {
      const url = `http://user:secret@127.0.0.1:${(files.address() as AddressInfo).port}/talk.wav`;
      const { status, body } = await post(server.url, { url, word_timestamps: true });
      expect(status).toBe(202);
      expect(body["name"]).not.toContain("secret");
      const job = await ended(server.url, body.id);
      expect(job.text).toContain("Clara");
      const result = await fetch(`${server.url}/jobs/${body.id}/result`);
      expect(JSON.stringify(await result.json())).toContain('"words"');
    } finally {
      files.close();
    }
  });

  it("keeps the failure of a job that fails", async () => {
    const { body } = await post(server.url, formOf({ bytes: Buffer.from("no audio"), name: "a.mp3" }));
    const job = await ended(server.url, body.id);
    expect(job.status).toBe("failed");
    expect(job.error).toMatchObject({ code: "unsupported_audio" });
    expect(job.error?.message).toContain('Cannot read "a.mp3"');
    const result = await fetch(`${server.url}/jobs/${body.id}/result`);
    expect(result.status).toBe(422);
    expect((await eventsOf(server.url, body.id)).map(({ event }) => event)).toEqual(["failed"]);
  });

  it("says where in the queue a job is, and deletes it there as while it runs", async () => {
    const jobs = await Promise.all(
      Array.from({ length: 4 }, () => post(server.url, formOf({ bytes: wavOf(300), name: "long.wav" }, CHUNKED))),
    );
    const ids = jobs.map(({ body }) => body.id);
    await until(() => server.service.load.running === 2);
    const waiting = [];
    for (const id of ids) {
      const job = await statusOf(server.url, id);
      if (job.status === "queued") waiting.push(job);
    }
    expect(waiting.map(({ position, queue_size }) => [position, queue_size]).sort()).toEqual([
      [0, 2],
      [1, 2],
    ]);
    const remove = (id: string) => fetch(`${server.url}/jobs/${id}`, { method: "DELETE" });
    for (const id of ids) expect((await remove(id)).status).toBe(204);
    expect(server.service.load).toMatchObject({ waiting: 0, running: 0 });
    for (const id of ids) expect((await remove(id)).status).toBe(404);
    await until(() => server.leftFiles().length === 0);
  });

  it("lists the jobs of all, where there are no keys", async () => {
    const { body } = await post(server.url, formOf({ bytes: bytes("en-short.wav"), name: "listed.wav" }));
    const answer = (await (await fetch(`${server.url}/jobs?limit=1`)).json()) as { jobs: JobBody[] };
    expect(answer.jobs.map(({ id }) => id)).toEqual([body.id]);
    const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, { parameters?: { name: string }[] }>>;
    };
    expect(document.paths["/jobs"]["get"].parameters?.map(({ name }) => name)).toEqual(["limit", "after"]);
    await ended(server.url, body.id);
  });

  it.each([
    ["neither file nor URL", {}, 400],
    ["a file of the server", { url: "file:///etc/passwd" }, 400],
    ["no URL", { url: "/etc/passwd" }, 400],
    ["an unknown model", { url: "http://example.org/a.wav", model: "x" }, 400],
    ["an unknown task", { url: "http://example.org/a.wav", task: "sing" }, 400],
  ])("refuses %s", async (_name, body, status) => {
    expect((await post(server.url, body)).status).toBe(status);
  });
});

describe("URLs", () => {
  it.each([
    "http://127.0.0.1:9/a",
    "http://localhost:9/a",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]/a",
    "http://10.0.0.1/a",
  ])("does not fetch %s", async (url) => {
    const server = await shared;
    const { body } = await post(server.url, { url });
    const { error } = await ended(server.url, body.id);
    expect(error?.message).toContain("an address of this machine or a private network");
    expect(error?.message).not.toContain("allowPrivateAddresses");
  });

  const shared = startTestServer();
  afterAll(async () => (await shared).close());
});

describe("jobs of API keys", () => {
  const ids: Record<string, string[]> = { ann: [], bob: [] };
  let store: string;
  let server: TestServer;
  const start = (options: Parameters<typeof startTestServer>[0] = {}): Promise<TestServer> =>
    startTestServer({ store, apiKeys: ["ann", "bob"], maxRunning: 2, ...options });
  const ask = (key: string | null, path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${server.url}${path}`, { ...init, headers: key === null ? {} : { authorization: `Bearer ${key}` } });
  const jobAs = async (key: string, form: FormData): Promise<string> => {
    const answer = await ask(key, "/jobs", { method: "POST", body: form });
    expect(answer.status).toBe(202);
    return ((await answer.json()) as JobBody).id;
  };
  interface Page {
    readonly jobs: JobBody[];
    readonly next: string | null;
  }
  const list = async (key: string, query = ""): Promise<Page> =>
    (await (await ask(key, `/jobs${query}`)).json()) as Page;
  /** Every way to a job, as a key that is not its own is answered. */
  const expectHidden = async (key: string | null, id: string): Promise<void> => {
    for (const path of ["", "/events", "/result"]) {
      const answer = await ask(key, `/jobs/${id}${path}`);
      expect([path, answer.status]).toEqual([path, 404]);
      expect(await answer.json()).toMatchObject({ error: { code: "job_not_found" } });
    }
    expect((await ask(key, `/jobs/${id}`, { method: "DELETE" })).status).toBe(404);
  };

  beforeAll(async () => {
    store = mkdtempSync(join(tmpdir(), "sotto-owners-"));
    server = await start({ shutdownGrace: 0 });
    for (const key of ["ann", "bob", "ann"]) {
      ids[key].unshift(await jobAs(key, formOf({ bytes: bytes("en-short.wav"), name: `${key}.wav` })));
    }
    await until(() => server.service.load.running + server.service.load.waiting === 0);
  });
  afterAll(async () => {
    await server.close();
    rmSync(store, { recursive: true, force: true });
  });

  it("are hidden from other keys, and stay theirs", async () => {
    await expectHidden("bob", ids["ann"][0]);
    const own = await ask("ann", `/jobs/${ids["ann"][0]}`);
    expect(await own.json()).toMatchObject({ status: "done", name: "ann.wav" });
    const running = await jobAs("ann", formOf({ bytes: wavOf(600), name: "long.wav" }, CHUNKED));
    await expectHidden("bob", running);
    expect((await ask("ann", `/jobs/${running}`, { method: "DELETE" })).status).toBe(204);
  });

  it("are listed for their own key, the newest first, in pages", async () => {
    const { jobs, next } = await list("ann");
    expect(jobs.map(({ id }) => id)).toEqual(ids["ann"]);
    expect(jobs[0]).toMatchObject({ status: "done", name: "ann.wav", model: "nano", language: "en" });
    expect(jobs[0]).not.toHaveProperty("text");
    expect(next).toBeNull();
    const first = await list("ann", "?limit=1");
    const second = await list("ann", `?limit=1&after=${first.next}`);
    expect([...first.jobs, ...second.jobs].map(({ id }) => id)).toEqual(ids["ann"]);
    expect(second.next).toBeNull();
    expect((await list("bob")).jobs.map(({ id }) => id)).toEqual(ids["bob"]);
  });

  it.each(["limit=0", "limit=101", "limit=x", "after=x"])("are not listed with %s", async (query) => {
    expect((await ask("ann", `/jobs?${query}`)).status).toBe(400);
  });

  it("belong to their key after a restart, those that are gone on with too", async (context) => {
    if ((await import("libsql").catch(() => null)) === null) context.skip("libsql is not installed");
    const long = await jobAs("ann", formOf({ bytes: wavOf(600), name: "long.wav" }, CHUNKED));
    await server.close();
    server = await start({ shutdownGrace: 0 });
    await expectHidden("bob", long);
    await expectHidden("bob", ids["ann"][0]);
    expect((await list("ann")).jobs.map(({ id }) => id)).toEqual([long, ...ids["ann"]]);
    expect((await ask("ann", `/jobs/${long}`, { method: "DELETE" })).status).toBe(204);
    await server.close();
    // A server without keys has other jobs.
    server = await start({ apiKeys: [] });
    await expectHidden(null, ids["ann"][0]);
  });
});

/** `sotto serve` as a process of its own. */
class Process {
  readonly child: ChildProcess;
  err = "";
  readonly url: Promise<string>;

  constructor(store: string, ...flags: string[]) {
    const main = join(ROOT, "dist/cli/main.js");
    const argv = [
      main,
      "serve",
      "--port",
      "0",
      "--model",
      MODEL,
      "--store",
      store,
      "--upload_dir",
      store,
      "--shutdown_delay",
      "0",
      ...flags,
    ];
    this.child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.err += text));
    this.url = new Promise((resolve, reject) => {
      this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        const url = /Listening on (\S+)/.exec(text)?.[1];
        if (url !== undefined) resolve(url);
      });
      this.child.once("exit", (code) => reject(new Error(`The server ended with ${code}: ${this.err}`)));
    });
    this.url.catch(() => undefined);
  }

  end(signal: NodeJS.Signals): Promise<number | null> {
    const ended = new Promise<number | null>((resolve) => this.child.once("exit", resolve));
    this.child.kill(signal);
    return ended;
  }
}

describe("a store of jobs", () => {
  it("loses and doubles nothing when the server is killed in the middle of 20 jobs", async (context) => {
    if ((await import("libsql").catch(() => null)) === null) context.skip("libsql is not installed");
    const store = mkdtempSync(join(tmpdir(), "sotto-store-"));
    const names = ["en-short.wav", "de-short.flac", "es-short.flac", "fr-short.flac", "en-medium.flac"];
    const running: Process[] = [];
    try {
      const first = new Process(store);
      running.push(first);
      const url = await first.url;
      const posted = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const name = names[i % names.length];
          const { status, body } = await post(url, formOf({ bytes: bytes(name), name }));
          expect(status).toBe(202);
          return { id: body.id, name };
        }),
      );
      const done = async (at: string): Promise<JobBody[]> => {
        const all = await Promise.all(posted.map(({ id }) => statusOf(at, id)));
        return all.filter(({ status }) => status === "done");
      };
      await until(async () => (await done(url)).length >= 3);
      await first.end("SIGKILL");

      const second = new Process(store);
      running.push(second);
      const again = await second.url;
      const before = await done(again);
      const finishedBefore = new Map(before.map(({ id, finished_at }) => [id, finished_at]));
      const results = await Promise.all(posted.map(({ id }) => ended(again, id)));
      expect(results.map(({ status }) => status)).toEqual(new Array(20).fill("done"));
      expect(new Set(results.map(({ id }) => id)).size).toBe(20);
      // What was finished was not done again; what is the same recording has the same text.
      for (const [id, time] of finishedBefore) expect((await statusOf(again, id)).finished_at).toBe(time);
      for (const name of names) {
        const texts = new Set(results.filter((_, i) => posted[i].name === name).map(({ text }) => text));
        expect([...texts], name).toHaveLength(1);
      }
      const files = readdirSync(join(store, "files"));
      await until(() => readdirSync(join(store, "files")).length === 0 || files.length === 0);

      // Asked to end, it ends in order; its successor finds nothing to do, and all results.
      expect(await second.end("SIGTERM")).toBe(0);
      const third = new Process(store);
      running.push(third);
      expect(await done(await third.url)).toHaveLength(20);
      expect(third.err).not.toContain("going on with jobs");
      // A server beside it gets its own store, or none.
      const beside = new Process(store);
      running.push(beside);
      await expect(beside.url).rejects.toThrow("another server has it");
      expect(readdirSync(store).filter((name) => name.startsWith("sotto-uploads-"))).toHaveLength(1);
    } finally {
      for (const { child } of running) child.kill("SIGKILL");
      rmSync(store, { recursive: true, force: true });
    }
  });
});
