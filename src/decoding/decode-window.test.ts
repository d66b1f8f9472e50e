import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LogitsEngine, logitsOf, type LogitsFunction } from "../../test/helpers/logits-engine.ts";
import { seededRandom } from "../../test/helpers/random.ts";
import { toyMel, toyModel } from "../../test/helpers/toy-model.ts";
import { toyTokenizer } from "../../test/helpers/toy-tokenizer.ts";
import { createReferenceEngine } from "../engine/index.ts";
import { OptionError } from "../errors.ts";
import { decodeWindow } from "./decode-window.ts";
import { tokenRules, type ResolvedDecoding } from "./options.ts";
import type { DecodingResult } from "./result.ts";
import type { SearchOptions } from "./search-options.ts";

/** Text tokens 0 to 27, one language, four timestamps. */
const N_VOCAB = 40;
const tokenizer = toyTokenizer(N_VOCAB);
const { eot, sot, language, transcribe, sotPrev, noSpeech, noTimestamps, timestampBegin } = tokenizer.tokens;

const TEXT_ONLY: ResolvedDecoding = {
  task: "transcribe",
  language: "en",
  timestamps: false,
  rules: { eot, timestampBegin, suppress: [], suppressAtBegin: [], timestamps: null },
  maxLength: 48,
  sampleLength: 8,
};
const TIMED: ResolvedDecoding = {
  ...TEXT_ONLY,
  timestamps: true,
  rules: {
    ...TEXT_ONLY.rules,
    suppressAtBegin: [0, eot],
    suppress: [sot, language, transcribe, sotPrev, noSpeech],
    timestamps: { noTimestamps, maxInitialTimestampIndex: null },
  },
};

type Script = Readonly<Record<string, string>>;

function engineOf(script: Script | LogitsFunction): LogitsEngine {
  const logits = typeof script === "function" ? script : logitsOf(script, { sot, eot, noSpeech, startLength: 4 });
  return new LogitsEngine(logits, { nVocab: N_VOCAB });
}

async function decodeScript(
  script: Script | LogitsFunction,
  search: SearchOptions = {},
  resolved = TEXT_ONLY,
): Promise<DecodingResult & { engine: LogitsEngine }> {
  const engine = engineOf(script);
  const result = await decodeWindow(engine, engine.audio(), 0, tokenizer, "en", resolved, search);
  expect(engine.alive, "decoder states that were left behind").toBe(0);
  return { ...result, engine };
}

/** Greedily 1 3 (0.6 * 0.5), but 2 3 is likelier (0.4 * 0.9). */
const GARDEN_PATH: Script = { "": "1 .6 2 .4", "1": "3 .5 4 .5", "2": "3 .9 4 .1" };

describe("decodeWindow() greedily", () => {
  it("takes the likeliest token at every turn, in the engine", async () => {
    const { tokens, avgLogprob, text, temperature, stop, engine } = await decodeScript(GARDEN_PATH);
    expect(tokens).toEqual([1, 3]);
    expect(text).toBe("w1 w3");
    expect(avgLogprob).toBeCloseTo(Math.log(0.3) / 3, 5);
    expect([temperature, stop]).toEqual([0, "eot"]);
    expect([engine.generates.length, engine.starts.length]).toEqual([1, 0]);
  });

  it("reads the no-speech probability at startoftranscript, behind a context too", async () => {
    expect((await decodeScript(GARDEN_PATH)).noSpeechProb).toBeCloseTo(0.25, 6);
    expect((await decodeScript(GARDEN_PATH, { prompt: [5, 6] })).noSpeechProb).toBeCloseTo(0.25, 6);
    expect((await decodeScript(GARDEN_PATH, { prompt: [5, 6], beamSize: 2 })).noSpeechProb).toBeCloseTo(0.25, 6);
  });

  it.each([
    ["the resolved limit", { sampleLength: 3 }, {}, 3],
    ["half of the context without one (facts 2.4.10)", { sampleLength: 48 }, {}, 24],
    ["the search's own limit", { sampleLength: 3 }, { sampleLength: 5 }, 5],
    ["the limit that counts the start sequence", { sampleLength: 8, maxLength: 10 }, {}, 6],
    ["no context in that limit", { sampleLength: 8, maxLength: 10 }, { prompt: [1, 2, 3] }, 6],
  ])("generates up to %s", async (_, limits, search, expected) => {
    const { tokens, stop } = await decodeScript(() => ({ 7: 0 }), search, { ...TEXT_ONLY, ...limits });
    expect([tokens.length, stop]).toEqual([expected, "length"]);
  });

  // 1 startofprev, 23 of context, 4 of start: room for 20 that are read, and one that is not.
  it.each([
    ["a token", { 7: 0, 9: 1 }, 21, "length"],
    ["endoftext", { [eot]: 0, 9: 1 }, 20, "eot"],
  ])("takes %s past the end of the context, as openai/whisper does", async (_, last, length, stop) => {
    const prompt = Array<number>(23).fill(5);
    for (const search of [{}, { beamSize: 1 }, { beamSize: 3 }]) {
      const result = await decodeScript(
        (tokens) => (tokens.length < 48 ? { 7: 0 } : last),
        {
          prompt,
          sampleLength: 24,
          ...search,
        },
        { ...TEXT_ONLY, rules: { ...TEXT_ONLY.rules, suppress: [9] } },
      );
      expect([result.tokens.length, result.stop]).toEqual([length, stop]);
      expect(result.avgLogprob).toBeCloseTo(0, 6);
    }
  });
});

describe("decodeWindow() with beams", () => {
  const beams = (script: Script, search: SearchOptions = {}) => decodeScript(script, { beamSize: 2, ...search });

  it("finds a text that begins worse and ends better", async () => {
    const { tokens, avgLogprob, stop } = await beams(GARDEN_PATH);
    expect(tokens).toEqual([2, 3]);
    expect(avgLogprob).toBeCloseTo(Math.log(0.36) / 3, 5);
    expect(stop).toBe("eot");
  });

  it("lets a finished text leave the beam and another take its place", async () => {
    // 1 has ended after the second turn; beams are then 2 and 3's continuations, and 3 4 wins in the end.
    const script = { "": "1 .4 2 .35 3 .25", "1": ". 1", "2": "4 .5 5 .5", "3": "4 1" };
    expect((await beams(script, { beamSize: 3 })).tokens).toEqual([3, 4]);
    expect((await beams(script, { beamSize: 2 })).tokens).toEqual([2, 4]);
  });

  it("does not finish a text that is worse than the beams that go on", async () => {
    // Endoftext after 1 ranks third (.1), below both beams: the text [1] never ends, although no text in the end is likelier.
    const tenths = "0 .1 1 .1 2 .1 3 .1 4 .1 5 .1 6 .1 7 .1 8 .1 9 .1";
    const script = { "": "1 .5 2 .5", "1": "3 .4 4 .4 . .2", "2": "3 .01 4 .99", "1 3": tenths, "2 4": tenths };
    const { tokens, avgLogprob } = await beams(script, { lengthPenalty: 0 });
    expect(tokens).toEqual([2, 4, 0]);
    expect(avgLogprob).toBeCloseTo(Math.log(0.0495) / 4, 5);
  });

  it("continues a beam by one more token than there are beams, since one may be endoftext", async () => {
    const { engine } = await beams({ "": ". .4 1 .3 2 .2 3 .1" });
    expect(engine.steps[0]).toEqual([1, 2]);
  });

  it.each([
    ["ends when as many texts as beams have ended", undefined, [1]],
    ["waits with patience for later ones", 2, [2, 3, 4]],
    ["rounds its candidates half to even: 2.5 are 2", 1.25, [1]],
    ["rounds its candidates half to even: 3.5 are 4", 1.75, [2, 3, 4]],
  ])("%s", async (_, patience, expected) => {
    // [1] and [2] end in turn 2 with means -0.69 and -1.61; [2 3 4] ends in turn 4 with mean log(.26) / 3 = -0.45.
    const script = { "": "1 .5 2 .5", "1": ". 1", "2": ". .4 3 .6", "2 3": "4 .9 5 .1", "2 3 4": ". .97 6 .03" };
    expect((await beams(script, { patience })).tokens).toEqual(expected);
  });

  it("tops up with the best unfinished texts where fewer than the beams have ended", async () => {
    // Only [1] ends within three tokens; the unfinished 2 3 3 has the better mean.
    const script = { "": "1 .3 2 .7", "1": ". 1", "2": "3 1", "2 3": "3 1", "2 3 3": "3 1" };
    const { tokens, avgLogprob, stop } = await beams(script, { sampleLength: 3 });
    expect([tokens, stop]).toEqual([[2, 3, 3], "length"]);
    expect(avgLogprob).toBeCloseTo(Math.log(0.7) / 4, 5);
  });

  it("tops up with the later of equal beams, as openai/whisper's sort does", async () => {
    expect((await beams({ "": "1 .5 2 .5" }, { sampleLength: 1 })).tokens).toEqual([2]);
  });

  it("tops up, too, where patience below 1 ended the search", async () => {
    const script = { "": "1 .5 2 .5", "1": ". 1", "2": "3 1", "2 3": "4 1" };
    // round(2 * 0.5) = 1 text ends it after turn 2, and 2 3 has the better mean.
    expect(await beams(script, { patience: 0.5 })).toMatchObject({ tokens: [2, 3], stop: "length" });
  });

  it.each([
    ["null ranks by the mean of the tokens: -0.65 and -0.24", null, [2, 3, 4]],
    ["0 ranks by the sum: -0.65 and -0.73", 0, [1]],
    ["0.2 ranks by the sum over ((5 + length) / 6) ^ 0.2: -0.65 and -0.69", 0.2, [1]],
    ["1 ranks by the sum over (5 + length) / 6: -0.65 and -0.55", 1, [2, 3, 4]],
  ])("lengthPenalty %s", async (_, lengthPenalty, expected) => {
    const script = { "": "1 .52 2 .48", "1": ". 1", "2": "3 1", "2 3": "4 1" };
    expect((await beams(script, { lengthPenalty, patience: 2 })).tokens).toEqual(expected);
  });

  it("gives a tie to the text that ended first", async () => {
    const script = { "": "5 .5 4 .5", "4": ". 1", "5": ". 1" };
    expect((await beams(script)).tokens, "the lower id of equals is the first").toEqual([4]);
  });

  it("ranks an empty text as if it had one token", async () => {
    const script = { "": ". .7 1 .3" };
    expect(await beams(script)).toMatchObject({ tokens: [], text: "", stop: "eot" });
  });

  it("goes on with fewer beams where fewer tokens are possible", async () => {
    const { tokens, engine, avgLogprob } = await decodeScript(GARDEN_PATH, { beamSize: 5 });
    expect(tokens).toEqual([2, 3]);
    expect(avgLogprob).toBeCloseTo(Math.log(0.36) / 3, 5);
    expect(engine.steps[0]).toEqual([1, 2, eot, eot, eot]);
  });

  it("moves caches only when a beam splits, and leaves those that go on where they are", async () => {
    // Turn 2: each goes on, ranked the other way round. Turn 3: both beams come of 2.
    const script = {
      "": "1 .6 2 .4",
      "1": "3 .3 9 .1 8 .6",
      "1 8": "3 .1 4 .1 5 .8",
      "2": "4 1",
      "2 4": "5 .5 6 .5",
    };
    const { engine } = await beams({ ...script, "1 8": "7 .1 8 .1 9 .1 3 .1 4 .1 5 .1 6 .1 1 .1 2 .1 0 .1" });
    expect(engine.steps.slice(0, 3)).toEqual([
      [1, 2],
      [8, 4],
      [6, 5],
    ]);
    expect(engine.reorders).toEqual([[1, 1]]);
  });

  it("applies the rules to every beam by its own tokens", async () => {
    const begin = timestampBegin;
    const first = { [begin]: Math.log(0.6), [begin + 1]: Math.log(0.4) };
    const { tokens } = await decodeScript(
      (read) => {
        const generated = read.slice(3);
        if (generated.length === 0) return { 1: 5, ...first };
        if (generated.length === 1) return { 1: 0, [begin + 3]: 9 };
        // After text a timestamp: 0.02 is later than 0.00 alone.
        if (generated.length === 2) return { [begin + 1]: 0, 2: generated[0] === begin ? -9 : 0, [begin + 2]: -5 };
        return { [eot]: 0 };
      },
      { beamSize: 2, patience: 2 },
      TIMED,
    );
    expect(tokens.slice(0, 3)).toEqual([begin, 1, begin + 1]);
  });

  it("searches the window asked for", async () => {
    const engine = engineOf((tokens, window) => (tokens.length === 4 ? { [window + 1]: 0 } : { [eot]: 0 }));
    const decode = (search: SearchOptions) =>
      decodeWindow(engine, engine.audio(3), 2, tokenizer, "en", TEXT_ONLY, search);
    expect((await decode({})).tokens).toEqual([3]);
    expect((await decode({ beamSize: 2 })).tokens).toEqual([3]);
    expect((await decode({ temperature: 1 })).tokens).toEqual([3]);
  });

  it("frees its state when the engine fails", async () => {
    const engine = engineOf(GARDEN_PATH);
    engine.step = () => Promise.reject(new Error("out of order"));
    for (const search of [{ beamSize: 2 }, { temperature: 1 }]) {
      const decoding = decodeWindow(engine, engine.audio(), 0, tokenizer, "en", TEXT_ONLY, search);
      await expect(decoding).rejects.toThrow("out of order");
    }
    expect([engine.starts.length, engine.alive]).toEqual([2, 0]);
  });
});

describe("decodeWindow() properties", () => {
  /** A language of three words and an end, other at every text. */
  const randomLanguage =
    (seed: number): LogitsFunction =>
    (tokens) => {
      const random = seededRandom(tokens.reduce((sum, token) => (31 * sum + token) % 99991, seed));
      for (let i = 0; i < 5; i++) random();
      return { 1: 4 * random(), 2: 4 * random(), 3: 4 * random(), [eot]: 3 * random() };
    };

  it("one beam is the greedy text", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1e6), async (seed) => {
        const greedy = await decodeScript(randomLanguage(seed));
        const beam = await decodeScript(randomLanguage(seed), { beamSize: 1 });
        expect(beam).toMatchObject({ tokens: greedy.tokens, stop: greedy.stop });
        expect(beam.avgLogprob).toBeCloseTo(greedy.avgLogprob, 5);
      }),
    );
  });

  it("beams for every text of three tokens find the best of them", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1e6), async (seed) => {
        const logits = randomLanguage(seed);
        const start = [sot, language, transcribe, noTimestamps];
        let bestMean = -Infinity;
        const visit = (tokens: number[], sum: number): void => {
          const next = Object.entries(logits([...start, ...tokens], 0));
          const total = Math.log(next.reduce((all, [, logit]) => all + Math.exp(logit), 0));
          if (tokens.length === 3) bestMean = Math.max(bestMean, sum / 3);
          else {
            for (const [id, logit] of next) {
              const after = sum + logit - total;
              if (Number(id) === eot) bestMean = Math.max(bestMean, after / Math.max(1, tokens.length));
              else visit([...tokens, Number(id)], after);
            }
          }
        };
        visit([], 0);
        const { tokens, avgLogprob } = await decodeScript(logits, { beamSize: 40, sampleLength: 3 });
        expect((avgLogprob * (tokens.length + 1)) / Math.max(1, tokens.length)).toBeCloseTo(bestMean, 5);
      }),
      { numRuns: 30 },
    );
  });

  it.each([1, 2, 3, 4, 5, 6])("one beam is the greedy text of a network: seed %d", async (seed) => {
    const model = toyModel({ seed });
    const engine = await createReferenceEngine(model);
    try {
      const toy = toyTokenizer(model.dimensions.nVocab);
      const audio = await engine.encode(toyMel(model.dimensions, 2, seed));
      const { timestampBegin: begin } = toy.tokens;
      for (const timestamps of [true, false]) {
        const limits = timestamps ? { noTimestamps: toy.tokens.noTimestamps, maxInitialTimestampIndex: 10 } : null;
        const rules = { eot: toy.tokens.eot, timestampBegin: begin, suppress: [3], suppressAtBegin: [0] };
        const resolved = { ...TEXT_ONLY, timestamps, rules: { ...rules, timestamps: limits } };
        const decode = (search: SearchOptions) =>
          decodeWindow(engine, audio, 1, toy, "en", resolved, { prompt: [7, 8], sampleLength: 12, ...search });
        const greedy = await decode({});
        const beam = await decode({ beamSize: 1 });
        expect(beam.tokens).toEqual(greedy.tokens);
        expect(beam.avgLogprob).toBeCloseTo(greedy.avgLogprob, 4);
        expect(beam.noSpeechProb).toBeCloseTo(greedy.noSpeechProb, 6);
        expect(greedy.tokens.length).toBeGreaterThan(0);
        const beams = await decode({ beamSize: 4, patience: 2 });
        const mean = (found: DecodingResult) => found.avgLogprob * (1 + 1 / found.tokens.length);
        // Not a law, but true of these: what four beams find is no worse.
        expect(mean(beams)).toBeGreaterThanOrEqual(mean(greedy) - 1e-4);
      }
      audio.dispose();
    } finally {
      await engine.dispose();
      model.remove();
    }
  });
});

describe("decodeWindow() by sampling", () => {
  const EVEN: Script = { "": "1 .5 2 .5", "1": "1 .5 2 .5", "2": "1 .5 2 .5" };
  const texts = async (search: SearchOptions, script = EVEN) => (await decodeScript(script, search)).tokens.join(" ");

  it("gives the same text for the same seed", async () => {
    const seeds = Array.from({ length: 20 }, (_, seed) => seed);
    const first = await Promise.all(seeds.map((seed) => texts({ temperature: 1, seed })));
    const again = await Promise.all(seeds.map((seed) => texts({ temperature: 1, seed })));
    expect(again).toEqual(first);
    expect(new Set(first).size).toBe(4);
    expect(await texts({ temperature: 1 }), "the default").toBe(first[0]);
  });

  it.each([
    [0.5, 0.8 ** 2 / (0.8 ** 2 + 0.2 ** 2)],
    [1, 0.8],
    [2, 0.8 ** 0.5 / (0.8 ** 0.5 + 0.2 ** 0.5)],
  ])("draws from softmax(logits / %d)", async (temperature, expected) => {
    let ones = 0;
    const draws = 2000;
    for (let seed = 0; seed < draws; seed++) {
      if ((await texts({ temperature, seed }, { "": "1 .8 2 .2" })) === "1") ones++;
    }
    // Four deviations of a share of 2000 draws.
    expect(Math.abs(ones / draws - expected)).toBeLessThan(4 * Math.sqrt((expected * (1 - expected)) / draws));
  });

  it("sums log-probabilities that are not scaled by the temperature (facts 2.4.8)", async () => {
    const script = { "": "1 .8 2 .2" };
    for (let seed = 0; seed < 10; seed++) {
      const { tokens, avgLogprob, temperature } = await decodeScript(script, { temperature: 2, seed });
      expect(avgLogprob).toBeCloseTo(Math.log(tokens[0] === 1 ? 0.8 : 0.2) / 2, 5);
      expect(temperature).toBe(2);
    }
  });

  it("takes the best of several samples, each of which would be there alone", async () => {
    const script = { "": "1 .1 2 .2 3 .3 4 .4", "1": "5 .5 6 .5" };
    for (let seed = 0; seed < 10; seed++) {
      const means: number[] = [];
      for (const bestOf of [1, 2, 3, 4]) {
        const { tokens, avgLogprob, engine } = await decodeScript(script, { temperature: 1, bestOf, seed });
        means.push(avgLogprob * (1 + 1 / tokens.length));
        expect(engine.starts).toEqual([bestOf]);
      }
      expect(means).toEqual([...means].sort((a, b) => a - b));
    }
  });

  it("keeps a sample that has ended as it is", async () => {
    // The samples of 1 end at once; those of 2 go on for five tokens, in which the others must not go on after their end.
    const script = { "": "1 .9 2 .1", "2": "2 1", "2 2": "2 1", "2 2 2": "2 1", "2 2 2 2": "2 1" };
    const { engine, tokens, avgLogprob } = await decodeScript(
      { ...script, [`1 ${eot}`]: "3 1" },
      { temperature: 1, bestOf: 24 },
    );
    expect(tokens).toEqual([1]);
    expect(avgLogprob).toBeCloseTo(Math.log(0.9) / 2, 5);
    const ended = engine.steps[0].flatMap((token, row) => (token === 1 ? [row] : []));
    expect(ended.length).toBeLessThan(24);
    for (const row of ended) expect(engine.steps.slice(1).map((step) => step[row])).toEqual([eot, eot, eot, eot]);
  });

  it("ends when all samples have, or at the limit", async () => {
    expect((await decodeScript({}, { temperature: 1, bestOf: 3 })).engine.steps).toEqual([]);
    const endless: LogitsFunction = () => ({ 1: 0, 2: 0 });
    const { tokens, stop, engine } = await decodeScript(endless, { temperature: 1, sampleLength: 4 });
    expect([tokens.length, stop, engine.steps.length]).toEqual([4, "length", 3]);
  });

  it("never draws what the rules forbid", async () => {
    const noOnes = { ...TEXT_ONLY, rules: { ...TEXT_ONLY.rules, suppress: [1] } };
    for (let seed = 0; seed < 20; seed++) {
      expect((await decodeScript(EVEN, { temperature: 5, seed }, noOnes)).tokens).not.toContain(1);
    }
  });

  it("ranks samples by the length penalty", async () => {
    const script = { "": "1 .55 2 .45", "1": ". 1", "2": "3 1", "2 3": "4 1" };
    expect(await texts({ temperature: 1, bestOf: 16 }, script)).toBe("2 3 4");
    expect(await texts({ temperature: 1, bestOf: 16, lengthPenalty: 0 }, script)).toBe("1");
  });
});

describe("decodeWindow() with allowed phrases", () => {
  /** Likes 9 best, then the higher ids. */
  const babble: LogitsFunction = () => ({
    1: 1,
    2: 2,
    3: 3,
    4: 4,
    9: 9,
    [eot]: 5,
    [timestampBegin]: -3,
    [timestampBegin + 1]: -2,
  });
  const PHRASES = ["w1 w2", "w1 w3 w4", "w2"];

  it.each([
    ["greedily", {}, [2]],
    ["with beams", { beamSize: 3, lengthPenalty: 0 }, [2]],
    ["with one long phrase", { allowedPhrases: ["w1 w3 w4"] }, [1, 3, 4]],
    ["that begin another", { allowedPhrases: ["w1", "w1 w2"] }, [1]],
  ])("says one of them %s", async (_, search, expected) => {
    const { tokens, stop } = await decodeScript(babble, { allowedPhrases: PHRASES, ...search });
    expect([tokens, stop]).toEqual([expected, "eot"]);
  });

  it("says nothing else in any sample", async () => {
    const said = new Set<string>();
    for (let seed = 0; seed < 30; seed++) {
      said.add((await decodeScript(babble, { allowedPhrases: PHRASES, temperature: 5, seed })).text);
    }
    expect([...said].sort()).toEqual([...PHRASES].sort());
  });

  it("puts timestamps before and after a phrase only", async () => {
    const said = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const { tokens } = await decodeScript(babble, { allowedPhrases: PHRASES, temperature: 5, seed }, TIMED);
      const form = tokens.map((token) => (token < timestampBegin ? token : "t")).join(" ");
      said.add(form);
    }
    const forms = ["t 1 2", "t 1 3 4", "t 2"];
    for (const form of said) expect(forms).toContain(form.replace(/ t$/, ""));
    expect([...said].some((form) => form.endsWith("t"))).toBe(true);
  });

  it("closes a phrase with one timestamp", async () => {
    // After a closing timestamp only another one or the end could come, and the other one is likelier.
    const logits: LogitsFunction = () => ({ 1: 0, [eot]: -9, [timestampBegin]: 5, [timestampBegin + 1]: 7 });
    const { tokens } = await decodeScript(logits, { allowedPhrases: ["w1"] }, TIMED);
    expect(tokens).toEqual([timestampBegin + 1, 1]);
    const later: LogitsFunction = (read) => ({
      ...logits(read, 0),
      ...(read.length > 4 && { [timestampBegin + 2]: 8 }),
    });
    const closed = await decodeScript(later, { allowedPhrases: ["w1"] }, TIMED);
    expect(closed.tokens).toEqual([timestampBegin + 1, 1, timestampBegin + 2]);
  });

  it("knows each with and without a space before it", async () => {
    const spaced = { ...tokenizer, encode: (text: string) => [text.startsWith(" ") ? 10 : 11, 5] };
    for (const first of [10, 11]) {
      const engine = engineOf((tokens) => (tokens.length === 4 ? { 9: 9, [first]: 1 } : { 5: 0, [eot]: 0 }));
      const result = await decodeWindow(engine, engine.audio(), 0, spaced, "en", TEXT_ONLY, { allowedPhrases: ["x"] });
      expect(result.tokens).toEqual([first, 5]);
    }
  });

  it("may be made of suppressed tokens", async () => {
    const resolved = { ...TEXT_ONLY, rules: { ...TEXT_ONLY.rules, suppress: [1, 2], suppressAtBegin: [2, eot] } };
    expect((await decodeScript(babble, { allowedPhrases: ["w2"] }, resolved)).tokens).toEqual([2]);
  });

  it.each([{}, { temperature: 1 }, { beamSize: 2 }])("ends with %j where the rules leave nothing", async (search) => {
    const resolved = { ...TEXT_ONLY, rules: { ...TEXT_ONLY.rules, suppress: [eot] } };
    expect((await decodeScript(babble, { allowedPhrases: ["w1 w2"], ...search }, resolved)).tokens).toEqual([1, 2]);
  });

  it.each([[[]], [[""]], [["w1", "  "]]])("refuses the list %j", async (allowedPhrases) => {
    await expect(decodeScript(babble, { allowedPhrases })).rejects.toThrow(OptionError);
  });
});

describe("decodeWindow() with suppressNumerals", () => {
  it("generates no token with a figure or a sign of money", async () => {
    const read = ["zero", " 1", "a2b", " %", "$", " £", " €", " five"];
    const words = { ...tokenizer, decode: (ids: Iterable<number>) => [...ids].map((id) => read[id] ?? "").join("") };
    const engine = engineOf((tokens) =>
      tokens.length === 4 ? { 0: 1, 1: 9, 2: 9, 3: 9, 4: 9, 5: 9, 6: 2, 7: 3 } : { [eot]: 0 },
    );
    for (const search of [{}, { beamSize: 2 }, { temperature: 0.01 }]) {
      const decode = (suppressNumerals: boolean) => {
        const { suppress } = tokenRules(words, { suppressTokens: [], suppressNumerals });
        const resolved = { ...TEXT_ONLY, rules: { ...TEXT_ONLY.rules, suppress } };
        return decodeWindow(engine, engine.audio(), 0, words, "en", resolved, search);
      };
      expect((await decode(true)).tokens).toEqual([7]);
      expect((await decode(false)).tokens).not.toEqual([7]);
    }
  });
});

describe("decodeWindow() refuses before any work", () => {
  it.each<[SearchOptions, string]>([
    [{ beamSize: 5, bestOf: 5, temperature: 1 }, "Cannot use bestOf together with beamSize"],
    [{ bestOf: 5 }, "Cannot use bestOf at temperature 0"],
    [{ prefix: Array<number>(60).fill(1), sampleLength: 24 }, "the model has room for 48"],
  ])("%j", async (search, message) => {
    const engine = engineOf(GARDEN_PATH);
    await expect(decodeWindow(engine, engine.audio(), 0, tokenizer, "en", TEXT_ONLY, search)).rejects.toThrow(message);
    expect([engine.prompts.length, engine.starts.length]).toEqual([0, 0]);
  });
});
