/** Where the jobs API keeps its jobs: an embedded database that survives a kill, or memory where libsql is not installed. */
import type { Transcript } from "../../transcription/index.ts";
import type { JobAudio, JobOptions, JobStatus } from "../service.ts";

/** Why a job failed, as clients are told. */
export interface JobFailure {
  readonly message: string;
  readonly code: string | null;
}

export interface JobRecord {
  readonly id: string;
  readonly client: string;
  readonly model: string;
  /** The user's name of the recording. */
  readonly name: string;
  readonly audio: JobAudio;
  readonly options: JobOptions;
  readonly status: JobStatus;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly finishedAt: number | null;
  /** How often it was started. */
  readonly attempts: number;
  readonly transcript: Transcript | null;
  readonly failure: JobFailure | null;
  /** Wall time of the attempt that finished it. */
  readonly seconds: number | null;
}

/** What a job has become. */
export type JobOutcome = Pick<JobRecord, "transcript" | "failure" | "seconds" | "finishedAt"> & {
  readonly status: "done" | "failed" | "cancelled";
};

export interface JobStore {
  /** Whether jobs outlive the process. */
  readonly isDurable: boolean;
  add(record: JobRecord): void;
  get(id: string): JobRecord | undefined;
  /** Counts a start. */
  start(id: string): void;
  /** Takes a start back: the server ended in order, so that the job is not to blame. */
  release(id: string): void;
  /** @returns false if it has ended already, or is gone: an outcome is written once */
  finish(id: string, outcome: JobOutcome): boolean;
  delete(id: string): void;
  /** Those that have not ended, the oldest first. */
  unfinished(): JobRecord[];
  /** Removes those that ended before a time, in milliseconds since 1970. */
  expire(before: number): void;
  close(): void;
}

/** Jobs that end with the process. */
export class MemoryStore implements JobStore {
  readonly isDurable = false;
  readonly #records = new Map<string, JobRecord>();

  add(record: JobRecord): void {
    this.#records.set(record.id, record);
  }

  get(id: string): JobRecord | undefined {
    return this.#records.get(id);
  }

  start(id: string): void {
    const record = this.#records.get(id);
    if (record !== undefined) {
      this.#records.set(id, { ...record, status: "running", attempts: record.attempts + 1 });
    }
  }

  release(id: string): void {
    const record = this.#records.get(id);
    if (record?.status === "running") {
      this.#records.set(id, { ...record, status: "queued", attempts: record.attempts - 1 });
    }
  }

  finish(id: string, outcome: JobOutcome): boolean {
    const record = this.#records.get(id);
    if (record === undefined || record.finishedAt !== null) return false;
    this.#records.set(id, { ...record, ...outcome });
    return true;
  }

  delete(id: string): void {
    this.#records.delete(id);
  }

  unfinished(): JobRecord[] {
    return [...this.#records.values()].filter(({ finishedAt }) => finishedAt === null);
  }

  expire(before: number): void {
    for (const { id, finishedAt } of this.#records.values()) {
      if (finishedAt !== null && finishedAt < before) this.#records.delete(id);
    }
  }

  close(): void {
    this.#records.clear();
  }
}
