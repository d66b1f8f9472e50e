/**
 * Reads the values of a checkpoint's JSON files, each with its kind and ceiling, and collects what is wrong with them, so
 * that one error can name every fault.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { quote } from "../errors.ts";

/** Ceiling of a JSON file: the largest of official checkpoints is tokenizer.json, 4 MB. */
const MAX_JSON_BYTES = 64 * 1024 * 1024;
/** Ceiling of a list in a JSON file: suppressed tokens are at most the whole vocabulary, which has a ceiling of its own. */
const MAX_LIST = 1_000_000;

/**
 * Reads a text file of a checkpoint.
 *
 * @returns undefined if there is no such file
 * @throws {TypeError} if it is no regular file
 * @throws {RangeError} if it is larger than any such file has reason to be
 */
export async function readTextFile(folder: string, file: string): Promise<string | undefined> {
  const path = join(folder, file);
  try {
    const info = await stat(path);
    if (!info.isFile()) throw new TypeError(notRegular(file, info));
    const { size } = info;
    if (size > MAX_JSON_BYTES) {
      throw new RangeError(`file "${file}" has ${size} bytes, expected at most ${MAX_JSON_BYTES}`);
    }
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** What is wrong with a file that is none: a pipe would be waited for, and a device read without end. */
export function notRegular(file: string, info: { isDirectory(): boolean }): string {
  return `file "${file}" is ${info.isDirectory() ? "a folder" : "a pipe or a device"}, expected a regular file`;
}

/** The fields of one JSON object; every fault is added to `problems` and gives the fallback instead. */
export class JsonFields {
  private constructor(
    readonly file: string,
    private readonly values: Readonly<Record<string, unknown>>,
    readonly problems: string[],
  ) {}

  /** @returns undefined if there is no such file; a file that is not a JSON object is a problem, and gives no fields */
  static async read(folder: string, file: string, problems: string[]): Promise<JsonFields | undefined> {
    try {
      const text = await readTextFile(folder, file);
      return text === undefined ? undefined : JsonFields.parse(file, text, problems);
    } catch (error) {
      const { message } = error as Error;
      const isOurs = error instanceof TypeError || error instanceof RangeError;
      problems.push(isOurs ? message : `file "${file}" cannot be read: ${message}`);
      return new JsonFields(file, {}, problems);
    }
  }

  static parse(file: string, text: string, problems: string[]): JsonFields {
    let values: unknown;
    try {
      values = JSON.parse(text);
    } catch (error) {
      problems.push(`file "${file}" is not JSON: ${(error as Error).message}`);
      return new JsonFields(file, {}, problems);
    }
    if (typeof values !== "object" || values === null || Array.isArray(values)) {
      problems.push(`file "${file}" holds no JSON object`);
      values = {};
    }
    return new JsonFields(file, values as Record<string, unknown>, problems);
  }

  /** Whether there is nothing in it, which is so where the file could not be read. */
  get isEmpty(): boolean {
    return Object.keys(this.values).length === 0;
  }

  /** The value as it stands; null counts as missing. */
  get(name: string): unknown {
    return Object.hasOwn(this.values, name) ? (this.values[name] ?? undefined) : undefined;
  }

  /** Adds a problem about one field. */
  fault(name: string, wanted: string): void {
    this.problems.push(`field "${name}" of "${this.file}" is ${quote(this.get(name))}, expected ${wanted}`);
  }

  /** @returns the number, `undefined` if it is missing and not required, or if it is wrong */
  integer(
    name: string,
    { min = 0, max, required = false }: { min?: number; max: number; required?: boolean },
  ): number | undefined {
    const value = this.get(name);
    const fits = typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
    if (fits) return value;
    if (value !== undefined) this.fault(name, `a whole number from ${min} to ${max}`);
    else if (required) this.problems.push(`field "${name}" is missing in "${this.file}"`);
    return undefined;
  }

  boolean(name: string): boolean | undefined {
    const value = this.get(name);
    if (value === undefined || typeof value === "boolean") return value;
    this.fault(name, "true or false");
    return undefined;
  }

  string(name: string): string | undefined {
    const value = this.get(name);
    if (value === undefined || typeof value === "string") return value;
    this.fault(name, "a text");
    return undefined;
  }

  /** A list of whole numbers. */
  integers(name: string): number[] | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.length <= MAX_LIST && value.every((item) => Number.isInteger(item))) return value;
    this.fault(name, "a list of whole numbers");
    return undefined;
  }

  /** A list of pairs of whole numbers; the second may be null where `nullable`. */
  pairs(name: string, nullable = false): [number, number | null][] | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    const isPair = (item: unknown): boolean =>
      Array.isArray(item) &&
      item.length === 2 &&
      Number.isInteger(item[0]) &&
      (Number.isInteger(item[1]) || (nullable && item[1] === null));
    if (Array.isArray(value) && value.length <= MAX_LIST && value.every(isPair)) return value;
    this.fault(name, "a list of pairs of whole numbers");
    return undefined;
  }

  /** An object whose values are whole numbers. */
  integerMap(name: string): Map<string, number> | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (typeof value === "object" && !Array.isArray(value)) {
      const entries = Object.entries(value as object);
      if (entries.length <= MAX_LIST && entries.every(([, item]) => Number.isInteger(item))) return new Map(entries);
    }
    this.fault(name, "an object of whole numbers");
    return undefined;
  }
}
