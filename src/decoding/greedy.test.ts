import { describe, expect, it } from "vitest";
import { tensor } from "../tensor/index.ts";
import { ScriptedEngine, type ScriptedWindow } from "../../test/helpers/scripted-engine.ts";
import { tokensOf, wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { LogitsEngine } from "../../test/helpers/logits-engine.ts";
import { toyTokenizer } from "../../test/helpers/toy-tokenizer.ts";
import { decode } from "./greedy.ts";
import type { DecodingOptions } from "./options.ts";
import type { DecodingResult } from "./result.ts";
import type { SearchOptions } from "./search-options.ts";

const tokenizer = wordTokenizer();

async function decodeScript(
  script: readonly ScriptedWindow[],
  options: DecodingOptions = {},
  kind?: "english",
): Promise<{ results: DecodingResult[]; engine: ScriptedEngine }> {
  const own = kind === undefined ? tokenizer : wordTokenizer(kind);
  const engine = new ScriptedEngine(script, own);
  const audio = await engine.encode(tensor(new Float32Array(script.length * 80 * 3000), [script.length, 80, 3000]));
  return { results: await decode(engine, audio, own, options, { maxLength: 448 }), engine };
}

describe("decode() makes the prompt", () => {
  const cases: [string, DecodingOptions, number[]][] = [
    ["default", { language: "en", withoutTimestamps: true }, [50258, 50259, 50359, 50363]],
    ["af", { language: "af", withoutTimestamps: true }, [50258, 50327, 50359, 50363]],
    ["zh, translate", { language: "zh", task: "translate", withoutTimestamps: true }, [50258, 50260, 50358, 50363]],
    ["timestamps", { language: "en" }, [50258, 50259, 50359]],
  ];
  it.each(cases)("%s (facts 6.10)", async (_, options, prompt) => {
    const { engine } = await decodeScript([{ tokens: [1] }], options);
    expect(engine.requests[0].prompt).toEqual(prompt);
  });

  it("without language and task for an English-only checkpoint (facts 6.10, ids of its own vocabulary)", async () => {
    const { engine } = await decodeScript([{ tokens: [1] }], { withoutTimestamps: true }, "english");
    expect(engine.requests[0].prompt).toEqual([50257, 50362]);
    expect(engine.detections).toBe(0);
  });

  it("for each window in its detected language", async () => {
    const { engine, results } = await decodeScript([
      { tokens: [1], language: "de" },
      { tokens: [2], language: "fr" },
    ]);
    expect(engine.requests.map(({ prompt }) => prompt[1])).toEqual([50261, 50265]);
    expect(results.map(({ language }) => language)).toEqual(["de", "fr"]);
  });
});

describe("decode()", () => {
  it("gives text without timestamps, and the scores", async () => {
    const tokens = tokensOf("<0> 5 6 <2>", tokenizer);
    const { results } = await decodeScript([{ tokens, logprob: -0.3, noSpeechProb: 0.125 }], { language: "en" });
    expect(results[0]).toEqual({
      tokens,
      text: "w5 w6",
      language: "en",
      task: "transcribe",
      avgLogprob: expect.closeTo(-0.3, 6) as number,
      noSpeechProb: 0.125,
      compressionRatio: 5 / 13,
      entropy: null,
      temperature: 0,
      stop: "eot",
    });
  });

  it("counts the missing endoftext of a cut text as probability 1", async () => {
    const { results } = await decodeScript([{ tokens: [5, 6, 8], logprob: -1, stop: "length" }], { language: "en" });
    expect(results[0].avgLogprob).toBeCloseTo(-0.75, 6);
    expect(results[0].stop).toBe("length");
  });

  it.each([
    [{}, 445],
    [{ maxLength: 10 }, 7],
    [{ sampleLength: 224 }, 224],
    [{ sampleLength: 224, maxLength: 100, withoutTimestamps: true }, 96],
  ])("asks with %j for %d tokens at most", async (options, expected) => {
    const { engine } = await decodeScript([{ tokens: [] }], { language: "en", ...options });
    expect(engine.requests[0].maxNewTokens).toBe(expected);
  });
});

describe("decode() with search options", () => {
  it("searches window by window", async () => {
    const own = toyTokenizer(40);
    const { eot } = own.tokens;
    const engine = new LogitsEngine(
      (tokens, window) =>
        tokens.length === 4
          ? { 1: 1.1, [2 + window]: 1 }
          : tokens[4] === 1
            ? { 8: 0, 9: 0 }
            : { [eot]: 1, 3: -1, 4: 0 },
      { nVocab: 40 },
    );
    const options = { language: "en", withoutTimestamps: true, suppressBlank: false, sampleLength: 2 };
    const texts = async (search: SearchOptions) =>
      (await decode(engine, engine.audio(2), own, { ...options, ...search })).map(({ tokens }) => tokens.join(" "));
    expect(await texts({})).toEqual(["1 8", "1 8"]);
    expect(await texts({ beamSize: 3, lengthPenalty: 0 })).toEqual(["2", "3"]);
    expect(await texts({ allowedPhrases: ["w2 w4", "w3 w4"] })).toEqual(["2 4", "3 4"]);
    expect(engine.generates).toHaveLength(2);
  });

  it("refuses what does not fit together before it asks the engine", async () => {
    const { engine, results } = await decodeScript([{ tokens: [1] }], { language: "en" });
    expect(results).toHaveLength(1);
    const asked = engine.requests.length;
    await expect(
      decode(engine, { ...engine, batch: 1, features: null, dispose: () => {} }, tokenizer, { bestOf: 2 }),
    ).rejects.toThrow("Cannot use bestOf at temperature 0");
    expect([engine.requests.length, engine.detections]).toEqual([asked, 0]);
  });
});
