/**
 * Lets one process at a time download a file. A lock is a file made exclusively; its holder touches it while alive, so that
 * one left behind by a killed process is recognised by its age and taken over.
 *
 * Not the locks of Python's filelock, which Node cannot take: the two programs keep apart by having different names for
 * partial files, and both put finished ones in place by renaming.
 */
import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import type { HubSettings } from "./settings.ts";

/** A holder touches its lock this often. */
const HEARTBEAT_MS = 5_000;
/** A lock untouched for this long has lost its holder: twelve heartbeats, for machines that stall. */
const STALE_MS = 60_000;
const POLL_MS = 250;

/**
 * Runs `work` while holding the lock; waits for other holders as long as they live.
 *
 * @param path of the lock file, in a folder that exists
 */
export async function withLock<T>(settings: HubSettings, path: string, work: () => Promise<T>): Promise<T> {
  const id = `${process.pid} ${randomUUID()}`;
  while (!(await acquire(path, id))) {
    settings.signal?.throwIfAborted();
    if (await isStale(path)) await removeStale(path);
    else await settings.system.sleep(POLL_MS, settings.signal);
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    // Only if it is still ours: after a long stall somebody else may have taken it over.
    if ((await readFile(path, "utf8").catch(() => "")) === id) await rm(path, { force: true });
  }
}

async function acquire(path: string, id: string): Promise<boolean> {
  try {
    await writeFile(path, id, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function isStale(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  return info !== undefined && Date.now() - info.mtimeMs > STALE_MS;
}

/** Takes a stale lock away. Two may try at once: the one who gets hold of a fresh lock instead puts it back. */
async function removeStale(path: string): Promise<void> {
  const taken = `${path}.${randomUUID()}`;
  try {
    await rename(path, taken);
  } catch {
    return; // somebody else took it
  }
  if (!(await isStale(taken))) await link(taken, path).catch(() => undefined);
  await rm(taken, { force: true });
}
