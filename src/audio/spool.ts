/**
 * Keeps a stream in a temporary file: most containers need seeking (an mp4's index may be its last bytes). The file
 * lies in a folder of its own that only this user can read, and goes when reading ends, is left, or the process exits.
 */

import { rmSync } from "node:fs";
import { mkdtemp, open, rm, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { InputError, isDiskFull } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";

/** A temporary copy of a stream. */
export interface SpooledFile {
  readonly path: string;
  /** Deletes it; may be called twice. */
  remove(): Promise<void>;
}

const folders = new Set<string>();
let cleansAtExit = false;

function cleanAtExit(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

/**
 * Copies a source into a temporary file.
 *
 * @param maxBytes ceiling; a source that passes it is refused
 * @throws {InputError} if the ceiling is passed or the disk is full; nothing is left behind
 */
export async function spool(
  source: ByteSource,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<SpooledFile> {
  if (!cleansAtExit) {
    process.once("exit", cleanAtExit);
    cleansAtExit = true;
  }
  const folder = await mkdtemp(join(tmpdir(), "sotto-audio-"));
  folders.add(folder);
  const remove = async () => {
    await rm(folder, { recursive: true, force: true });
    folders.delete(folder);
  };
  const path = join(folder, "audio");
  try {
    await writeSource(await open(path, "wx", 0o600), path, source, { maxBytes, signal });
    return { path, remove };
  } catch (error) {
    await remove();
    if (isDiskFull(error)) {
      const remedy = "set TMPDIR to a folder on a larger disk";
      const hint = { library: remedy, commandLine: remedy, server: remedy };
      throw new InputError(source.name, `the disk of "${tmpdir()}" is full`, { cause: error, hint });
    }
    throw error;
  }
}

/**
 * Writes a source into a file that was opened for it, and closes that. A file that does not become whole is removed.
 *
 * @throws {InputError} if the source is longer than `maxBytes`
 * @throws the file system's error if it cannot be written
 */
export async function writeSource(
  file: FileHandle,
  path: string,
  source: ByteSource,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal | undefined },
): Promise<void> {
  try {
    try {
      let written = 0;
      for await (const chunk of source.chunks()) {
        signal?.throwIfAborted();
        written += chunk.length;
        if (written > maxBytes) throw tooManyBytes(source.name, maxBytes);
        await file.writeFile(chunk);
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** The error for a source longer than its ceiling. */
export function tooManyBytes(name: string, maxBytes: number): InputError {
  return new InputError(name, `it is longer than the ceiling of ${maxBytes} bytes`, {
    hint: { library: "raise maxBytes", server: "raise maxUploadBytes (--max_upload_bytes)" },
  });
}
