/**
 * Encoded audio as a stream of chunks whose beginning can be looked at first. Files stay files: the decoder wants a path.
 */

import { open, type FileHandle } from "node:fs/promises";

import { InputError, UnsupportedAudioError, quote } from "../errors.ts";
import { abortable } from "./abortable.ts";

/** Bytes read from a file at once: 1.5 s of CD audio, some milliseconds of work for the reader. */
const READ_BYTES = 2 ** 18;

/** A source of encoded bytes, read once from front to back. */
export class ByteSource {
  private head: Uint8Array = new Uint8Array(0);
  private iterator: AsyncIterator<Uint8Array> | undefined;
  private ended = false;
  /** Set where the bytes are a regular file that a decoder may open by itself. */
  readonly path: string | null;
  /** In bytes, where known. */
  readonly size: number | null;
  private readonly signal: AbortSignal | undefined;

  constructor(
    /** For messages. */
    readonly name: string,
    private readonly content: AsyncIterable<Uint8Array>,
    known: { path?: string; size?: number | null; signal?: AbortSignal | undefined } = {},
  ) {
    this.path = known.path ?? null;
    this.size = known.size ?? null;
    this.signal = known.signal;
  }

  /** @returns the first `count` bytes, or all there are if fewer; they stay in the stream */
  async peek(count: number): Promise<Uint8Array> {
    this.iterator ??= this.content[Symbol.asyncIterator]();
    const parts: Uint8Array[] = [this.head];
    let length = this.head.length;
    while (length < count && !this.ended) {
      const next = await abortable(this.iterator.next(), this.signal);
      if (next.done === true) {
        this.ended = true;
      } else {
        parts.push(next.value);
        length += next.value.length;
      }
    }
    if (parts.length > 1) this.head = Buffer.concat(parts);
    return this.head;
  }

  /** All chunks, those looked at included. Closes the source at its end and on an early exit. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    try {
      if (this.head.length > 0) {
        const { head } = this;
        this.head = new Uint8Array(0);
        yield head;
      }
      this.iterator ??= this.content[Symbol.asyncIterator]();
      while (!this.ended) {
        const next = await abortable(this.iterator.next(), this.signal);
        if (next.done === true) this.ended = true;
        else if (next.value.length > 0) yield next.value;
      }
    } finally {
      await this.close();
    }
  }

  /** Lets go of the file or the stream. May be called twice. */
  async close(): Promise<void> {
    this.ended = true;
    const { iterator } = this;
    this.iterator = undefined;
    await iterator?.return?.();
  }
}

/**
 * Opens a file, a named pipe or a device.
 *
 * @param name for messages, where the path is a temporary one
 * @throws {InputError} that says why it cannot be read
 */
export async function openFile(path: string, signal?: AbortSignal, name: string = path): Promise<ByteSource> {
  let handle: FileHandle;
  try {
    handle = await open(path, "r");
  } catch (error) {
    throw fileError(name, error);
  }
  try {
    const stats = await handle.stat();
    if (stats.isDirectory()) {
      throw new InputError(name, "it is a folder, expected a file", { hint: "name the files in it" });
    }
    if (stats.isFile() && stats.size === 0) throw emptyError(name);
    const regular = stats.isFile();
    const bytes = new FileBytes(name, handle, regular);
    return regular
      ? new ByteSource(name, bytes, { path, size: stats.size, signal })
      : new ByteSource(name, bytes, { signal });
  } catch (error) {
    await handle.close();
    throw error instanceof InputError ? error : fileError(name, error);
  }
}

/** A plain class instead of a generator: its `return` closes the file even before the first read. */
class FileBytes implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array> {
  private closed = false;

  constructor(
    private readonly name: string,
    private readonly handle: FileHandle,
    private readonly regular: boolean,
  ) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (this.closed) return { done: true, value: undefined };
    let read;
    try {
      read = await this.handle.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, null);
    } catch (error) {
      await this.return();
      throw fileError(this.name, error);
    }
    if (read.bytesRead === 0) return this.return();
    return { done: false, value: read.buffer.subarray(0, read.bytesRead) };
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    if (!this.closed) {
      this.closed = true;
      const closing = this.handle.close();
      // A pipe closes when its pending read ends, which may be never.
      if (this.regular) await closing;
      else closing.catch(() => undefined);
    }
    return { done: true, value: undefined };
  }
}

/** The error for a source of no bytes at all. */
export function emptyError(name: string): UnsupportedAudioError {
  return new UnsupportedAudioError(name, "it is empty (0 bytes)");
}

function fileError(path: string, error: unknown): InputError {
  const code = (error as NodeJS.ErrnoException).code;
  const reasons: Record<string, string> = {
    ENOENT: "no such file",
    ENOTDIR: "no such file: a part of the path is no folder",
    EISDIR: "it is a folder, expected a file",
    EACCES: "permission denied",
    EPERM: "permission denied",
    EMFILE: "too many files are open",
    ENAMETOOLONG: "the path is too long",
    ELOOP: "its symbolic links run in a circle",
  };
  const reason = reasons[code ?? ""] ?? (error instanceof Error ? error.message : String(error));
  const hint = /^[a-z][a-z0-9+.-]+:\/\//i.test(path) ? "of URLs, only http, https and file are read" : undefined;
  return new InputError(path, reason, { cause: error, ...(hint === undefined ? {} : { hint }) });
}

/** Chunks of an in-memory file. */
export async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** A web stream as an async iterable; not every runtime's streams are. Leaving early cancels it. */
export async function* iterateStream<T>(stream: ReadableStream<T>): AsyncGenerator<T> {
  const reader = stream.getReader();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      ended = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!ended) await reader.cancel().catch(() => undefined);
    reader.releaseLock();
  }
}

/** The chunk as bytes; throws a TypeError that names what was found. */
export function toBytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError(
    `Cannot read audio from a stream of ${quote(describe(chunk))}, expected Uint8Array or Float32Array`,
  );
}

/** A word for the type of a value, for messages. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== "object") return typeof value;
  return (value.constructor as { name?: string } | undefined)?.name ?? "object";
}
