/**
 * What a call is told about the hub, completed from the environment under the names that Python's huggingface_hub reads, so
 * that both find the same cache, token and endpoint. The environment is read here and nowhere else in this folder.
 */
import { open, readFile, symlink } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { OptionError, quote } from "../errors.ts";
import { abortSignal, callback, flag, nonEmptyText, number, text, type OptionKind } from "../options/index.ts";

/** Bytes of one file that are on disk by now. */
export interface DownloadProgress {
  readonly file: string;
  /** Grows to `total`; starts above 0 where an earlier download is resumed, and falls where it proves damaged. */
  readonly loaded: number;
  /** null if the server does not say. */
  readonly total: number | null;
}

/** The weights of a model that are about to be downloaded. */
export interface ModelDownload {
  /** Hub id. */
  readonly repository: string;
  /** Bytes of the files that will be fetched; null if the server does not say. */
  readonly bytes: number | null;
  /** Folder of the cache that they go to. */
  readonly cacheDir: string;
}

export interface HubOptions {
  /** Folder of the cache; default `HF_HUB_CACHE`, `HF_HOME`/hub, or ~/.cache/huggingface/hub. */
  cacheDir?: string;
  /** For private and gated models; default `HF_TOKEN`, or the file that `huggingface-cli login` wrote. "": none. */
  token?: string;
  /** Default `HF_ENDPOINT`, or https://huggingface.co. */
  endpoint?: string;
  /** Branch, tag or commit; default "main". */
  revision?: string;
  /** Use the cache only; default `HF_HUB_OFFLINE`. */
  offline?: boolean;
  /** Get every file again. */
  forceDownload?: boolean;
  signal?: AbortSignal;
  /** Called once before weights are downloaded, when their size is known; not for weights that are cached. */
  onDownload?: (download: ModelDownload) => void;
  onProgress?: (progress: DownloadProgress) => void;
  /** Longest time without a byte from the server, in ms; default 30,000. */
  timeoutMs?: number;
}

/** All options, and the values that each takes. */
export const HUB_OPTIONS = {
  cacheDir: nonEmptyText,
  token: text,
  endpoint: nonEmptyText,
  revision: nonEmptyText,
  offline: flag,
  forceDownload: flag,
  signal: abortSignal,
  onDownload: callback,
  onProgress: callback,
  timeoutMs: number({ above: 0, to: 2 ** 31 - 1 }), // the longest that a timer can wait
} as const satisfies Readonly<Record<keyof HubOptions, OptionKind>>;

/** What the folder needs of the system: tests replace it, to fill disks, refuse links and let time pass. */
export interface HubSystem {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly open: typeof open;
  readonly symlink: typeof symlink;
  /** Resolves after so many ms; rejects when the signal says so. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export const defaultSystem: HubSystem = {
  env: process.env,
  home: homedir(),
  open,
  symlink,
  sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
};

/** Options and environment together. */
export interface HubSettings {
  readonly cacheDir: string;
  readonly token: string | undefined;
  /** No slash at its end. */
  readonly endpoint: string;
  readonly revision: string;
  readonly offline: boolean;
  readonly forceDownload: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onDownload: (download: ModelDownload) => void;
  readonly onProgress: (progress: DownloadProgress) => void;
  readonly timeoutMs: number;
  /** Attempts of one request that bring no new byte before giving up. */
  readonly maxFailures: number;
  readonly system: HubSystem;
}

/** @throws {OptionError} if an option or a variable has a value that cannot be used */
export async function readSettings(options: HubOptions, system: HubSystem): Promise<HubSettings> {
  return {
    cacheDir: cacheFolder(options, system),
    token: await readToken(options, system),
    endpoint: readEndpoint(options.endpoint ?? nonEmpty(system.env["HF_ENDPOINT"]) ?? "https://huggingface.co"),
    revision: checkRevision(options.revision ?? "main"),
    offline: options.offline ?? isTrue(nonEmpty(system.env["HF_HUB_OFFLINE"]) ?? system.env["TRANSFORMERS_OFFLINE"]),
    forceDownload: options.forceDownload ?? false,
    signal: options.signal,
    onDownload: options.onDownload ?? (() => undefined),
    onProgress: options.onProgress ?? (() => undefined),
    timeoutMs: options.timeoutMs ?? 30_000,
    maxFailures: 5,
    system,
  };
}

/** Where the cache lies, by options and environment: an absolute path. */
export function cacheFolder(options: HubOptions = {}, system: HubSystem = defaultSystem): string {
  const { env } = system;
  const chosen = options.cacheDir ?? nonEmpty(env["HF_HUB_CACHE"]) ?? nonEmpty(env["HUGGINGFACE_HUB_CACHE"]);
  return resolve(expandHome(chosen ?? join(hubHome(system), "hub"), system));
}

function hubHome(system: HubSystem): string {
  const { env, home } = system;
  const base = nonEmpty(env["XDG_CACHE_HOME"]) ?? join(home, ".cache");
  return expandHome(nonEmpty(env["HF_HOME"]) ?? join(base, "huggingface"), system);
}

/** Replaces a leading `~` by the home folder. */
export function expandHome(path: string, system: HubSystem): string {
  return /^~($|[/\\])/.test(path) ? join(system.home, path.slice(1)) : path;
}

async function readToken(options: HubOptions, system: HubSystem): Promise<string | undefined> {
  const { env } = system;
  let token = options.token;
  if (token === undefined) {
    if (isTrue(env["HF_HUB_DISABLE_IMPLICIT_TOKEN"])) return undefined;
    token = nonEmpty(env["HF_TOKEN"]) ?? nonEmpty(env["HUGGING_FACE_HUB_TOKEN"]);
  }
  if (token === undefined) {
    const path = expandHome(nonEmpty(env["HF_TOKEN_PATH"]) ?? join(hubHome(system), "token"), system);
    token = await readFile(path, "utf8").catch(() => ""); // a token that cannot be read is no token, as in Python
  }
  token = token.trim();
  if (token === "") return undefined;
  // The value itself is a secret and stays out of the message.
  if (!/^[\x21-\x7e]{1,1024}$/.test(token)) {
    throw new OptionError("token", "The hub token holds spaces or characters that are not ASCII, expected one word");
  }
  return token;
}

function readEndpoint(value: string): string {
  let url: URL;
  try {
    url = new URL(value);
  } catch (error) {
    throw new OptionError("endpoint", `Unknown endpoint ${quote(value)}, expected an http(s) URL`, { cause: error });
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new OptionError("endpoint", `Unknown endpoint ${quote(value)}, expected an http(s) URL`);
  }
  return value.replace(/\/+$/, "");
}

/** A revision becomes part of a path: letters, digits and `._-`, in parts that are not `.` or `..`. */
function checkRevision(value: string): string {
  const fits = value.length <= 256 && value.split("/").every((part) => /^[\w.-]+$/.test(part) && !/^\.+$/.test(part));
  if (!fits)
    throw new OptionError("revision", `Unknown revision ${quote(value)}, expected a branch, a tag or a commit`);
  return value;
}

const nonEmpty = (value: string | undefined): string | undefined => (value === "" ? undefined : value);

const isTrue = (value: string | undefined): boolean => ["1", "ON", "YES", "TRUE"].includes(value?.toUpperCase() ?? "");
