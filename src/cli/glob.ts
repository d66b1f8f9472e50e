/**
 * File name patterns, for shells that leave them alone: `*`, `?`, `[a-z]`, `[!a]`, `{a,b}`, `**`. Names that begin with a dot
 * match only a pattern that begins with one, as in a shell.
 */

import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, sep } from "node:path";

/** More alternatives than anyone types; `{a,b}{a,b}...` would double without end. */
const MAX_ALTERNATIVES = 1000;

/** Whether a word has anything in it that this matcher would expand. */
export function isPattern(word: string): boolean {
  return /[*?[{]/.test(word);
}

/** The files (not folders) whose path matches, in no particular order. Folders that cannot be read hold no match. */
export async function expandGlob(pattern: string): Promise<string[]> {
  const found = new Set<string>();
  for (const alternative of expandBraces(sep === "\\" ? pattern.replaceAll("\\", "/") : pattern)) {
    const absolute = /^(?:[A-Za-z]:)?\/+/.exec(alternative)?.[0] ?? "";
    const parts = alternative.slice(absolute.length).split("/").filter(Boolean);
    for await (const path of match(absolute, parts)) found.add(path);
  }
  return [...found];
}

/** `a{b,c}` -> `ab`, `ac`; braces without a comma stay as they are. */
export function expandBraces(pattern: string): string[] {
  const group = /\{([^{}]*,[^{}]*)\}/.exec(pattern); // innermost first: nested ones are expanded by the calls below
  if (group === null) return [pattern];
  const before = pattern.slice(0, group.index);
  const after = pattern.slice(group.index + group[0].length);
  const all = new Set<string>();
  for (const choice of group[1].split(",")) {
    for (const one of expandBraces(before + choice + after)) {
      all.add(one);
      if (all.size > MAX_ALTERNATIVES) {
        throw new RangeError(`Cannot expand "${pattern}": more than ${MAX_ALTERNATIVES} alternatives`);
      }
    }
  }
  return [...all];
}

/** A pattern for one name between slashes, as a regular expression. */
export function segmentPattern(segment: string): RegExp {
  let source = "";
  for (let i = 0; i < segment.length; i++) {
    const char = segment[i];
    const set = char === "[" ? /^\[([!^]?)(\]?[^\]]*)\]/.exec(segment.slice(i)) : null;
    if (char === "*") source += ".*";
    else if (char === "?") source += ".";
    else if (set !== null) {
      source += `[${set[1] === "" ? "" : "^"}${set[2].replace(/[\\\]^[]/g, "\\$&")}]`;
      i += set[0].length - 1;
    } else source += char.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  }
  try {
    return new RegExp(`^${segment.startsWith(".") ? "" : "(?!\\.)"}${source}$`, "su");
  } catch {
    return /(?!)/; // a range that runs backwards, as in "[z-a]", holds nothing
  }
}

async function* match(folder: string, parts: readonly string[]): AsyncGenerator<string> {
  const [part, ...rest] = parts;
  if (part === undefined) return;
  if (part === "**") {
    if (rest.length === 0) rest.push("*");
    yield* match(folder, rest);
    for (const entry of await list(folder)) {
      if (entry.isDirectory() && !entry.name.startsWith(".")) yield* match(join(folder, entry.name), parts);
    }
  } else if (!isPattern(part)) {
    const path = join(folder, part);
    if (rest.length > 0) yield* match(path, rest);
    else if (await isFile(path)) yield path;
  } else {
    const pattern = segmentPattern(part);
    for (const entry of await list(folder)) {
      if (!pattern.test(entry.name)) continue;
      const path = join(folder, entry.name);
      if (rest.length > 0) {
        if (entry.isDirectory() || entry.isSymbolicLink()) yield* match(path, rest);
      } else if (entry.isFile() || (entry.isSymbolicLink() && (await isFile(path)))) {
        yield path;
      }
    }
  }
}

async function list(folder: string): Promise<Dirent[]> {
  return readdir(folder === "" ? "." : folder, { withFileTypes: true }).catch(() => []);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
