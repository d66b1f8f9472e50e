import { describe, expect, it } from "vitest";
import { violationsOf } from "../../bench/accuracy/join-checks.mjs";
import { makeJoin } from "../../bench/accuracy/join-clips.mjs";
import { joinedRecording } from "../../bench/accuracy/joined.mjs";
import { seededRandom } from "../../bench/accuracy/random.mjs";
import { countRepeats, scoreOf, totalScore } from "../../bench/accuracy/scores.mjs";
import { makeSound, SOUNDS } from "../../bench/accuracy/sounds.mjs";
import { selectSystems, systemOf, SYSTEMS } from "../../bench/accuracy/systems.mjs";

const words = (text: string): string[] => text.split(" ");

interface Row {
  start: number;
  end: number;
  text: string;
}

/** A transcript of segments. */
const resultOf = (...segments: [start: number, end: number, text: string][]) => ({
  text: segments.map(([, , text]) => ` ${text}`).join(""),
  language: "en",
  segments: segments.map(([start, end, text]): Row => ({ start, end, text: ` ${text}` })),
  seconds: 1,
  cpuSeconds: 1,
});

const item = (
  reference: string | null,
  speech: { start: number; end: number; text?: string; language?: string }[] | null,
) => ({
  name: "clip",
  language: reference === null ? null : "en",
  reference,
  speech,
  load: () => Promise.resolve(new Float32Array()),
});

describe("countRepeats()", () => {
  it.each([
    ["a b c d e f", 0],
    ["a b c a b c", 1],
    ["a b c a b c a b c x", 2],
    ["a b a b", 0],
    ["x a b c d y a b c d", 0],
    ["go go go go go go", 1],
  ])("finds in %j %i", (text, repeats) => {
    expect(countRepeats(words(text))).toBe(repeats);
  });
});

describe("scoreOf()", () => {
  it("counts words by kind, and clauses that are lost", () => {
    const reference = "one day the king of a very far country rode home through the snow";
    const { errors, lost } = scoreOf(
      item(reference, null),
      resultOf([0, 5, "One day the queen rode home home through snow"]),
    );
    expect(errors).toMatchObject({ substitutions: 1, deletions: 6, insertions: 1, referenceLength: 14 });
    expect(lost).toBe(5);
  });

  it("does not count phrases that the reference says twice itself", () => {
    const said = "we shall fight we shall fight we shall fight";
    expect(scoreOf(item(said, null), resultOf([0, 5, said])).repeats).toBe(0);
    expect(scoreOf(item("we shall fight", null), resultOf([0, 5, said])).repeats).toBe(2);
  });

  it("tells words that nobody said from words at a wrong time", () => {
    const speech = [{ start: 0, end: 4 }];
    const score = scoreOf(
      item("four words are said", speech),
      resultOf([0, 3, "four words are"], [6, 7, "said"], [8, 9, "thank you"]),
    );
    expect(score).toMatchObject({ invented: 2, misplaced: 1, errors: { insertions: 2, hits: 4 } });
  });

  it("counts every word where nobody speaks", () => {
    const score = scoreOf(item("", []), resultOf([0, 30, "you"]));
    expect(score).toMatchObject({ invented: 1, errors: { insertions: 1, referenceLength: 0 } });
  });

  it("normalises stretches of several languages by their own rules", () => {
    const speech = [
      { start: 0, end: 2, text: "The colour is grey.", language: "en" },
      { start: 4, end: 6, text: "今日は。", language: "ja" },
    ];
    const score = scoreOf(item(null, speech), resultOf([0, 2, "the color is gray"], [4, 6, "今日わ"]));
    expect(score.errors).toMatchObject({ hits: 6, substitutions: 1, deletions: 0, insertions: 0 });
  });

  it("adds up, without recordings whose words are not known", () => {
    const known = scoreOf(item("a b c d", null), resultOf([0, 1, "a b c"]));
    const unknown = scoreOf({ ...item(null, null), language: "en" }, resultOf([0, 1, "x y z x y z"]));
    expect(unknown.errors).toBeNull();
    expect(totalScore([known, unknown])).toMatchObject({ repeats: 1, errors: { deletions: 1, referenceLength: 4 } });
  });
});

const isSame = (a: Float32Array, b: Float32Array): boolean => Buffer.from(a.buffer).equals(Buffer.from(b.buffer));

describe("makeSound()", () => {
  it.each(SOUNDS.filter((kind) => kind !== "silence"))("makes %s of the asked level, the same each time", (kind) => {
    const samples = makeSound(kind, 5, -30, 7);
    const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
    expect(10 * Math.log10(power)).toBeCloseTo(-30, 1);
    expect(isSame(makeSound(kind, 5, -30, 7), samples)).toBe(true);
    expect(isSame(makeSound(kind, 5, -30, 8), samples)).toBe(false);
  });

  it("makes silence", () => {
    expect(isSame(makeSound("silence", 1, 0, 1), new Float32Array(16000))).toBe(true);
  });

  it("makes pink noise that has equal power in octaves", () => {
    const samples = makeSound("pink", 20, -30, 3);
    // The difference of neighbours takes 6 dB an octave from low tones: of white noise it has twice the power.
    const differences = samples.map((value, i) => (i === 0 ? 0 : value - samples[i - 1]));
    const power = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);
    expect(power(differences) / power(samples)).toBeLessThan(0.7);
  });
});

/** A clip of a constant, which is found again in a join. */
const clip = (name: string, language: string, seconds: number, value: number) => ({
  name,
  language,
  text: `words of ${name}`,
  reference: `words of ${name}`,
  speech: null,
  samples: new Float32Array(seconds * 16000).fill(value),
  load: () => Promise.resolve(new Float32Array(seconds * 16000).fill(value)),
});

describe("joinedRecording()", () => {
  it("places every clip where it says", async () => {
    const clips = [clip("a", "en", 3, 0.9), clip("b", "en", 5, 0.8)];
    const joined = await joinedRecording("joined", clips, { seconds: 120, seed: 3 });
    const samples = await joined.load();
    expect(samples.length / 16000).toBeGreaterThan(80);
    expect(joined.speech!.length).toBeGreaterThan(4);
    for (const { start, end, text } of joined.speech!) {
      const value = Math.fround(text === "words of a" ? 0.9 : 0.8);
      const part = samples.subarray(Math.round(start * 16000), Math.round(end * 16000));
      expect(part.every((sample) => sample === value)).toBe(true);
    }
    expect(joined.reference).toBe(joined.speech!.map(({ text }) => text).join(" "));
    const again = await joinedRecording("joined", clips, { seconds: 120, seed: 3 });
    expect(isSame(await again.load(), samples)).toBe(true);
  });

  it("leaves the reference to the stretches where languages are mixed", async () => {
    const joined = await joinedRecording("mixed", [clip("a", "en", 3, 0.9), clip("b", "de", 3, 0.8)], {
      seconds: 60,
      seed: 1,
    });
    expect(joined).toMatchObject({ language: null, reference: null });
    expect(new Set(joined.speech!.map(({ language }) => language))).toEqual(new Set(["en", "de"]));
  });
});

describe("makeJoin()", () => {
  it("takes clips of one language, each once, with pauses around them", () => {
    const clips = [clip("a", "en", 2, 0.9), clip("b", "en", 2, 0.8), clip("c", "de", 2, 0.7)];
    for (let seed = 0; seed < 20; seed++) {
      const { samples, language, clips: placed } = makeJoin(clips, seededRandom(seed));
      const names = placed.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
      expect(names.every((name) => (name === "c") === (language === "de"))).toBe(true);
      let before = 0;
      for (const { start, end } of placed) {
        expect(start - before).toBeGreaterThan(0.19);
        before = end;
      }
      expect(samples.length / 16000 - before).toBeGreaterThan(0.19);
    }
  });
});

describe("violationsOf()", () => {
  const joined = {
    samples: new Float32Array(10 * 16000),
    language: "en",
    clips: [
      { name: "first", text: "The king rode home.", start: 1, end: 3 },
      { name: "second", text: "It was cold and dark.", start: 6, end: 9 },
    ],
  };
  const right: Row[] = [
    { start: 1.1, end: 3.2, text: " The king rode home." },
    { start: 5.9, end: 8.8, text: " It was cold and dark." },
  ];
  const rules = (segments: Row[], coverage?: { untranscribed: { start: number; end: number }[] }): string[] =>
    violationsOf(joined, { segments, duration: 10, coverage } as never).map(({ rule }) => rule);

  it("accepts a transcript with a misheard word", () => {
    expect(rules(right)).toEqual([]);
    expect(rules([right[0], { ...right[1], text: " It was gold and dark." }])).toEqual([]);
  });

  it("believes the transcript that says what it lacks", () => {
    expect(rules(right, { untranscribed: [] })).toEqual([]);
    expect(rules(right, { untranscribed: [{ start: 4, end: 5 }] })).toEqual(["coverage"]);
  });

  it.each([
    ["a clip without text", [right[0]], ["coverage"]],
    ["a late start", [{ ...right[0], start: 1.5 }, right[1]], ["time"]],
    ["a segment over a pause", [{ start: 1, end: 9, text: " The king rode home. It was cold and dark." }], ["outside"]],
    ["text before speech", [{ start: 0, end: 0.3, text: " you" }, ...right], ["outside"]],
    [
      "segments that overlap",
      [{ ...right[0], end: 3.25 }, { start: 3.2, end: 3.3, text: " Yes." }, right[1]],
      ["order"],
    ],
    ["an end after the audio", [right[0], { ...right[1], end: 10.2 }], ["order", "time", "outside"]],
  ])("reports %s", (_, segments, expected) => {
    expect(rules(segments)).toEqual(expected);
  });
});

describe("selectSystems()", () => {
  it("takes beginnings of names, and algorithms of sotto that are not listed", () => {
    expect(selectSystems(["openai-whisper", "sotto:new:int8"])).toEqual([
      "openai-whisper:float32:beam5",
      "openai-whisper:float32:greedy",
      "sotto:new:int8",
    ]);
    expect(() => selectSystems(["whisperx"])).toThrow('There is no system "whisperx"');
  });

  it("gives the options that a name stands for", () => {
    const places = { model: "/models/hf/whisper-base", sotto: "/nowhere", python: "/bin/true", threads: 1 };
    const options = (name: string) => systemOf(name, places).options;
    expect(options("faster-whisper:int8:batched:no-vad:beam5")).toEqual({
      dtype: "int8",
      batched: true,
      vad: false,
      beam: 5,
    });
    expect(options("sotto:sequential:int8:beam5")).toEqual({ algorithm: "sequential", beamSize: 5 });
    expect(options("sotto:default:int8")).toEqual({});
    expect(SYSTEMS.every((name) => systemOf(name, { ...places, python: null }).missing !== null)).toBe(true);
  });
});
