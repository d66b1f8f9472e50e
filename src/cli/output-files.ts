/** Names of output files, and writing them so that a file is either whole or not there. */

import { randomBytes } from "node:crypto";
import { access, constants, open, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, parse, resolve } from "node:path";
import { OptionError } from "../errors.ts";
import { fileIdentity } from "./protected-files.ts";
import { systemReason } from "./system-reason.ts";
import type { InputItem } from "./inputs.ts";

/**
 * The stem of each input's output files: the name of the input without its last extension, as openai/whisper has it. Inputs
 * whose outputs would share a name keep their extension (`talk.mp3`, `talk.wav`), then the folder above (`a_talk.mp3`,
 * `b_talk.mp3`), then are counted (`talk.mp3-2`), so that no output is written over another (facts 2.1.4), nor over a protected file.
 *
 * @param extensions of the files that will be written, without a dot
 * @param isProtected whether a path names a file that must stay as it is
 */
export function outputStems(
  inputs: readonly InputItem[],
  directory: string,
  extensions: readonly string[],
  isProtected: (path: string) => boolean = () => false,
): string[] {
  const choices = inputs.map(({ base, path }) => {
    const above = path === null ? "" : parse(dirname(path)).base;
    return [parse(base).name, base, above === "" ? base : `${above}_${base}`];
  });
  // "Talk" and "talk" are one file on macOS and Windows.
  const key = (stem: string): string => stem.normalize("NFC").toLowerCase();
  const inputPaths = new Set(inputs.flatMap(({ path }) => (path === null ? [] : [key(path)])));
  const pathsOf = (stem: string): string[] => extensions.map((extension) => resolve(directory, `${stem}.${extension}`));
  /** Whole paths, not stems: "talk" as json-full and "talk.full" as json are one file. What exists may be one under two names. */
  const keysOf = (stem: string): string[] => pathsOf(stem).map((path) => fileIdentity(path) ?? key(path));
  const overwrites = (stem: string): boolean =>
    pathsOf(stem).some((path) => inputPaths.has(key(path)) || isProtected(path));

  const level = inputs.map(() => 0);
  for (let step = 0; step < 2; step++) {
    const count = new Map<string, number>();
    const current = choices.map((names, i) => names[level[i]]);
    const keys = current.map(keysOf);
    for (const one of keys.flat()) count.set(one, (count.get(one) ?? 0) + 1);
    current.forEach((stem, i) => {
      if (keys[i].some((one) => (count.get(one) ?? 0) > 1) || overwrites(stem)) level[i]++;
    });
  }
  const used = new Set<string>();
  return choices.map((names, i) => {
    const stem = names[level[i]];
    let unique = stem;
    for (let n = 2; keysOf(unique).some((one) => used.has(one)) || overwrites(unique); n++) unique = `${stem}-${n}`;
    for (const one of keysOf(unique)) used.add(one);
    return unique;
  });
}

/**
 * Asserts that a file can be written, so that no work is lost for the lack of a folder.
 *
 * @param option the flag that names it
 * @throws {OptionError} `Cannot write "path": reason`
 */
export async function assertWritable(option: string, path: string): Promise<void> {
  const existing = await stat(path).catch(() => undefined);
  if (existing?.isDirectory() === true) throw new OptionError(option, `Cannot write "${path}": it is a folder`);
  if (existing !== undefined && !existing.isFile()) return;
  const folder = dirname(existing === undefined ? path : await realpath(path));
  const above = await stat(folder).catch(() => undefined);
  if (above === undefined) {
    throw new OptionError(option, `Cannot write "${path}": there is no folder "${folder}"`, {
      hint: "create it first",
    });
  }
  if (!above.isDirectory()) throw new OptionError(option, `Cannot write "${path}": "${folder}" is not a folder`);
  await access(folder, constants.W_OK).catch((error: unknown) => {
    throw new OptionError(option, `Cannot write "${path}": ${systemReason(error)}`, { cause: error });
  });
}

/**
 * Writes text as UTF-8. The file appears whole, under a passing name first: a full disk or a sudden end leaves what was there
 * before. A path that is no regular file (`/dev/stdout`) is written to as it is.
 *
 * @throws {Error} `Cannot write "path": reason`
 */
export async function writeWholeFile(path: string, text: string): Promise<void> {
  let temporary: string | undefined;
  try {
    const existing = await stat(path).catch(() => undefined);
    if (existing !== undefined && !existing.isFile()) {
      await writeFile(path, text);
      return;
    }
    const target = existing === undefined ? path : await realpath(path); // a link stays a link
    temporary = join(dirname(target), `.sotto-${process.pid}-${randomBytes(4).toString("hex")}.tmp`);
    const file = await open(temporary, "wx", existing?.mode ?? 0o666);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    if (temporary !== undefined) await rm(temporary, { force: true }).catch(() => undefined);
    throw new Error(`Cannot write "${path}": ${systemReason(error)}`, { cause: error });
  }
}
