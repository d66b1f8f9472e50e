/**
 * From what the user calls a model to a folder with its files: a name, a hub id, or a folder.
 *
 * A downloader of our own instead of @huggingface/hub, whose single-file download writes a layout that Python does not
 * read, and which knows neither HF_ENDPOINT nor offline mode nor resuming.
 */
import { readFile, stat } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { HubError, nearest, OptionError, quote } from "../errors.ts";
import { assertOptions } from "../options/index.ts";
import { cachedModels, isCommit, ModelCache } from "./cache.ts";
import {
  CONFIG,
  isPlainFileName,
  MAX_SHARDS,
  MAX_TEXT_BYTES,
  MAX_WEIGHT_BYTES,
  OPTIONAL_FILES,
  OTHER_WEIGHTS,
  WEIGHTS,
  WEIGHTS_INDEX,
  type ModelPart,
} from "./checkpoint-files.ts";
import { asHubError } from "./disk.ts";
import { downloadBlob, hasBlob } from "./download.ts";
import { fileMetadata, type FileMetadata } from "./metadata.ts";
import { bundledModelFolder, findModel, MODELS, nameOfRepository } from "./models.ts";
import {
  defaultSystem,
  expandHome,
  HUB_OPTIONS,
  readSettings,
  type HubOptions,
  type HubSettings,
  type HubSystem,
} from "./settings.ts";
import { UnreachableError } from "./transport.ts";

/** Small files fetched at once. */
const CONCURRENCY = 4;
/** Time for the question whether a cached model is still the newest: as long as Python's huggingface_hub gives it. */
const LOOKUP_TIMEOUT_MS = 10_000;

/**
 * Gives the local folder of a model, downloading what the cache lacks.
 *
 * A name comes before a folder of the same name: write `./tiny` for the folder. With the network gone, a model that is
 * in the cache is used as it is; with it there, one request asks whether "main" has moved on.
 *
 * @param model "tiny" ... "large-v3", "turbo", "distil-large-v3", "nano" (the bundled one: no network), a hub id
 * "owner/name", or the path of a folder or of a safetensors file
 * @param part what is needed of it; the rest may lack in the folder
 * @returns absolute path, for `openCheckpoint`, or for `openProcessorFiles`
 * @throws {HubError} if the model cannot be had; `hint` says what to do
 * @throws {OptionError} if an option has a value that cannot be used
 */
export function resolveModel(model: string, options: HubOptions = {}, part: ModelPart = "checkpoint"): Promise<string> {
  return resolveModelWith(defaultSystem, model, options, part);
}

/** `resolveModel` on another system: for tests. */
export async function resolveModelWith(
  system: HubSystem,
  model: string,
  options: HubOptions = {},
  part: ModelPart = "checkpoint",
): Promise<string> {
  assertOptions("a model", options, HUB_OPTIONS);
  const local = await localFolder(model, system);
  if (local !== undefined) {
    assertLocalOptions(model, options);
    return local;
  }
  const known = findModel(model);
  if (known?.repository != null) return resolveRepository(await readSettings(options, system), known.repository, part);

  if (looksLikePath(model)) throw new HubError(model, "no such folder or file");
  if (isHubId(model)) {
    return resolveRepository(await readSettings(options, system), model, part);
  }
  const meant = nearest(model, modelNames());
  throw new HubError(model.slice(0, 200), `unknown model, expected one of ${modelNames().join(", ")}`, {
    hint: `${meant === undefined ? "" : `did you mean "${meant}"? `}a hub id is written "owner/name", a folder "./folder"`,
  });
}

/** All names and aliases. */
export function modelNames(): string[] {
  return MODELS.flatMap(({ name, aliases }) => [name, ...aliases]);
}

/** Whether a word may be a model: a name, an existing path, what looks like a path, or a hub id. Nothing is asked of the hub. */
export async function mayBeModel(model: string, system: HubSystem = defaultSystem): Promise<boolean> {
  if (findModel(model) !== undefined || looksLikePath(model) || isHubId(model)) return true;
  return model !== "" && exists(resolve(expandHome(model, system)));
}

/** The hub's rule for ids; `--` separates owner and name in the cache. */
function isHubId(model: string): boolean {
  return /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9_][\w.-]{0,95}$/.test(model) && !/\.\.|--/.test(model);
}

/**
 * Options that say how a model is downloaded, given for one that is not: for warnings.
 *
 * @returns `"cacheDir" has no effect: ...`
 */
export async function unusedHubOptions(model: string, options: HubOptions): Promise<string[]> {
  if (!(await isLocalModel(model))) return [];
  return (["cacheDir", "token", "endpoint"] as const)
    .filter((name) => options[name] !== undefined)
    .map((name) => `"${name}" has no effect: the model ${quote(model)} is a local one, and nothing is downloaded`);
}

/** Whether a model is never downloaded: the bundled one, or a path that exists. */
export async function isLocalModel(model: string): Promise<boolean> {
  return (await localFolder(model, defaultSystem)) !== undefined;
}

/** The folder of a model that is on this machine and no download: the bundled one, or a path that exists. */
async function localFolder(model: string, system: HubSystem): Promise<string | undefined> {
  const known = findModel(model);
  if (known !== undefined) return known.repository === null ? bundledModelFolder() : undefined;
  const path = resolve(expandHome(model, system));
  return model !== "" && (await exists(path)) ? path : undefined;
}

/** @throws {OptionError} for options that ask of a local model what it cannot do */
function assertLocalOptions(model: string, { revision, forceDownload }: HubOptions): void {
  if (revision !== undefined) {
    throw new OptionError(
      "revision",
      `Cannot load revision ${quote(revision)} of ${quote(model)}: a local model has none`,
    );
  }
  if (forceDownload === true) {
    throw new OptionError("forceDownload", `Cannot download ${quote(model)} again: it is a local model`);
  }
}

function looksLikePath(model: string): boolean {
  return isAbsolute(model) || /^[.~]|\\|^[A-Za-z]:/.test(model) || model.split("/").length > 2;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The folder of a repository's snapshot; failures of the network say what can be used without one. */
async function resolveRepository(settings: HubSettings, repository: string, part: ModelPart): Promise<string> {
  try {
    return await findOrDownload(settings, repository, part);
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    const { reason, details } = error;
    const hint = `${details.hint}\nHint: ${await withoutNetworkHint(settings)}`;
    throw new UnreachableError(repository, reason, { ...details, hint });
  }
}

/** What there is to transcribe with where the hub cannot be reached. */
async function withoutNetworkHint({ cacheDir, system }: HubSettings): Promise<string> {
  const cached = await cachedModels({ cacheDir }, system);
  const names = cached.map(({ repository }) => nameOfRepository(repository));
  const found = names.length === 0 ? `no model is in the cache "${cacheDir}"` : `in the cache: ${names.join(", ")}`;
  return (
    `${found}. --model nano comes with sotto, to try it without a network: it knows synthetic speech only. ` +
    `A folder copied from a machine that has the model can be given by its path, or put into the cache`
  );
}

async function findOrDownload(settings: HubSettings, repository: string, part: ModelPart): Promise<string> {
  const cache = new ModelCache(settings.cacheDir, repository, settings.system);
  const { revision } = settings;
  const known = await cache.commitOf(revision);
  if (settings.offline) return offlineSnapshot(settings, cache, repository, known, part);
  if (!settings.forceDownload && isCommit(revision) && (await isSettled(cache, revision, part))) {
    return cache.snapshot(revision);
  }

  const usable = known !== undefined && !settings.forceDownload && (await cache.missing(known, part)).length === 0;
  // With something to fall back on, a lost network must not cost the time of five attempts.
  const patience = usable
    ? { ...settings, maxFailures: 1, timeoutMs: Math.min(settings.timeoutMs, LOOKUP_TIMEOUT_MS) }
    : settings;
  let config: FileMetadata | null;
  try {
    config = await fileMetadata(patience, repository, revision, CONFIG);
  } catch (error) {
    if (error instanceof UnreachableError && usable) return cache.snapshot(known);
    throw error;
  }
  if (config === null) {
    throw new HubError(repository, `not found at ${settings.endpoint}, or without "${CONFIG}"`, {
      hint: `check the name; for a private model set HF_TOKEN. There is no local folder of this name either`,
      status: 404,
    });
  }
  const { commit } = config;
  if (settings.forceDownload || !(await isSettled(cache, commit, part))) {
    await new SnapshotDownload(settings, repository, cache, commit).run(part).catch((error: unknown) => {
      throw asHubError(repository, error);
    });
  }
  // A checkpoint that can be used offline is not given up for one without weights.
  const isWhole = known !== undefined && (await cache.missing(known)).length === 0;
  if (!isWhole || (await cache.missing(commit)).length === 0) {
    // A cache that cannot be written to is good enough to read from.
    await cache.setCommitOf(revision, commit).catch(() => undefined);
  }
  return cache.snapshot(commit);
}

async function offlineSnapshot(
  settings: HubSettings,
  cache: ModelCache,
  repository: string,
  commit: string | undefined,
  part: ModelPart,
): Promise<string> {
  const missing = commit === undefined ? undefined : await cache.missing(commit, part);
  if (missing?.length === 0) return cache.snapshot(commit!);
  const reason =
    missing === undefined
      ? `offline, and the cache "${cache.folder}" has no such model or revision`
      : `offline, and the cache "${cache.folder}" lacks ${missing.map((file) => `"${file}"`).join(", ")}`;
  throw new HubError(repository, reason, {
    hint: `load it once with a network (without offline mode and HF_HUB_OFFLINE)\nHint: ${await withoutNetworkHint(settings)}`,
  });
}

/** Whether nothing of the snapshot is left to be asked for. */
async function isSettled(cache: ModelCache, commit: string, part: ModelPart): Promise<boolean> {
  if ((await cache.missing(commit, part)).length > 0) return false;
  for (const file of OPTIONAL_FILES) {
    if (!(await cache.has(commit, file)) && !(await cache.isAbsent(commit, file))) return false;
  }
  return true;
}

/** Brings one snapshot into the cache. */
class SnapshotDownload {
  constructor(
    private readonly settings: HubSettings,
    private readonly repository: string,
    private readonly cache: ModelCache,
    private readonly commit: string,
  ) {}

  async run(part: ModelPart): Promise<void> {
    await this.cache.prepare();
    await this.get(CONFIG, MAX_TEXT_BYTES);
    await this.checkModelType();
    if (part === "processor") return this.getOptionalFiles();

    const single = await this.metadata(WEIGHTS);
    const index = single === null ? await this.get(WEIGHTS_INDEX, MAX_TEXT_BYTES) : false;
    if (single === null && !index) throw await this.noWeights();
    const weights = single === null ? await this.findShards() : new Map([[WEIGHTS, single]]);
    await this.announce(weights);
    await this.getOptionalFiles();

    let left = MAX_WEIGHT_BYTES;
    for (const [file, metadata] of weights) {
      await this.get(file, left, metadata);
      left -= (await stat(join(this.cache.snapshot(this.commit), file))).size;
    }
  }

  /** What the index names; null for a shard that is in the snapshot already. */
  private async findShards(): Promise<Map<string, FileMetadata | null>> {
    const shards = new Map<string, FileMetadata | null>();
    for (const file of await this.readIndex()) {
      const isThere = !this.settings.forceDownload && (await this.cache.has(this.commit, file));
      const metadata = isThere ? null : await this.metadata(file);
      if (!isThere && metadata === null) {
        throw new HubError(this.repository, `"${WEIGHTS_INDEX}" names "${file}", which it does not have`);
      }
      shards.set(file, metadata);
    }
    return shards;
  }

  /** Says how much will be downloaded, if anything will. */
  private async announce(weights: ReadonlyMap<string, FileMetadata | null>): Promise<void> {
    const { settings, cache, repository } = this;
    let bytes: number | null = 0;
    let files = 0;
    for (const [file, metadata] of weights) {
      if (metadata === null) continue;
      if (!settings.forceDownload && (await cache.has(this.commit, file))) continue;
      if (!settings.forceDownload && (await hasBlob(cache.blob(metadata.etag), metadata))) continue;
      files++;
      bytes = bytes === null || metadata.size === null ? null : bytes + metadata.size;
    }
    if (files > 0) settings.onDownload({ repository, bytes, cacheDir: settings.cacheDir });
  }

  private async getOptionalFiles(): Promise<void> {
    const waiting = [...OPTIONAL_FILES];
    const worker = async (): Promise<void> => {
      for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await this.get(file, MAX_TEXT_BYTES);
    };
    const workers = await Promise.allSettled(Array.from({ length: CONCURRENCY }, worker));
    for (const result of workers) if (result.status === "rejected") throw result.reason;
  }

  /** null, and remembered, if the repository has no such file */
  private async metadata(file: string): Promise<FileMetadata | null> {
    const metadata = await fileMetadata(this.settings, this.repository, this.commit, file);
    if (metadata === null) await this.cache.setAbsent(this.commit, file);
    return metadata;
  }

  /**
   * @param known what the hub has said of the file, where it has been asked
   * @returns whether the repository has the file, which is then in the snapshot
   */
  private async get(file: string, ceiling: number, known: FileMetadata | null = null): Promise<boolean> {
    const { settings, cache, commit, repository } = this;
    if (!settings.forceDownload) {
      if (await cache.has(commit, file)) return true;
      if (await cache.isAbsent(commit, file)) return false;
    }
    const metadata = known ?? (await this.metadata(file));
    if (metadata === null) return false;
    const blob = cache.blob(metadata.etag);
    if (settings.forceDownload || !(await hasBlob(blob, metadata))) {
      await downloadBlob(settings, { repository, file, metadata: { ...metadata, commit }, blob, ceiling });
    }
    await cache.place(commit, file, metadata.etag);
    return true;
  }

  /** Another kind of model is found out before its weights are fetched. */
  private async checkModelType(): Promise<void> {
    let type: unknown;
    try {
      const text = await readFile(join(this.cache.snapshot(this.commit), CONFIG), "utf8");
      type = (JSON.parse(text) as { model_type?: unknown }).model_type;
    } catch (error) {
      throw new HubError(this.repository, `its "${CONFIG}" is not JSON`, { cause: error });
    }
    if (type !== "whisper") throw new HubError(this.repository, `its model type is ${quote(type)}, expected "whisper"`);
  }

  private async readIndex(): Promise<string[]> {
    const fail = (reason: string): never => {
      throw new HubError(this.repository, `its "${WEIGHTS_INDEX}" ${reason}`);
    };
    let weightMap: unknown;
    try {
      const text = await readFile(join(this.cache.snapshot(this.commit), WEIGHTS_INDEX), "utf8");
      weightMap = (JSON.parse(text) as { weight_map?: unknown } | null)?.weight_map;
    } catch (error) {
      return fail(`is not JSON: ${(error as Error).message}`);
    }
    if (typeof weightMap !== "object" || weightMap === null) return fail("has no weight_map");
    const files = [...new Set(Object.values(weightMap) as unknown[])];
    const refused = files.find((file) => !isPlainFileName(file));
    if (refused !== undefined) fail(`names the file ${quote(refused)}, expected a file of the same folder`);
    if (files.length > MAX_SHARDS) fail(`names ${files.length} files, expected at most ${MAX_SHARDS}`);
    return (files as string[]).sort();
  }

  private async noWeights(): Promise<HubError> {
    const page = `${this.settings.endpoint}/${this.repository}`;
    for (const file of OTHER_WEIGHTS) {
      if ((await fileMetadata(this.settings, this.repository, this.commit, file)) !== null) {
        return new HubError(this.repository, `it has "${file}" only, a format not read yet, expected "${WEIGHTS}"`, {
          hint: "convert it: WhisperForConditionalGeneration.from_pretrained(id).save_pretrained(folder) in Python, then give the folder",
        });
      }
    }
    return new HubError(this.repository, `it has no "${WEIGHTS}" and no "${WEIGHTS_INDEX}"`, {
      hint: `see ${page}/tree/main`,
    });
  }
}
