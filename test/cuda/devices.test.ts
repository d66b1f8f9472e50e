/** Several GPUs, and one without memory to spare: on the stand-in alone, which has what its environment says. */
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { CudaDevice } from "../../src/engine/cuda/device.ts";
import { createCudaEngine, listGpus } from "../../src/engine/cuda/index.ts";
import { isStandIn, useTestDriver } from "../helpers/cuda.ts";
import { tensor } from "../../src/tensor/index.ts";
import { toyMel, toyModel, type ToyModel } from "../helpers/toy-model.ts";

const MEBIBYTE = 2 ** 20;

let missing: { reason: string } | null = null;
let model: ToyModel;

beforeAll(async () => {
  process.env["SOTTO_STANDIN_DEVICES"] = "2";
  process.env["SOTTO_STANDIN_MEMORY"] = String(256 * MEBIBYTE);
  missing = await useTestDriver();
  model = toyModel();
});
afterAll(() => model.remove());

function needStandIn(context: TestContext): void {
  if (missing !== null) context.skip(missing.reason);
  if (!isStandIn()) context.skip("a real GPU's memory and number are what they are");
}

describe("listGpus()", () => {
  it("names every GPU", (context) => {
    needStandIn(context);
    const found = listGpus();
    expect("gpus" in found && found.gpus).toMatchObject([
      { device: "cuda:0", totalMemory: 256 * MEBIBYTE, computeCapability: "9.0", fault: null },
      { device: "cuda:1", totalMemory: 256 * MEBIBYTE, computeCapability: "9.0", fault: null },
    ]);
  });
});

describe("CudaDevice.alloc()", () => {
  it("says what was asked and what is free, and gives memory that is given back again", (context) => {
    needStandIn(context);
    const device = CudaDevice.open(1);
    const half = device.alloc(130 * MEBIBYTE);
    expect(() => device.alloc(130 * MEBIBYTE)).toThrow(
      /cuMemAlloc failed: CUDA_ERROR_OUT_OF_MEMORY \(130 MiB asked of .*, 126 MiB of 256 MiB free\)/,
    );
    device.free(half);
    // Another size: what waits to be used again must go back to the driver first.
    const more = device.alloc(200 * MEBIBYTE);
    device.free(more);
    device.close();
  });

  it("asks those who hold what they do not need to give it back", (context) => {
    needStandIn(context);
    const device = CudaDevice.open(1);
    const spare = device.alloc(200 * MEBIBYTE);
    device.onPressure(() => device.free(spare));
    const needed = device.alloc(150 * MEBIBYTE);
    device.free(needed);
    device.close();
  });
});

describe("createCudaEngine()", () => {
  it("runs on each of several GPUs at the same time", async (context) => {
    needStandIn(context);
    // Two engines' partial sums and scratch memory do not fit one such GPU.
    const options = { dtype: "float32", maxSequences: 2 } as const;
    const engines = [await createCudaEngine(model, { ...options, ordinal: 0 })];
    try {
      engines.push(await createCudaEngine(model, { ...options, ordinal: 1 }));
      const mel = toyMel(model.dimensions, 2);
      const prompt = [model.tokens.sot, model.tokens.language, model.tokens.transcribe, model.tokens.noTimestamps];
      const results = await Promise.all(
        engines.map(async (engine) => {
          const audio = await engine.encode(mel);
          const { state, logits } = await engine.startDecoder(audio, [
            { window: 0, prompt },
            { window: 1, prompt },
          ]);
          const next = await engine.step(state, Int32Array.of(5, 6));
          return [...logits, ...next];
        }),
      );
      expect(results[1]).toEqual(results[0]);
      const [one, other] = engines;
      const audio = await one.encode(mel);
      await expect(other.startDecoder(audio, [{ window: 0, prompt }])).rejects.toThrow(TypeError);
    } finally {
      for (const engine of engines) await engine.dispose();
    }
  });

  it("gives back all memory when it is disposed", async (context) => {
    needStandIn(context);
    const device = CudaDevice.open(0);
    const before = device.freeMemory;
    const engine = await createCudaEngine(model, { dtype: "float16", maxSequences: 2 });
    const audio = await engine.encode(toyMel(model.dimensions, 3), { keepFeatures: true });
    const { sot, language, transcribe, noTimestamps, noSpeech, eot, timestampBegin } = model.tokens;
    const prompt = [sot, language, transcribe, noTimestamps];
    const rules = { eot, timestampBegin, suppress: [], suppressAtBegin: [], timestamps: null };
    const request = { prompt, sotIndex: 0, noSpeech, rules, maxNewTokens: 9 };
    await engine.generate(
      audio,
      [0, 1, 2].map((window) => ({ ...request, window })),
    );
    const { state } = await engine.startDecoder(audio, [{ window: 1, prompt }]);
    await engine.step(state, Int32Array.of(4));
    await engine.attend(audio, [{ window: 0, tokens: [...prompt, 5, 6, eot], from: 3, eot }], [[1, 0]]);
    expect(device.freeMemory).toBeLessThan(before);
    await engine.dispose(); // with states that nobody has disposed
    expect(device.freeMemory).toBe(before);
    device.close();
  });

  it("keeps nothing of sequences that there is no memory for", async (context) => {
    needStandIn(context);
    const others = CudaDevice.open(0);
    const engine = await createCudaEngine(model, { dtype: "float32", maxSequences: 2 });
    try {
      const audio = await engine.encode(toyMel(model.dimensions, 1));
      const { sot, language, transcribe } = model.tokens;
      const start = (rows: number): ReturnType<typeof engine.startDecoder> =>
        engine.startDecoder(
          audio,
          Array.from({ length: rows }, () => ({ window: 0, prompt: [sot, language, transcribe] })),
        );
      // What loading has left to be used again goes back to the driver.
      const all = others.alloc(others.freeMemory - 64 * 1024);
      await expect(start(16)).rejects.toThrow("CUDA_ERROR_OUT_OF_MEMORY");
      others.free(all);
      others.trim();
      const before = others.freeMemory;
      const { logits } = await start(16);
      const cost = before - others.freeMemory;
      // Room for twice as many, but for a little.
      others.alloc(others.freeMemory - (2 * cost - 8 * 1024));
      await expect(start(32)).rejects.toThrow("CUDA_ERROR_OUT_OF_MEMORY");
      expect((await start(16)).logits).toEqual(logits);
    } finally {
      await engine.dispose();
      others.close();
    }
  });

  it("says so when the windows of a batch do not fit, and goes on with fewer", async (context) => {
    needStandIn(context);
    const engine = await createCudaEngine(model, { dtype: "float32", maxSequences: 2 });
    try {
      const { nMels, nAudioCtx } = model.dimensions;
      const windows = 5000; // whose caches take 60 KiB each
      const silence = tensor(new Float32Array(windows * nMels * 2 * nAudioCtx), [windows, nMels, 2 * nAudioCtx]);
      await expect(engine.encode(silence)).rejects.toThrow(
        /CUDA_ERROR_OUT_OF_MEMORY[^]*Hint: a smaller batchSize takes less/,
      );
      expect((await engine.encode(toyMel(model.dimensions, 2))).batch).toBe(2);
    } finally {
      await engine.dispose();
    }
  });
});
