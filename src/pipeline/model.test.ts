import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { samplePath, referenceText } from "../../test/helpers/samples.ts";
import { loadAudio } from "../audio/index.ts";
import { OptionError, ShapeError } from "../errors.ts";
import { WhisperForConditionalGeneration, type GenerateOptions } from "./model.ts";
import { WhisperPipeline } from "./pipeline.ts";
import { WhisperProcessor } from "./processor.ts";

let model: WhisperForConditionalGeneration;
let processor: WhisperProcessor;
beforeAll(async () => {
  model = await WhisperForConditionalGeneration.fromPretrained("nano", { dtype: "float32" });
  processor = await WhisperProcessor.fromPretrained("nano");
});
afterAll(() => model.dispose());

describe("WhisperProcessor", () => {
  it("makes windows of samples, files, and several of them", async () => {
    const samples = await loadAudio(samplePath("en-short.wav"));
    const { inputFeatures } = await processor(samples, { samplingRate: 16000 });
    expect(inputFeatures.dims).toEqual([1, 80, 3000]);
    const both = await processor([samples, samplePath("en-short.wav")]);
    expect(both.inputFeatures.dims).toEqual([2, 80, 3000]);
    expect(both.inputFeatures.data.subarray(0, 240000)).toEqual(inputFeatures.data);
    expect(both.inputFeatures.data.subarray(240000)).toEqual(inputFeatures.data);
  });

  it("resamples bare samples of another rate", async () => {
    const tone = (rate: number): Float32Array =>
      Float32Array.from({ length: rate }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / rate));
    const direct = await processor(tone(16000));
    const resampled = await processor(tone(48000), { samplingRate: 48000 });
    let worst = 0;
    for (let i = 0; i < 80; i++) {
      const at = i * 3000 + 50; // the middle of the tone
      worst = Math.max(worst, Math.abs(direct.inputFeatures.data[at] - resampled.inputFeatures.data[at]));
    }
    expect(worst).toBeLessThan(0.05);
  });

  it("refuses no audio and unknown options", async () => {
    await expect(processor([])).rejects.toThrow(OptionError);
    await expect(processor(new Float32Array(10), { sampling_rate: 16000 } as object)).rejects.toThrow("samplingRate");
  });
});

describe("WhisperProcessor refuses", () => {
  it("samplingRate where the audio says its own", async () => {
    await expect(processor(samplePath("en-short.wav"), { samplingRate: 16000 })).rejects.toThrow(
      "Cannot use samplingRate of audio that is not bare samples",
    );
  });
  it.each([{ skipSpecialToken: true }, { skipSpecialTokens: "yes" }, { decodeWithTimestamps: 1 }])("%j", (options) => {
    expect(() => processor.batchDecode([[1]], options as object)).toThrow(OptionError);
  });
  it("options of loading that do not exist", async () => {
    for (const options of [{ cache_dir: "x" }, { offline: "yes" }]) {
      await expect(WhisperProcessor.fromPretrained("nano", options as object)).rejects.toThrow(OptionError);
    }
  });
});

describe("WhisperForConditionalGeneration.generate()", () => {
  it("takes options under Hugging Face's names, and warns of those without effect", async () => {
    const { inputFeatures } = await processor(samplePath("en-short.wav"));
    const given = await model.generate(inputFeatures, { maxNewTokens: 4, numBeams: 2, seed: 1 });
    const { warnings, ...same } = await model.generate(inputFeatures, { sampleLength: 4, beamSize: 2 });
    expect(given).toEqual({ ...same, warnings: [expect.stringMatching(/^"seed" has no effect/)] });
    expect(warnings).toEqual([]);
    await expect(model.generate(inputFeatures, { sampleLen: 4, maxNewTokens: 4 })).rejects.toThrow("two names of one");
    const typo = model.generate(inputFeatures, { sampleLenght: 4 } as GenerateOptions);
    await expect(typo).rejects.toThrow(/sampleLength(?!.*\bsampleLength\b)[^]*Hint: did you mean sampleLength/);
    const faulty = { returnTimestamps: "word" } as unknown as GenerateOptions;
    await expect(model.generate(inputFeatures, faulty)).rejects.toThrow("expected true or false");
  });

  it("gives with batchDecode() what the pipeline gives", async () => {
    const { inputFeatures } = await processor(samplePath("en-short.wav"));
    const { sequences, languages } = await model.generate(inputFeatures);
    expect(languages).toEqual(["en"]);
    const [text] = processor.batchDecode(sequences, { skipSpecialTokens: true });
    const pipeline = await WhisperPipeline.fromPretrained("nano", { dtype: "float32" });
    expect(text).toBe((await pipeline.transcribe(samplePath("en-short.wav"))).text);
    await pipeline.dispose();
    expect(text.trim()).toBe(referenceText("en-short.wav"));
  });

  it("begins sequences with the prompt and ends them with endoftext", async () => {
    const { inputFeatures } = await processor(samplePath("de-short.flac"));
    const { sequences } = await model.generate(inputFeatures, { language: "german", task: "translate" });
    const [shown] = processor.batchDecode(sequences);
    expect(shown.startsWith("<|startoftranscript|><|de|><|translate|><|notimestamps|>")).toBe(true);
    expect(shown.endsWith("<|endoftext|>")).toBe(true);
  });

  it("gives timestamps where they are asked for", async () => {
    const { inputFeatures } = await processor(samplePath("en-short.wav"));
    const { sequences } = await model.generate(inputFeatures, { returnTimestamps: true });
    const [shown] = processor.batchDecode(sequences, { skipSpecialTokens: true, decodeWithTimestamps: true });
    expect(shown).toMatch(/^<\|\d+\.\d\d\|>/);
  });

  it("detects the language of each row", async () => {
    const files = ["fr-short.flac", "en-short.wav", "es-short.flac"].map(samplePath);
    const { inputFeatures } = await processor(files);
    expect((await model.generate(inputFeatures)).languages).toEqual(["fr", "en", "es"]);
    const detected = await model.detectLanguage(inputFeatures);
    expect(detected.map(({ language }) => language)).toEqual(["fr", "en", "es"]);
  });

  it("stops at maxLength, prompt included", async () => {
    const { inputFeatures } = await processor(samplePath("en-short.wav"));
    const { sequences } = await model.generate(inputFeatures, { language: "en", maxLength: 9 });
    expect(sequences[0]).toHaveLength(9);
  });

  it("searches with beams, and draws the same samples for the same seed", async () => {
    const { inputFeatures } = await processor(samplePath("en-short.wav"));
    const text = async (options: GenerateOptions): Promise<string> => {
      const { sequences } = await model.generate(inputFeatures, { language: "en", ...options });
      return processor.batchDecode(sequences, { skipSpecialTokens: true })[0].trim();
    };
    expect(await text({ beamSize: 5 })).toBe(referenceText("en-short.wav"));
    const sampled = { temperature: 1, bestOf: 2, seed: 7 };
    expect(await text(sampled)).toBe(await text(sampled));
    await expect(text({ beamSize: 5, bestOf: 5 })).rejects.toThrow(OptionError);
  });

  it.each<[what: string, options: GenerateOptions]>([
    ["no phrases", { allowedPhrases: [] }],
    ["an empty phrase", { allowedPhrases: ["yes", " "] }],
    ["a prefix without room", { prefix: "yes ".repeat(500) }],
    ["prompt and prefix without room", { prefix: "yes ".repeat(300), prompt: Array<number>(223).fill(1) }],
    ["two kinds of search", { beamSize: 5, bestOf: 5 }],
    ["an unknown language", { language: "xx" }],
  ])("refuses %s before the model is asked anything", async (_, options) => {
    const { inputFeatures } = await processor(new Float32Array(16000));
    const encode = vi.spyOn(model.engine, "encode");
    await expect(model.generate(inputFeatures, options)).rejects.toThrow(OptionError);
    expect(encode).not.toHaveBeenCalled();
    encode.mockRestore();
  });

  it("refuses features of other dims, and options that do not exist", async () => {
    const wrong = { data: new Float32Array(128 * 3000), dims: [1, 128, 3000] };
    await expect(model.generate(wrong)).rejects.toThrow(ShapeError);
    const { inputFeatures } = await processor(new Float32Array(16000));
    await expect(model.generate(inputFeatures, { language: "xx" })).rejects.toThrow(OptionError);
    await expect(model.generate(inputFeatures, { num_beams: 5 } as object)).rejects.toThrow(/"num_beams".*maxLength/s);
    await expect(model.generate(inputFeatures, { maxLength: 500 })).rejects.toThrow(/448/);
  });
});

describe("WhisperForConditionalGeneration.encode()", () => {
  it("gives the encoder's output", async () => {
    const { inputFeatures } = await processor(samplePath("en-short.wav"));
    const { lastHiddenState } = await model.encode(inputFeatures);
    expect(lastHiddenState.dims).toEqual([1, 1500, 128]);
    expect(lastHiddenState.data.every(Number.isFinite)).toBe(true);
  });
});
