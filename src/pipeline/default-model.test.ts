/** Which model is loaded where none is named, on a hub of the tests; and what a transcript of the bundled one says. */
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FakeHub } from "../../test/helpers/fake-hub.ts";
import { samplePath } from "../../test/helpers/samples.ts";
import type { ModelDownload } from "../hub/index.ts";
import { WhisperForConditionalGeneration } from "./model.ts";
import { WhisperPipeline } from "./pipeline.ts";
import { WhisperProcessor } from "./processor.ts";

const NANO = fileURLToPath(new URL("../../models/nano/", import.meta.url));
const BASE = "openai/whisper-base";
const TURBO = "openai/whisper-large-v3-turbo";

let files: Record<string, Uint8Array>;
let hub: FakeHub;
let cacheDir: string;

beforeAll(async () => {
  const names = (await readdir(NANO)).filter((name) => name !== "README.md");
  files = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(NANO, name))] as const)),
  );
});
beforeEach(async () => {
  hub = await FakeHub.start();
  hub.repositories.set(BASE, { files });
  cacheDir = await mkdtemp(join(tmpdir(), "sotto-default-"));
});
afterEach(async () => {
  await hub.stop();
  await rm(cacheDir, { recursive: true, force: true });
});

const asked = (): string[] => [
  ...new Set(hub.requests.map(({ path }) => path.split("/").slice(1, 3).join("/")).filter((id) => id !== "")),
];

describe("the default model", () => {
  it("of WhisperPipeline.fromPretrained() is base on a CPU, its size told before it is downloaded", async () => {
    const seen: (ModelDownload | string)[] = [];
    const pipeline = await WhisperPipeline.fromPretrained(undefined, {
      endpoint: hub.endpoint,
      cacheDir,
      onDownload: (download) => seen.push(download),
      onProgress: ({ file }) => seen.push(file),
    });
    await pipeline.dispose();
    expect(asked()).toEqual([BASE]);
    const bytes = files["model.safetensors"].length;
    const announced = seen.findIndex((one) => typeof one === "object");
    expect(seen[announced]).toEqual({ repository: BASE, bytes, cacheDir });
    expect(announced).toBeLessThan(seen.indexOf("model.safetensors"));
  });

  it("of WhisperForConditionalGeneration and WhisperProcessor is the same", async () => {
    const options = { endpoint: hub.endpoint, cacheDir };
    const processor = await WhisperProcessor.fromPretrained(undefined, options);
    const model = await WhisperForConditionalGeneration.fromPretrained(undefined, options);
    await model.dispose();
    expect([processor.nMels, asked()]).toEqual([80, [BASE]]);
  });

  it("is turbo on a GPU", async () => {
    const options = { endpoint: hub.endpoint, cacheDir, device: "cuda:1" } as const;
    for (const load of [WhisperPipeline, WhisperForConditionalGeneration, WhisperProcessor]) {
      await expect(load.fromPretrained(undefined, options)).rejects.toThrow(`Cannot get model "${TURBO}"`);
    }
    expect(asked()).toEqual([TURBO]);
  });
});

describe("a transcript of nano", () => {
  let copy: string;
  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), "sotto-copy-"));
    await cp(NANO, copy, { recursive: true });
  });
  afterAll(() => rm(copy, { recursive: true }));

  it.each(["nano", "a copy under another name"])("warns that it knows synthetic speech only: %s", async (name) => {
    const pipeline = await WhisperPipeline.fromPretrained(name === "nano" ? name : copy);
    try {
      expect(pipeline.warnings).toEqual([expect.stringContaining("knows synthetic speech only")]);
      const input = samplePath("en-short.wav");
      for (const algorithm of ["chunked", "sequential"] as const) {
        expect((await pipeline.transcribe(input, { algorithm })).warnings).toEqual(pipeline.warnings);
      }
      for await (const { transcript } of pipeline.transcribeMany([input])) {
        expect(transcript?.warnings).toEqual(pipeline.warnings);
      }
    } finally {
      await pipeline.dispose();
    }
  });
});
