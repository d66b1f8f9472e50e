import { describe, expect, it } from "vitest";
import { ScriptedEngine } from "../../test/helpers/scripted-engine.ts";
import { wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { OptionError } from "../errors.ts";
import { resolveSequential, type SequentialOptions } from "./sequential-options.ts";

const tokenizer = wordTokenizer();
const engine = new ScriptedEngine([], tokenizer);
const resolve = (options: SequentialOptions, generation = {}) =>
  resolveSequential({ engine, tokenizer, generation }, options);
const words = (count: number): string => Array.from({ length: count }, (_, i) => `w${i}`).join(" ");

describe("resolveSequential()", () => {
  it("has openai/whisper's defaults (facts 2.3, 2.4.1)", () => {
    const resolved = resolve({});
    expect(resolved).toMatchObject({
      thresholds: { compressionRatio: 2.4, logprob: -1, noSpeech: 0.6 },
      conditionOnPreviousText: true,
      initialPrompt: [],
      carryInitialPrompt: false,
      clipTimes: [],
      words: null,
      hallucinationSilenceThreshold: null,
      languagePerWindow: false,
      warnings: [],
    });
    expect(resolved.searches.map(({ temperature }) => temperature)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(resolved.decoding).toMatchObject({ task: "transcribe", language: undefined, timestamps: true });
  });

  it("limits the first timestamp to 1 s, whatever the checkpoint says", () => {
    const limitOf = (options: SequentialOptions) =>
      resolve(options, { maxInitialTimestampIndex: 1 }).decoding.rules.timestamps?.maxInitialTimestampIndex;
    expect([limitOf({}), limitOf({ maxInitialTimestamp: 2 }), limitOf({ maxInitialTimestamp: null })]).toEqual([
      50,
      100,
      null,
    ]);
  });

  it("has no beams above temperature 0, and no best of several at 0 (facts 2.3.4)", () => {
    const { searches } = resolve({ temperature: [0, 0.5], beamSize: 5, bestOf: 3, patience: 2, lengthPenalty: 0.6 });
    expect(searches).toMatchObject([
      { temperature: 0, beamSize: 5, bestOf: null, patience: 2, lengthPenalty: 0.6 },
      { temperature: 0.5, beamSize: null, bestOf: 3, patience: null, lengthPenalty: 0.6 },
    ]);
  });

  it("encodes the initial prompt with one space before it (facts 2.3.12)", () => {
    expect(resolve({ initialPrompt: "\n w1 w2  " }).initialPrompt).toEqual([1, 2]);
  });

  it.each<[what: string, options: SequentialOptions]>([
    ["beside the longest context", { prefix: words(221), initialPrompt: words(300) }],
    ["without a context", { prefix: words(445), conditionOnPreviousText: false }],
    ["beside a short prompt", { prefix: words(440), conditionOnPreviousText: false, initialPrompt: words(4) }],
    ["because it is cut", { prefix: words(446), sampleLength: 200 }],
  ])("takes a prefix that leaves room in every window, %s", (_, options) => {
    expect(() => resolve(options)).not.toThrow();
  });

  it("warns of word times in translations (facts 2.3.15)", () => {
    const { warnings } = resolve({ wordTimestamps: true, task: "translate" });
    expect(warnings).toEqual(["Times of words in translations may not be reliable"]);
  });

  it.each<[string, SequentialOptions]>([
    ["temperature", { temperature: [] }],
    ["temperature", { temperature: -0.1 }],
    ["temperature", { temperature: [0, Number.NaN] }],
    ["temperature", { temperature: "0" as unknown as number }],
    ["patience", { temperature: 0, patience: 1 }],
    ["beamSize", { beamSize: 0 }],
    ["bestOf", { bestOf: 1.5 }],
    ["lengthPenalty", { lengthPenalty: 2 }],
    ["compressionRatioThreshold", { compressionRatioThreshold: Number.NaN }],
    ["logprobThreshold", { logprobThreshold: "None" as unknown as null }],
    ["hallucinationSilenceThreshold", { hallucinationSilenceThreshold: 2 }],
    ["hallucinationSilenceThreshold", { wordTimestamps: true, hallucinationSilenceThreshold: -1 }],
    ["languagePerWindow", { language: "de", languagePerWindow: true }],
    ["clipTimestamps", { clipTimestamps: "0,x" }],
    ["language", { language: "klingon" }],
    ["maxInitialTimestamp", { maxInitialTimestamp: 31 }],
    ["allowedPhrases", { allowedPhrases: [] }],
    ["allowedPhrases", { allowedPhrases: ["w1", ""] }],
    ["allowedPhrases", { allowedPhrases: ["w1", "?"] }],
    ["allowedPhrases", { allowedPhrases: Array<string>(10_001).fill("w1") }],
    ["prefix", { prefix: words(222) }],
    ["prefix", { prefix: words(446), conditionOnPreviousText: false }],
    ["prefix", { prefix: words(222), conditionOnPreviousText: false, initialPrompt: words(223) }],
  ])("refuses %s: case %#", (option, options) => {
    const caught = (() => {
      try {
        resolve(options);
        return null;
      } catch (error) {
        return error;
      }
    })();
    expect(caught).toBeInstanceOf(OptionError);
    expect((caught as OptionError).option).toBe(option);
  });
});
