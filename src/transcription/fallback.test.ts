import { describe, expect, it } from "vitest";
import { decodeWithFallback, fallbackReasons, isSilent, type Thresholds, type WindowScores } from "./fallback.ts";

const DEFAULTS: Thresholds = { compressionRatio: 2.4, entropy: null, logprob: -1, noSpeech: 0.6 };
const OFF: Thresholds = { compressionRatio: null, entropy: null, logprob: null, noSpeech: null };

/** [compressionRatio, avgLogprob, noSpeechProb] */
type Scores = readonly [number, number, number];
const scoresOf = ([compressionRatio, avgLogprob, noSpeechProb]: Scores, temperature = 0): WindowScores => ({
  compressionRatio,
  entropy: null,
  avgLogprob,
  noSpeechProb,
  temperature,
});

const [GOOD, REPETITIVE, UNSURE, BOTH, SILENT]: Scores[] = [
  [1.5, -0.3, 0.1],
  [2.5, -0.3, 0.1],
  [1.5, -1.1, 0.1],
  [2.5, -1.1, 0.1],
  [2.5, -1.1, 0.7],
];

describe("fallbackReasons() (facts 2.3.4)", () => {
  it.each<[string, Scores, Partial<Thresholds>, string[]]>([
    ["nothing is wrong", GOOD, {}, []],
    ["it repeats itself", REPETITIVE, {}, ["compressionRatio"]],
    ["exactly the threshold is good", [2.4, -1, 0.6], {}, []],
    ["it is unsure", UNSURE, {}, ["avgLogprob"]],
    ["both", BOTH, {}, ["compressionRatio", "avgLogprob"]],
    ["silence excuses both", SILENT, {}, []],
    ["silence needs unsureness", [2.5, -0.3, 0.9], {}, ["compressionRatio"]],
    ["at exactly the no-speech threshold it is no silence", [2.5, -1.1, 0.6], {}, ["compressionRatio", "avgLogprob"]],
    [
      "without a no-speech threshold there is no silence",
      SILENT,
      { noSpeech: null },
      ["compressionRatio", "avgLogprob"],
    ],
    ["without a logprob threshold there is no silence", SILENT, { logprob: null }, ["compressionRatio"]],
    ["without a compression threshold it may repeat", BOTH, { compressionRatio: null }, ["avgLogprob"]],
    ["without thresholds all is good", BOTH, OFF, []],
    ["a threshold of 0 is a threshold", GOOD, { compressionRatio: 0 }, ["compressionRatio"]],
  ])("%s", (_, scores, thresholds, expected) => {
    expect(fallbackReasons(scoresOf(scores), { ...DEFAULTS, ...thresholds })).toEqual(expected);
  });
});

describe("fallbackReasons() by entropy, as whisper.cpp does", () => {
  const CPP: Thresholds = { ...DEFAULTS, compressionRatio: null, entropy: 2.4 };
  it.each<[string, number | null, Scores, string[]]>([
    ["low: it repeats itself", 2.39, GOOD, ["entropy"]],
    ["exactly the threshold is good", 2.4, GOOD, []],
    ["high", 3.2, REPETITIVE, []],
    ["too few tokens", null, GOOD, []],
    ["silence is no excuse", 1, SILENT, ["entropy"]],
    ["unsure as well", 1, UNSURE, ["entropy", "avgLogprob"]],
  ])("%s", (_, entropy, scores, expected) => {
    expect(fallbackReasons({ ...scoresOf(scores), entropy }, CPP)).toEqual(expected);
  });
});

describe("isSilent() (facts 2.3.6)", () => {
  it.each<[string, Scores, Partial<Thresholds>, boolean]>([
    ["speech", GOOD, {}, false],
    ["silence", SILENT, {}, true],
    ["nobody speaks, but the model is sure", [1, -0.9, 0.99], {}, false],
    ["exactly the logprob threshold is not sure", [1, -1, 0.99], {}, true],
    ["exactly the no-speech threshold is speech", [1, -2, 0.6], {}, false],
    ["without a logprob threshold the model is never sure", [1, -0.1, 0.99], { logprob: null }, true],
    ["without a no-speech threshold", SILENT, { noSpeech: null }, false],
  ])("%s", (_, scores, thresholds, expected) => {
    expect(isSilent(scoresOf(scores), { ...DEFAULTS, ...thresholds })).toBe(expected);
  });
});

describe("decodeWithFallback()", () => {
  const T = [0, 0.2, 0.4];
  it.each<[string, Scores[], Thresholds, number, [number, string[]][]]>([
    ["takes a good window at once", [GOOD], DEFAULTS, 0, []],
    ["goes on until one is good", [BOTH, GOOD], DEFAULTS, 0.2, [[0, ["compressionRatio", "avgLogprob"]]]],
    [
      "takes the last if none is good, whatever its quality",
      [UNSURE, BOTH, REPETITIVE],
      DEFAULTS,
      0.4,
      [
        [0, ["avgLogprob"]],
        [0.2, ["compressionRatio", "avgLogprob"]],
        [0.4, ["compressionRatio"]],
      ],
    ],
    ["stops at silence", [REPETITIVE, SILENT], DEFAULTS, 0.2, [[0, ["compressionRatio"]]]],
    ["tries once without thresholds", [BOTH], OFF, 0, []],
  ])("%s", async (_, script, thresholds, temperature, failed) => {
    const asked: number[] = [];
    const found = await decodeWithFallback(T.length, thresholds, (attempt) => {
      asked.push(attempt);
      return Promise.resolve(scoresOf(script[attempt], T[attempt]));
    });
    expect(found.result.temperature).toBe(temperature);
    expect(found.failed).toEqual(failed.map(([t, reasons]) => ({ temperature: t, reasons })));
    expect(asked).toEqual(script.map((_, i) => i));
  });
});
