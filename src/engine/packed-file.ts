/**
 * A file of packed weights in sotto's cache: written once, mapped by every process that uses the model afterwards.
 *
 * The parts are named before the file exists, so that whoever uses them knows their offsets at once; their bytes are made only if
 * the file has to be written. Safe among processes and crashes: a file is written under a name of its own, brought to disk and
 * renamed when it is whole, and its checksum is looked at whenever it is opened. A damaged file is written anew.
 */
import { createHash, randomBytes } from "node:crypto";
import { open, readdir, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";

import { CheckpointError, diskReason, EngineUnavailableError } from "../errors.ts";
import { makeFolder } from "../files/index.ts";
import { privateFolder, privateFolderPath } from "./private-folder.ts";

/** Alignment of parts: a cache line, so that vector loads never straddle. */
const ALIGNMENT = 64;

/** Last in the file: these letters, then the checksum of everything before them. */
const MAGIC = "sotto weights 1\n";
const TRAILER_BYTES = MAGIC.length + 4;

const READ_BYTES = 4 << 20;

/** A file that has been half written for so long is what a killed process has left; writing takes seconds. In ms. */
const ABANDONED_MS = 24 * 3_600_000;

/** Checksum of the first `length` bytes of a file: 32 bits. */
export type FileChecksum = (path: string, length: number) => Promise<number>;

interface Part {
  readonly offset: number;
  readonly length: number;
  readonly bytes: () => Promise<Uint8Array>;
}

export class PackedFile {
  /** Its name in the cache folder. */
  readonly name: string;
  readonly #parts = new Map<string, Part>();
  readonly #checksum: FileChecksum;
  #length = 0;

  /**
   * @param key whatever the content depends on: the weights' fingerprint, and the version and kind of packing
   * @param checksum default CRC-32, some 100 ms for 128 MB
   */
  constructor(key: string, checksum: FileChecksum = crc32OfFile) {
    this.name = `${createHash("sha256").update(key).digest("hex").slice(0, 32)}.weights`;
    this.#checksum = checksum;
  }

  /** Bytes of all parts with what aligns them. */
  get length(): number {
    return this.#length;
  }

  /**
   * Adds a part; one that has been added under this name before is the same part.
   *
   * @param length in bytes
   * @param bytes makes the content, `length` bytes of it, if the file has to be written
   * @returns its offset in the file
   */
  add(name: string, length: number, bytes: () => Promise<Uint8Array>): number {
    let part = this.#parts.get(name);
    if (part === undefined) {
      part = { offset: this.#length, length, bytes };
      this.#parts.set(name, part);
      this.#length += Math.ceil(length / ALIGNMENT) * ALIGNMENT;
    }
    return part.offset;
  }

  /**
   * Makes sure that the file exists and is whole. If the cache folder cannot be written (no rights, full disk), a folder of the
   * user's own among the temporary files is tried.
   *
   * @param cacheDir default $SOTTO_CACHE, else sotto/ in the user's cache folder
   * @returns its folder
   * @throws {EngineUnavailableError} if the file can be written nowhere, with the reason for each folder
   * @throws {CheckpointError} that making the bytes of a part has thrown
   */
  async ready(cacheDir = defaultCacheDir()): Promise<string> {
    const reasons: string[] = [];
    let cause: unknown;
    for (const [path, make] of [
      // As the umask has it: a cache that the caller names may be shared.
      [cacheDir, () => makeFolder(cacheDir).then(() => cacheDir)] as const,
      [privateFolderPath(), privateFolder] as const,
    ]) {
      try {
        const folder = await make();
        if (!(await this.#isWhole(join(folder, this.name)))) await this.#write(folder);
        return folder;
      } catch (error) {
        if (error instanceof CheckpointError) throw error;
        if (error instanceof PartError) throw unavailable(` ${error.message}`, error.cause);
        cause ??= error;
        reasons.push(`"${path}": ${diskReason(error)}`);
      }
    }
    throw unavailable(reasons.map((reason) => `\n  - ${reason}`).join(""), cause);
  }

  async #isWhole(path: string): Promise<boolean> {
    const trailer = Buffer.alloc(TRAILER_BYTES);
    let file: FileHandle;
    try {
      file = await open(path, "r");
    } catch {
      return false;
    }
    try {
      if ((await file.stat()).size !== this.#length + TRAILER_BYTES) return false;
      await file.read(trailer, 0, TRAILER_BYTES, this.#length);
    } finally {
      await file.close();
    }
    if (trailer.toString("latin1", 0, MAGIC.length) !== MAGIC) return false;
    return trailer.readUInt32LE(MAGIC.length) === (await this.#checksum(path, this.#length));
  }

  async #write(folder: string): Promise<void> {
    await this.#removeAbandoned(folder);
    const partial = join(folder, `.${this.name}.${randomBytes(8).toString("hex")}`);
    const file = await open(partial, "wx");
    try {
      for (const part of this.#parts.values()) {
        const bytes = await part.bytes().catch((cause: unknown) => {
          if (cause instanceof CheckpointError) throw cause;
          throw new PartError((cause as Error).message, { cause });
        });
        if (bytes.byteLength !== part.length)
          throw new PartError(`A part has ${bytes.byteLength} bytes, not ${part.length}`);
        await writeAt(file, bytes, part.offset);
      }
      const trailer = Buffer.alloc(TRAILER_BYTES);
      trailer.write(MAGIC, "latin1");
      await file.truncate(this.#length);
      trailer.writeUInt32LE(await this.#checksum(partial, this.#length), MAGIC.length);
      await writeAt(file, trailer, this.#length);
      await file.sync();
      await file.close();
      await rename(partial, join(folder, this.name));
    } catch (error) {
      await file.close().catch(() => {});
      await rm(partial, { force: true });
      throw error;
    }
  }

  /** Removes what killed processes have left half written. */
  async #removeAbandoned(folder: string): Promise<void> {
    for (const name of await readdir(folder)) {
      if (!name.startsWith(`.${this.name}.`)) continue;
      const path = join(folder, name);
      const written = (await stat(path).catch(() => null))?.mtimeMs ?? Infinity;
      if (Date.now() - written > ABANDONED_MS) await rm(path, { force: true }).catch(() => undefined);
    }
  }
}

/** The content cannot be had: no other folder helps. */
class PartError extends Error {}

function unavailable(reason: string, cause: unknown): EngineUnavailableError {
  return new EngineUnavailableError("cpu", `weights cannot be packed:${reason}`, {
    cause,
    hint: "set SOTTO_CACHE to a folder with free space that you may write",
  });
}

async function writeAt(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
  }
}

async function crc32OfFile(path: string, length: number): Promise<number> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, length));
    let sum = 0;
    for (let done = 0; done < length;) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, length - done), done);
      if (bytesRead === 0) break;
      sum = crc32(buffer.subarray(0, bytesRead), sum);
      done += bytesRead;
    }
    return sum;
  } finally {
    await file.close();
  }
}

function defaultCacheDir(): string {
  const { SOTTO_CACHE, XDG_CACHE_HOME } = process.env;
  // Empty is as good as not set.
  return SOTTO_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "sotto");
}
