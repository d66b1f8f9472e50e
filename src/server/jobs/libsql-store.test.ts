import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openLibsqlStore } from "./libsql-store.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-libsql-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const libsql = await import("libsql").then(
  (module) => module.default,
  () => null,
);

describe.skipIf(libsql === null)("openLibsqlStore() (skipped where libsql is not installed)", () => {
  it("takes over a store of version 1, with the keys' jobs as theirs", async () => {
    const database = new (libsql as NonNullable<typeof libsql>)(join(folder, "jobs.db"));
    database.exec(`create table jobs (id text primary key, client text not null, model text not null, name text not null,
      audio text not null, options text not null, status text not null, created_at integer not null, finished_at integer,
      attempts integer not null, transcript text, failure text, seconds real);
      pragma user_version = 1;`);
    const insert = database.prepare(
      "insert into jobs values (?, ?, 'nano', ?, ?, '{}', 'queued', 1, null, 0, null, null, null)",
    );
    for (const [id, client] of [
      ["a", "key 12ab"],
      ["b", "127.0.0.1"],
    ]) {
      insert.run(id, client, `${id}.wav`, JSON.stringify({ kind: "url", url: "http://example.org/" }));
    }
    database.close();
    const store = await openLibsqlStore(folder);
    expect([store?.get("a")?.owner, store?.get("b")?.owner]).toEqual(["key 12ab", ""]);
    expect(store?.get("a")?.format).toBe("json");
    store?.close();
    (await openLibsqlStore(folder))?.close();
  });

  it("takes over a store of version 2, whose results are JSON", async () => {
    const database = new (libsql as NonNullable<typeof libsql>)(join(folder, "jobs.db"));
    database.exec(`create table jobs (id text primary key, owner text not null, client text not null, model text not null,
      name text not null, audio text not null, options text not null, status text not null, created_at integer not null,
      finished_at integer, attempts integer not null, transcript text, failure text, seconds real);
      insert into jobs values ('a', '', '', 'nano', 'a.wav', '{"kind":"url","url":"http://example.org/"}', '{}', 'queued',
        1, null, 0, null, null, null);
      pragma user_version = 2;`);
    database.close();
    const store = await openLibsqlStore(folder);
    const old = store?.get("a");
    expect(old?.format).toBe("json");
    if (old !== undefined) store?.add({ ...old, id: "b", format: "srt" });
    store?.close();
    const again = await openLibsqlStore(folder);
    expect(again?.list({ owner: "", limit: 9 }).map(({ id, format }) => [id, format])).toEqual([
      ["b", "srt"],
      ["a", "json"],
    ]);
    again?.close();
  });

  it("is its user's alone, in a folder that anybody may read, and where it was open before", async (context) => {
    if (process.platform === "win32") context.skip("Windows has no modes");
    chmodSync(folder, 0o755);
    for (let attempt = 0; attempt < 2; attempt++) {
      const store = await openLibsqlStore(folder);
      const files = readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mode & 0o777]);
      expect(files).toContainEqual(["jobs.db-wal", 0o600]);
      for (const [, mode] of files) expect(mode).toBe(0o600);
      store?.close();
      chmodSync(join(folder, "jobs.db"), 0o644);
    }
  });

  it.each([
    ["a file", "it is not a folder", (path: string) => writeFileSync(path, "")],
    [
      "a folder whose store is a folder",
      "it is a folder, expected a file",
      (path: string) => mkdirSync(join(path, "jobs.db"), { recursive: true }),
    ],
    [
      "a folder whose store is something else",
      "it is not a SQLite file",
      (path: string) => {
        mkdirSync(path);
        writeFileSync(join(path, "jobs.db"), "no database ".repeat(100));
      },
    ],
  ])("says why it cannot use %s", async (_name, reason, make) => {
    const path = join(folder, "store");
    make(path);
    await expect(openLibsqlStore(path)).rejects.toThrow(
      `Cannot use the job store "${join(path, "jobs.db")}": ${reason}\nHint: name a folder that can be written with --store`,
    );
  });
});
