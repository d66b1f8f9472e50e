import { describe, expect, it } from "vitest";
import { IssuedFiles } from "./issued-files.ts";

function store(maxBytes = 1000) {
  const removed: string[] = [];
  const clock = { ms: 0 };
  const files = new IssuedFiles({
    maxBytes,
    now: () => clock.ms,
    remove: (path) => {
      removed.push(path);
      return Promise.resolve();
    },
  });
  return { files, removed, clock };
}

const file = (path: string, bytes = 10) => ({ path, name: `${path}.wav`, bytes });

describe("IssuedFiles", () => {
  it("finds what it has issued, and nothing else", async () => {
    const { files } = store();
    const id = await files.issue(file("a"));
    expect(files.use(id)?.file).toMatchObject(file("a"));
    for (const other of ["a", `${id}/`, `${id}/../${id}`, id.toUpperCase(), "", "__proto__"]) {
      expect(files.use(other)).toBeNull();
    }
  });

  it("removes what nobody has used for half an hour, but nothing that is in use", async () => {
    const { files, removed, clock } = store();
    const [a, b] = [await files.issue(file("a")), await files.issue(file("b"))];
    const used = files.use(b);
    clock.ms = 31 * 60_000;
    await files.expire();
    expect(removed).toEqual(["a"]);
    expect(files.use(a)).toBeNull();
    used?.release();
    used?.release();
    clock.ms += 29 * 60_000;
    await files.expire();
    expect(removed).toEqual(["a"]);
    clock.ms += 2 * 60_000;
    await files.expire();
    expect(removed).toEqual(["a", "b"]);
  });

  it("removes the oldest unused files where there are too many bytes", async () => {
    const { files, removed } = store(100);
    const a = await files.issue(file("a", 40));
    files.use(a);
    await files.issue(file("b", 40));
    await files.issue(file("c", 40));
    expect(removed).toEqual(["b"]);
    await files.issue(file("d", 500));
    expect(removed).toEqual(["b", "c"]);
    await files.clear();
    expect(removed).toEqual(["b", "c", "a", "d"]);
  });
});
