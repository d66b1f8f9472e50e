/**
 * A folder that belongs to a process for as long as the process lives. What a killed process has left is recognised by others,
 * who remove it.
 *
 * Process ids cannot tell: in another PID namespace they name other processes, and in a container a server has the same one
 * every time. The folder is held by a socket instead, which the system closes when its process ends, however it ends: whoever can connect
 * to it knows that the holder lives, even a stopped one, and across the namespaces of one kernel. A refused connection is proof only
 * under the same kernel, whose name is therefore in the socket's. Where it is none (another host that mounts the volume, a file
 * system without sockets, a path too long for one) the holder's heartbeat counts: it touches the folder, and one that stays
 * untouched for a minute is abandoned. That minute is counted by the observer's own monotonic clock, so that clocks that
 * disagree, or are set, end nothing.
 */
import { createHash } from "node:crypto";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, utimes } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { makeFolder } from "../files/index.ts";

/** A holder touches its folder this often. */
export const HEARTBEAT_MS = 5000;

/** A folder untouched for so long has lost its holder: twelve heartbeats, for machines that stall. */
const STALE_MS = 60_000;

/** Longest path of a socket in bytes: macOS and BSD have 104 with the zero at its end, Linux 108. */
const MAX_SOCKET_PATH = 103;

/** Begins the name of the socket; that of the kernel follows. */
const SOCKET = "held-";

const isWindows = process.platform === "win32";

export class HeldFolder {
  private constructor(
    readonly path: string,
    private readonly socket: Server | null,
  ) {}

  /**
   * Makes a folder that only this user can enter, and holds it. Its mark lies in it, so files go into a folder below.
   *
   * @param parent is made if it is missing
   * @throws the file system's error
   */
  static async make(parent: string, prefix: string): Promise<HeldFolder> {
    await makeFolder(parent, 0o700);
    const path = await mkdtemp(join(parent, prefix));
    return new HeldFolder(path, await hold(path));
  }

  /**
   * Shows others that the holder lives.
   *
   * @returns false if the folder is gone, or something of another user is in its place
   * @throws the file system's error if it cannot be touched
   */
  async touch(): Promise<boolean> {
    if (!(await this.exists())) return false;
    const now = new Date();
    await utimes(this.path, now, now);
    return true;
  }

  /** Whether the folder is there, and nobody has put something else in its place. */
  exists(): Promise<boolean> {
    return isOwn(this.path);
  }

  /** Lets go of the folder, and removes it with all that is in it. */
  async remove(): Promise<void> {
    this.release();
    if (await this.exists()) await rm(this.path, { recursive: true, force: true });
  }

  /** Lets go of the folder, and leaves it to others. */
  release(): void {
    this.socket?.close();
  }
}

/**
 * Removes the folders of a user's processes that have ended. Those whose holder cannot be asked are watched for a minute first.
 *
 * @param signal ends the watch
 * @returns when those that are known to be abandoned are gone; `watched` is over when the others are
 */
export async function removeAbandoned(
  parent: string,
  prefix: string,
  signal?: AbortSignal,
): Promise<{ readonly watched: Promise<void> }> {
  const names = await readdir(parent).catch(() => []);
  const unsure: string[] = [];
  for (const name of names.filter((one) => one.startsWith(prefix))) {
    const path = join(parent, name);
    if (!(await isOwn(path))) continue;
    const holder = await holderOf(path);
    if (holder === "gone") await removeQuietly(path);
    else if (holder === "unknown") unsure.push(path);
  }
  return { watched: Promise.all(unsure.map((path) => removeUnlessTouched(path, signal))).then(() => undefined) };
}

async function removeUnlessTouched(path: string, signal: AbortSignal | undefined): Promise<void> {
  const before = await touchedAt(path);
  await pause(STALE_MS, signal);
  if (signal?.aborted === true || (await touchedAt(path)) !== before) return;
  // It may have been held a moment after it was looked at.
  if ((await holderOf(path)) !== "alive") await removeQuietly(path);
}

async function touchedAt(path: string): Promise<bigint | null> {
  return (await lstat(path, { bigint: true }).catch(() => null))?.mtimeNs ?? null;
}

/** Whether a path is a folder of this user: those of others are not touched, and links lead anywhere. */
async function isOwn(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => null);
  return found !== null && found.isDirectory() && (process.getuid === undefined || found.uid === process.getuid());
}

async function removeQuietly(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => undefined); // it only takes room
}

/** Listens on a socket in the folder; null where there can be none. */
async function hold(folder: string): Promise<Server | null> {
  const mark = join(folder, `${SOCKET}${await kernelName()}`);
  const path = socketPath(mark);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) return null;
  const server = createServer((connection) => connection.destroy());
  server.unref();
  const isListening = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ path, exclusive: true }, () => resolve(true));
  });
  if (!isListening) return null;
  server.on("error", () => undefined); // a connection that could not be taken
  // A pipe lies in no folder.
  if (isWindows) await mkdir(mark);
  return server;
}

type Holder = "alive" | "gone" | "unknown";

async function holderOf(folder: string): Promise<Holder> {
  const mark = (await readdir(folder).catch(() => [])).find((name) => name.startsWith(SOCKET));
  if (mark === undefined) return "unknown";
  const error = await connectionError(socketPath(join(folder, mark)));
  if (error === null) return "alive";
  const isRefused = error === "ECONNREFUSED" || (isWindows && error === "ENOENT");
  if (isRefused) return mark === `${SOCKET}${await kernelName()}` ? "gone" : "unknown";
  return error === "ENOENT" ? "unknown" : "alive";
}

function connectionError(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    const connection = connect({ path });
    connection.once("connect", () => {
      connection.destroy();
      resolve(null);
    });
    connection.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
  });
}

/** Windows has pipes with names of their own instead of sockets in folders. */
function socketPath(mark: string): string {
  return isWindows ? `\\\\.\\pipe\\sotto-${digest(mark)}` : mark;
}

/** A name of the kernel that runs, the same in all its containers and another after each start of the machine. */
async function kernelName(): Promise<string> {
  const bootId = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => null);
  if (bootId !== null) return digest(bootId);
  // Linux without it is an emulation, where two containers may have a kernel each: nothing is certain there.
  return process.platform === "linux" ? digest(String(Math.random())) : digest(`${process.platform} ${hostname()}`);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms).unref();
    signal?.addEventListener("abort", end, { once: true });
  });
}
