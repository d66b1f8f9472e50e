/**
 * Lets one process at a time download a file. A lock is a file made exclusively; its holder touches it while alive, so that
 * one left behind by a killed process is recognised and taken over. Processes of other containers and hosts share a cache, so
 * neither process ids nor clocks are compared: a lock is judged by whether it changes while the next one waits. Its age only shortens the
 * wait.
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
/** So long it is watched at least, however old it looks: the clock may have been set since. Three heartbeats. */
const WATCH_MS = 15_000;
const POLL_MS = 250;

/**
 * Runs `work` while holding the lock; waits for other holders as long as they live.
 *
 * @param path of the lock file, in a folder that exists
 */
export async function withLock<T>(settings: HubSettings, path: string, work: () => Promise<T>): Promise<T> {
  const id = `${process.pid} ${randomUUID()}`;
  let seen: bigint | undefined;
  let watchedMs = 0;
  while (!(await acquire(path, id))) {
    settings.signal?.throwIfAborted();
    const touched = await touchedAt(path);
    if (touched === undefined || touched !== seen) watchedMs = 0;
    seen = touched;
    if (touched !== undefined && isStale(touched, watchedMs)) {
      await removeStale(path, touched);
      continue;
    }
    await settings.system.sleep(POLL_MS, settings.signal);
    watchedMs += POLL_MS;
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

/** When a lock was last touched, in ns since 1970; undefined if there is none. */
async function touchedAt(path: string): Promise<bigint | undefined> {
  return (await stat(path, { bigint: true }).catch(() => undefined))?.mtimeNs;
}

function isStale(touched: bigint, watchedMs: number): boolean {
  const looksOld = Date.now() - Number(touched / 1_000_000n) > STALE_MS;
  return watchedMs >= (looksOld ? WATCH_MS : STALE_MS);
}

/**
 * Takes a stale lock away. Two may try at once: the one who gets hold of a fresh lock instead puts it back.
 *
 * @throws the system's error if it is another user's, who alone may take it away
 */
async function removeStale(path: string, touched: bigint): Promise<void> {
  const taken = `${path}.${randomUUID()}`;
  try {
    await rename(path, taken);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return; // somebody else took it
    throw error;
  }
  if ((await touchedAt(taken)) !== touched) await link(taken, path).catch(() => undefined);
  await rm(taken, { force: true });
}
