import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { holdFolder, type FolderHolder } from "../../test/server/folder-holder.ts";
import { HeldFolder, removeAbandoned } from "./held-folder.ts";

let parent: string;
const holders: FolderHolder[] = [];
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "sotto-held-"));
});
afterEach(() => {
  vi.useRealTimers();
  for (const { child } of holders.splice(0)) child.kill("SIGKILL");
  rmSync(parent, { recursive: true, force: true });
});

async function holder(): Promise<FolderHolder> {
  const one = await holdFolder(parent, "x-");
  holders.push(one);
  return one;
}

describe("HeldFolder", () => {
  it("is its user's alone, and is removed with what is in it", async () => {
    const held = await HeldFolder.make(join(parent, "missing"), "x-");
    if (process.platform !== "win32") expect(statSync(held.path).mode & 0o777).toBe(0o700);
    mkdirSync(join(held.path, "files"));
    await held.remove();
    expect(readdirSync(join(parent, "missing"))).toEqual([]);
  });

  it("knows when it is gone, and when a link is in its place", async () => {
    const held = await HeldFolder.make(parent, "x-");
    expect(await held.touch()).toBe(true);
    rmSync(held.path, { recursive: true });
    expect([await held.exists(), await held.touch()]).toEqual([false, false]);
    symlinkSync(parent, held.path);
    expect(await held.exists()).toBe(false);
    await held.remove();
    expect(existsSync(parent)).toBe(true);
  });
});

describe("removeAbandoned()", () => {
  it("leaves a folder whose holder lives, and removes it at once when that was killed", async () => {
    const { path, end } = await holder();
    await removeAbandoned(parent, "x-");
    expect(existsSync(path)).toBe(true);
    await end("SIGKILL");
    await removeAbandoned(parent, "x-");
    expect(existsSync(path)).toBe(false);
  });

  it("leaves a folder whose holder is stopped", async (context) => {
    if (process.platform === "win32") context.skip("Windows cannot stop a process");
    const { child, path } = await holder();
    child.kill("SIGSTOP");
    await removeAbandoned(parent, "x-");
    expect(existsSync(path)).toBe(true);
  });

  it("watches folders whose holders cannot be asked, and removes those that nobody touches", async () => {
    const [alive, dead] = ["x-alive", "x-dead"].map((name) => join(parent, name));
    mkdirSync(alive);
    mkdirSync(join(dead, "files"), { recursive: true });
    // Times of another clock say nothing: only whether they change.
    utimesSync(alive, 0, 0);
    const future = Date.now() / 1000 + 1e6;
    utimesSync(dead, future, future);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { watched } = await removeAbandoned(parent, "x-");
    await vi.waitUntil(() => vi.getTimerCount() === 2);
    expect(readdirSync(parent)).toEqual(["x-alive", "x-dead"]);
    utimesSync(alive, 5, 5);
    vi.advanceTimersByTime(60_000);
    await watched;
    expect(readdirSync(parent)).toEqual(["x-alive"]);
  });

  it("ends its watch with the signal, and removes nothing then", async () => {
    mkdirSync(join(parent, "x-old"));
    const stop = new AbortController();
    const { watched } = await removeAbandoned(parent, "x-", stop.signal);
    stop.abort();
    await watched;
    expect(readdirSync(parent)).toEqual(["x-old"]);
  });

  it("touches neither links, nor files, nor other names", async () => {
    mkdirSync(join(parent, "other"));
    symlinkSync(join(parent, "other"), join(parent, "x-link"));
    const { watched } = await removeAbandoned(parent, "x-");
    await watched;
    expect(readdirSync(parent)).toEqual(["other", "x-link"]);
  });
});
