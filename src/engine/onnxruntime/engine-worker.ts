/** The engine's end of a worker thread: calls with answers, in order. */
import { Worker, type TransferListItem } from "node:worker_threads";

import { workerUrl } from "../../worker-url.ts";
import type { CallName, ReplyMessage, WorkerCalls, WorkerSetup } from "./protocol.ts";

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class EngineWorker {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #nextHandle = 0;
  #failure: Error | null = null;
  #ended = false;

  constructor(setup: WorkerSetup) {
    this.#worker = new Worker(workerUrl("engine/onnxruntime/worker"), { workerData: setup, execArgv: [] });
    this.#worker.unref(); // an idle engine keeps no process alive
    this.#worker.on("message", (reply: ReplyMessage | "stopped") => {
      if (reply === "stopped") void this.#worker.terminate();
      else this.#settle(reply);
    });
    this.#worker.on("error", (error) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    this.#worker.on("exit", () => {
      this.#ended = true;
      this.#fail(new Error("The engine's worker has ended"));
    });
  }

  /** A handle for a window or a decoder state that this worker is to keep. */
  newHandle(): number {
    return this.#nextHandle++;
  }

  call<N extends CallName>(
    name: N,
    given: WorkerCalls[N]["arguments"],
    transfer: TransferListItem[] = [],
  ): Promise<WorkerCalls[N]["result"]> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    if (this.#pending.size === 0) this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#worker.postMessage({ id, name, arguments: given }, transfer);
    });
  }

  #settle(reply: ReplyMessage): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (this.#pending.size === 0 && this.#failure === null) this.#worker.unref();
    if ("result" in reply) pending?.resolve(reply.result);
    else pending?.reject(Object.assign(new Error(reply.error.message), { name: reply.error.name }));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }

  /** Rejects what is waited for, and ends the thread after the run at hand: a run that is torn off takes the process with it. */
  async stop(): Promise<void> {
    this.#fail(new Error("Cannot use an engine after its dispose()"));
    if (this.#ended) return;
    this.#worker.ref(); // so that the process does not end while it is awaited
    this.#worker.postMessage("stop");
    await new Promise<void>((resolve) => this.#worker.once("exit", () => resolve()));
  }
}
