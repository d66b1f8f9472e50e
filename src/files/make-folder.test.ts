import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeFolder } from "./make-folder.ts";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "sotto-folder-"))));
afterEach(() => rmSync(folder, { recursive: true }));

describe("makeFolder()", () => {
  it("makes what is missing, for whom it is told, and leaves what is there", async () => {
    await makeFolder(join(folder, "a/b/c"), 0o700);
    expect(statSync(join(folder, "a/b/c")).mode & 0o777).toBe(0o700);
    await makeFolder(join(folder, "a/b"));
    await makeFolder("/");
    symlinkSync(join(folder, "a"), join(folder, "link"));
    await makeFolder(join(folder, "link/d"));
    expect(existsSync(join(folder, "a/d"))).toBe(true);
  });

  it("may be asked for the same folder many times at once", async () => {
    await Promise.all(Array.from({ length: 20 }, () => makeFolder(join(folder, "x/y/z"))));
    expect(existsSync(join(folder, "x/y/z"))).toBe(true);
  });

  it.each<[path: string, code: string]>([
    ["file", "EEXIST"],
    ["file/x", "ENOTDIR"],
    ["file/x/y", "ENOTDIR"],
    ["dangling", "EEXIST"],
    [`${"n".repeat(300)}/x`, "ENAMETOOLONG"],
  ])("says what stands in the way: %s", async (path, code) => {
    writeFileSync(join(folder, "file"), "");
    symlinkSync(join(folder, "nowhere"), join(folder, "dangling"));
    await expect(makeFolder(join(folder, path))).rejects.toMatchObject({ code });
  });

  it.each(["/proc/sotto", "/proc/sotto/deep/down", "/proc/self/fd/sotto/x"])(
    "ends where nothing can be made: %s",
    async (path) => {
      await expect(makeFolder(path)).rejects.toThrow();
    },
  );
});
