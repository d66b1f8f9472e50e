/** The small rules of the vad algorithm: loops, scripts, levels, languages, pauses, attempts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DecodingResult } from "../../decoding/index.ts";
import { chineseScript } from "./chinese-script.ts";
import { likeliestLanguage, nextLanguage } from "./language.ts";
import { Leveller } from "./leveller.ts";
import { untilLoop } from "./loops.ts";
import { faultsOf, isNoSpeech, retry } from "./retry.ts";
import { isSparse, withoutHoles } from "./holes.ts";
import { longPauses, splitAtPauses } from "./split-at-pauses.ts";

const RATE = 16000;
const repeat = (text: readonly number[], times: number): number[] => new Array(times).fill(text).flat() as number[];

describe("untilLoop()", () => {
  it.each<[what: string, tokens: number[], kept: number]>([
    ["a sentence three times", [1, 2, ...repeat([3, 4, 5, 6, 7, 8, 9, 10], 3)], 10],
    ["a phrase five times", [1, 2, 9, ...repeat([3, 4, 5], 5), 6], 6],
    ["a word ten times", [1, 2, ...repeat([3], 10)], 3],
    ["a phrase four times is said", [1, 2, ...repeat([3, 4, 5], 4)], 14],
    ["a word nine times is said", repeat([3], 9), 9],
    ["no loop", [1, 2, 3, 1, 2, 3], 6],
    ["nothing", [], 0],
  ])("%s", (_, tokens, kept) => {
    expect(untilLoop(tokens)).toBe(kept);
  });

  it("keeps the beginning of a text, and all of it where nothing repeats itself", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(50_000), { maxLength: 60 }), fc.integer({ min: 3, max: 6 }), (text, times) => {
        expect(untilLoop(text)).toBe(text.length);
        if (text.length >= 8) expect(untilLoop(repeat(text, times))).toBe(text.length);
      }),
    );
  });
});

describe("chineseScript()", () => {
  it.each([
    ["测试完成后，将状态更改为成功后，你会发现", "simplified"],
    ["通過聆聽音頻，並比較每個列中的識別結果", "traditional"],
    ["你好", null],
    ["hello", null],
  ])("%s: %s", (text, script) => {
    expect(chineseScript(text)).toBe(script);
  });
});

describe("Leveller", () => {
  const level = (samples: Float32Array): number =>
    Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
  const tone = (amplitude: number, seconds = 2): Float32Array =>
    Float32Array.from({ length: seconds * RATE }, (_, i) => amplitude * Math.sin(i / 5));

  it("leaves usual levels as they are, to the bit", () => {
    const samples = tone(0.5);
    const leveller = new Leveller();
    expect([...leveller.push(samples), ...leveller.finish()]).toEqual([...samples]);
  });

  it("brings quiet sound to the level of speech, and silence to nothing", () => {
    for (const amplitude of [0.1, 0.01, 0.003])
      expect(level(new Leveller().push(tone(amplitude)))).toBeCloseTo(0.15, 2);
    expect(level(new Leveller().push(new Float32Array(RATE)))).toBe(0);
    expect(level(new Leveller().push(tone(0.0001)))).toBeLessThan(0.01);
  });

  it("gives the same however the samples are cut", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 20 }), (cuts) => {
        const samples = Float32Array.from({ length: 20_000 }, (_, i) => 0.001 * (1 + i / 2000) * Math.sin(i * i));
        const whole = new Leveller();
        const expected = [...whole.push(samples), ...whole.finish()];
        const leveller = new Leveller();
        const given: number[] = [];
        let at = 0;
        for (const cut of [...cuts, Infinity]) given.push(...leveller.push(samples.subarray(at, (at += cut))));
        expect([...given, ...leveller.finish()]).toEqual(expected);
      }),
      { numRuns: 20 },
    );
  });
});

describe("languages", () => {
  const detection = (probabilities: Record<string, number>) => {
    const [[language, probability]] = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
    return { language, probability, probabilities, noSpeechProb: 0 };
  };

  it("likeliestLanguage() weighs windows with their speech", () => {
    const short = { detection: detection({ en: 0.9, de: 0.1 }), speechSeconds: 1 };
    const long = { detection: detection({ en: 0.3, de: 0.7 }), speechSeconds: 9 };
    expect(likeliestLanguage([short, long]).language).toBe("de");
    expect(likeliestLanguage([short, long]).probability).toBeCloseTo(0.64);
  });

  it("nextLanguage() changes only where a window is sure", () => {
    expect(nextLanguage("en", detection({ en: 0.4, de: 0.55 }))).toBe("en");
    expect(nextLanguage("en", detection({ en: 0.1, de: 0.9 }))).toBe("de");
  });
});

describe("splitAtPauses()", () => {
  const EOT = 100;
  const word = (token: number, start: number, end: number) => ({
    word: `w${token}`,
    tokens: [token],
    start,
    end,
    probability: 1,
  });
  const speech = [
    { start: 0, end: 2 * RATE },
    { start: 5 * RATE, end: 8 * RATE },
    { start: 8.3 * RATE, end: 9 * RATE },
  ];
  const pauses = longPauses({ pieces: [{ start: 0, end: 10 * RATE, at: 0 }], speech });
  const inSeconds = speech.map(({ start, end }) => ({ start: start / RATE, end: end / RATE }));

  it("cuts where words stand on both sides of a long pause", () => {
    expect(pauses).toEqual([{ start: 2, end: 5 }]);
    const segment = { start: 0, end: 9, tokens: [101, 1, 2, 3, 4, 102] };
    const words = [word(1, 0, 1), word(2, 1, 2), word(3, 5.2, 6), word(4, 8.4, 9)];
    expect(splitAtPauses([segment], words, pauses, inSeconds, EOT)).toEqual([
      { start: 0, end: 2, tokens: [101, 1, 2] },
      { start: 5, end: 9, tokens: [3, 4, 102] },
    ]);
  });

  it("leaves alone what lies on one side, or ends at the pause", () => {
    const before = { start: 0, end: 9, tokens: [101, 1, 2, 102] };
    expect(splitAtPauses([before], [word(1, 0, 1), word(2, 1, 2)], pauses, inSeconds, EOT)).toEqual([before]);
    const two = [
      { start: 0, end: 2, tokens: [101, 1, 102] },
      { start: 5, end: 9, tokens: [103, 2, 104] },
    ];
    expect(splitAtPauses(two, [word(1, 0, 1), word(2, 5, 6)], pauses, inSeconds, EOT)).toEqual(two);
  });

  it("puts no word on a noise that a long pause parts from the segment", () => {
    const segment = { start: 0, end: 9, tokens: [101, 1, 2, 102] };
    const click = { start: 0.5, end: 0.7 };
    const after = [click, { start: 5, end: 9 }];
    const pauseAfter = [{ start: 0.7, end: 5 }];
    expect(splitAtPauses([segment], [word(1, 0.5, 0.7), word(2, 5, 6)], pauseAfter, after, EOT)).toEqual([
      { ...segment, start: 5 },
    ]);
    const before = [
      { start: 0, end: 4 },
      { start: 8.6, end: 8.8 },
    ];
    const pauseBefore = [{ start: 4, end: 8.6 }];
    expect(splitAtPauses([segment], [word(1, 1, 2), word(2, 8.6, 8.8)], pauseBefore, before, EOT)).toEqual([
      { ...segment, end: 4 },
    ]);
  });
});

describe("withoutHoles()", () => {
  const EOT = 100;
  const word = (token: number, start: number, end: number) => ({
    word: ` w${token}`,
    tokens: [token],
    start,
    end,
    probability: 1,
  });
  const speech = [{ start: 0, end: 28 }];

  it("ends a segment with its words where speech goes on without them", () => {
    const segment = { start: 0, end: 28, tokens: [101, 1, 2, 128] };
    // Alignment lets the last word last until the end.
    expect(withoutHoles([segment], [word(1, 0.2, 0.8), word(2, 0.8, 28)], speech, EOT)).toEqual([
      { ...segment, end: 1.8 },
    ]);
    expect(isSparse(segment, " He might.", speech)).toBe(true);
  });

  it("cuts out what it passes over between its words and before them", () => {
    const segments = [
      { start: 0, end: 10, tokens: [101, 1, 2, 110] },
      { start: 10, end: 28, tokens: [110, 3, 4, 128] },
    ];
    const words = [word(1, 0.2, 0.8), word(2, 9, 10), word(3, 20, 21), word(4, 26, 27.5)];
    expect(withoutHoles(segments, words, speech, EOT)).toEqual([
      { start: 0, end: 0.8, tokens: [101, 1] },
      { start: 9, end: 10, tokens: [2, 110] },
      { start: 20, end: 21, tokens: [110, 3] },
      { start: 26, end: 28, tokens: [4, 128] },
    ]);
  });

  it("leaves alone hesitations, pauses and text of the usual density", () => {
    const segment = { start: 0, end: 28, tokens: [101, 1, 2, 3, 128] };
    const words = [word(1, 2, 2.5), word(2, 5, 5.5), word(3, 25.5, 26)];
    const paused = [
      { start: 1, end: 6 },
      { start: 25, end: 28 },
    ];
    expect(withoutHoles([segment], words, paused, EOT)).toEqual([segment]);
    expect(
      isSparse(
        { start: 0, end: 10 },
        "ten seconds of speech, in which a hundred letters or so are said, as people do",
        speech,
      ),
    ).toBe(false);
    expect(isSparse({ start: 0, end: 10 }, "这是一个很长的句子说话的人不太快也不太慢正好十秒", speech)).toBe(false);
  });
});

describe("attempts", () => {
  const thresholds = { compressionRatio: 2.4, entropy: null, logprob: -1, noSpeech: 0.6 };
  const result = (changes: Partial<DecodingResult> = {}): DecodingResult => ({
    ...{ tokens: [], text: "one two three", language: "en", task: "transcribe", entropy: null, stop: "eot" },
    ...{ avgLogprob: -0.3, noSpeechProb: 0.01, compressionRatio: 1, temperature: 0 },
    ...changes,
  });

  it("faultsOf() finds text that nobody can have said in the time", () => {
    const text = "word ".repeat(60);
    expect(faultsOf(result({ text }), thresholds, 20)).toEqual([]);
    expect(faultsOf(result({ text }), thresholds, 4)).toEqual(["speechRate"]);
    expect(faultsOf(result({ text: "测".repeat(60) }), thresholds, 4)).toEqual([]);
    expect(faultsOf(result({ compressionRatio: 3 }), thresholds, 4)).toEqual(["compressionRatio"]);
  });

  it("isNoSpeech() believes the model where it says that nobody speaks, or has no idea", () => {
    expect(isNoSpeech(result(), thresholds)).toBe(false);
    expect(isNoSpeech(result({ noSpeechProb: 0.64, avgLogprob: -0.97 }), thresholds)).toBe(false);
    expect(isNoSpeech(result({ noSpeechProb: 0.7, avgLogprob: -1.2 }), thresholds)).toBe(true);
    expect(isNoSpeech(result({ noSpeechProb: 0.9 }), thresholds)).toBe(true);
    expect(isNoSpeech(result({ avgLogprob: -2.2 }), thresholds)).toBe(true);
    expect(isNoSpeech(result({ noSpeechProb: 0.9 }), { ...thresholds, noSpeech: null })).toBe(false);
  });

  it("retry() takes the first good attempt, else the likeliest that does not repeat itself", async () => {
    const attempts = [
      result({ avgLogprob: -0.1, compressionRatio: 5 }),
      result({ avgLogprob: -1.5, temperature: 0.2 }),
      result({ avgLogprob: -1.2, temperature: 0.4 }),
    ];
    const run = (all: DecodingResult[]) =>
      retry(
        all.length,
        (one) => faultsOf(one, thresholds, 10),
        (i) => Promise.resolve(all[i]),
      );
    const bad = await run(attempts);
    expect(bad.result.temperature).toBe(0.4);
    expect(bad.failed.map(({ reasons }) => reasons)).toEqual([["compressionRatio"], ["avgLogprob"], ["avgLogprob"]]);
    const good = await run([...attempts, result({ temperature: 0.6 }), result({ temperature: 0.8 })]);
    expect([good.result.temperature, good.failed.length]).toEqual([0.6, 3]);
  });

  it.each([
    ["entropyThreshold 3.5", { entropy: 3.5 }, { entropy: 3.1 }],
    ["compressionRatioThreshold 1.2", { compressionRatio: 1.2 }, { compressionRatio: 1.6 }],
  ])("retry() keeps the likeliest text where %s lets none pass but one that is no text", async (_, strict, scores) => {
    const attempts = [
      result({ ...scores, avgLogprob: -0.25 }),
      result({ ...scores, avgLogprob: -0.4, temperature: 0.2 }),
      result({ avgLogprob: -2.4, temperature: 0.4 }),
    ];
    const limits = { ...thresholds, ...strict };
    const found = await retry(
      attempts.length,
      (one) => faultsOf(one, limits, 10),
      (i) => Promise.resolve(attempts[i]),
    );
    expect(found.failed.map(({ reasons }) => reasons)).toEqual([
      [Object.keys(scores)[0]],
      [Object.keys(scores)[0]],
      ["avgLogprob"],
    ]);
    expect(found.result.temperature).toBe(0);
    expect(isNoSpeech(found.result, limits)).toBe(false);
  });
});
