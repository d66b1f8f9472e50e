/** What the CUDA engine does besides the contract: samples as input, calls that join those under way, errors in words. */
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { createCudaEngine, listGpus, type CudaEngineOptions } from "../../src/engine/cuda/index.ts";
import type { Engine, GenerateRequest } from "../../src/engine/index.ts";
import { createReferenceEngine } from "../../src/engine/reference/index.ts";
import { HOP_LENGTH, logMelWindow } from "../../src/features/index.ts";
import { windowFrames } from "../../src/model/index.ts";
import { assertAllClose } from "../helpers/close.ts";
import { useTestDriver } from "../helpers/cuda.ts";
import { seededRandom } from "../helpers/random.ts";
import { toyMel, toyModel, type ToyModel } from "../helpers/toy-model.ts";

let missing: { reason: string } | null = null;
let model: ToyModel;
const open: Engine[] = [];

beforeAll(async () => {
  missing = await useTestDriver();
  model = toyModel();
});
afterAll(async () => {
  for (const engine of open) await engine.dispose();
  model.remove();
});

async function engineFor(context: TestContext, options: CudaEngineOptions = {}): Promise<Engine> {
  if (missing !== null) context.skip(missing.reason);
  const engine = await createCudaEngine(model, { dtype: "float32", ...options });
  open.push(engine);
  return engine;
}

function request(window: number, maxNewTokens: number, changes: Partial<GenerateRequest> = {}): GenerateRequest {
  const { sot, language, transcribe, noTimestamps, noSpeech, eot, timestampBegin } = model.tokens;
  return {
    window,
    prompt: [sot, language, transcribe, noTimestamps],
    sotIndex: 0,
    noSpeech,
    rules: { eot, timestampBegin, suppress: [eot], suppressAtBegin: [], timestamps: null },
    maxNewTokens,
    ...changes,
  };
}

describe("CudaEngine.encodeSamples()", () => {
  it("is encode() of the windows' log-Mel, whatever they lack in length", async (context) => {
    const engine = await engineFor(context);
    const frames = windowFrames(model.dimensions);
    const random = seededRandom(3);
    const windows = [frames * HOP_LENGTH, 5000, 1].map((length) =>
      Float32Array.from({ length }, (_, i) => 0.3 * Math.sin(i / 7) + 0.1 * (random() - 0.5)),
    );
    const ofSamples = await engine.encodeSamples!(windows);
    const { nMels } = model.dimensions;
    const mel = new Float32Array(windows.length * nMels * frames);
    windows.forEach((window, i) => mel.set(logMelWindow(window, nMels, frames).data, i * nMels * frames));
    const ofMel = await engine.encode({ data: mel, dims: [windows.length, nMels, frames] });
    expect(ofSamples.batch).toBe(3);
    const prompt = request(0, 1).prompt;
    const rows = windows.map((_, window) => ({ window, prompt }));
    const [one, other] = [await engine.startDecoder(ofSamples, rows), await engine.startDecoder(ofMel, rows)];
    // Spectrograms agree within 1e-4 (test/cuda/log-mel.test.ts), and logits are about 10 in size.
    assertAllClose(one.logits, other.logits, { absolute: 5e-3 }, "logits");
  });

  it("refuses a window that is too long", async (context) => {
    const engine = await engineFor(context);
    const most = windowFrames(model.dimensions) * HOP_LENGTH;
    await expect(engine.encodeSamples!([new Float32Array(most + 1)])).rejects.toThrow(
      new RangeError(`Cannot encode a window of ${most + 1} samples, expected at most ${most}`),
    );
  });
});

describe("CudaEngine.generate()", () => {
  it("gives places that become free to sequences that wait, of one call or of several", async (context) => {
    const engine = await engineFor(context, { maxSequences: 4 });
    const reference = await createReferenceEngine(model);
    const mel = toyMel(model.dimensions, 3, 5);
    const [audio, referenceAudio] = [await engine.encode(mel), await reference.encode(mel)];
    const calls = [
      [5, 1, 17, 9, 0, 3, 12].map((most, i) => request(i % 3, most)),
      [8, 2].map((most, i) => request(i, most, { prompt: [...request(0, 0).prompt.slice(0, 3), 7 + i] })),
      [30].map((most) => request(2, most)),
    ];
    const results = await Promise.all(calls.map((requests) => engine.generate(audio, requests)));
    for (const [i, requests] of calls.entries()) {
      const expected = await reference.generate(referenceAudio, requests);
      expect(results[i].map(({ tokens }) => [...tokens])).toEqual(expected.map(({ tokens }) => [...tokens]));
      expect(results[i].map(({ stop }) => stop)).toEqual(expected.map(({ stop }) => stop));
    }
  });

  it("lets other calls have their turn while it goes on", async (context) => {
    const engine = await engineFor(context);
    const mel = toyMel(model.dimensions, 2, 6);
    const audio = await engine.encode(mel);
    const alone = await engine.generate(audio, [request(0, 30), request(1, 30)]);
    const rows = [{ window: 1, prompt: request(0, 1).prompt }];
    const quiet = await engine.startDecoder(audio, rows);
    const order: string[] = [];
    const [busy, started, encoded] = await Promise.all([
      engine.generate(audio, [request(0, 30), request(1, 30)]).finally(() => order.push("generate")),
      engine.startDecoder(audio, rows).finally(() => order.push("startDecoder")),
      engine.encode(mel).finally(() => order.push("encode")),
    ]);
    expect(order.at(-1)).toBe("generate");
    expect(busy).toEqual(alone);
    expect(started.logits).toEqual(quiet.logits);
    expect(encoded.batch).toBe(2);
  });

  it("rejects what is under way when the engine is disposed, and frees everything", async (context) => {
    const engine = await engineFor(context);
    const audio = await engine.encode(toyMel(model.dimensions, 1, 7));
    const result = engine.generate(audio, [request(0, 40)]);
    const ended = expect(result).rejects.toThrow("Cannot use an engine after its dispose()");
    const encoding = expect(engine.encode(toyMel(model.dimensions, 2, 8))).rejects.toThrow("after its dispose()");
    await new Promise((resolve) => setImmediate(resolve));
    await engine.dispose();
    await ended;
    await encoding;
  });
});

describe("createCudaEngine()", () => {
  it("says which GPUs there are when another is asked for", async (context) => {
    if (missing !== null) context.skip(missing.reason);
    const found = listGpus();
    const name = "gpus" in found ? found.gpus[0].name : "";
    await expect(createCudaEngine(model, { ordinal: 99 })).rejects.toThrow(
      `Cannot use engine "cuda": there is no GPU 99, found cuda:0 ${name}`,
    );
  });

  it("refuses checkpoints that its kernels are not made for", async (context) => {
    if (missing !== null) context.skip(missing.reason);
    const narrow = toyModel({ dimensions: { nTextHead: 4 } });
    await expect(createCudaEngine(narrow)).rejects.toThrow("the checkpoint's attention heads are not 64 wide");
    narrow.remove();
    const long = toyModel({ dimensions: { nTextCtx: 449 } });
    await expect(createCudaEngine(long)).rejects.toThrow("449 positions, expected at most 1280 and 448");
    long.remove();
  });
});
