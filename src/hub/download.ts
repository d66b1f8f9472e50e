/**
 * Gets the bytes of one file into the cache: resumed where an earlier download broke off, checked against the hub's
 * checksum, and put in place by renaming, so that a file of the cache is whole or not there.
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { rename, rm, stat, type FileHandle } from "node:fs/promises";
import { HubError, isDiskFull } from "../errors.ts";
import { withLock } from "./lock.ts";
import { fileUrl, refusal, type FileMetadata } from "./metadata.ts";
import type { HubSettings } from "./settings.ts";
import { describe, request, TransientError, withRetries } from "./transport.ts";

export interface Download {
  readonly repository: string;
  readonly file: string;
  readonly metadata: FileMetadata;
  /** Where it is put. */
  readonly blob: string;
  /** Most bytes it may have. */
  readonly ceiling: number;
}

/**
 * Downloads a file unless it is there, which another process may see to in the meantime.
 *
 * A full disk, and bytes that fail the check, remove the partial file; every other failure keeps it for the next time.
 *
 * @throws {HubError} if it cannot be had, is larger than the ceiling, or fails its check twice (facts 9.10)
 */
export async function downloadBlob(settings: HubSettings, download: Download): Promise<void> {
  const { repository, file, metadata, blob, ceiling } = download;
  if (metadata.size !== null && metadata.size > ceiling) {
    throw new HubError(repository, `"${file}" has ${metadata.size} bytes, expected at most ${ceiling}`);
  }
  await withLock(settings, `${blob}.sotto.lock`, async () => {
    if (!settings.forceDownload && (await hasBlob(blob, metadata))) return;
    // A name of our own: Python resumes its partial files, and does not check what comes of it.
    const partial = `${blob}.sotto.incomplete`;
    if (settings.forceDownload) await rm(partial, { force: true });
    for (let attempt = 1; ; attempt++) {
      const fault = (await fetchWhole(settings, download, partial)) ?? (await checksumFault(partial, metadata));
      if (fault === undefined) break;
      await rm(partial, { force: true });
      if (attempt === 2) {
        throw new HubError(repository, `"${file}" ${fault}, twice`, {
          hint: "a proxy or mirror may alter it; check HF_ENDPOINT",
        });
      }
    }
    await rename(partial, blob);
  });
}

/** Whether the cache has the blob; one of a wrong size counts as none. */
export async function hasBlob(blob: string, metadata: FileMetadata): Promise<boolean> {
  const size = await sizeOfFile(blob);
  return size !== undefined && (metadata.size === null || size === metadata.size);
}

async function sizeOfFile(path: string): Promise<number | undefined> {
  return stat(path).then(
    (info) => (info.isFile() ? info.size : undefined),
    () => undefined,
  );
}

/** @returns what is wrong with the bytes, where that is known before the checksum */
async function fetchWhole(settings: HubSettings, download: Download, partial: string): Promise<string | undefined> {
  const { repository, metadata } = download;
  const present = async (): Promise<number> => (await sizeOfFile(partial)) ?? 0;
  if (metadata.size !== null && (await present()) > metadata.size) await rm(partial, { force: true });
  const attempt = async (): Promise<string | undefined> => fetchRest(settings, download, partial, await present());
  try {
    return await withRetries(settings, repository, attempt, present);
  } catch (error) {
    if (isDiskFull(error)) await rm(partial, { force: true });
    throw error;
  }
}

async function fetchRest(
  settings: HubSettings,
  { repository, file, metadata, ceiling }: Download,
  partial: string,
  present: number,
): Promise<string | undefined> {
  const { size: total } = metadata;
  const handle = await settings.system.open(partial, present > 0 ? "r+" : "w");
  try {
    if (total !== null && present === total) return undefined;
    const url = fileUrl(settings, repository, metadata.commit, file);
    const range: Record<string, string> = present > 0 ? { range: `bytes=${present}-` } : {};
    const { response, close, alive } = await request(settings, repository, "GET", url, range, () => true);
    try {
      if (response.status === 416) {
        // The server's file ends before ours does: begin anew.
        await handle.truncate(0);
        throw new TransientError(`${new URL(url).host} cannot resume`, { status: 416 });
      }
      if (!response.ok || response.body === null) {
        throw refusal(settings, repository, metadata.commit, response.status, response.headers);
      }
      const resumed = response.status === 206 && rangeStart(response.headers) === present;
      let loaded = resumed ? present : 0;
      if (!resumed && present > 0) await handle.truncate(0);
      if (!resumed && response.status === 206) throw new TransientError("the server sent another part of the file");

      const reader = response.body.getReader();
      settings.onProgress({ file, loaded, total });
      for (;;) {
        let piece;
        try {
          piece = await reader.read();
        } catch (error) {
          throw describe(settings, error, new URL(url));
        }
        if (piece.done) break;
        alive();
        const bytes: Uint8Array = piece.value;
        if (loaded + bytes.length > (total ?? ceiling)) return `has more than ${total ?? ceiling} bytes`;
        await writeFully(handle, bytes, loaded);
        loaded += bytes.length;
        settings.onProgress({ file, loaded, total });
      }
      if (total !== null && loaded < total) {
        throw new TransientError(`${new URL(url).host} broke off after ${loaded} of ${total} bytes`);
      }
      return undefined;
    } finally {
      close();
    }
  } finally {
    await handle.close();
  }
}

function rangeStart(headers: Headers): number | undefined {
  const start = /^bytes (\d+)-/.exec(headers.get("content-range") ?? "")?.[1];
  return start === undefined ? undefined : Number(start);
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += (await handle.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
  }
}

/**
 * Compares a file with its etag, which is a sha256 (64 hex digits) or a git object id (40: the sha1 of "blob SIZE\0" and
 * the bytes). Etags of other kinds say nothing that could be checked.
 */
async function checksumFault(path: string, { etag, size }: FileMetadata): Promise<string | undefined> {
  const found = (await sizeOfFile(path)) ?? 0;
  if (size !== null && found !== size) return `has ${found} bytes, expected ${size}`;
  let hash: Hash;
  if (/^[0-9a-f]{64}$/.test(etag)) hash = createHash("sha256");
  else if (/^[0-9a-f]{40}$/.test(etag)) hash = createHash("sha1").update(`blob ${found}\0`);
  else return undefined;
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Uint8Array);
  const digest = hash.digest("hex");
  return digest === etag ? undefined : `has checksum ${digest}, expected ${etag}`;
}
