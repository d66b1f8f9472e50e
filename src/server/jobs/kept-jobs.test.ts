import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Transcript } from "../../transcription/index.ts";
import { ServiceJob } from "../job.ts";
import type { JobRequest, TranscriptionService } from "../service.ts";
import { KeptJobs } from "./kept-jobs.ts";
import { openLibsqlStore } from "./libsql-store.ts";
import { MemoryStore, type JobOutcome, type JobStore } from "./store.ts";

const TRANSCRIPT: Transcript = {
  text: " A text.",
  segments: [],
  language: "en",
  languageProbability: 1,
  duration: 3,
  warnings: [],
};
const TTL = 3600;

let folder: string;
let submitted: ServiceJob[];
let errors: unknown[];
let clock: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-kept-"));
  submitted = [];
  errors = [];
  clock = 0;
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

/** Takes every job, and leaves its end to the test. */
const service = {
  isAccepting: true,
  models: [],
  assertRoom: () => undefined,
  submit: (request: JobRequest) => {
    const job = new ServiceJob(request, "nano", () => undefined);
    submitted.push(job);
    return job;
  },
} as unknown as TranscriptionService;

function open(store: JobStore): Promise<KeptJobs> {
  return KeptJobs.open({
    ...{ service, store, folder: join(folder, "files"), ttlSeconds: TTL },
    onError: (error) => void errors.push(error),
    now: () => clock,
  });
}

async function add(kept: KeptJobs, owner = ""): Promise<string> {
  const path = join(folder, "upload.wav");
  writeFileSync(path, "");
  const audio = { kind: "file", path, name: "a.wav", temporary: true } as const;
  const { id } = await kept.add({ audio, options: {}, format: "json", owner, client: "1", model: "nano" });
  return id;
}

const stores: [string, () => Promise<JobStore | null>][] = [
  ["memory", () => Promise.resolve(new MemoryStore())],
  ["a SQLite file", () => openLibsqlStore(folder)],
];

describe.each(stores)("KeptJobs, in %s", (_name, make) => {
  it("keeps a finished job for its time, whatever the clock is set to", async (context) => {
    const store = await make();
    if (store === null) return context.skip("libsql is not installed");
    vi.useFakeTimers({ toFake: ["Date"] });
    const kept = await open(store);
    const today = new Date("2026-01-01T00:00:00Z");
    vi.setSystemTime(today);
    const id = await add(kept);
    vi.setSystemTime(new Date("2016-01-01T00:00:00Z"));
    submitted[0].succeed(TRANSCRIPT, 1);
    vi.setSystemTime(today);
    clock += (TTL - 1) * 1000;
    kept.tidy();
    expect(kept.view("", id)?.status).toBe("done");
    clock += 1000;
    kept.tidy();
    expect(kept.view("", id)).toBeUndefined();
    kept.close();
    expect(errors).toEqual([]);
  });

  it("gives each owner its own jobs, the newest first, though they came at the same moment", async (context) => {
    const store = await make();
    if (store === null) return context.skip("libsql is not installed");
    vi.useFakeTimers({ toFake: ["Date"] });
    const kept = await open(store);
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.unshift(await add(kept, "ann"));
    const foreign = await add(kept, "bob");
    submitted[0].succeed(TRANSCRIPT, 1);
    submitted[1].start();
    const all = kept.list({ owner: "ann", limit: 10 });
    expect(all.map(({ record }) => record.id)).toEqual(ids);
    expect(all.map(({ status }) => status)).toEqual(["queued", "queued", "queued", "running", "done"]);
    expect(all[4].record).toMatchObject({ language: "en", duration: 3 });
    expect(Object.keys(all[4].record)).not.toContain("transcript");
    const first = kept.list({ owner: "ann", limit: 2 });
    const second = kept.list({ owner: "ann", limit: 2, after: first[1].record });
    expect([...first, ...second].map(({ record }) => record.id)).toEqual(ids.slice(0, 4));
    expect(kept.view("ann", foreign)).toBeUndefined();
    expect(kept.subscribe("ann", foreign, -1, () => undefined)).toBeUndefined();
    expect(await kept.remove("ann", foreign)).toBe(false);
    expect(kept.view("bob", foreign)?.status).toBe("queued");
    kept.close();
  });
});

/** A store on a disk that is full at times. */
class FullStore extends MemoryStore {
  isFull = false;
  #check(): void {
    if (this.isFull) throw Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" });
  }
  override add(record: Parameters<MemoryStore["add"]>[0]): void {
    this.#check();
    super.add(record);
  }
  override start(id: string): void {
    this.#check();
    super.start(id);
  }
  override finish(id: string, outcome: JobOutcome): boolean {
    this.#check();
    return super.finish(id, outcome);
  }
}

describe("KeptJobs, on a disk that is full", () => {
  it("takes no job, and leaves the upload to its owner", async () => {
    const store = new FullStore();
    const kept = await open(store);
    store.isFull = true;
    await expect(add(kept)).rejects.toMatchObject({ code: "SQLITE_FULL" });
    expect(existsSync(join(folder, "upload.wav"))).toBe(true);
    expect([kept.size, submitted.length]).toEqual([0, 0]);
  });

  it("loses no result: it is given from memory, and written when there is room", async () => {
    const store = new FullStore();
    const kept = await open(store);
    const id = await add(kept);
    const heard: string[] = [];
    kept.subscribe("", id, -1, ({ event }) => heard.push(event.type));
    store.isFull = true;
    submitted[0].start();
    submitted[0].succeed(TRANSCRIPT, 1);
    expect(heard).toEqual(["started", "done"]);
    expect(kept.view("", id)).toMatchObject({ status: "done", record: { transcript: TRANSCRIPT } });
    expect(kept.list({ owner: "", limit: 1 })[0]).toMatchObject({ status: "done", duration: 3 });
    const again: string[] = [];
    kept.subscribe("", id, -1, ({ event }) => again.push(event.type));
    expect(again).toEqual(["started", "done"]);
    kept.tidy();
    expect(store.get(id)?.status).toBe("queued");
    store.isFull = false;
    kept.tidy();
    expect(store.get(id)).toMatchObject({ status: "done", transcript: TRANSCRIPT });
    expect(errors.length).toBeGreaterThan(0);
  });
});
