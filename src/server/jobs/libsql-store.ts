/**
 * Jobs in a SQLite file, by libsql. Every change is one statement, so that a kill at any moment leaves a job either as it was or as
 * it is to be. The file is held by one process at a time.
 */
import { chmod, open } from "node:fs/promises";
import { join } from "node:path";
import type Database from "libsql";
import { diskReason, OptionError } from "../../errors.ts";
import { makeFolder } from "../../files/index.ts";
import type { JobOutcome, JobPage, JobRecord, JobStore, JobSummary } from "./store.ts";

/** Changes with the table. A store of a later version is refused, not guessed at. */
const VERSION = 3;

const TABLE = `
  create table if not exists jobs (
    id text primary key,
    owner text not null,
    client text not null,
    model text not null,
    name text not null,
    audio text not null,
    options text not null,
    format text not null,
    status text not null,
    created_at integer not null,
    finished_at integer,
    attempts integer not null,
    transcript text,
    failure text,
    seconds real
  );
  create index if not exists listed on jobs (owner, created_at desc, id desc);
  create index if not exists unfinished on jobs (created_at) where finished_at is null;
  drop index if exists finished;`;

/** Jobs had no owner; clients with keys had the keys' names. */
const FROM_VERSION_1 = `
  alter table jobs add column owner text not null default '';
  update jobs set owner = client where client like 'key %';`;

/** Results were JSON unless a request said otherwise. */
const FROM_VERSION_2 = "alter table jobs add column format text not null default 'json';";

/** All of a job but its text, of which there are only language and duration. */
const SUMMARY = `id, owner, client, model, name, audio, options, format, status, created_at, finished_at, attempts, failure, seconds,
  json_extract(transcript, '$.language') as language, json_extract(transcript, '$.duration') as duration`;

interface SummaryRow {
  readonly id: string;
  readonly owner: string;
  readonly client: string;
  readonly model: string;
  readonly name: string;
  readonly audio: string;
  readonly options: string;
  readonly format: JobRecord["format"];
  readonly status: JobRecord["status"];
  readonly created_at: number;
  readonly finished_at: number | null;
  readonly attempts: number;
  readonly failure: string | null;
  readonly seconds: number | null;
}

interface Row extends SummaryRow {
  readonly transcript: string | null;
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
  const path = join(folder, "jobs.db");
  let database: Database.Database;
  try {
    await makeFolder(folder, 0o700);
    await makePrivate(path);
    database = new Constructor(path);
  } catch (error) {
    throw storeError(path, error);
  }
  try {
    // Exclusive: two servers would both finish what is left. What a killed process has written is with the system already.
    database.exec("pragma locking_mode = exclusive");
    database.exec("pragma journal_mode = wal");
    database.exec("pragma synchronous = normal");
    const { user_version: version } = database.prepare("pragma user_version").get() as { user_version: number };
    if (version > VERSION) {
      throw new OptionError(
        "store",
        `Cannot use the job store "${path}": it has version ${version}, expected at most ${VERSION}`,
      );
    }
    database.exec("begin immediate");
    if (version === 1) database.exec(FROM_VERSION_1);
    if (version === 1 || version === 2) database.exec(FROM_VERSION_2);
    database.exec(TABLE);
    database.exec(`pragma user_version = ${VERSION}`);
    database.exec("commit");
  } catch (error) {
    database.close();
    throw error instanceof OptionError ? error : storeError(path, error);
  }
  return new LibsqlStore(database);
}

/** Recordings' names and texts are in it. SQLite gives the files beside it its mode, but makes it for all to read. */
async function makePrivate(path: string): Promise<void> {
  await (await open(path, "a", 0o600)).close();
  for (const suffix of ["", "-wal", "-shm", "-journal"]) {
    // It need not exist; and some file systems have no modes.
    await chmod(`${path}${suffix}`, 0o600).catch(() => undefined);
  }
}

/** The error for a store that cannot be opened, in words. */
function storeError(path: string, error: unknown): OptionError {
  const isLocked = /locked|busy/i.test((error as Error).message);
  const reason = isLocked ? "another server has it" : diskReason(error);
  return new OptionError("store", `Cannot use the job store "${path}": ${reason}`, {
    cause: error,
    hint: isLocked
      ? "give each server a folder of its own with --store"
      : "name a folder that can be written with --store",
  });
}

class LibsqlStore implements JobStore {
  readonly isDurable = true;
  readonly #database: Database.Database;

  constructor(database: Database.Database) {
    this.#database = database;
  }

  add(record: JobRecord): void {
    this.#database
      .prepare(
        `insert into jobs (id, owner, client, model, name, audio, options, format, status, created_at, finished_at, attempts,
           transcript, failure, seconds) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        record.id,
        record.owner,
        record.client,
        record.model,
        record.name,
        JSON.stringify(record.audio),
        JSON.stringify(record.options),
        record.format,
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

  list({ owner, limit, after }: JobPage): JobSummary[] {
    const { createdAt, id } = after ?? { createdAt: Number.MAX_SAFE_INTEGER, id: "" };
    const rows = this.#database
      .prepare(
        `select ${SUMMARY} from jobs where owner = ? and (created_at, id) < (?, ?)
         order by created_at desc, id desc limit ?`,
      )
      .all(owner, createdAt, id, limit) as (SummaryRow & Pick<JobSummary, "language" | "duration">)[];
    return rows.map((row) => ({ ...fromSummaryRow(row), language: row.language, duration: row.duration }));
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

  finished(): { readonly id: string; readonly finishedAt: number }[] {
    return this.#database
      .prepare("select id, finished_at as finishedAt from jobs where finished_at is not null")
      .all() as { id: string; finishedAt: number }[];
  }

  close(): void {
    release(this.#database);
  }
}

/**
 * Closes a database. libsql keeps the file, and its lock, until all statements are collected as garbage: so the lock is let go of
 * first, which takes leaving WAL, and reading once.
 */
function release(database: Database.Database): void {
  try {
    database.exec("pragma journal_mode = delete; pragma locking_mode = normal; select count(*) from jobs");
  } catch {
    // A full disk, or no table yet: the lock ends with the process.
  }
  database.close();
}

function orNull(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}

function fromRow(row: Row): JobRecord {
  const transcript = row.transcript === null ? null : (JSON.parse(row.transcript) as JobRecord["transcript"]);
  return { ...fromSummaryRow(row), transcript };
}

function fromSummaryRow(row: SummaryRow): Omit<JobRecord, "transcript"> {
  const { id, owner, client, model, name, format, status, attempts, seconds } = row;
  return {
    id,
    owner,
    client,
    model,
    name,
    format,
    status,
    attempts,
    seconds,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    audio: JSON.parse(row.audio) as JobRecord["audio"],
    options: JSON.parse(row.options) as JobRecord["options"],
    failure: row.failure === null ? null : (JSON.parse(row.failure) as JobRecord["failure"]),
  };
}
