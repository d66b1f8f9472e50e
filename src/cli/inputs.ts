/**
 * From the words of the command line to the recordings they name: files, folders, patterns, URLs, and `-` for standard input.
 * What a file holds is not looked at here; only folders are filtered, by extension.
 */

import type { Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join, parse, resolve } from "node:path";
import { InputError } from "../errors.ts";
import { expandGlob, isPattern } from "./glob.ts";
import type { CliInput } from "./host.ts";
import { systemReason } from "./system-reason.ts";

/** Extensions of the files that are taken out of a folder. A file named on the command line may have any. */
const AUDIO_EXTENSIONS: ReadonlySet<string> = new Set(
  (
    "3g2 3gp aac ac3 aif aifc aiff alac amr ape asf au avi caf dts eac3 f4a flac flv m2ts m4a m4b m4v mka mkv mov mp2 mp3 " +
    "mp4 mpeg mpg mpga mts oga ogg ogv opus ra rm snd spx tak ts tta vob w64 wav wave weba webm wma wmv wv"
  ).split(" "),
);

/** More recordings than one run is for: a folder that holds more was named by mistake (`/`). */
const MAX_INPUTS = 100_000;

/** One recording. */
export interface InputItem {
  /** As the user would name it, for messages. */
  readonly name: string;
  readonly source: CliInput;
  /** Absolute; null if it is no file. */
  readonly path: string | null;
  /** The last part of its name, with extension: what its outputs are named after. */
  readonly base: string;
}

/** Whether a source is the URL of a recording. */
export function isUrl(source: CliInput): boolean {
  return typeof source === "string" && /^https?:\/\//i.test(source);
}

/** What the words stand for: recordings in order, each once, and the words that stand for none. */
export interface ExpandedInputs {
  readonly items: readonly InputItem[];
  readonly failures: readonly Error[];
  /** Names of recordings that were named more than once. */
  readonly repeated: readonly string[];
}

/**
 * Finds the recordings that the words name. Files of a folder or a pattern come in natural order (`2.mp3` before `10.mp3`).
 * A word that is the name of an existing file is that file, whatever pattern it might be.
 */
export async function expandInputs(
  words: readonly string[],
  stdin: () => AsyncIterable<Uint8Array>,
): Promise<ExpandedInputs> {
  const items = new Map<string, InputItem>();
  const failures: Error[] = [];
  const repeated = new Set<string>();
  const addFile = (name: string): void => {
    const path = resolve(name);
    if (items.has(path)) repeated.add(name);
    else items.set(path, { name, source: name, path, base: basename(path) });
  };
  for (const word of words) {
    try {
      if (word === "-") {
        if (items.has("-")) repeated.add("standard input");
        else items.set("-", { name: "standard input", source: stdin(), path: null, base: "stdin" });
      } else if (isUrl(word)) {
        if (items.has(word)) repeated.add(word);
        else items.set(word, { name: word, source: word, path: null, base: urlBase(word) });
      } else {
        (await filesOf(word)).forEach(addFile);
      }
      if (items.size > MAX_INPUTS) throw new InputError(word, `it holds more than ${MAX_INPUTS} recordings`);
    } catch (error) {
      failures.push(error instanceof Error ? error : new InputError(word, String(error)));
    }
  }
  return { items: [...items.values()], failures, repeated: [...repeated] };
}

async function filesOf(word: string): Promise<string[]> {
  let found: Stats;
  try {
    found = await stat(word);
  } catch (error) {
    const missing = ["ENOENT", "ENOTDIR", "EINVAL", "ENAMETOOLONG"].includes(
      (error as NodeJS.ErrnoException).code ?? "",
    );
    if (missing && isPattern(word)) {
      const matches = await expandGlob(word);
      if (matches.length === 0) throw new InputError(word, "no file matches", { cause: error });
      return natural(matches);
    }
    const reason = missing ? "no such file or folder" : systemReason(error);
    throw new InputError(word, word === "" ? "the name is empty" : reason, { cause: error });
  }
  if (!found.isDirectory()) return [word];
  const files = await audioFilesIn(word);
  if (files.length > 0) return natural(files);
  throw new InputError(word, "the folder holds no audio files", {
    hint: "files are chosen by extension (.wav, .mp3, .m4a, .flac, .ogg and others); name a file to use it as it is",
  });
}

async function audioFilesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    let entries;
    try {
      entries = await readdir(next, { withFileTypes: true });
    } catch (error) {
      throw new InputError(next, systemReason(error), { cause: error });
    }
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const path = join(next, entry.name);
      // Links to folders are not followed: they may lead back up.
      if (entry.isDirectory()) folders.push(path);
      else if (AUDIO_EXTENSIONS.has(parse(path).ext.slice(1).toLowerCase())) files.push(path);
      if (files.length > MAX_INPUTS) throw new InputError(folder, `it holds more than ${MAX_INPUTS} recordings`);
    }
  }
  return files;
}

function natural(paths: string[]): string[] {
  const { compare } = new Intl.Collator("en", { numeric: true });
  return paths.sort((a, b) => compare(a, b) || (a < b ? -1 : 1));
}

/** The name a URL's file would be saved under. */
function urlBase(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (error) {
    throw new InputError(url, "it is not a valid URL", { cause: error });
  }
  const last = parsed.pathname.split("/").filter(Boolean).pop() ?? "";
  let name: string;
  try {
    name = decodeURIComponent(last);
  } catch {
    name = last; // a stray "%"
  }

  return name.replace(/[\u0000-\u001f\u007f/\\:*?"<>|]/g, "_").slice(0, 100) || parsed.hostname;
}
