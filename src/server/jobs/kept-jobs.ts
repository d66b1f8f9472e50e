/**
 * Jobs that outlive the request that made them, and the server, where the store does: accepted jobs are in the store before
 * the client hears of them, and those that a server left unfinished are taken up by the next.
 */
import { randomUUID } from "node:crypto";
import { copyFile, readdir, rename, rm } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import type { OutputFormat } from "../../outputs/index.ts";
import { errorAnswer } from "../errors.ts";
import { makeFolder } from "../../files/index.ts";
import type { Job, JobAudio, JobEvent, JobOptions, JobStatus, TranscriptionService } from "../service.ts";
import { assertFetchable, withoutPassword } from "../transcription-service.ts";
import {
  summaryOf,
  type JobFailure,
  type JobOutcome,
  type JobPage,
  type JobRecord,
  type JobStore,
  type JobSummary,
} from "./store.ts";

/** A job at which the server has ended so often is what ends it. */
const MAX_ATTEMPTS = 3;

/** An event of a job. Numbers rise; those of positions and progress that have been overtaken are gone. */
export interface NumberedEvent {
  readonly number: number;
  readonly event: JobEvent;
}

/** A job as it is now, without its text. */
export interface JobView {
  readonly record: JobSummary;
  readonly status: JobStatus;
  readonly position: number | null;
  readonly queueSize: number | null;
  readonly processedSeconds: number | null;
  readonly duration: number | null;
}

/** A job as it is now. */
export interface WholeJobView extends JobView {
  readonly record: JobSummary & JobRecord;
}

/** Jobs that come within this long of each other get times that differ, so that a list has them in order; in ms. */
const SAME_TIME_MS = 1000;

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
  /** A clock that nobody sets, in ms; default the process's. */
  readonly now?: () => number;
}

export class KeptJobs {
  readonly #service: TranscriptionService;
  readonly #store: JobStore;
  readonly #folder: string | null;
  readonly #ttlMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #now: () => number;
  readonly #active = new Map<string, ActiveJob>();
  /** When each finished job is forgotten, by `#now`: the time of day may be set in the meantime. */
  readonly #expiry = new Map<string, number>();
  /** Jobs that have ended, and whose end could not be written yet. */
  readonly #unwritten = new Map<string, JobRecord>();
  #lastTime = 0;
  #isClosed = false;

  private constructor(options: KeptJobsOptions) {
    this.#service = options.service;
    this.#store = options.store;
    this.#folder = options.folder;
    this.#ttlMs = options.ttlSeconds * 1000;
    this.#onError = options.onError;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Opens what the store holds, and goes on with what is unfinished. */
  static async open(options: KeptJobsOptions): Promise<KeptJobs> {
    const jobs = new KeptJobs(options);
    const unfinished = options.store.unfinished();
    if (options.folder !== null) await removeStrayFiles(options.folder, unfinished);
    for (const { id, finishedAt } of options.store.finished()) {
      // What the clock says of the time before this process is all there is; one that was set back makes nothing older.
      jobs.#expiry.set(id, jobs.#now() + jobs.#ttlMs - Math.max(0, Date.now() - finishedAt));
    }
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
    readonly format: OutputFormat;
    readonly owner: string;
    readonly client: string;
    readonly model: string;
  }): Promise<JobRecord> {
    this.#service.assertRoom(request.client);
    if (request.audio.kind === "url") assertFetchable(request.audio.url);
    const id = randomUUID();
    const audio = request.audio.kind === "file" ? await this.#keepFile(id, request.audio) : request.audio;
    const record: JobRecord = {
      id,
      owner: request.owner,
      client: request.client,
      model: request.model,
      name: audio.kind === "file" ? audio.name : withoutPassword(audio.url),
      audio,
      options: request.options,
      format: request.format,
      status: "queued",
      createdAt: this.#newTime(),
      finishedAt: null,
      attempts: 0,
      transcript: null,
      failure: null,
      seconds: null,
    };
    try {
      this.#store.add(record);
      try {
        this.#submit(record, false);
      } catch (error) {
        this.#try(() => this.#store.delete(id));
        throw error;
      }
    } catch (error) {
      if (audio.kind === "file" && request.audio.kind === "file") await move(audio.path, request.audio.path);
      throw error;
    }
    return record;
  }

  /** @returns undefined if the owner has no such job */
  view(owner: string, id: string): WholeJobView | undefined {
    const record = this.#find(owner, id);
    if (record === undefined) return undefined;
    const whole = { ...record, ...summaryOf(record) };
    return { ...this.#stateOf(whole), record: whole };
  }

  /** An owner's jobs, the newest first. */
  list(page: JobPage): JobView[] {
    return this.#store.list(page).map((summary) => {
      const ended = this.#unwritten.get(summary.id);
      return this.#stateOf(ended === undefined ? summary : summaryOf(ended));
    });
  }

  #find(owner: string, id: string): JobRecord | undefined {
    const record = this.#active.get(id)?.record ?? this.#unwritten.get(id) ?? this.#store.get(id);
    return record?.owner === owner ? record : undefined;
  }

  #stateOf(record: JobSummary): JobView {
    const active = this.#active.get(record.id);
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
      processedSeconds: progress?.seconds ?? record.duration,
      duration: progress?.duration ?? record.duration,
    };
  }

  /**
   * Gives a listener a job's events after a number, at once those that have been.
   *
   * @returns stops it, or undefined if the owner has no such job
   */
  subscribe(
    owner: string,
    id: string,
    after: number,
    listener: (event: NumberedEvent) => void,
  ): (() => void) | undefined {
    const record = this.#find(owner, id);
    if (record === undefined) return undefined;
    const active = this.#active.get(id);
    if (active === undefined) {
      for (const event of pastEvents(record)) if (event.number > after) listener(event);
      return () => {};
    }
    active.listeners.add(listener);
    for (const event of [...active.events]) if (event.number > after) listener(event);
    return () => void active.listeners.delete(listener);
  }

  /** Ends a job if it has not ended, and forgets it. @returns false if the owner has no such job */
  async remove(owner: string, id: string): Promise<boolean> {
    if (this.#find(owner, id) === undefined) return false;
    const active = this.#active.get(id);
    if (active !== undefined) {
      active.isCancelled = true;
      active.job?.cancel();
      await active.job?.result.catch(() => undefined);
    }
    this.#store.delete(id);
    this.#active.delete(id);
    this.#forget([id]);
    return true;
  }

  /** Forgets what has ended long ago, and writes what could not be written before. To be called now and then. */
  tidy(): void {
    if (this.#isClosed) return;
    this.#try(() => this.#writeEnds());
    const now = this.#now();
    const old = [...this.#expiry].filter(([, time]) => time <= now).map(([id]) => id);
    if (old.length === 0) return;
    this.#try(() => {
      for (const id of old) this.#store.delete(id);
      this.#forget(old);
    });
  }

  #forget(ids: readonly string[]): void {
    for (const id of ids) {
      this.#expiry.delete(id);
      const unwritten = this.#unwritten.get(id);
      this.#unwritten.delete(id);
      if (unwritten !== undefined) this.#removeFile(unwritten);
    }
  }

  #writeEnds(): void {
    for (const record of this.#unwritten.values()) {
      this.#store.finish(record.id, outcomeOf(record));
      this.#unwritten.delete(record.id);
      this.#removeFile(record);
    }
  }

  /** Closes the store; what has not ended stays in it as it is. */
  close(): void {
    if (this.#isClosed) return;
    this.#try(() => this.#writeEnds());
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
        this.#try(() => this.#store.start(record.id));
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
          this.#try(() => this.#store.release(record.id));
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
    record: JobRecord,
    status: "done" | "failed" | "cancelled",
    {
      transcript = null,
      failure = null,
      seconds = null,
    }: Partial<Pick<JobRecord, "transcript" | "failure" | "seconds">>,
  ): void {
    const outcome: JobOutcome = { status, transcript, failure, seconds, finishedAt: Date.now() };
    this.#active.delete(record.id);
    this.#expiry.set(record.id, this.#now() + this.#ttlMs);
    try {
      this.#store.finish(record.id, outcome);
      this.#removeFile(record);
    } catch (error) {
      // Kept here until it can be written; the recording too, as the next server would have to do it again.
      this.#onError(error);
      this.#unwritten.set(record.id, { ...record, ...outcome, attempts: record.attempts + 1 });
    }
  }

  #removeFile({ audio }: JobRecord): void {
    if (audio.kind === "file") void rm(audio.path, { force: true }).catch(this.#onError);
  }

  /** Does what may fail, as on a full disk, without harm to the job. */
  #try(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#onError(error);
    }
  }

  /** The time of day, of two jobs in a row always different. */
  #newTime(): number {
    const now = Date.now();
    this.#lastTime = now <= this.#lastTime && this.#lastTime - now < SAME_TIME_MS ? this.#lastTime + 1 : now;
    return this.#lastTime;
  }

  async #keepFile(id: string, audio: Extract<JobAudio, { kind: "file" }>): Promise<JobAudio> {
    if (this.#folder === null) return audio;
    const path = join(this.#folder, `${id}${extname(audio.path)}`);
    await makeFolder(this.#folder, 0o700); // somebody may have removed it
    await move(audio.path, path);
    return { ...audio, path };
  }
}

/** Makes the folder, and removes files of uploads whose job was never written, or has ended. */
async function removeStrayFiles(folder: string, unfinished: readonly JobRecord[]): Promise<void> {
  await makeFolder(folder, 0o700);
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

function outcomeOf({ status, transcript, failure, seconds, finishedAt }: JobRecord): JobOutcome {
  return { status: status as JobOutcome["status"], transcript, failure, seconds, finishedAt };
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
