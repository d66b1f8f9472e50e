/** The folder of uploads: it goes missing, others share the disk with it, and what has been left in it goes. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, type TestContext } from "vitest";
import { Uploads } from "../../src/server/uploads.ts";
import { holdFolder, type FolderHolder } from "./folder-holder.ts";
import { formOf, sample, startTestServer, type TestServer } from "./start.ts";

const PREFIX = "sotto-uploads-";
const bytes = readFileSync(sample("en-short.wav"));
const folders: string[] = [];
const holders: FolderHolder[] = [];
let server: TestServer | null = null;

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "sotto-parent-"));
  folders.push(folder);
  return folder;
}

afterEach(async () => {
  await server?.close();
  server = null;
  for (const { child } of holders.splice(0)) child.kill("SIGKILL");
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const post = (url: string, path: string): Promise<Response> =>
  fetch(`${url}${path}`, { method: "POST", body: formOf({ bytes, name: "a.wav" }, { model: "nano" }) });

describe("the folder of uploads", () => {
  it("is made again when it is removed under a running server", async () => {
    const uploadDir = newFolder();
    server = await startTestServer({ uploadDir });
    for (const remove of [
      () => rmSync(join(uploadDir, readdirSync(uploadDir)[0], "files"), { recursive: true }),
      () => rmSync(join(uploadDir, readdirSync(uploadDir)[0]), { recursive: true }),
      () => rmSync(uploadDir, { recursive: true }),
      () => rmSync(join(server?.store ?? "", "files"), { recursive: true, force: true }),
    ]) {
      remove();
      expect((await post(server.url, "/v1/audio/transcriptions")).status).toBe(200);
      expect((await post(server.url, "/jobs")).status).toBe(202);
      expect((await fetch(`${server.url}/health`)).status).toBe(200);
    }
    expect(readdirSync(uploadDir)).toHaveLength(1);
  });

  it("is what /health tells of when it cannot be written, until it can", async () => {
    const uploadDir = newFolder();
    server = await startTestServer({ uploadDir });
    renameSync(uploadDir, `${uploadDir}.away`);
    writeFileSync(uploadDir, "");
    const refused = await post(server.url, "/v1/audio/transcriptions");
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({
      error: { message: "The server cannot write uploads", code: "storage_unavailable" },
    });
    const health = await fetch(`${server.url}/health`);
    expect(health.status).toBe(503);
    const { status } = (await health.json()) as { status: string };
    expect(status).toMatch(/^uploads cannot be written: /);
    expect(status).not.toContain(uploadDir);
    rmSync(uploadDir);
    renameSync(`${uploadDir}.away`, uploadDir);
    expect((await post(server.url, "/v1/audio/transcriptions")).status).toBe(200);
    expect(await (await fetch(`${server.url}/health`)).json()).toEqual({ status: "ok" });
  });

  it("is named with the reason when it cannot be made", async () => {
    const file = join(newFolder(), "file");
    writeFileSync(file, "");
    await expect(Uploads.open({ parent: file, maxBytes: 1 })).rejects.toThrow(
      `Cannot make a folder for uploads in "${file}": it is not a folder\nHint: name a folder that can be written with --upload_dir`,
    );
  });
});

/** A holder in a PID namespace of its own, in which it is process 1, as in a container. */
async function inNamespace(context: TestContext, parent: string): Promise<FolderHolder> {
  const command = ["unshare", "--pid", "--fork", "--kill-child=SIGKILL"];
  if (spawnSync(command[0], [...command.slice(1), "true"]).status !== 0) context.skip("PID namespaces cannot be made");
  const holder = await holdFolder(parent, PREFIX, command);
  holders.push(holder);
  return holder;
}

describe("servers that share a folder of uploads", () => {
  it("leave each other's uploads alone, in whatever PID namespace they are", async (context) => {
    const parent = newFolder();
    const other = await inNamespace(context, parent);
    expect(other.pid).toBe(1);
    const uploads = await Uploads.open({ parent, maxBytes: 1 });
    expect(existsSync(other.path)).toBe(true);
    await uploads.close();
  });

  it("remove what a killed one has left, though its process id is taken again", async (context) => {
    const parent = newFolder();
    const killed = await inNamespace(context, parent);
    await killed.end("SIGKILL");
    const next = await inNamespace(context, parent);
    expect(next.pid).toBe(killed.pid);
    const uploads = await Uploads.open({ parent, maxBytes: 1 });
    expect([existsSync(killed.path), existsSync(next.path)]).toEqual([false, true]);
    await uploads.close();
  });
});
