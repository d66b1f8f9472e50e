/** A server on a disk that is full, or read-only. */
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, type TestContext } from "vitest";
import { formOf, sample, startTestServer, until, type TestServer } from "./start.ts";

let disk = "";
let isMounted = false;
let server: TestServer | null = null;

/** Gives `disk` a disk of its own of 1 MiB, which takes a right that not everybody has. */
function mount(context: TestContext): void {
  isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]).status === 0;
  if (!isMounted) context.skip("no file system can be mounted");
}

function fill(): void {
  const path = join(disk, "filler");
  for (const size of [65536, 4096, 1]) {
    try {
      for (;;) appendFileSync(path, Buffer.alloc(size));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
    }
  }
}

beforeEach(() => {
  disk = mkdtempSync(join(tmpdir(), "sotto-disk-"));
});
afterEach(async () => {
  await server?.close();
  server = null;
  if (isMounted) spawnSync("umount", ["--lazy", disk]);
  isMounted = false;
  rmSync(disk, { recursive: true, force: true });
});

const upload = (): FormData => formOf({ bytes: readFileSync(sample("en-short.wav")), name: "a.wav" });
const post = (path: string, body: FormData | object): Promise<Response> =>
  fetch(`${server?.url}${path}`, {
    method: "POST",
    body: body instanceof FormData ? body : JSON.stringify(body),
    ...(!(body instanceof FormData) && { headers: { "content-type": "application/json" } }),
  });

async function expectFull(answer: Response): Promise<void> {
  expect(answer.status).toBe(507);
  expect(answer.headers.get("retry-after")).toBe("60");
  expect(await answer.json()).toMatchObject({ error: { code: "no_space", message: "The server's disk is full" } });
}

describe("a disk that is full", () => {
  it("is answered with 507 by the jobs API, for a URL as for an upload, and no job is kept", async (context) => {
    if ((await import("libsql").catch(() => null)) === null) context.skip("libsql is not installed");
    mount(context);
    server = await startTestServer({ store: join(disk, "store") });
    fill();
    await expectFull(await post("/jobs", { url: "http://192.0.2.1/a.wav" }));
    await expectFull(await post("/jobs", upload()));
    expect(await (await fetch(`${server.url}/jobs`)).json()).toEqual({ jobs: [], next: null });
    expect(server.leftFiles()).toEqual([]);
    truncateSync(join(disk, "filler"));
    expect((await post("/jobs", upload())).status).toBe(202);
  });

  it("is answered with 507 by every upload, and /health tells until there is room", async (context) => {
    mount(context);
    server = await startTestServer({ uploadDir: disk });
    fill();
    await expectFull(await post("/v1/audio/transcriptions", upload()));
    await expectFull(await post("/jobs", upload()));
    const health = await fetch(`${server.url}/health`);
    expect([health.status, await health.json()]).toEqual([
      503,
      { status: "uploads cannot be written: the disk is full" },
    ]);
    truncateSync(join(disk, "filler"));
    expect((await post("/v1/audio/transcriptions", upload())).status).toBe(200);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });
});

describe("a disk that is read-only", () => {
  it.for([
    ["uploadDir", (path: string) => `Cannot make a folder for uploads in "${path}": the disk is read-only\nHint: `],
    ["store", (path: string) => `Cannot use the job store "${join(path, "jobs.db")}": the disk is read-only\nHint: `],
  ] as const)("is what the start says of %s", async ([option, message], context) => {
    mount(context);
    for (const name of ["new", "old"]) {
      const path = join(disk, name);
      if (name === "old") mkdirSync(path);
      spawnSync("mount", ["-o", "remount,ro", disk]);
      await expect(startTestServer({ [option]: path })).rejects.toThrow(message(path));
      spawnSync("mount", ["-o", "remount,rw", disk]);
    }
  });

  it("is what /health tells of a server that runs", async (context) => {
    mount(context);
    server = await startTestServer({ uploadDir: disk });
    spawnSync("mount", ["-o", "remount,ro", disk]);
    const answer = await post("/v1/audio/transcriptions", upload());
    expect(answer.status).toBe(503);
    const status = async (): Promise<string> =>
      ((await (await fetch(`${server?.url}/health`)).json()) as { status: string }).status;
    expect(await status()).toBe("uploads cannot be written: the disk is read-only");
    spawnSync("mount", ["-o", "remount,rw", disk]);
    await until(async () => {
      await (await post("/v1/audio/transcriptions", upload())).text();
      return (await status()) === "ok";
    });
  });
});
