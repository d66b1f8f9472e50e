/** Where the jobs API keeps its jobs: an embedded database that survives a kill, or memory where libsql is not installed. */
import type { OutputFormat } from "../../outputs/index.ts";
import type { Transcript } from "../../transcription/index.ts";
import type { JobAudio, JobOptions, JobStatus } from "../service.ts";

/** Why a job failed, as clients are told. */
export interface JobFailure {
  readonly message: string;
  readonly code: string | null;
}

export interface JobRecord {
  readonly id: string;
  /** Whose it is, and who alone may read and end it: an API key's name, or "" of servers without keys (`ownerOf` in auth.ts). */
  readonly owner: string;
  /** Who asked for it, for limits. */
  readonly client: string;
  readonly model: string;
  /** The user's name of the recording. */
  readonly name: string;
  readonly audio: JobAudio;
  readonly options: JobOptions;
  /** Of its result, unless a request for that says otherwise. */
  readonly format: OutputFormat;
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

/** A job without its text, which may be long. */
export interface JobSummary extends Omit<JobRecord, "transcript"> {
  readonly language: string | null;
  /** Of the recording, in seconds; null unless it is done. */
  readonly duration: number | null;
}

/** Which jobs a list has. */
export interface JobPage {
  readonly owner: string;
  readonly limit: number;
  /** Those after this one, which need not be there any more. */
  readonly after?: JobPosition | undefined;
}

/** Where a job is in a list. */
export type JobPosition = Pick<JobRecord, "createdAt" | "id">;

export interface JobStore {
  /** Whether jobs outlive the process. */
  readonly isDurable: boolean;
  add(record: JobRecord): void;
  get(id: string): JobRecord | undefined;
  /** An owner's jobs, the newest first. */
  list(page: JobPage): JobSummary[];
  /** Counts a start. */
  start(id: string): void;
  /** Takes a start back: the server ended in order, so that the job is not to blame. */
  release(id: string): void;
  /** @returns false if it has ended already, or is gone: an outcome is written once */
  finish(id: string, outcome: JobOutcome): boolean;
  delete(id: string): void;
  /** Those that have not ended, the oldest first. */
  unfinished(): JobRecord[];
  /** Those that have ended, and when, in milliseconds since 1970. */
  finished(): { readonly id: string; readonly finishedAt: number }[];
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

  list({ owner, limit, after }: JobPage): JobSummary[] {
    return [...this.#records.values()]
      .filter((record) => record.owner === owner && (after === undefined || comesAfter(record, after)))
      .sort((a, b) => (comesAfter(a, b) ? 1 : -1))
      .slice(0, limit)
      .map(summaryOf);
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

  finished(): { readonly id: string; readonly finishedAt: number }[] {
    return [...this.#records.values()].flatMap(({ id, finishedAt }) =>
      finishedAt === null ? [] : [{ id, finishedAt }],
    );
  }

  close(): void {
    this.#records.clear();
  }
}

/** Whether a job is behind another in a list: it is older, or of the same millisecond. */
function comesAfter(job: JobPosition, other: JobPosition): boolean {
  return job.createdAt === other.createdAt ? job.id < other.id : job.createdAt < other.createdAt;
}

/** A job without its text. */
export function summaryOf({ transcript, ...record }: JobRecord): JobSummary {
  return { ...record, language: transcript?.language ?? null, duration: transcript?.duration ?? null };
}
