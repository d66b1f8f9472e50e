/** From the words of the command line to recordings with their references: folders with texts beside the audio, and manifests. */

import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, extname, join, parse, resolve } from "node:path";
import { InputError, quote } from "../../errors.ts";
import type { Task } from "../../index.ts";
import { languageCode } from "../../tokenizer/index.ts";
import { expandInputs } from "../inputs.ts";
import { systemReason } from "../system-reason.ts";
import { MANIFEST_EXTENSIONS, type ManifestEntry, parseManifest } from "./manifest.ts";

/** One recording, and what is said in it. */
export interface Sample {
  /** As the user or the manifest names it. */
  readonly name: string;
  /** Path or URL. */
  readonly source: string;
  readonly reference: string;
  /** Code, where it is known beforehand. */
  readonly language: string | undefined;
}

export interface FoundSamples {
  readonly samples: readonly Sample[];
  /** Words, manifests and entries that cannot be used. */
  readonly failures: readonly Error[];
  /** Recordings of folders that have no text beside them. */
  readonly withoutReference: number;
}

/** A manifest of 100,000 recordings with long texts has some tens of megabytes. */
const MAX_MANIFEST_BYTES = 256 * 2 ** 20;
/** What is said in a day has about a megabyte. */
const MAX_REFERENCE_BYTES = 16 * 2 ** 20;
/** As many as one run of `sotto` takes. */
const MAX_SAMPLES = 100_000;

/**
 * Finds the samples that the words name: manifests by their extension; of folders, patterns and files, the audio with a
 * `.txt` of the same stem beside it.
 *
 * @param task of a manifest's texts, `translate` takes the translations
 */
export async function findSamples(words: readonly string[], task: Task): Promise<FoundSamples> {
  const samples: Sample[] = [];
  const failures: Error[] = [];
  let withoutReference = 0;
  for (const word of words) {
    try {
      if (isManifest(word)) await readManifest(word, task, samples, failures);
      else withoutReference += await readFolder(word, samples, failures);
      if (samples.length > MAX_SAMPLES) throw new InputError(word, `it holds more than ${MAX_SAMPLES} recordings`);
    } catch (error) {
      failures.push(error as Error);
    }
  }
  return { samples, failures, withoutReference };
}

function isManifest(word: string): boolean {
  return MANIFEST_EXTENSIONS.includes(extname(word).toLowerCase());
}

async function readManifest(path: string, task: Task, samples: Sample[], failures: Error[]): Promise<void> {
  const text = await readText(path, MAX_MANIFEST_BYTES);
  let entries: ManifestEntry[];
  try {
    entries = parseManifest(text, extname(path).toLowerCase());
  } catch (error) {
    throw new InputError(path, (error as Error).message, { cause: error });
  }
  if (entries.length === 0) failures.push(new InputError(path, "it lists no recordings"));
  for (const entry of entries) {
    const isUrl = /^https?:\/\//i.test(entry.file);
    const source = isUrl ? entry.file : resolve(dirname(path), entry.file);
    try {
      const language = entry.language === undefined ? undefined : codeOf(entry.language);
      samples.push({ name: entry.file, source, reference: referenceOf(entry, language, task), language });
    } catch (error) {
      failures.push(new InputError(entry.file, (error as Error).message));
    }
  }
}

function referenceOf({ text, translation }: ManifestEntry, language: string | undefined, task: Task): string {
  // English is its own translation, and so is silence.
  const english = translation ?? (language === "en" || text?.trim() === "" ? text : undefined);
  const reference = task === "translate" ? english : text;
  if (reference !== undefined) return reference;
  throw new Error(`its entry has no "${task === "translate" ? "translation" : "text"}" to compare with`);
}

/** `en` of `English`, `en`, `en-US` and `en_us`. */
function codeOf(word: string): string {
  const [first] = word.split(/[-_]/);
  for (const name of [word, first]) {
    try {
      return languageCode(name);
    } catch {
      // the next may be one
    }
  }
  throw new Error(`its language ${quote(word)} is none that Whisper knows`);
}

/** @returns how many recordings have no reference */
async function readFolder(word: string, samples: Sample[], failures: Error[]): Promise<number> {
  const found = await expandInputs([word], () => {
    throw new InputError("-", "standard input has no reference", { hint: "name a folder, a manifest or files" });
  });
  failures.push(...found.failures);
  if (found.failures.length > 0) return 0;
  let missing = 0;
  for (const { name, path } of found.items) {
    if (path === null) throw new InputError(name, "a URL has no text beside it", { hint: "list it in a manifest" });
    const { dir, name: stem } = parse(path);
    const textFile = join(dir, `${stem}.txt`);
    if (existsSync(textFile)) {
      const reference = (await readText(textFile, MAX_REFERENCE_BYTES)).replace(/^\ufeff/, "");
      samples.push({ name, source: name, reference, language: undefined });
    } else {
      missing++;
    }
  }
  if (missing < found.items.length) return missing;
  const [first] = found.items;
  const manifest = MANIFEST_EXTENSIONS.map((extension) => join(word, `manifest${extension}`)).find(existsSync);
  throw new InputError(
    word,
    found.items.length === 1
      ? `there is no "${parse(first.base).name}.txt" beside it to compare with`
      : "none of its recordings has a text of the same name beside it",
    {
      hint:
        manifest === undefined
          ? `what is said in "${first.base}" belongs into "${parse(first.base).name}.txt"; or name a manifest`
          : `sotto eval ${manifest}`,
    },
  );
}

async function readText(path: string, most: number): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > most) throw new InputError(path, `it has ${size} bytes, expected at most ${most}`);
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (error) {
    if (error instanceof InputError) throw error;
    const reason = error instanceof TypeError ? `${quote(basename(path))} is no text in UTF-8` : systemReason(error);
    throw new InputError(path, reason, { cause: error });
  }
}
