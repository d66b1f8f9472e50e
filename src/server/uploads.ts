/**
 * Multipart uploads, streamed to temporary files: no upload is ever whole in memory, and no file outlives what it was for. The
 * folder is the server's own; one that a killed server has left is removed by the next.
 */
import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { FastifyRequest } from "fastify";
import { RequestError } from "./errors.ts";

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
  private constructor(
    /** Folder of the temporary files. */
    readonly folder: string,
    readonly maxBytes: number,
  ) {}

  /** Makes the folder, and removes those that servers which no longer run have left. */
  static async open(options: { readonly parent?: string | undefined; readonly maxBytes: number }): Promise<Uploads> {
    const parent = resolve(options.parent ?? tmpdir());
    await removeStale(parent);
    return new Uploads(await mkdtemp(join(parent, `${PREFIX}${process.pid}-`)), options.maxBytes);
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
   * type; no file is left then
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
      await form.read(request);
      return form;
    } catch (error) {
      // What the client still sends goes nowhere, so that it gets to read the answer.
      request.raw.unpipe();
      request.raw.resume();
      await form.dispose();
      throw formError(error, request);
    }
  }

  /** Removes a file of the folder; no error if it is gone. */
  async remove(path: string): Promise<void> {
    await rm(path, { force: true });
  }

  /** Removes the folder. */
  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
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
  if (error instanceof RequestError || (error as NodeJS.ErrnoException).code === "ENOSPC") return error;
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

/** Removes the folders of servers that are gone, whose number is in the name. */
async function removeStale(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = Number(new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1] ?? NaN);
    if (Number.isNaN(pid) || isRunning(pid)) continue;
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined); // another user's
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
