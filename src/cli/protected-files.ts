/**
 * What no output may be written over: the recordings, the texts that they are compared with, and the files of the model. A file is
 * known by what it is, not by what it is called: links of both kinds, `..` and, where the file system knows none, case lead to the same.
 */

import { fstatSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { OptionError } from "../errors.ts";
import type { CliHost } from "./host.ts";

/** Files that must stay as they are, each with what it is to the user. */
export class ProtectedFiles {
  readonly #roleOf = new Map<string, string>();
  /** Real paths of folders of which everything is protected. */
  readonly #folders = new Map<string, string>();

  /** @param role `the recording`, for messages; a file that does not exist, or is no regular one, needs no protection */
  add(path: string, role: string): void {
    const identity = fileIdentity(path);
    if (identity !== undefined && !this.#roleOf.has(identity)) this.#roleOf.set(identity, role);
  }

  /** Protects the file that an open descriptor reads. */
  addDescriptor(descriptor: number, role: string): void {
    const identity = fileIdentity(descriptor);
    if (identity !== undefined) this.#roleOf.set(identity, role);
  }

  /** Protects all that lies in a folder, now and later. */
  addFolder(path: string, role: string): void {
    this.#folders.set(realPath(path), role);
  }

  /** @returns what the file is, if it is protected */
  roleOf(path: string): string | undefined {
    const identity = fileIdentity(path);
    const role = identity === undefined ? undefined : this.#roleOf.get(identity);
    if (role !== undefined) return role;
    for (const [folder, what] of this.#folders) if (isWithin(realPath(path), folder)) return what;
    return undefined;
  }

  /** @throws {OptionError} if the file is protected */
  assertMayWrite(option: string, path: string): void {
    const role = this.roleOf(path);
    if (role !== undefined) throw refusal(option, path, role);
  }

  /** @throws {OptionError} if everything in the folder is protected */
  assertMayWriteInto(option: string, folder: string): void {
    for (const [one, what] of this.#folders) {
      if (isWithin(join(realPath(folder), "any"), one)) {
        throw new OptionError(option, `Cannot write into "${folder}": each of its files is ${what}`);
      }
    }
  }

  /** @throws {OptionError} if standard output goes to the end of a protected file: `sotto a.wav >> a.wav` */
  assertStdoutMayBeWritten(host: CliHost): void {
    const { fd } = host.stdout as { readonly fd?: number };
    const identity = fd === undefined ? undefined : fileIdentity(fd);
    const role = identity === undefined ? undefined : this.#roleOf.get(identity);
    if (role !== undefined) throw refusal("output", "standard output", role);
  }
}

/**
 * Protects the files of a model, before it is loaded: of a folder, or of the folder of a file, those that make up a checkpoint; of the
 * cache of downloaded models, and of the bundled one, everything.
 *
 * @param model as the user names it
 */
export async function addModelFiles(files: ProtectedFiles, model: string, cacheDir: string | undefined): Promise<void> {
  const { bundledModelFolder, cacheFolder, isCheckpointFile } = await import("../hub/index.ts");
  files.addFolder(bundledModelFolder(), 'a file of the model "nano"');
  const cache = cacheFolder(cacheDir === undefined ? {} : { cacheDir });
  for (const name of namesIn(cache)) {
    if (name.startsWith("models--")) files.addFolder(join(cache, name), "a file of a downloaded model");
  }
  const found = statSync(model, { throwIfNoEntry: false });
  const folder = found?.isDirectory() === true ? model : dirname(model);
  if (found === undefined) return;
  for (const name of namesIn(folder)) if (isCheckpointFile(name)) files.add(join(folder, name), "a file of the model");
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function refusal(option: string, path: string, role: string): OptionError {
  return new OptionError(option, `Cannot write "${path}": it is ${role}`);
}

/** What tells one regular file from another, by path or open descriptor; undefined if there is none. */
export function fileIdentity(file: string | number): string | undefined {
  try {
    const info = typeof file === "number" ? fstatSync(file, { bigint: true }) : statSync(file, { bigint: true });
    return info.isFile() ? `${info.dev}:${info.ino}` : undefined;
  } catch {
    return undefined;
  }
}

/** The path without links, as far as it exists. */
function realPath(path: string): string {
  const absolute = resolve(path);
  try {
    return realpathSync.native(absolute);
  } catch {
    const above = dirname(absolute);
    return above === absolute ? absolute : join(realPath(above), basename(absolute));
  }
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
