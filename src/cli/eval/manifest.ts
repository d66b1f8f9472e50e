/**
 * Lists of recordings with what is said in them: JSON, JSON lines, CSV and TSV. Fields are known by the names that data sets
 * use for them (this project's samples, Common Voice, Hugging Face's audio folders, NeMo).
 */

import { parseCsv, parseTsv } from "./separated-values.ts";

/** One line of a manifest. What it does not say is undefined. */
export interface ManifestEntry {
  /** Path or URL as written; a path is relative to the manifest. */
  readonly file: string;
  readonly text?: string;
  /** What is said, in English. */
  readonly translation?: string;
  /** As written: a code, a name, or a locale such as `en-US`. */
  readonly language?: string;
}

/** Extensions of the files that are manifests, in lower case. */
export const MANIFEST_EXTENSIONS: readonly string[] = [".json", ".jsonl", ".ndjson", ".csv", ".tsv"];

/** Names of each field; the first that an entry has is taken. */
const FIELD_NAMES = {
  file: ["file", "audio", "audio_filepath", "file_name", "audio_path", "path"],
  text: ["text", "reference", "transcript", "transcription", "sentence"],
  translation: ["translation"],
  language: ["language", "lang", "locale"],
} as const satisfies Record<keyof ManifestEntry, readonly string[]>;

/**
 * Reads a manifest.
 *
 * @param text the whole file
 * @param extension of {@link MANIFEST_EXTENSIONS}
 * @throws {SyntaxError} if the text is not of that format, or an entry names no file; the message has no name of the manifest
 */
export function parseManifest(text: string, extension: string): ManifestEntry[] {
  const body = text.replace(/^\ufeff/, "");
  switch (extension) {
    case ".csv":
      return fromTable(parseCsv(body));
    case ".tsv":
      return fromTable(parseTsv(body));
    case ".jsonl":
    case ".ndjson":
      return fromLines(body);
    default:
      return fromJson(body);
  }
}

function fromJson(text: string): ManifestEntry[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // NeMo calls its JSON lines .json.
    if (/^\s*\{.*\}[^\S\n]*\r?\n\s*\{/.test(text)) return fromLines(text);
    throw error;
  }
  const list: unknown = isObject(value) && "samples" in value ? value["samples"] : value;
  if (!Array.isArray(list)) throw new SyntaxError('it is no list, expected [...] or {"samples": [...]}');
  return list.map((item, i) => entry(item, `entry ${i + 1}`));
}

function fromLines(text: string): ManifestEntry[] {
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw new SyntaxError(`line ${i + 1} is no JSON`, { cause: error });
    }
    return [entry(value, `line ${i + 1}`)];
  });
}

function fromTable([names, ...rows]: string[][]): ManifestEntry[] {
  if (names === undefined) return [];
  const header = names.map((name) => name.trim().toLowerCase());
  if (!FIELD_NAMES.file.some((name) => header.includes(name))) {
    throw new SyntaxError(`its first row names no column of files, expected one of ${FIELD_NAMES.file.join(", ")}`);
  }
  return rows.map((fields, i) =>
    entry(Object.fromEntries(header.map((name, column) => [name, fields[column] ?? ""])), `row ${i + 2}`),
  );
}

function entry(value: unknown, where: string): ManifestEntry {
  if (!isObject(value)) throw new SyntaxError(`${where} is no object with fields`);
  const field = (names: readonly string[]): string | undefined => {
    const name = names.find((one) => Object.hasOwn(value, one) && value[one] !== null);
    if (name === undefined) return undefined;
    const content = value[name];
    if (typeof content !== "string") throw new SyntaxError(`"${name}" of ${where} is no text`);
    return content;
  };
  const file = field(FIELD_NAMES.file);
  if (file === undefined || file === "") {
    throw new SyntaxError(`${where} names no file, expected one of the fields ${FIELD_NAMES.file.join(", ")}`);
  }
  const [text, translation, language] = [FIELD_NAMES.text, FIELD_NAMES.translation, FIELD_NAMES.language].map(field);
  return {
    file,
    ...(text !== undefined && { text }),
    ...(translation !== undefined && translation !== "" && { translation }),
    ...(language !== undefined && language !== "" && { language }),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
