/** One job of the service: its state, its events, and those who listen. */
import { randomUUID } from "node:crypto";
import type { Segment, Transcript } from "../transcription/index.ts";
import type { Job, JobEvent, JobRequest, JobStatus } from "./service.ts";

/** Who cancelled a job rejects its result with this. */
function cancelledError(): Error {
  const error = new Error("The job was cancelled");
  error.name = "AbortError";
  return error;
}

interface Settle {
  readonly resolve: (transcript: Transcript) => void;
  readonly reject: (error: Error) => void;
}

let submitted = 0;

export class ServiceJob implements Job {
  /** Number among all: the oldest of equals goes first. */
  readonly sequence = submitted++;
  readonly id: string = randomUUID();
  readonly createdAt = new Date();
  /** By the clock that nobody sets, `performance.now`. */
  readonly submittedAt = performance.now();
  readonly result: Promise<Transcript>;
  readonly #abort = new AbortController();
  readonly #segments: Segment[] = [];
  readonly #listeners = new Set<(event: JobEvent) => void>();
  #status: JobStatus = "queued";
  #isStarted = false;
  #queued: JobEvent | null = null;
  #progress: JobEvent | null = null;
  #end: JobEvent | null = null;
  readonly #settle: Settle;

  constructor(
    readonly request: JobRequest,
    readonly model: string,
    private readonly onCancel: (job: ServiceJob) => void,
  ) {
    let settle!: Settle;
    this.result = new Promise<Transcript>((resolve, reject) => (settle = { resolve, reject }));
    this.result.catch(() => undefined); // nobody has to wait for it
    this.#settle = settle;
  }

  get status(): JobStatus {
    return this.#status;
  }

  /** Aborted when it is cancelled. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  subscribe(listener: (event: JobEvent) => void): () => void {
    const past: (JobEvent | null)[] = [
      this.#queued,
      this.#isStarted ? { type: "started" } : null,
      ...this.#segments.map((segment) => ({ type: "segment" as const, segment })),
      this.#progress,
      this.#end,
    ];
    // Before what happens next, which a listener may be the cause of.
    if (this.#end === null) this.#listeners.add(listener);
    for (const event of past) if (event !== null) listener(event);
    return () => void this.#listeners.delete(listener);
  }

  cancel(): void {
    if (this.#end !== null || this.#abort.signal.aborted) return;
    this.#abort.abort(cancelledError());
    this.onCancel(this);
  }

  /** Says where in the queue it is, if that is new. */
  place(position: number, size: number): void {
    const last = this.#queued;
    if (last?.type === "queued" && last.position === position && last.size === size) return;
    this.#emit((this.#queued = { type: "queued", position, size }));
  }

  start(): void {
    this.#isStarted = true;
    this.#status = "running";
    this.#emit({ type: "started" });
  }

  progress(seconds: number, duration: number | null): void {
    this.#emit((this.#progress = { type: "progress", seconds, duration }));
  }

  segment(segment: Segment): void {
    this.#segments.push(segment);
    this.#emit({ type: "segment", segment });
  }

  succeed(transcript: Transcript, seconds: number): void {
    this.#finish("done", { type: "done", transcript, seconds });
    this.#settle.resolve(transcript);
  }

  fail(error: Error): void {
    this.#finish("failed", { type: "failed", error });
    this.#settle.reject(error);
  }

  /** It was cancelled, and nothing of it goes on. */
  drop(): void {
    this.#finish("cancelled", { type: "cancelled" });
    this.#settle.reject(cancelledError());
  }

  #finish(status: JobStatus, event: JobEvent): void {
    this.#status = status;
    this.#emit((this.#end = event));
    this.#listeners.clear();
  }

  #emit(event: JobEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}
