/**
 * Jobs that outlive the request that made them, and the server, where the store does: accepted jobs are in the store before
 * the client hears of them, and those that a server left unfinished are taken up by the next.
 */
import { randomUUID } from "node:crypto";
import { copyFile, mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { errorAnswer } from "../errors.ts";
import type { Job, JobAudio, JobEvent, JobOptions, JobStatus, TranscriptionService } from "../service.ts";
import { assertFetchable, withoutPassword } from "../transcription-service.ts";
import type { JobFailure, JobRecord, JobStore } from "./store.ts";

/** A job at which the server has ended so often is what ends it. */
const MAX_ATTEMPTS = 3;

/** An event of a job. Numbers rise; those of positions and progress that have been overtaken are gone. */
export interface NumberedEvent {
  readonly number: number;
  readonly event: JobEvent;
}

/** A job as it is now. */
export interface JobView {
  readonly record: JobRecord;
  readonly status: JobStatus;
  readonly position: number | null;
  readonly queueSize: number | null;
  readonly processedSeconds: number | null;
  readonly duration: number | null;
}

/** A job that has not ended. */
class ActiveJob {
  readonly events: NumberedEvent[] = [];
  readonly listeners = new Set<(event: NumberedEvent) => void>();
  job: Job | null = null;
  /** A client has asked for its end. */
  isCancelled = false;
  #next: number;

  constructor(
    readonly record: JobRecord,
    firstNumber: number,
  ) {
    this.#next = firstNumber;
  }

  emit(event: JobEvent): void {
    const numbered = { number: isFinal(event) ? FINAL_NUMBER : this.#next++, event };
    if (event.type === "queued" || event.type === "progress") {
      const old = this.events.findIndex((past) => past.event.type === event.type);
      if (old >= 0) this.events.splice(old, 1);
    }
    this.events.push(numbered);
    for (const listener of [...this.listeners]) listener(numbered);
  }
}

/** Numbers of events of each attempt, so that a client that comes back to another attempt gets all of its events. */
const NUMBERS_PER_ATTEMPT = 1e9;

/** The last event of every job has this number: who has it needs no more. */
export const FINAL_NUMBER = Number.MAX_SAFE_INTEGER;

function isFinal({ type }: JobEvent): boolean {
  return type === "done" || type === "failed" || type === "cancelled";
}

export interface KeptJobsOptions {
  readonly service: TranscriptionService;
  readonly store: JobStore;
  /** Where recordings of accepted jobs go; null: they stay where they are, and end with the server. */
  readonly folder: string | null;
  readonly ttlSeconds: number;
  readonly onError: (error: unknown) => void;
}

export class KeptJobs {
  readonly #service: TranscriptionService;
  readonly #store: JobStore;
  readonly #folder: string | null;
  readonly #ttlMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #active = new Map<string, ActiveJob>();
  #isClosed = false;

  private constructor(options: KeptJobsOptions) {
    this.#service = options.service;
    this.#store = options.store;
    this.#folder = options.folder;
    this.#ttlMs = options.ttlSeconds * 1000;
    this.#onError = options.onError;
  }

  /** Opens what the store holds, and goes on with what is unfinished. */
  static async open(options: KeptJobsOptions): Promise<KeptJobs> {
    const jobs = new KeptJobs(options);
    const unfinished = options.store.unfinished();
    if (options.folder !== null) await removeStrayFiles(options.folder, unfinished);
    for (const record of unfinished) jobs.#resume(record);
    return jobs;
  }

  /** Number of jobs that have not ended. */
  get size(): number {
    return this.#active.size;
  }

  /**
   * Accepts a job; when this returns, it is in the store.
   *
   * @param audio a temporary file is moved into the store's folder
   * @throws what the service's `submit` throws; nothing is kept then, and a file is still the caller's
   */
  async add(request: {
    readonly audio: JobAudio;
    readonly options: JobOptions;
    readonly client: string;
    readonly model: string;
  }): Promise<JobRecord> {
    this.#service.assertRoom(request.client);
    if (request.audio.kind === "url") assertFetchable(request.audio.url);
    const id = randomUUID();
    const audio = request.audio.kind === "file" ? await this.#keepFile(id, request.audio) : request.audio;
    const record: JobRecord = {
      id,
      client: request.client,
      model: request.model,
      name: audio.kind === "file" ? audio.name : withoutPassword(audio.url),
      audio,
      options: request.options,
      status: "queued",
      createdAt: Date.now(),
      finishedAt: null,
      attempts: 0,
      transcript: null,
      failure: null,
      seconds: null,
    };
    try {
      this.#store.add(record);
      this.#submit(record, false);
    } catch (error) {
      this.#store.delete(id);
      if (audio.kind === "file" && request.audio.kind === "file") await move(audio.path, request.audio.path);
      throw error;
    }
    return record;
  }

  /** @returns undefined if there is no such job */
  view(id: string): JobView | undefined {
    const active = this.#active.get(id);
    const record = active === undefined ? this.#store.get(id) : active.record;
    if (record === undefined) return undefined;
    const last = <T extends JobEvent["type"]>(type: T): Extract<JobEvent, { type: T }> | undefined =>
      active?.events.findLast(({ event }) => event.type === type)?.event as Extract<JobEvent, { type: T }> | undefined;
    const status = active?.job?.status ?? record.status;
    const queued = status === "queued" ? last("queued") : undefined;
    const progress = last("progress");
    return {
      record,
      status,
      position: queued?.position ?? null,
      queueSize: queued?.size ?? null,
      processedSeconds: progress?.seconds ?? record.transcript?.duration ?? null,
      duration: progress?.duration ?? record.transcript?.duration ?? null,
    };
  }

  /**
   * Gives a listener a job's events after a number, at once those that have been.
   *
   * @returns stops it, or undefined if there is no such job
   */
  subscribe(id: string, after: number, listener: (event: NumberedEvent) => void): (() => void) | undefined {
    const active = this.#active.get(id);
    if (active === undefined) {
      const record = this.#store.get(id);
      if (record === undefined) return undefined;
      for (const event of pastEvents(record)) if (event.number > after) listener(event);
      return () => {};
    }
    active.listeners.add(listener);
    for (const event of [...active.events]) if (event.number > after) listener(event);
    return () => void active.listeners.delete(listener);
  }

  /** Ends a job if it has not ended, and forgets it. @returns false if there is no such job */
  async remove(id: string): Promise<boolean> {
    const active = this.#active.get(id);
    if (active === undefined && this.#store.get(id) === undefined) return false;
    if (active !== undefined) {
      active.isCancelled = true;
      active.job?.cancel();
      await active.job?.result.catch(() => undefined);
    }
    this.#active.delete(id);
    this.#store.delete(id);
    return true;
  }

  /** Forgets what has ended long ago. */
  expire(now: number): void {
    this.#store.expire(now - this.#ttlMs);
  }

  /** Closes the store; what has not ended stays in it as it is. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#active.clear();
    this.#store.close();
  }

  #resume(record: JobRecord): void {
    if (record.attempts >= MAX_ATTEMPTS) {
      const message = `The server has ended ${record.attempts} times while it was at this job`;
      this.#finish(record, "failed", { failure: { message, code: "gave_up" } });
      return;
    }
    try {
      this.#submit(record, true);
    } catch (error) {
      this.#finish(record, "failed", { failure: failureOf(error) }); // its model is not served any more
    }
  }

  #submit(record: JobRecord, isResumed: boolean): void {
    const { model, client, options, audio } = record;
    const kept = audio.kind === "file" ? { ...audio, temporary: false } : audio; // until the outcome is written
    const active = new ActiveJob(record, (record.attempts + 1) * NUMBERS_PER_ATTEMPT);
    const job = this.#service.submit({ model, client, options, audio: kept, isResumed });
    active.job = job;
    this.#active.set(record.id, active);
    job.subscribe((event) => {
      try {
        this.#follow(active, event);
      } catch (error) {
        this.#onError(error);
      }
    });
  }

  #follow(active: ActiveJob, event: JobEvent): void {
    const { record } = active;
    if (this.#isClosed) return;
    switch (event.type) {
      case "started":
        this.#store.start(record.id);
        break;
      case "done":
        this.#finish(record, "done", { transcript: event.transcript, seconds: event.seconds });
        break;
      case "failed":
        this.#finish(record, "failed", { failure: failureOf(event.error) });
        break;
      case "cancelled":
        // At the end of the server it is left for the next one.
        if (active.isCancelled || this.#service.isAccepting || !this.#store.isDurable) {
          this.#finish(record, "cancelled", {});
        } else {
          this.#store.release(record.id);
          this.#active.delete(record.id);
        }
        break;
      case "queued":
      case "progress":
      case "segment":
        break;
    }
    active.emit(event);
  }

  #finish(
    { id, audio }: JobRecord,
    status: "done" | "failed" | "cancelled",
    {
      transcript = null,
      failure = null,
      seconds = null,
    }: Partial<Pick<JobRecord, "transcript" | "failure" | "seconds">>,
  ): void {
    this.#store.finish(id, { status, transcript, failure, seconds, finishedAt: Date.now() });
    this.#active.delete(id);
    if (audio.kind === "file") void rm(audio.path, { force: true }).catch(this.#onError);
  }

  async #keepFile(id: string, audio: Extract<JobAudio, { kind: "file" }>): Promise<JobAudio> {
    if (this.#folder === null) return audio;
    const path = join(this.#folder, `${id}${extname(audio.path)}`);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 }); // somebody may have removed it
    await move(audio.path, path);
    return { ...audio, path };
  }
}

/** Makes the folder, and removes files of uploads whose job was never written, or has ended. */
async function removeStrayFiles(folder: string, unfinished: readonly JobRecord[]): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const needed = new Set(unfinished.flatMap(({ audio }) => (audio.kind === "file" ? [basename(audio.path)] : [])));
  for (const name of await readdir(folder)) {
    if (!needed.has(name)) await rm(join(folder, name), { force: true });
  }
}

/** What listeners of a job that has ended are told: as many events as it has segments, and its end. */
function pastEvents(record: JobRecord): NumberedEvent[] {
  const events: JobEvent[] = [];
  if (record.transcript !== null) {
    events.push({ type: "started" });
    for (const segment of record.transcript.segments) events.push({ type: "segment", segment });
    events.push({ type: "done", transcript: record.transcript, seconds: record.seconds ?? 0 });
  } else if (record.failure !== null) {
    events.push({ type: "failed", error: new StoredFailure(record.failure) });
  } else if (record.status === "cancelled") events.push({ type: "cancelled" });
  // After those of all attempts: who was cut off before the end gets the whole of it again.
  const first = (record.attempts + 1) * NUMBERS_PER_ATTEMPT;
  return events.map((event, i) => ({ number: isFinal(event) ? FINAL_NUMBER : first + i, event }));
}

/** A failure that was read from the store. */
export class StoredFailure extends Error {
  override readonly name = "StoredFailure";
  readonly code: string | null;
  constructor({ message, code }: JobFailure) {
    super(message);
    this.code = code;
  }
}

/** What clients are told of an error. */
export function failureOf(error: unknown): JobFailure {
  if (error instanceof StoredFailure) return { message: error.message, code: error.code };
  const { message, code } = errorAnswer(error);
  return { message, code };
}

/** Renames a file, also to another file system. */
async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    try {
      await copyFile(from, to);
    } catch (failure) {
      await rm(to, { force: true }); // half of it, where the disk is full
      throw failure;
    }
    await rm(from, { force: true });
  }
}
