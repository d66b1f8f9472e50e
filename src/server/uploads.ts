/**
 * Multipart uploads, streamed to temporary files: no upload is ever whole in memory, and no file outlives what it was for. The
 * folder is the server's own (held-folder.ts); one that a killed server has left is removed by the next, and one that somebody
 * removes under a running server is made again.
 */
import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, lstat, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { FastifyRequest } from "fastify";
import { diskReason, isDiskFull, OptionError } from "../errors.ts";
import { makeFolder } from "../files/index.ts";
import { RequestError } from "./errors.ts";
import { HEARTBEAT_MS, HeldFolder, removeAbandoned } from "./held-folder.ts";

/** Forms of all protocols have one file and some thirty fields; Gradio's upload several files. */
const MAX_FILES = 16;
const MAX_FIELDS = 200;

/** Prompts are the longest fields, of some kilobytes; OpenAI's known_speaker_references hold 10 s of audio as text. */
const MAX_FIELD_BYTES = 4 << 20;

/** A client that has sent nothing for so long has gone, or means harm. */
const IDLE_MS = 60_000;

/** Longest name kept: no file system has longer ones. */
const MAX_NAME_LENGTH = 255;

const PREFIX = "sotto-uploads-";

/** Of the held folder: the files, apart from the mark of its holder. */
const FILES = "files";

/** What fails where files cannot be written; other calls are those of connections. */
const FILE_CALLS: readonly string[] = ["open", "write", "close", "mkdir", "mkdtemp"];

/** Less free space than this is none. */
const MIN_FREE_BYTES = 64 << 10;

/** A file as it was uploaded. */
export interface UploadedFile {
  /** Name of the form's field. */
  readonly field: string;
  readonly path: string;
  /** As the client calls it, without folders; for messages and titles, never a path. */
  readonly name: string;
  readonly type: string;
  readonly bytes: number;
}

/** A multipart form that was read to its end. */
export interface UploadedForm {
  readonly files: readonly UploadedFile[];
  /** Values by field name, in order. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
  /** Leaves a file to the caller, who removes it; a job whose audio is `temporary` does. */
  take(file: UploadedFile): void;
  /** Removes all files that were not taken. */
  dispose(): Promise<void>;
}

export class Uploads {
  #held: HeldFolder;
  #fault: string | null = null;
  /** The one that makes the folder again, so that only one does. */
  #repair: Promise<void> | null = null;
  readonly #heartbeat: NodeJS.Timeout;

  private constructor(
    held: HeldFolder,
    /** Folder that the server's folder lies in. */
    private readonly parent: string,
    readonly maxBytes: number,
    private readonly ended: AbortController,
  ) {
    this.#held = held;
    this.#heartbeat = setInterval(() => void this.check(), HEARTBEAT_MS).unref();
  }

  /**
   * Makes the folder, and removes those that servers which no longer run have left.
   *
   * @throws {OptionError} if it cannot be made
   */
  static async open(options: { readonly parent?: string | undefined; readonly maxBytes: number }): Promise<Uploads> {
    const parent = resolve(options.parent ?? tmpdir());
    const ended = new AbortController();
    try {
      // First, as what has been left may be what fills the disk.
      await removeAbandoned(parent, PREFIX, ended.signal);
      const held = await HeldFolder.make(parent, PREFIX);
      await mkdir(join(held.path, FILES), { mode: 0o700 });
      return new Uploads(held, parent, options.maxBytes, ended);
    } catch (error) {
      ended.abort();
      throw new OptionError("uploadDir", `Cannot make a folder for uploads in "${parent}": ${diskReason(error)}`, {
        cause: error,
        hint: "name a folder that can be written with --upload_dir",
      });
    }
  }

  /** Folder of the temporary files. It is another one after it was removed and made again. */
  get folder(): string {
    return join(this.#held.path, FILES);
  }

  /** Why uploads cannot be written at present, without paths; null if they can. As of the last check. */
  get fault(): string | null {
    return this.#fault;
  }

  /**
   * The folder of temporary files, made again if it is missing.
   *
   * @throws the file system's error if it cannot be made
   */
  async readyFolder(): Promise<string> {
    const isThere = async (): Promise<boolean> =>
      (await this.#held.exists()) && ((await lstat(this.folder).catch(() => null))?.isDirectory() ?? false);
    if (!(await isThere())) {
      this.#repair ??= this.#makeAgain().finally(() => (this.#repair = null));
      await this.#repair;
    }
    return this.folder;
  }

  async #makeAgain(): Promise<void> {
    if (!(await this.#held.exists())) {
      this.ended.signal.throwIfAborted();
      // Under another name: in a folder that many write to, the old one may have been taken.
      const held = await HeldFolder.make(this.parent, PREFIX);
      this.#held.release();
      this.#held = held;
    }
    await makeFolder(this.folder, 0o700);
  }

  /** Finds out whether uploads can be written, and shows other servers that this one lives. */
  async check(): Promise<void> {
    if (this.ended.signal.aborted) return;
    try {
      await this.readyFolder();
      await this.#held.touch();
      const { bsize, blocks, bfree, bavail } = await statfs(this.folder);
      const free = bsize * (process.getuid?.() === 0 ? bfree : bavail);
      // Some file systems do not say.
      if (blocks > 0 && free < MIN_FREE_BYTES) throw Object.assign(new Error("The disk is full"), { code: "ENOSPC" });
      // A share that is used up shows in writing alone.
      if (this.#fault !== null) await this.#tryWriting();
      this.#fault = null;
    } catch (error) {
      this.#fault = diskReason(error)
        .replace(/'[^']*'|"[^"]*"/g, "")
        .trim();
    }
  }

  async #tryWriting(): Promise<void> {
    const path = this.newPath();
    try {
      await writeFile(path, Buffer.alloc(MIN_FREE_BYTES), { flag: "wx", mode: 0o600 });
    } finally {
      await this.remove(path);
    }
  }

  /**
   * The error for a file that could not be written, as clients may read it; the fault is known from then on, if it lasts.
   *
   * @returns any other error as it is
   */
  async writeError(error: unknown): Promise<unknown> {
    const isFull = isDiskFull(error);
    if (!isFull && !FILE_CALLS.includes((error as NodeJS.ErrnoException).syscall ?? "")) return error;
    this.#fault ??= diskReason(error);
    await this.check();
    if (isFull) return error;
    return new RequestError(503, "The server cannot write uploads", { code: "storage_unavailable", cause: error });
  }

  /** A path in the folder where nothing is. The ending of a name is kept if it is a plain one. */
  newPath(name = ""): string {
    const extension = /\.[a-z0-9]{1,8}$/i.exec(name)?.[0] ?? "";
    return join(this.folder, `${randomUUID()}${extension.toLowerCase()}`);
  }

  /**
   * Reads a multipart request to its end.
   *
   * @throws {RequestError} 400 for a broken form, 408 for a client that sends nothing, 413 for too much, 415 for another media
   * type, 503 if files cannot be written; the system's error if the disk is full. No file is left then
   */
  async receive(request: FastifyRequest): Promise<UploadedForm> {
    if (!request.isMultipart()) {
      throw new RequestError(415, "Cannot read the request: its media type is not multipart/form-data", {
        code: "unsupported_media_type",
      });
    }
    const form = new Form(this);
    const announced = Number(request.headers["content-length"] ?? 0);
    try {
      // Fields take room too; what exceeds the ceiling for certain need not be read first.
      if (announced > this.maxBytes + MAX_FIELD_BYTES) throw tooLarge(this.maxBytes);
      await this.readyFolder();
      await form.read(request);
      if (this.#fault !== null) await this.check();
      return form;
    } catch (error) {
      // What the client still sends goes nowhere, so that it gets to read the answer.
      request.raw.unpipe();
      request.raw.resume();
      await form.dispose();
      throw await this.writeError(formError(error, request));
    }
  }

  /** Removes a file of the folder; no error if it is gone. */
  async remove(path: string): Promise<void> {
    await rm(path, { force: true });
  }

  /** Removes the folder. */
  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    this.ended.abort();
    await this.#repair?.catch(() => undefined);
    await this.#held.remove();
  }
}

class Form implements UploadedForm {
  readonly files: UploadedFile[] = [];
  readonly fields = new Map<string, string[]>();
  readonly #uploads: Uploads;
  readonly #paths = new Set<string>();
  #bytes = 0;

  constructor(uploads: Uploads) {
    this.#uploads = uploads;
  }

  async read(request: FastifyRequest): Promise<void> {
    const { maxBytes } = this.#uploads;
    const parts = request.parts({
      limits: {
        files: MAX_FILES,
        fields: MAX_FIELDS,
        fieldSize: MAX_FIELD_BYTES,
        fileSize: maxBytes,
        fieldNameSize: 200,
      },
    });
    for await (const part of parts) {
      if (part.type === "file") {
        const name = displayName(part.filename);
        const path = this.#uploads.newPath(name);
        this.#paths.add(path);
        const bytes = await this.#write(part.file, path, request);
        if (part.file.truncated) throw tooLarge(maxBytes);
        this.files.push({ field: part.fieldname, path, name, type: part.mimetype, bytes });
        continue;
      }
      if (part.valueTruncated || part.fieldnameTruncated) {
        throw new RequestError(400, `Cannot read the form: field "${part.fieldname.slice(0, 80)}" is too long`);
      }
      const value = typeof part.value === "string" ? part.value : JSON.stringify(part.value);
      const values = this.fields.get(part.fieldname);
      if (values === undefined) this.fields.set(part.fieldname, [value]);
      else values.push(value);
    }
  }

  async #write(file: NodeJS.ReadableStream, path: string, request: FastifyRequest): Promise<number> {
    const { maxBytes } = this.#uploads;
    const idle = setTimeout(() => request.raw.destroy(new Error("The client has sent nothing for too long")), IDLE_MS);
    let bytes = 0;
    const count = new Transform({
      transform: (chunk: Buffer, _encoding, callback) => {
        idle.refresh();
        bytes += chunk.length;
        this.#bytes += chunk.length;
        callback(this.#bytes > maxBytes ? tooLarge(maxBytes) : null, chunk);
      },
    });
    try {
      await pipeline(file, count, createWriteStream(path, { flags: "wx", mode: 0o600 }));
    } finally {
      clearTimeout(idle);
    }
    return bytes;
  }

  take(file: UploadedFile): void {
    this.#paths.delete(file.path);
  }

  async dispose(): Promise<void> {
    const paths = [...this.#paths];
    this.#paths.clear();
    await Promise.all(paths.map((path) => this.#uploads.remove(path)));
  }
}

/** A name for people, of whatever a client sends for one. */
export function displayName(name: string | undefined): string {
  const last = (name ?? "").split(/[/\\]/).at(-1) ?? "";
  // Control characters would break messages and headers.
  const clean = last.replace(/[\u0000-\u001f\u007f-\u009f]/g, "").slice(-MAX_NAME_LENGTH);
  return clean === "" || clean === "." || clean === ".." ? "audio" : clean;
}

function tooLarge(maxBytes: number): RequestError {
  const mib = maxBytes / 2 ** 20;
  const limit = mib >= 1 ? `${Number(mib.toFixed(1))} MiB` : `${maxBytes} bytes`;
  return new RequestError(413, `Cannot take the upload: it is larger than ${limit}`, {
    code: "file_too_large",
    param: "file",
  });
}

function formError(error: unknown, request: FastifyRequest): unknown {
  if (error instanceof RequestError || isDiskFull(error)) return error;
  if (request.raw.destroyed && !request.raw.complete) {
    return new RequestError(408, "Cannot read the form: the client has gone", { code: "client_closed", cause: error });
  }
  const { statusCode, message } = error as { statusCode?: number; message: string };
  if (statusCode === 413) {
    return new RequestError(413, `Cannot read the form: ${message}`, { code: "file_too_large", cause: error });
  }
  // What is left is said of the form by its parser; failures of the disk have a code of the system.
  if ((error as NodeJS.ErrnoException).syscall !== undefined) return error;
  return new RequestError(400, `Cannot read the form: ${message}`, { code: "invalid_form", cause: error });
}
