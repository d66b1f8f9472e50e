// The built program without --model: on a hub of the tests, and without one.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { resolveConfig } from "../../src/server/config.ts";
import { startServer } from "../../src/server/server.ts";
import { FakeHub } from "../helpers/fake-hub.ts";
import { FakeHost } from "./fake-host.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const SAMPLE = join(root, "samples/en-short.wav");
const NANO = join(root, "models/nano");
const BASE = "openai/whisper-base";

let hub: FakeHub;
let folder: string;
beforeEach(async () => {
  hub = await FakeHub.start();
  const names = readdirSync(NANO).filter((name) => name !== "README.md");
  const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(NANO, name))]));
  hub.repositories.set(BASE, { files });
  hub.repositories.set("openai/whisper-tiny", { files });
  folder = mkdtempSync(join(tmpdir(), "sotto-model-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const env = { ...process.env, HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(folder, "hub") };
  const child = spawn(process.execPath, [join(root, "dist/cli/main.js"), ...argv], { cwd: folder, env });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const [code] = (await once(child, "close")) as [number];
  return { code, out, err };
}

describe("sotto FILE without --model", () => {
  it("downloads base, and says its name and size first", async () => {
    const first = await run(SAMPLE);
    expect(first.code).toBe(0);
    expect(first.out).toContain(" --> ");
    const lines = first.err.split("\n");
    expect(lines[0]).toContain("using model base");
    expect(lines[1]).toBe(`sotto: downloading model ${BASE}, 17 MB, to ${join(folder, "hub")}`);
    expect(hub.requests.some(({ path }) => path.includes(BASE))).toBe(true);

    const second = await run(SAMPLE);
    expect(second.err).toContain("using model base");
    expect(second.err).not.toContain("downloading");
    expect(second.out).toBe(first.out);
  });

  it("never takes another model where base cannot be had, and says which ones there are", async () => {
    expect((await run("--model", "tiny", SAMPLE)).code).toBe(0);
    for (const flags of [["--offline"], []]) {
      if (flags.length === 0) hub.fail(() => true, { status: 503, headers: { "retry-after": "0" } }, Infinity);
      const { code, out, err } = await run(...flags, SAMPLE);
      expect([code, out]).toEqual([1, ""]);
      expect(err).toContain(`Cannot get model "${BASE}": `);
      expect(err).toMatch(/\nHint: in the cache: tiny\. --model nano .*synthetic speech only.*folder copied/);
    }
  });
});

describe("sotto serve without --model", () => {
  it.each([
    ["auto", "base"],
    ["cpu", "base"],
    ["cuda", "turbo"],
    ["cuda:1", "turbo"],
  ] as const)("on device %s has %s", (device, model) => {
    expect(resolveConfig({ device }).models).toEqual([model]);
  });

  it("downloads it, logs its size first, and answers with it", async () => {
    vi.stubEnv("HF_ENDPOINT", hub.endpoint);
    const log: Record<string, unknown>[] = [];
    const config = resolveConfig({ port: 0, modelDir: join(folder, "hub"), uploadDir: folder, store: folder });
    const server = await startServer(config, {
      log: { write: (line) => void log.push(JSON.parse(line) as Record<string, unknown>) },
    });
    try {
      expect(server.service.models.map(({ id }) => id)).toEqual(["base"]);
      const bytes = readFileSync(join(NANO, "model.safetensors")).length;
      expect(log.find(({ msg }) => msg === "downloading model")).toMatchObject({ model: BASE, bytes });
    } finally {
      await server.close();
    }
  });
});

describe("sotto models", () => {
  it("says of each model its size, languages, what is cached, and what runs it here", async () => {
    expect((await run("--model", "tiny", SAMPLE)).code).toBe(0);
    const { out } = await run("models");
    const row = (name: string): string => out.split("\n").find((line) => line.startsWith(`${name} `)) ?? "";
    expect(row("MODEL")).toMatch(/^MODEL +PARAMETERS +LANGUAGES +DOWNLOAD +CACHED +RUNS HERE ON +REPOSITORY$/);
    expect(row("nano")).toMatch(/ 8\.6 M +4 +- +comes with sotto +any; synthetic speech only +-$/);
    expect(row("tiny")).toMatch(/ 39 M +99 +151 MB +2\d MB +CPU.* openai\/whisper-tiny$/);
    expect(row("base")).toMatch(/ 74 M +99 +290 MB +- +CPU \(default\).* openai\/whisper-base$/);
    expect(row("base.en")).toMatch(/ English +290 MB /);
    expect(out).toMatch(/\nThis machine: CPU with \d+(\.\d)? [MG]B of memory/);
  });
});

it("a download is shown as it goes on", async () => {
  const host = new FakeHost();
  host.onCreate = (_model, { onDownload, onProgress }) => {
    onProgress?.({ file: "config.json", loaded: 1, total: 1 });
    onDownload?.({ repository: BASE, bytes: 80e6, cacheDir: "/cache" });
    for (const loaded of [0, 20e6, 40e6]) {
      host.time += 6000;
      onProgress?.({ file: "model.safetensors", loaded, total: 80e6 });
    }
    return Promise.resolve(undefined as never);
  };
  await host.run(SAMPLE);
  expect(host.err).toContain(
    `sotto: downloading model ${BASE}, 80 MB, to /cache\nsotto: ${BASE}: 25%, 20 MB of 80 MB\n`,
  );
  expect(host.err).not.toContain("config.json");

  const terminal = new FakeHost(undefined, { terminal: true });
  terminal.onCreate = host.onCreate;
  await terminal.run(SAMPLE);
  expect(terminal.err).toContain("█");
});
