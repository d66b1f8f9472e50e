/**
 * What the server can be told: by flags, by environment variables SOTTO_*, and by a JSON file, in this order of precedence. One
 * schema holds defaults and ceilings of all of them.
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { OptionError, quote } from "../errors.ts";
import { defaultModel, DEVICES, DTYPES, gpuOf, type Device } from "../pipeline/choices.ts";
import { CONFIG_FIELDS, variableOf, type ConfigField } from "./config-fields.ts";

/** An upload may be as large as the seed's (facts 1.16.1), and a recording as long as its videos. */
const DEFAULT_MAX_UPLOAD_BYTES = 2 ** 30;
const DEFAULT_MAX_SECONDS = 7200;

/** 1 GiB in half an hour is a line of 5 Mbit/s. */
const DEFAULT_DOWNLOAD_SECONDS = 1800;

/** 32 kbit/s, about what speech takes in real time. */
const DEFAULT_MIN_DOWNLOAD_RATE = 4096;

/** `setTimeout` fires at once above this. */
const MAX_TIMER_SECONDS = 2 ** 31 / 1000 - 1;

/** A configuration is some hundred bytes; a larger file is something else. */
const MAX_FILE_BYTES = 1 << 20;

const seconds = z.number().positive().max(MAX_TIMER_SECONDS);
/** More than any machine does at once: a typing error should not fill the memory. */
const count = z.int().min(1).max(100_000);
const text = z.string().min(1);
const list = z.array(text).max(1000);

function isDevice(value: unknown): boolean {
  return typeof value === "string" && (gpuOf(value) !== null || (DEVICES as readonly string[]).includes(value));
}

const SCHEMA = z.strictObject({
  host: text.default("127.0.0.1"),
  port: z.int().min(0).max(65535).default(8000),
  logLevel: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
  store: text.optional(),
  jobTtl: seconds.default(86_400),
  shutdownGrace: z.number().min(0).max(MAX_TIMER_SECONDS).default(30),
  uploadDir: text.optional(),
  staticDir: text.optional(),
  models: list.min(1).optional(),
  modelDir: text.optional(),
  offline: z.boolean().default(false),
  device: z.custom<Device>(isDevice, `expected one of ${DEVICES.join(", ")}`).default("auto"),
  dtype: z.enum(DTYPES).default("auto"),
  threads: z.int().min(0).max(1024).default(0),
  batchSize: count.max(1024).optional(),
  maxRunning: count.max(1024).optional(),
  maxQueue: count.default(100),
  maxPerClient: count.default(100),
  rateLimit: z.int().min(0).max(1_000_000).default(0),
  maxUploadBytes: z.int().min(1).default(DEFAULT_MAX_UPLOAD_BYTES),
  maxSeconds: seconds.default(DEFAULT_MAX_SECONDS),
  downloadTimeout: seconds.default(DEFAULT_DOWNLOAD_SECONDS),
  minDownloadRate: z.number().min(0).max(1e9).default(DEFAULT_MIN_DOWNLOAD_RATE),
  apiKeys: list.default([]),
  corsOrigins: list.default([]),
  trustProxy: z.boolean().default(false),
  allowPrivateAddresses: z.boolean().default(false),
});

/** Everything that the server can be told, with defaults filled in. What the fields mean: config-fields.ts. */
export type ServerConfig = Readonly<Omit<z.output<typeof SCHEMA>, "models">> & { readonly models: readonly string[] };

/** As a caller may give it. */
export type ServerOptions = { readonly [K in keyof ServerConfig]?: ServerConfig[K] | undefined };

/**
 * Fills in defaults.
 *
 * @throws {OptionError} for a name or a value that cannot be
 */
export function resolveConfig(options: ServerOptions = {}): ServerConfig {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const result = SCHEMA.safeParse(given);
  if (result.success) return { ...result.data, models: result.data.models ?? [defaultModel(result.data.device)] };
  const [issue] = result.error.issues;
  if (issue.code === "unrecognized_keys") {
    const names = CONFIG_FIELDS.map(({ key }) => key).join(", ");
    throw new OptionError(issue.keys[0], `Unknown option "${issue.keys[0]}" of the server, expected one of ${names}`);
  }
  const name = String(issue.path[0]);
  throw new OptionError(name, `Cannot use ${quote(given[name])} as option "${name}": ${lowered(issue.message)}`);
}

function lowered(message: string): string {
  return `${message[0].toLowerCase()}${message.slice(1)}`;
}

/** Where a configuration comes from: the first that has a value counts. */
export interface ConfigSources {
  /** Words of flags by the field's key: a text, or true for a flag without one. */
  readonly flags?: Readonly<Record<string, string | true | undefined>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Path of a JSON file with an object of fields. */
  readonly file?: string | undefined;
}

/**
 * Puts a configuration together.
 *
 * @throws {OptionError} for a name or a value that cannot be, or a file that cannot be read
 */
export async function readConfig({ flags = {}, environment = {}, file }: ConfigSources): Promise<ServerConfig> {
  const options: Record<string, unknown> = file === undefined ? {} : await readFields(file);
  for (const field of CONFIG_FIELDS) {
    const fromEnvironment = environment[variableOf(field)];
    const word = flags[field.key] ?? (fromEnvironment === "" ? undefined : fromEnvironment);
    if (word !== undefined) options[field.key] = parseWord(field, word);
  }
  return resolveConfig(options as ServerOptions);
}

async function readFields(path: string): Promise<Record<string, unknown>> {
  let value: unknown;
  try {
    const bytes = await readFile(path);
    if (bytes.length > MAX_FILE_BYTES) throw new Error(`it has ${bytes.length} bytes, expected a small JSON file`);
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new OptionError("config", `Cannot read configuration "${path}": ${(cause as Error).message}`, { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw new OptionError("config", `Cannot read configuration "${path}": found ${quote(value)}, expected an object`);
}

function parseWord({ key, kind }: ConfigField, word: string | true): unknown {
  if (word === true) return kind === "boolean" ? true : "";
  switch (kind) {
    case "text":
      return word;
    case "list":
      return word
        .split(",")
        .map((item) => item.trim())
        .filter((item) => item !== "");
    case "number": {
      const value = Number(word);
      // Decimal: `Number` reads "" as 0, and "0x10" too.
      if (/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(word) && Number.isFinite(value)) return value;
      throw new OptionError(key, `Cannot use ${quote(word)} as option "${key}": expected a number`);
    }
    case "boolean":
      if (/^(true|1|yes|on)$/i.test(word)) return true;
      if (/^(false|0|no|off)$/i.test(word)) return false;
      throw new OptionError(key, `Cannot use ${quote(word)} as option "${key}": expected true or false`);
  }
}
