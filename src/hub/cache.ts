/**
 * The cache of one model, in the layout that Python's huggingface_hub reads and writes:
 *
 *     models--owner--name/blobs/ETAG              the contents
 *     models--owner--name/refs/REVISION           the commit that a branch or tag stood for when it was last looked up
 *     models--owner--name/snapshots/COMMIT/FILE   links to the contents
 *     models--owner--name/.no_exist/COMMIT/FILE   empty: the commit has no such file
 *
 * Names from outside are checked before they come here. Nothing here talks to the network.
 */
import { randomUUID } from "node:crypto";
import { copyFile, link, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { makeFolder } from "../files/index.ts";
import { CONFIG, isPlainFileName, WEIGHTS, WEIGHTS_INDEX, type ModelPart } from "./checkpoint-files.ts";
import { cacheFolder, defaultSystem, type HubOptions, type HubSystem } from "./settings.ts";

/** Whether a revision is a commit, which never changes its contents. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

export class ModelCache {
  readonly folder: string;

  constructor(
    cacheDir: string,
    repository: string,
    private readonly system: HubSystem,
  ) {
    this.folder = join(cacheDir, `models--${repository.replaceAll("/", "--")}`);
  }

  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  blob(etag: string): string {
    return join(this.folder, "blobs", etag);
  }

  /** Makes the folder that blobs lie in. */
  async prepare(): Promise<void> {
    await makeFolder(join(this.folder, "blobs"));
  }

  /** The commit that a revision stood for when it was last looked up. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const path = join(this.folder, "refs", revision);
    const text = (await isFile(path)) ? await readFile(path, "utf8").catch(() => "") : "";
    return isCommit(text.trim()) ? text.trim() : undefined;
  }

  async setCommitOf(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.commitOf(revision)) === commit) return;
    await writeAtomically(join(this.folder, "refs", revision), commit);
  }

  /** Whether the snapshot has the file and, if it is a link, its contents. */
  async has(commit: string, file: string): Promise<boolean> {
    return isFile(join(this.snapshot(commit), file));
  }

  /** Whether the commit is known not to have the file. */
  async isAbsent(commit: string, file: string): Promise<boolean> {
    return isFile(join(this.folder, ".no_exist", commit, file));
  }

  async setAbsent(commit: string, file: string): Promise<void> {
    const path = join(this.folder, ".no_exist", commit, file);
    await makeFolder(dirname(path));
    await writeFile(path, "");
  }

  /** Puts a blob into a snapshot: as a relative link, or where links cannot be made as a hard link or a copy. */
  async place(commit: string, file: string, etag: string): Promise<void> {
    const path = join(this.snapshot(commit), file);
    const blob = this.blob(etag);
    await makeFolder(dirname(path));
    const temporary = `${path}.${randomUUID()}`;
    try {
      await this.system
        .symlink(relative(dirname(path), blob), temporary)
        .catch(() => link(blob, temporary))
        .catch(() => copyFile(blob, temporary));
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** Files that the part cannot be without, and the snapshot lacks; empty if it can be used. */
  async missing(commit: string, part: ModelPart = "checkpoint"): Promise<string[]> {
    const missing: string[] = [];
    if (!(await this.has(commit, CONFIG))) missing.push(CONFIG);
    if (part === "processor" || (await this.has(commit, WEIGHTS))) return missing;
    if (!(await this.has(commit, WEIGHTS_INDEX))) return [...missing, WEIGHTS];
    for (const shard of await this.shards(commit)) if (!(await this.has(commit, shard))) missing.push(shard);
    return missing;
  }

  /** File names in the snapshot's index of shards; those that are not plain names of its folder are left out. */
  async shards(commit: string): Promise<string[]> {
    const text = await readFile(join(this.snapshot(commit), WEIGHTS_INDEX), "utf8").catch(() => "");
    try {
      const index = JSON.parse(text) as { weight_map?: Record<string, unknown> };
      return [...new Set(Object.values(index.weight_map ?? {}))].filter(isPlainFileName).sort();
    } catch {
      return [];
    }
  }
}

async function writeAtomically(path: string, text: string): Promise<void> {
  await makeFolder(dirname(path));
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, text);
  await rename(temporary, path);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}

/** One Whisper model of the cache. */
export interface CachedModel {
  readonly repository: string;
  /** On disk, all revisions together. */
  readonly bytes: number;
  /** Folder of the snapshot that "main" stands for, or of the only other one. */
  readonly path: string;
}

/**
 * Lists the Whisper checkpoints of the cache that can be used offline; the cache is shared, and may hold any model.
 *
 * @returns sorted by name; empty if there is no cache
 */
export async function cachedModels(
  options: HubOptions = {},
  system: HubSystem = defaultSystem,
): Promise<CachedModel[]> {
  const cacheDir = cacheFolder(options, system);
  const found: CachedModel[] = [];
  for (const name of (await readdir(cacheDir).catch(() => [])).sort()) {
    const parts = /^models--([^/]+?)--([^/]+)$/.exec(name);
    if (parts === null) continue;
    const repository = `${parts[1]}/${parts[2]}`;
    const cache = new ModelCache(cacheDir, repository, system);
    const commits = (await readdir(join(cache.folder, "snapshots")).catch(() => [])).filter(isCommit);
    const main = await cache.commitOf("main");
    for (const commit of main === undefined ? commits : [main, ...commits.filter((other) => other !== main)]) {
      if ((await cache.missing(commit)).length > 0 || !(await isWhisper(cache.snapshot(commit)))) continue;
      found.push({ repository, bytes: await folderBytes(cache.folder), path: cache.snapshot(commit) });
      break;
    }
  }
  return found;
}

async function isWhisper(folder: string): Promise<boolean> {
  try {
    const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8")) as { model_type?: unknown };
    return config.model_type === "whisper";
  } catch {
    return false;
  }
}

/** Bytes of the regular files below a folder: links count nothing, and hard links once. */
async function folderBytes(folder: string): Promise<number> {
  const seen = new Set<bigint>();
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const info = await stat(join(entry.parentPath, entry.name), { bigint: true }).catch(() => undefined);
    if (info === undefined || seen.has(info.ino)) continue;
    seen.add(info.ino);
    bytes += Number(info.size);
  }
  return bytes;
}
