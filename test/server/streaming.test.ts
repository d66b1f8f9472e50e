/** What streams pass on while a job still runs: each event as it comes, none held back for the next. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { ServiceJob } from "../../src/server/job.ts";
import type { Segment } from "../../src/transcription/index.ts";
import { formOf, sample, startTestServer, wavOf, type TestServer } from "./start.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** Has the next job do what the test says, and nothing else. */
function nextJob(): Promise<ServiceJob> {
  return new Promise((resolve) => {
    const spy = vi.spyOn(server.service, "submit").mockImplementationOnce((request) => {
      const job = new ServiceJob(request, "nano", () => job.drop());
      resolve(job);
      return job;
    });
    onTestFinished(() => spy.mockRestore());
  });
}

function segment(id: number, text: string): Segment {
  return {
    ...{ id, start: id, end: id + 1, text, tokens: [], temperature: 0 },
    ...{ avgLogprob: 0, compressionRatio: 1, noSpeechProb: 0 },
  };
}

/** Reads a stream until a text has come; fails at its end. */
function reader(answer: Response): (text: string) => Promise<void> {
  const pieces = (answer.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let seen = "";
  return async (text) => {
    while (!seen.includes(text)) {
      const { done, value } = await pieces.read();
      if (done) expect.fail(`The stream ended without ${text}`);
      seen += decoder.decode(value, { stream: true });
    }
    seen = seen.slice(seen.indexOf(text) + text.length);
  };
}

const recording = { bytes: wavOf(1), name: "a.wav" };

describe("a job", () => {
  it("tells of progress with every window, and of text before the end", async () => {
    const job = server.service.submit({
      audio: { kind: "file", path: sample("en-long.flac"), name: "en-long.flac", temporary: false },
      options: { algorithm: "chunked", returnTimestamps: true },
      client: "test",
    });
    const seconds: number[] = [0];
    let segments = 0;
    let early = 0;
    job.subscribe((event) => {
      if (event.type === "segment") segments++;
      if (event.type !== "progress") return;
      seconds.push(event.seconds);
      if (event.seconds < 0.9 * (event.duration ?? 0)) early = segments;
    });
    const { duration } = await job.result;
    expect(seconds.at(-1)).toBeCloseTo(duration);
    // A window's step is 20 s.
    for (let i = 1; i < seconds.length; i++) {
      expect(seconds[i]).toBeGreaterThan(seconds[i - 1]);
      expect(seconds[i] - seconds[i - 1]).toBeLessThanOrEqual(20);
    }
    expect(early).toBeGreaterThan(0);
  });
});

describe("streams", () => {
  it("stream=true passes each segment on before the next is there", async () => {
    const started = nextJob();
    const body = formOf(recording, { model: "nano", stream: "true" });
    const asked = fetch(`${server.url}/v1/audio/transcriptions`, { method: "POST", body });
    const job = await started;
    const received = reader(await asked);
    job.start();
    for (const [i, word] of ["One", "Two", "Three"].entries()) {
      job.segment(segment(i, ` ${word}.`));
      await received(`${word}."`);
    }
    job.succeed({ text: "", language: "en", languageProbability: null, duration: 1, segments: [], warnings: [] }, 1);
    await received('"text":"One. Two. Three."');
    await received("data: [DONE]");
  });

  it("GET /jobs/:id/events passes each event on before the next is there", async () => {
    const started = nextJob();
    const { id } = (await (await fetch(`${server.url}/jobs`, { method: "POST", body: formOf(recording) })).json()) as {
      id: string;
    };
    const job = await started;
    const received = reader(await fetch(`${server.url}/jobs/${id}/events`));
    job.place(2, 3);
    await received('"position":2');
    job.start();
    await received("event: started");
    for (let i = 0; i < 3; i++) {
      job.progress(10 * (i + 1), 60);
      await received(`"seconds":${10 * (i + 1)}`);
      job.segment(segment(i, ` Number ${i}.`));
      await received(`Number ${i}.`);
    }
    job.succeed({ text: "", language: "en", languageProbability: null, duration: 60, segments: [], warnings: [] }, 1);
    await received("event: done");
  });
});
