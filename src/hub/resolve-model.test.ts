import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, open, readdir, readFile, readlink, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { commitOf, etagOf, FakeHub, type FakeRepository, type SeenRequest } from "../../test/helpers/fake-hub.ts";
import { HubError, OptionError } from "../errors.ts";
import { cachedModels } from "./cache.ts";
import { MODELS } from "./models.ts";
import { resolveModelWith } from "./resolve-model.ts";
import { defaultSystem, type HubOptions, type HubSystem } from "./settings.ts";

const ID = "openai/whisper-tiny";
const CONFIG = JSON.stringify({ model_type: "whisper" });
/** Several pieces of a network stream, with no two alike. */
const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 3);
const TINY: FakeRepository = {
  files: { "config.json": CONFIG, "tokenizer.json": "{}", "vocab.json": `{"a":1}`, "model.safetensors": WEIGHTS },
};

let hub: FakeHub;
let home: string;
let waits: number[];

beforeEach(async () => {
  hub = await FakeHub.start();
  home = await mkdtemp(join(tmpdir(), "sotto-hub-"));
  waits = [];
});

afterEach(async () => {
  await hub.stop();
  await rm(home, { recursive: true, force: true });
});

/** A system with its own home, environment and time. */
function system(changes: Partial<HubSystem> = {}): HubSystem {
  return {
    ...defaultSystem,
    env: {},
    home,
    sleep: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
    ...changes,
  };
}

function get(model: string, options: HubOptions = {}, changes: Partial<HubSystem> = {}): Promise<string> {
  return resolveModelWith(system(changes), model, { endpoint: hub.endpoint, ...options });
}

/** The error of a call that must fail with a HubError. */
async function failure(model: string, options: HubOptions = {}, changes: Partial<HubSystem> = {}): Promise<HubError> {
  const error: unknown = await get(model, options, changes).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(HubError);
  return error as HubError;
}

/** The snapshot's weights are those of the hub. (A comparison of bytes as such is slow in the matchers.) */
async function expectWeights(folder: string): Promise<void> {
  expect((await readFile(join(folder, "model.safetensors"))).equals(WEIGHTS)).toBe(true);
}

const cacheFolder = (): string => join(home, ".cache/huggingface/hub/models--openai--whisper-tiny");
const weightsGet = (request: SeenRequest): boolean => request.server === "cdn" && request.method === "GET";
const isFileOf =
  (file: string, method: string) =>
  (request: SeenRequest): boolean =>
    request.method === method && request.path.endsWith(`/${file}`);

describe("resolveModel() names", () => {
  it("gives the bundled model without a request", async () => {
    const folder = await get("nano");
    expect(existsSync(join(folder, "model.safetensors"))).toBe(true);
    expect(hub.requests).toEqual([]);
  });

  const names: [string, string][] = [
    ["tiny", "openai/whisper-tiny"],
    ["base.en", "openai/whisper-base.en"],
    ["large-v1", "openai/whisper-large"],
    ["large", "openai/whisper-large-v3"],
    ["turbo", "openai/whisper-large-v3-turbo"],
    ["large-v3-turbo", "openai/whisper-large-v3-turbo"],
    ["distil-large-v3", "distil-whisper/distil-large-v3"],
    ["someone/fine.tuned-1_b", "someone/fine.tuned-1_b"],
  ];
  it.each(names)("takes %s for %s", async (name, repository) => {
    hub.repositories.set(repository, TINY);
    const folder = await get(name);
    expect(folder).toContain(`models--${repository.replace("/", "--")}`);
    await expectWeights(folder);
  });

  it("takes folders and files that exist for what they are", async () => {
    await mkdir(join(home, "my-model"));
    await writeFile(join(home, "weights.safetensors"), "");
    expect(await get(join(home, "my-model"))).toBe(join(home, "my-model"));
    expect(await get("~/my-model")).toBe(join(home, "my-model"));
    expect(await get(join(home, "weights.safetensors"))).toBe(join(home, "weights.safetensors"));
    expect(await get("./models/nano")).toBe(resolve("models/nano"));
    expect(hub.requests).toEqual([]);
  });

  it("lists every name for one that does not exist", async () => {
    const error = await failure("tinny");
    expect(error.message).toMatch(/^Cannot get model "tinny": unknown model, expected one of nano, tiny, tiny.en, /);
    for (const { name, aliases } of MODELS)
      for (const each of [name, ...aliases]) expect(error.message).toContain(each);
    expect(error.message).toContain("\nHint: ");
  });

  const unknown = [
    "",
    "./missing",
    "../missing",
    "~/missing",
    "/missing",
    "a/b/c",
    "a/..b",
    "a/b--c",
    "a\\b",
    "a/b?c=1",
  ];
  it.each(unknown)("asks the hub nothing about %j", async (name) => {
    await failure(name);
    expect(hub.requests).toEqual([]);
  });
});

describe("resolveModel() cache", () => {
  it("writes the layout of Python's huggingface_hub", async () => {
    hub.repositories.set(ID, TINY);
    const commit = commitOf(TINY);
    const folder = await get("tiny");
    expect(folder).toBe(join(cacheFolder(), "snapshots", commit));
    expect(await readFile(join(cacheFolder(), "refs/main"), "utf8")).toBe(commit);
    expect((await readdir(folder)).sort()).toEqual(Object.keys(TINY.files).sort());
    for (const [file, content] of Object.entries(TINY.files)) {
      expect(await readlink(join(folder, file))).toBe(`../../blobs/${etagOf(file, content)}`);
      expect((await readFile(join(folder, file))).equals(Buffer.from(content as Uint8Array))).toBe(true);
    }
    expect((await readdir(join(cacheFolder(), "blobs"))).sort()).toEqual(
      Object.entries(TINY.files)
        .map(([file, content]) => etagOf(file, content))
        .sort(),
    );
    expect(await readdir(join(cacheFolder(), ".no_exist", commit))).toContain("merges.txt");
  });

  it("asks one question when everything is there", async () => {
    hub.repositories.set(ID, TINY);
    const first = await get("tiny");
    hub.requests.length = 0;
    expect(await get("tiny")).toBe(first);
    expect(hub.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      `HEAD /${ID}/resolve/main/config.json`,
    ]);
  });

  it("asks nothing about a commit that is there", async () => {
    hub.repositories.set(ID, TINY);
    const revision = commitOf(TINY);
    const first = await get("tiny", { revision });
    hub.requests.length = 0;
    expect(await get("tiny", { revision })).toBe(first);
    expect(hub.requests).toEqual([]);
  });

  it("follows a moved branch and fetches only what changed", async () => {
    hub.repositories.set(ID, TINY);
    const first = await get("tiny");
    const moved: FakeRepository = { files: { ...TINY.files, "tokenizer.json": `{"moved":true}` } };
    hub.repositories.set(ID, moved);
    hub.requests.length = 0;
    const second = await get("tiny");
    expect(second).not.toBe(first);
    expect(await readFile(join(second, "tokenizer.json"), "utf8")).toBe(`{"moved":true}`);
    expect(await readFile(join(cacheFolder(), "refs/main"), "utf8")).toBe(commitOf(moved));
    expect(hub.requests.filter(({ method }) => method === "GET").map(({ path }) => path)).toEqual([
      `/${ID}/resolve/${commitOf(moved)}/tokenizer.json`,
    ]);
  });

  it("uses a cache that Python wrote, offline", async () => {
    const commit = commitOf(TINY);
    const snapshot = join(cacheFolder(), "snapshots", commit);
    await mkdir(snapshot, { recursive: true });
    await mkdir(join(cacheFolder(), "refs"), { recursive: true });
    await writeFile(join(cacheFolder(), "refs/main"), commit);
    await writeFile(join(snapshot, "config.json"), CONFIG);
    await writeFile(join(snapshot, "model.safetensors"), WEIGHTS);
    expect(await get("tiny", { offline: true })).toBe(snapshot);
    expect(await get("tiny", {}, { env: { HF_HUB_OFFLINE: "1" } })).toBe(snapshot);
    expect(hub.requests).toEqual([]);
  });

  it("says what is missing when offline", async () => {
    const nothing = await failure("tiny", { offline: true });
    expect(nothing.message).toContain("no such model or revision");
    hub.repositories.set(ID, TINY);
    await rm(join(await get("tiny"), "model.safetensors"));
    expect((await failure("tiny", { offline: true })).message).toContain(`lacks "model.safetensors"`);
  });

  it("falls back to the cache when the network is gone, at once", async () => {
    hub.repositories.set(ID, TINY);
    const folder = await get("tiny");
    waits.length = 0;
    const { endpoint } = hub;
    await hub.stop();
    expect(await get("tiny", { endpoint })).toBe(folder);
    expect(waits).toEqual([]);
  });

  it("does not fall back when the hub refuses", async () => {
    hub.repositories.set(ID, TINY);
    await get("tiny");
    hub.repositories.set(ID, { ...TINY, token: "secret" });
    expect((await failure("tiny")).status).toBe(401);
  });

  it("copies where symbolic links cannot be made", async () => {
    hub.repositories.set(ID, TINY);
    const refused = Object.assign(new Error("not permitted"), { code: "EPERM" });
    const folder = await get("tiny", {}, { symlink: () => Promise.reject(refused) });
    expect((await lstat(join(folder, "model.safetensors"))).isSymbolicLink()).toBe(false);
    await expectWeights(folder);
  });

  const places: [Record<string, string>, string][] = [
    [{}, ".cache/huggingface/hub"],
    [{ XDG_CACHE_HOME: "HOME/xdg" }, "xdg/huggingface/hub"],
    [{ HF_HOME: "HOME/hf" }, "hf/hub"],
    [{ HF_HOME: "HOME/hf", HF_HUB_CACHE: "~/cache" }, "cache"],
  ];
  it.each(places)("lies where %j says", async (env, place) => {
    hub.repositories.set(ID, TINY);
    const own = Object.fromEntries(Object.entries(env).map(([key, value]) => [key, value.replace("HOME", home)]));
    expect(await get("tiny", {}, { env: own })).toContain(join(home, place, "models--"));
  });

  it("gets everything again when told to", async () => {
    hub.repositories.set(ID, TINY);
    const folder = await get("tiny");
    await writeFile(join(cacheFolder(), "blobs", etagOf("model.safetensors", WEIGHTS)), new Uint8Array(WEIGHTS.length));
    await get("tiny", { forceDownload: true });
    await expectWeights(folder);
  });
});

describe("resolveModel() files", () => {
  const SHARDS: Readonly<Record<string, Uint8Array | string>> = {
    "config.json": CONFIG,
    "model.safetensors.index.json": JSON.stringify({
      weight_map: { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors" },
    }),
    "model-00001-of-00002.safetensors": WEIGHTS,
    "model-00002-of-00002.safetensors": WEIGHTS.slice(1),
  };

  it("gets every shard of an index", async () => {
    hub.repositories.set(ID, { files: SHARDS });
    const folder = await get("tiny");
    expect((await readdir(folder)).sort()).toEqual(Object.keys(SHARDS).sort());
    expect(await get("tiny", { offline: true })).toBe(folder);
    await rm(join(folder, "model-00002-of-00002.safetensors"));
    expect((await failure("tiny", { offline: true })).message).toContain(`lacks "model-00002-of-00002.safetensors"`);
  });

  const hostile = ["../x.safetensors", "/etc/x.safetensors", "a/b.safetensors", "..\\x.safetensors", "x.bin", "", 7];
  it.each(hostile)("refuses an index that names the file %j", async (file) => {
    const index = JSON.stringify({ weight_map: { a: file } });
    hub.repositories.set(ID, { files: { "config.json": CONFIG, "model.safetensors.index.json": index } });
    expect((await failure("tiny")).message).toContain("expected a file of the same folder");
  });

  it("names weights in a format that is not read", async () => {
    hub.repositories.set(ID, { files: { "config.json": CONFIG, "pytorch_model.bin": "pickle" } });
    const error = await failure("tiny");
    expect(error.message).toContain(`it has "pytorch_model.bin" only`);
    expect(error.message).toContain("save_pretrained");
    expect(hub.requestsFor("pytorch_model.bin", "GET")).toEqual([]);
  });

  it("finds out another kind of model before its weights are fetched", async () => {
    hub.repositories.set(ID, { files: { ...TINY.files, "config.json": `{"model_type":"llama"}` } });
    expect((await failure("tiny")).message).toContain(`its model type is "llama", expected "whisper"`);
    expect(hub.requests.filter(weightsGet)).toEqual([]);
  });

  it("refuses files above their ceiling before a byte of them", async () => {
    hub.repositories.set(ID, TINY);
    const huge = { "x-linked-size": "30000000000", "x-linked-etag": "a".repeat(64), "x-repo-commit": commitOf(TINY) };
    hub.fail(isFileOf("model.safetensors", "HEAD"), { status: 302, headers: { ...huge, location: "/" } }, 9);
    expect((await failure("tiny")).message).toContain("has 30000000000 bytes, expected at most 20000000000");
    expect(hub.requests.filter(weightsGet)).toEqual([]);
  });
});

describe("resolveModel() of a processor", () => {
  const processor = (options: HubOptions = {}): Promise<string> =>
    resolveModelWith(system(), "tiny", { endpoint: hub.endpoint, ...options }, "processor");
  const ofWeights = ({ path }: SeenRequest): boolean => /\.(safetensors|bin|msgpack|h5)|\.index\.json/.test(path);

  it("asks for all but the weights, and is then there offline", async () => {
    hub.repositories.set(ID, TINY);
    const folder = await processor();
    expect((await readdir(folder)).sort()).toEqual(["config.json", "tokenizer.json", "vocab.json"]);
    expect(hub.requests.filter(ofWeights)).toEqual([]);
    expect(await processor({ offline: true })).toBe(folder);
    expect((await failure("tiny", { offline: true })).message).toContain(`lacks "model.safetensors"`);
    expect(await cachedModels({ cacheDir: join(home, ".cache/huggingface/hub") })).toEqual([]);
  });

  it("needs no weights in a format that is read", async () => {
    hub.repositories.set(ID, { files: { "config.json": CONFIG, "pytorch_model.bin": "pickle" } });
    expect(await readdir(await processor())).toEqual(["config.json"]);
    expect(hub.requests.filter(ofWeights)).toEqual([]);
  });

  it("leaves the weights for later, with nothing fetched twice", async () => {
    hub.repositories.set(ID, TINY);
    const folder = await processor();
    expect(await get("tiny")).toBe(folder);
    await expectWeights(folder);
    for (const file of ["tokenizer.json", "vocab.json"]) expect(hub.requestsFor(file, "GET")).toHaveLength(1);
  });

  it("makes one request where all is there, and none for a commit", async () => {
    hub.repositories.set(ID, TINY);
    const folder = await processor();
    hub.requests.length = 0;
    expect(await processor()).toBe(folder);
    expect(hub.requests.map(({ method, path }) => [method, path.split("/").at(-1)])).toEqual([["HEAD", "config.json"]]);
    expect(await processor({ revision: commitOf(TINY) })).toBe(folder);
    expect(hub.requests).toHaveLength(1);
  });

  it("of a newer commit leaves the whole older one for use without a network", async () => {
    hub.repositories.set(ID, TINY);
    const whole = await get("tiny");
    hub.repositories.set(ID, { files: { ...TINY.files, "tokenizer.json": `{"version":"2"}` } });
    const newer = await processor();
    expect(newer).not.toBe(whole);
    expect(await get("tiny", { offline: true })).toBe(whole);
    expect(await get("tiny")).toBe(newer);
    expect(await get("tiny", { offline: true })).toBe(newer);
  });
});

describe("resolveModel() download", () => {
  it("reports the bytes of each file as they come", async () => {
    hub.repositories.set(ID, TINY);
    const seen = new Map<string, number[]>();
    await get("tiny", {
      onProgress: ({ file, loaded, total }) => {
        expect(total).toBe(TINY.files[file].length);
        seen.set(file, [...(seen.get(file) ?? []), loaded]);
      },
    });
    expect([...seen.keys()].sort()).toEqual(Object.keys(TINY.files).sort());
    for (const [file, loaded] of seen) {
      expect(loaded[0]).toBe(0);
      expect(loaded.at(-1)).toBe(TINY.files[file].length);
      expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
    }
  });

  it("resumes where the connection broke", async () => {
    hub.repositories.set(ID, TINY);
    hub.fail(weightsGet, { truncateAfter: 100_000 });
    const folder = await get("tiny");
    const ranges = hub.requests.filter(weightsGet).map(({ range }) => range);
    expect(ranges).toHaveLength(2);
    expect(ranges[0]).toBeUndefined();
    expect(ranges[1]).toMatch(/^bytes=[1-9]\d*-$/);
    await expectWeights(folder);
  });

  it("resumes what an earlier call left", async () => {
    hub.repositories.set(ID, TINY);
    const control = new AbortController();
    const stop = get("tiny", {
      signal: control.signal,
      onProgress: ({ file, loaded }) => {
        if (file === "model.safetensors" && loaded > 0) control.abort(new Error("enough"));
      },
    });
    await expect(stop).rejects.toThrow("enough");
    hub.requests.length = 0;
    await get("tiny");
    expect(hub.requests.filter(weightsGet)[0].range).toMatch(/^bytes=[1-9]\d*-$/);
  });

  it("begins anew at a server without ranges", async () => {
    hub.repositories.set(ID, TINY);
    hub.ranges = false;
    hub.fail(weightsGet, { truncateAfter: 100_000 });
    const folder = await get("tiny");
    await expectWeights(folder);
  });

  it("replaces a partial file that holds something else", async () => {
    hub.repositories.set(ID, TINY);
    await mkdir(join(cacheFolder(), "blobs"), { recursive: true });
    const partial = join(cacheFolder(), "blobs", `${etagOf("model.safetensors", WEIGHTS)}.sotto.incomplete`);
    await writeFile(partial, new Uint8Array(1000).fill(7));
    const folder = await get("tiny");
    await expectWeights(folder);
    expect(existsSync(partial)).toBe(false);
  });

  const transient = [500, 502, 503, 429, 408];
  it.each(transient)("tries again after status %i", async (status) => {
    hub.repositories.set(ID, TINY);
    hub.fail(isFileOf("config.json", "HEAD"), { status });
    hub.fail(weightsGet, { status });
    await get("tiny");
    expect(waits).toEqual([500, 500]);
  });

  it("waits as long as the server asks", async () => {
    hub.repositories.set(ID, TINY);
    hub.fail(weightsGet, { status: 429, headers: { "retry-after": "7" } });
    await get("tiny");
    expect(waits).toEqual([7000]);
  });

  it("gives up after five attempts, waiting longer each time", async () => {
    hub.repositories.set(ID, TINY);
    hub.fail(isFileOf("config.json", "HEAD"), { status: 503 }, 99);
    const error = await failure("tiny");
    expect(error.status).toBe(503);
    expect(error.message).toContain("(5 attempts)");
    expect(waits).toEqual([500, 1000, 2000, 4000]);
  });

  it("gives up on a body that always breaks off at the same byte", async () => {
    hub.repositories.set(ID, TINY);
    hub.ranges = false;
    hub.fail(weightsGet, { truncateAfter: 1000 }, 99);
    await failure("tiny");
    expect(hub.requests.filter(weightsGet).length).toBeLessThanOrEqual(6);
  });

  it("gives up on a server that falls silent", async () => {
    hub.repositories.set(ID, TINY);
    hub.fail(weightsGet, { stallAfter: 0 }, 99);
    const error = await failure("tiny", { timeoutMs: 250 });
    expect(error.message).toMatch(/no byte from .* for 0.25 s/);
  });

  it("names the endpoint and a remedy without a network", async () => {
    const { endpoint } = hub;
    await hub.stop();
    const error = await failure("tiny", { endpoint });
    expect(error.message).toMatch(/connection to 127.0.0.1:\d+ failed: ECONNREFUSED.*\nHint: check the network/);
    expect(error.message).toContain(endpoint);
  });

  it("fetches once more after a checksum mismatch", async () => {
    hub.repositories.set(ID, TINY);
    hub.fail(weightsGet, { corrupt: true });
    hub.fail(isFileOf("tokenizer.json", "GET"), { corrupt: true });
    const folder = await get("tiny");
    await expectWeights(folder);
    expect(await readFile(join(folder, "tokenizer.json"), "utf8")).toBe("{}");
  });

  it.each(["model.safetensors", "tokenizer.json"])("fails after two mismatches of %s", async (file) => {
    hub.repositories.set(ID, TINY);
    hub.fail(({ path, method }) => method === "GET" && path.endsWith(file), { corrupt: true }, 99);
    const error = await failure("tiny");
    expect(error.message).toMatch(new RegExp(`"${file}" has checksum [0-9a-f]+, expected [0-9a-f]+, twice`));
    const left = await readdir(join(cacheFolder(), "blobs"));
    expect(left).not.toContain(etagOf(file, TINY.files[file]));
    expect(left.filter((name) => name.includes("sotto"))).toEqual([]);
  });

  it("stops at more bytes than announced", async () => {
    hub.repositories.set(ID, TINY);
    hub.fail(weightsGet, { extra: 10 }, 2);
    expect((await failure("tiny")).message).toContain(`has more than ${WEIGHTS.length} bytes`);
  });

  it("says that the disk is full and gives its space back", async () => {
    hub.repositories.set(ID, TINY);
    // A file whose every write beyond 50,000 bytes fails as on a full disk: what the code sees of one.
    const openSmall: typeof open = async (path, flags, mode) => {
      const handle = await open(path, flags, mode);
      const write = handle.write.bind(handle) as (...values: unknown[]) => Promise<{ bytesWritten: number }>;
      const limited = (...values: unknown[]): Promise<{ bytesWritten: number }> =>
        Number(values[3]) > 50_000
          ? Promise.reject(Object.assign(new Error("ENOSPC: no space"), { code: "ENOSPC", syscall: "write" }))
          : write(...values);
      return Object.assign(handle, { write: limited });
    };
    const error = await failure("tiny", {}, { open: openSmall });
    expect(error.message).toMatch(/^Cannot get model "openai\/whisper-tiny": no space left on the disk .*\nHint: /);
    expect((await readdir(join(cacheFolder(), "blobs"))).filter((name) => name.includes("sotto"))).toEqual([]);
    await expectWeights(await get("tiny"));
  });

  it("says that the cache cannot be written", async () => {
    hub.repositories.set(ID, TINY);
    await writeFile(join(home, "file"), "");
    const error = await failure("tiny", { cacheDir: join(home, "file/cache") });
    expect(error.message).toMatch(/cannot write its files: ENOTDIR.*\nHint: .*HF_HOME/);
  });

  it("stops when aborted, with the caller's reason", async () => {
    hub.repositories.set(ID, TINY);
    await expect(get("tiny", { signal: AbortSignal.abort(new Error("stopped")) })).rejects.toThrow("stopped");
  });

  it("downloads once for two callers at a time", async () => {
    hub.repositories.set(ID, TINY);
    const [a, b] = await Promise.all([
      get("tiny", {}, { sleep: defaultSystem.sleep }),
      get("tiny", {}, { sleep: defaultSystem.sleep }),
    ]);
    expect(a).toBe(b);
    expect(hub.requests.filter(weightsGet)).toHaveLength(1);
    await expectWeights(a);
  });

  it("takes over the lock of a process that is gone", async () => {
    hub.repositories.set(ID, TINY);
    await mkdir(join(cacheFolder(), "blobs"), { recursive: true });
    const lock = join(cacheFolder(), "blobs", `${etagOf("model.safetensors", WEIGHTS)}.sotto.lock`);
    await writeFile(lock, "1 gone");
    const old = new Date(Date.now() - 3_600_000);
    await utimes(lock, old, old);
    await get("tiny");
    expect(existsSync(lock)).toBe(false);
  });

  it("takes over the lock of a process that is gone, though the clock was set back since", async () => {
    hub.repositories.set(ID, TINY);
    await mkdir(join(cacheFolder(), "blobs"), { recursive: true });
    const lock = join(cacheFolder(), "blobs", `${etagOf("model.safetensors", WEIGHTS)}.sotto.lock`);
    await writeFile(lock, "1 gone");
    const future = new Date(Date.now() + 1e10);
    await utimes(lock, future, future);
    await get("tiny");
    expect(existsSync(lock)).toBe(false);
  });

  it("leaves a lock to a holder who lives, however old the clock makes it look", async () => {
    hub.repositories.set(ID, TINY);
    await mkdir(join(cacheFolder(), "blobs"), { recursive: true });
    const lock = join(cacheFolder(), "blobs", `${etagOf("model.safetensors", WEIGHTS)}.sotto.lock`);
    await writeFile(lock, "1 alive");
    await utimes(lock, 1, 1);
    let waitedMs = 0;
    let ended = false;
    const sleep = async (ms: number): Promise<void> => {
      waitedMs += ms;
      // As its holder does, by a clock that stands ten years back.
      if (waitedMs % 5000 === 0) await utimes(lock, waitedMs / 1000, waitedMs / 1000);
      if (waitedMs === 200_000) {
        ended = true;
        await rm(lock);
      }
    };
    await get("tiny", {}, { sleep });
    expect(ended).toBe(true);
  });

  it("waits for a lock whose holder lives", async () => {
    hub.repositories.set(ID, TINY);
    await mkdir(join(cacheFolder(), "blobs"), { recursive: true });
    const lock = join(cacheFolder(), "blobs", `${etagOf("model.safetensors", WEIGHTS)}.sotto.lock`);
    await writeFile(lock, "1 alive");
    let polls = 0;
    const sleep = async (): Promise<void> => {
      if (++polls === 3) await rm(lock);
    };
    await get("tiny", {}, { sleep });
    expect(polls).toBe(3);
  });
});

describe("resolveModel() access", () => {
  const PRIVATE: FakeRepository = { ...TINY, token: "hf_secret" };

  it("sends the token to the hub and to nobody else", async () => {
    hub.repositories.set(ID, PRIVATE);
    await get("tiny", { token: "hf_secret" });
    for (const { server, authorization } of hub.requests) {
      expect(authorization).toBe(server === "hub" ? "Bearer hf_secret" : undefined);
    }
    expect(hub.requests.some(({ server }) => server === "cdn")).toBe(true);
  });

  const sources: [string, Record<string, string>, string | undefined][] = [
    ["HF_TOKEN", { HF_TOKEN: "hf_secret" }, undefined],
    ["the file of HF_TOKEN_PATH", { HF_TOKEN_PATH: "~/my-token" }, "my-token"],
    ["the file of HF_HOME", { HF_HOME: "~/hf" }, "hf/token"],
    ["the default file", {}, ".cache/huggingface/token"],
  ];
  it.each(sources)("finds the token in %s", async (_, env, file) => {
    hub.repositories.set(ID, PRIVATE);
    if (file !== undefined) {
      await mkdir(join(home, file, ".."), { recursive: true });
      await writeFile(join(home, file), "hf_secret\n");
    }
    await get("tiny", {}, { env });
  });

  it("keeps a damaged token out of the message", async () => {
    const error: unknown = await get("tiny", { token: "two words" }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OptionError);
    expect((error as Error).message).not.toContain("words");
  });

  const refusals: [string, FakeRepository | undefined, HubOptions, RegExp][] = [
    ["no such model", undefined, {}, /not found at .*, or private\nHint: .*set HF_TOKEN/],
    ["a private one, no token", PRIVATE, {}, /not found at .*, or private\nHint: .*set HF_TOKEN/],
    ["a gated one", { ...PRIVATE, gated: true }, {}, /only to those who accept its conditions\nHint: accept them at /],
    ["a revision that is not there", TINY, { revision: "v9" }, /has no revision "v9"/],
    ["no config.json", { files: { "model.safetensors": WEIGHTS } }, {}, /or without "config.json"/],
  ];
  it.each(refusals)("explains %s", async (_, repository, options, message) => {
    if (repository !== undefined) hub.repositories.set(ID, repository);
    expect((await failure("tiny", options)).message).toMatch(message);
  });

  it("explains a refused token", async () => {
    hub.fail(() => true, { status: 401 }, 99);
    expect((await failure("tiny", { token: "wrong" })).message).toMatch(/the token was refused\nHint: check HF_TOKEN/);
  });

  it("follows a renamed model", async () => {
    hub.repositories.set("old/name", { files: {}, renamedTo: ID });
    hub.repositories.set(ID, TINY);
    const folder = await get("old/name");
    await expectWeights(folder);
  });

  it("refuses a server that is no hub", async () => {
    hub.fail(() => true, { status: 200, headers: { etag: `"0123456789"` } }, 99);
    expect((await failure("tiny")).message).toContain("does not say the commit and checksum");
  });

  const hostile: Record<string, string>[] = [
    { "x-repo-commit": "../../../../etc", etag: `"${"a".repeat(40)}"` },
    { "x-repo-commit": "a".repeat(40), etag: `"../../x"` },
  ];
  it.each(hostile)("refuses headers that would lead out of the cache: %j", async (headers) => {
    hub.fail(() => true, { status: 200, headers }, 99);
    expect((await failure("tiny")).message).toContain("does not say the commit and checksum");
  });

  it("ends a circle of redirects", async () => {
    hub.fail(() => true, { status: 302, headers: { location: "/around" } }, 99);
    expect((await failure("tiny")).message).toContain("redirects in circles");
  });

  const options: [HubOptions, string][] = [
    [{ revision: "../main" }, "revision"],
    [{ revision: "a/../../b" }, "revision"],
    [{ revision: "" }, "revision"],
    [{ endpoint: "ftp://hub" }, "endpoint"],
    [{ endpoint: "hub" }, "endpoint"],
    [{ timeoutMs: 0 }, "timeoutMs"],
    [{ timeoutMs: Number.NaN }, "timeoutMs"],
  ];
  it.each(options)("refuses the option %j", async (value, option) => {
    const error: unknown = await get("tiny", value).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OptionError);
    expect((error as OptionError).option).toBe(option);
  });
});

describe("cachedModels()", () => {
  it("lists Whisper models that can be used, with their bytes on disk", async () => {
    expect(await cachedModels({}, system())).toEqual([]);
    hub.repositories.set(ID, TINY);
    const path = await get("tiny");
    const other = join(home, ".cache/huggingface/hub/models--owner--llama/snapshots", commitOf(TINY));
    await mkdir(other, { recursive: true });
    await writeFile(join(other, "config.json"), `{"model_type":"llama"}`);
    await writeFile(join(other, "model.safetensors"), "");

    const models = await cachedModels({}, system());
    expect(models.map(({ repository }) => repository)).toEqual([ID]);
    expect(models[0].path).toBe(path);
    const contents = Object.values(TINY.files).reduce((sum, content) => sum + content.length, 0);
    expect(models[0].bytes).toBe(contents + 40); // and the commit in refs/main
    await rm(join(path, "model.safetensors"));
    expect(await cachedModels({}, system())).toEqual([]);
  });
});
