/**
 * Decoding by node-av in a worker thread of the process. The thread starts with the first file, serves all that are open
 * at the same time, and ends a while after the last one; waiting for nothing, it does not keep the process.
 */

import { Worker } from "node:worker_threads";

import { workerUrl } from "../worker-url.ts";
import { abortable } from "./abortable.ts";
import type { DecodeReply, DecodeRequest } from "./decode-protocol.ts";
import { DecodeFailure, DecoderUnavailable, type DecoderOptions, type OpenDecoder } from "./decoder.ts";

/** How long an idle thread stays: a folder of files reuses it, which saves each its start of some 100 ms. */
const IDLE_MS = 2000;

/** Pieces asked for ahead of the reader: one is decoded while one is read. */
const AHEAD = 2;

class DecoderThread {
  // Flags of the process, such as --input-type or a loader, are not for this script.
  private readonly worker = new Worker(workerUrl("audio/decode-worker"), { execArgv: [] });
  private readonly waiting = new Map<
    number,
    { resolve: (reply: DecodeReply) => void; reject: (error: Error) => void }[]
  >();
  private outstanding = 0;
  private open = 0;
  private idle: NodeJS.Timeout | undefined;
  dead = false;

  constructor() {
    this.worker.unref();
    this.worker.on("message", (reply: DecodeReply) => {
      if (--this.outstanding === 0) this.worker.unref();
      this.waiting.get(reply.id)?.shift()?.resolve(reply);
    });
    this.worker.on("error", (error) => this.fail(new DecodeFailure(`the decoding thread failed: ${error.message}`)));
    this.worker.on("exit", () => this.fail(new DecodeFailure("the decoding thread ended")));
  }

  request(request: DecodeRequest): Promise<DecodeReply> {
    if (this.dead) return Promise.reject(new DecodeFailure("the decoding thread ended"));
    return new Promise((resolve, reject) => {
      const queue = this.waiting.get(request.id) ?? [];
      queue.push({ resolve, reject });
      this.waiting.set(request.id, queue);
      if (this.outstanding++ === 0) this.worker.ref();
      this.worker.postMessage(request);
    });
  }

  enter(): void {
    this.open++;
    clearTimeout(this.idle);
  }

  leave(id: number): void {
    this.waiting.delete(id);
    if (--this.open > 0 || this.dead) return;
    this.idle = setTimeout(() => {
      this.dead = true;
      void this.worker.terminate();
    }, IDLE_MS).unref();
  }

  private fail(error: Error): void {
    this.dead = true;
    this.outstanding = 0;
    for (const queue of this.waiting.values()) for (const { reject } of queue) reject(error);
    this.waiting.clear();
  }
}

let thread: DecoderThread | undefined;
let lastId = 0;

/**
 * Opens a file in the decoding thread.
 *
 * @throws {DecoderUnavailable} if node-av is not installed or has no binary for this platform
 * @throws {DecodeFailure} if it cannot decode the file
 */
export async function openInThread(path: string, options: DecoderOptions): Promise<OpenDecoder> {
  if (thread === undefined || thread.dead) thread = new DecoderThread();
  const own = thread;
  const id = ++lastId;
  own.enter();
  try {
    const reply = await own.request({ type: "open", id, path, audioTrack: options.audioTrack });
    if (reply.type === "unavailable") throw new DecoderUnavailable(reply.reason);
    if (reply.type !== "opened") throw new DecodeFailure(reply.type === "failed" ? reply.reason : reply.type);
    return new ThreadDecoder(own, id, reply.durationSeconds, options);
  } catch (error) {
    own.leave(id);
    throw error;
  }
}

class ThreadDecoder implements OpenDecoder {
  private closing: Promise<void> | undefined;

  constructor(
    private readonly thread: DecoderThread,
    private readonly id: number,
    readonly durationSeconds: number | null,
    private readonly options: DecoderOptions,
  ) {}

  async *pieces(): AsyncGenerator<Float32Array> {
    const { signal, warnings, gaps } = this.options;
    const ahead: Promise<DecodeReply>[] = [];
    try {
      for (;;) {
        while (ahead.length < AHEAD) ahead.push(this.ask());
        const reply = await abortable(ahead.shift() as Promise<DecodeReply>, signal);
        if (reply.type !== "piece") throw new DecodeFailure(reply.type === "failed" ? reply.reason : reply.type);
        for (const text of reply.warnings) warnings.add(text);
        gaps.push(...reply.gaps);
        if (reply.samples.length === 0) return;
        yield reply.samples;
      }
    } finally {
      await this.close();
    }
  }

  close(): Promise<void> {
    return (this.closing ??= this.thread
      .request({ type: "close", id: this.id })
      .then(() => undefined)
      .catch(() => undefined)
      .finally(() => this.thread.leave(this.id)));
  }

  private ask(): Promise<DecodeReply> {
    const reply = this.thread.request({ type: "next", id: this.id });
    reply.catch(() => undefined); // read later, or never after an early exit
    return reply;
  }
}
