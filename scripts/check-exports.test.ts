import { describe, expect, it } from "vitest";
import { checkExports } from "./check-exports.mjs";

const FOLDERS = ["audio", "cli", "onnx", "pipeline"];
const FILES = ["dist/index.js", "dist/index.d.ts", "dist/audio/index.js", "dist/audio/index.d.ts", "dist/cli/main.js"];

const main = { types: "./dist/index.d.ts", default: "./dist/index.js" };
const audio = { types: "./dist/audio/index.d.ts", default: "./dist/audio/index.js" };
const bin = { sotto: "dist/cli/main.js" };

function faultsOf(manifest: object, folders = FOLDERS, files = FILES): string[] {
  return checkExports(manifest, folders, (path) => files.includes(path));
}

describe("checkExports()", () => {
  it("accepts entry points whose code and types were built", () => {
    expect(faultsOf({ exports: { ".": main, "./audio": audio }, bin })).toEqual([]);
  });

  it("accepts a file that is no code, such as package.json", () => {
    const exports = { ".": main, "./audio": audio, "./package.json": "./package.json" };
    expect(faultsOf({ exports, bin }, FOLDERS, [...FILES, "package.json"])).toEqual([]);
  });

  it.each([
    [{ exports: { ".": main }, bin }, "src/audio/index.ts is not in exports"],
    [{ exports: { "./audio": audio }, bin }, 'exports "." is missing'],
    [{ exports: { ".": main, "./audio": audio } }, "bin is missing"],
    [{ exports: { ".": main, "./audio": audio }, bin: { sotto: "dist/main.js" } }, 'bin "sotto" names "dist/main.js"'],
    [{ exports: { ".": main, "./audio": { default: audio.default } }, bin }, 'exports "./audio" has no "types"'],
    [{ exports: { ".": main, "./audio": audio.default }, bin }, 'exports "./audio" has no "types"'],
    [{ exports: { ".": main, "./audio": { types: audio.types } }, bin }, 'exports "./audio" has no code'],
    [{ exports: { ".": main, "./audio": { ...audio, default: "./dist/a.js" } }, bin }, 'default names "./dist/a.js"'],
    [{ exports: { ".": main, "./audio": { ...audio, types: "./dist/a.d.ts" } }, bin }, 'types names "./dist/a.d.ts"'],
    [{ exports: { ".": main, "./audio": { ...audio, types: "dist/a.d.ts" } }, bin }, 'expected "./" before it'],
    [{ exports: { ".": main, "./audio": audio, "./video": main }, bin }, 'exports "./video" has no src/video/index.ts'],
    [{ exports: { ".": main, "./audio": audio, "./onnx": main }, bin }, 'exports "./onnx" offers an internal folder'],
  ])("names the fault of %j", (manifest, fault) => {
    expect(faultsOf(manifest)).toEqual([expect.stringContaining(fault)]);
  });
});
