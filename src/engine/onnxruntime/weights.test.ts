import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { parameterDims } from "../../model/index.ts";
import { GraphBuilder } from "../../onnx/index.ts";
import { toyModel, type ToyModel } from "../../../test/helpers/toy-model.ts";
import { encoderGraph } from "./encoder-graph.ts";
import { privateFolderPath } from "../private-folder.ts";
import { Weights } from "./weights.ts";

const models: ToyModel[] = [];
const toy = (options: Parameters<typeof toyModel>[0] = {}): ToyModel => {
  const model = toyModel(options);
  models.push(model);
  return model;
};
afterAll(() => models.forEach((model) => model.remove()));

let cacheDir: string;
beforeEach(() => (cacheDir = mkdtempSync(join(tmpdir(), "sotto-weights-"))));
afterEach(() => rmSync(cacheDir, { recursive: true, force: true }));

function recorded(model: ToyModel, quantized: boolean): Weights {
  const weights = new Weights(model, quantized, parameterDims(model.dimensions).keys());
  encoderGraph(model.dimensions, weights);
  return weights;
}

describe("Weights", () => {
  it("map a float32 checkpoint where it lies, and pack nothing", async () => {
    const model = toy();
    const { folder, bytes } = await recorded(model, false).ready(cacheDir);
    expect(folder).toBe(dirname(model.stored("encoder.ln_post.weight").file));
    expect(bytes).toBe(0);
    // What remembers that the numbers have been looked at.
    const [file, ...others] = readdirSync(cacheDir);
    expect(others).toEqual([]);
    expect(statSync(join(cacheDir, file)).size).toBeLessThan(100);
  });

  it("pack halves as float32, value by value", async () => {
    const model = toy({ dtype: "float16" });
    const weights = new Weights(model, false, parameterDims(model.dimensions).keys());
    weights.float32(new GraphBuilder("g"), "encoder.ln_post.bias");
    await weights.ready(cacheDir);
    const packed = readFileSync(join(cacheDir, readdirSync(cacheDir)[0]));
    const values = new Float32Array(packed.buffer.slice(packed.byteOffset, packed.byteOffset + packed.byteLength));
    const expected = await model.read("encoder.ln_post.bias");
    expect([...values.subarray(0, expected.length)]).toEqual([...expected]);
  });

  it("are written once, by whoever comes first", async () => {
    const model = toy();
    const folders = await Promise.all([1, 2, 3].map(() => recorded(model, true).ready(cacheDir)));
    expect(new Set(folders.map(({ folder }) => folder))).toEqual(new Set([cacheDir]));
    const files = readdirSync(cacheDir);
    expect(files).toHaveLength(1);
    const before = statSync(join(cacheDir, files[0]));
    await recorded(model, true).ready(cacheDir);
    expect(statSync(join(cacheDir, files[0])).mtimeMs).toBe(before.mtimeMs);
  });

  it("are written anew if the file is cut short", async () => {
    const model = toy();
    const { bytes } = await recorded(model, true).ready(cacheDir);
    const path = join(cacheDir, readdirSync(cacheDir)[0]);
    truncateSync(path, 100);
    await recorded(model, true).ready(cacheDir);
    expect(statSync(path).size).toBeGreaterThan(bytes); // a checksum follows
  });

  it("have a file for each checkpoint and number format", async () => {
    await recorded(toy({ seed: 21, dtype: "float16" }), true).ready(cacheDir);
    await recorded(toy({ seed: 22, dtype: "float16" }), true).ready(cacheDir);
    await recorded(toy({ seed: 22, dtype: "float16" }), false).ready(cacheDir);
    expect(readdirSync(cacheDir)).toHaveLength(3);
  });

  it("go to the temporary folder if the cache cannot be written", async () => {
    const blocked = join(cacheDir, "a-file");
    writeFileSync(blocked, "");
    chmodSync(blocked, 0o400);
    const { folder } = await recorded(toy({ seed: 23 }), true).ready(join(blocked, "cache"));
    expect(folder).toBe(privateFolderPath());
  });
});
