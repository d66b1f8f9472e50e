import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeHub } from "../../test/helpers/fake-hub.ts";
import { bundledModelFolder } from "../hub/index.ts";
import { WhisperProcessor } from "./processor.ts";

const ID = "somebody/whisper-nano";

let hub: FakeHub;
let cacheDir: string;
beforeEach(async () => {
  hub = await FakeHub.start();
  cacheDir = await mkdtemp(join(tmpdir(), "sotto-processor-"));
  const files: Record<string, string> = {};
  for (const name of await readdir(bundledModelFolder())) {
    if (/\.(json|txt)$/.test(name)) files[name] = await readFile(join(bundledModelFolder(), name), "utf8");
  }
  hub.repositories.set(ID, { files: { ...files, "model.safetensors": "these are no weights" } });
});
afterEach(async () => {
  await hub.stop();
  await rm(cacheDir, { recursive: true, force: true });
});

describe("WhisperProcessor.fromPretrained()", () => {
  it("neither asks the hub for weights nor opens them, now and offline", async () => {
    const options = { endpoint: hub.endpoint, cacheDir };
    const bundled = await WhisperProcessor.fromPretrained("nano");
    const samples = Float32Array.from({ length: 16000 }, (_, i) => Math.sin(i / 10));
    const expected = (await bundled(samples)).inputFeatures;
    const tokens = bundled.tokenizer.encode(" one two");
    for (const offline of [false, true]) {
      const processor = await WhisperProcessor.fromPretrained(ID, { ...options, offline });
      expect((await processor(samples)).inputFeatures).toEqual(expected);
      expect(processor.batchDecode([tokens])).toEqual([" one two"]);
    }
    expect(hub.requestsFor("tokenizer.json", "GET")).toHaveLength(1);
    expect(hub.requests.filter(({ path, server }) => path.includes("safetensors") || server === "cdn")).toEqual([]);
  });
});
