/**
 * Jobs in a SQLite file, by libsql. Every change is one statement, so that a kill at any moment leaves a job either as it was or as
 * it is to be. The file is held by one process at a time.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type Database from "libsql";
import { OptionError } from "../../errors.ts";
import type { JobOutcome, JobRecord, JobStore } from "./store.ts";

/** Changes with the table. A store of another version is refused, not guessed at. */
const VERSION = 1;

const TABLE = `
  create table if not exists jobs (
    id text primary key,
    client text not null,
    model text not null,
    name text not null,
    audio text not null,
    options text not null,
    status text not null,
    created_at integer not null,
    finished_at integer,
    attempts integer not null,
    transcript text,
    failure text,
    seconds real
  );
  create index if not exists unfinished on jobs (created_at) where finished_at is null;
  create index if not exists finished on jobs (finished_at) where finished_at is not null;`;

interface Row {
  readonly id: string;
  readonly client: string;
  readonly model: string;
  readonly name: string;
  readonly audio: string;
  readonly options: string;
  readonly status: JobRecord["status"];
  readonly created_at: number;
  readonly finished_at: number | null;
  readonly attempts: number;
  readonly transcript: string | null;
  readonly failure: string | null;
  readonly seconds: number | null;
}

/**
 * Opens the store of a folder, which is made if it is missing.
 *
 * @returns null if libsql is not installed
 * @throws {OptionError} if another process has it, or it is of another version
 */
export async function openLibsqlStore(folder: string): Promise<JobStore | null> {
  let Constructor: typeof Database;
  try {
    Constructor = (await import("libsql")).default;
  } catch (error) {
    // An optional package; its native part may be missing for this machine, too.
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND") return null;
    throw error;
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, "jobs.db");
  const database = new Constructor(path);
  try {
    // Exclusive: two servers would both finish what is left. What a killed process has written is with the system already.
    database.exec("pragma locking_mode = exclusive");
    database.exec("pragma journal_mode = wal");
    database.exec("pragma synchronous = normal");
    const { user_version: version } = database.prepare("pragma user_version").get() as { user_version: number };
    if (version !== 0 && version !== VERSION) {
      throw new OptionError(
        "store",
        `Cannot use the job store "${path}": it has version ${version}, expected ${VERSION}`,
      );
    }
    database.exec("begin immediate");
    database.exec(TABLE);
    database.exec(`pragma user_version = ${VERSION}`);
    database.exec("commit");
  } catch (error) {
    database.close();
    if (error instanceof OptionError) throw error;
    const isLocked = /locked|busy/i.test((error as Error).message);
    const reason = isLocked ? "another server has it" : (error as Error).message;
    throw new OptionError("store", `Cannot use the job store "${path}": ${reason}`, {
      cause: error,
      ...(isLocked && { hint: "give each server a folder of its own with --store" }),
    });
  }
  return new LibsqlStore(database);
}

class LibsqlStore implements JobStore {
  readonly isDurable = true;
  readonly #database: Database.Database;

  constructor(database: Database.Database) {
    this.#database = database;
  }

  add(record: JobRecord): void {
    this.#database
      .prepare("insert into jobs values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .run(
        record.id,
        record.client,
        record.model,
        record.name,
        JSON.stringify(record.audio),
        JSON.stringify(record.options),
        record.status,
        record.createdAt,
        record.finishedAt,
        record.attempts,
        orNull(record.transcript),
        orNull(record.failure),
        record.seconds,
      );
  }

  get(id: string): JobRecord | undefined {
    const row = this.#database.prepare("select * from jobs where id = ?").get(id) as Row | undefined;
    return row === undefined ? undefined : fromRow(row);
  }

  start(id: string): void {
    this.#database
      .prepare("update jobs set status = 'running', attempts = attempts + 1 where id = ? and finished_at is null")
      .run(id);
  }

  release(id: string): void {
    this.#database
      .prepare("update jobs set status = 'queued', attempts = attempts - 1 where id = ? and status = 'running'")
      .run(id);
  }

  finish(id: string, { status, transcript, failure, seconds, finishedAt }: JobOutcome): boolean {
    const { changes } = this.#database
      .prepare(
        `update jobs set status = ?, transcript = ?, failure = ?, seconds = ?, finished_at = ?
         where id = ? and finished_at is null`,
      )
      .run(status, orNull(transcript), orNull(failure), seconds, finishedAt, id);
    return changes === 1;
  }

  delete(id: string): void {
    this.#database.prepare("delete from jobs where id = ?").run(id);
  }

  unfinished(): JobRecord[] {
    const rows = this.#database.prepare("select * from jobs where finished_at is null order by created_at").all();
    return (rows as Row[]).map(fromRow);
  }

  expire(before: number): void {
    this.#database.prepare("delete from jobs where finished_at < ?").run(before);
  }

  close(): void {
    this.#database.close();
  }
}

function orNull(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}

function fromRow(row: Row): JobRecord {
  const { id, client, model, name, status, attempts, seconds } = row;
  return {
    id,
    client,
    model,
    name,
    status,
    attempts,
    seconds,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    audio: JSON.parse(row.audio) as JobRecord["audio"],
    options: JSON.parse(row.options) as JobRecord["options"],
    transcript: row.transcript === null ? null : (JSON.parse(row.transcript) as JobRecord["transcript"]),
    failure: row.failure === null ? null : (JSON.parse(row.failure) as JobRecord["failure"]),
  };
}
