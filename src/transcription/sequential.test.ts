import { describe, expect, it } from "vitest";
import { arrayAudio, type ArrayAudioOptions } from "../../test/helpers/array-audio.ts";
import { ScriptedEngine, type ScriptedWindow } from "../../test/helpers/scripted-engine.ts";
import { tokensOf, wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { OptionError } from "../errors.ts";
import { logMelSpectrogram } from "../features/index.ts";
import type { Tensor } from "../tensor/index.ts";
import type { Progress } from "./chunked-options.ts";
import { transcribeManySequential, transcribeSequential } from "./sequential.ts";
import type { SequentialOptions } from "./sequential-options.ts";
import type { Segment } from "./transcript.ts";

const RATE = 16000;
const tokenizer = wordTokenizer();
const { timestampBegin } = tokenizer.special;
const tokens = (text: string): number[] => tokensOf(text, tokenizer);

const silence = (seconds: number, options?: ArrayAudioOptions) =>
  arrayAudio(new Float32Array(Math.round(seconds * RATE)), options);

const contextOf = (engine: ScriptedEngine) => ({ engine, tokenizer, generation: {} });

type Script = readonly (string | (Omit<Partial<ScriptedWindow>, "sampled"> & { text?: string; sampled?: string[] }))[];

function engineOf(script: Script): ScriptedEngine {
  const windows = script.map((window) => {
    if (typeof window === "string") return { tokens: tokens(window) };
    const { text = "", sampled = [], ...rest } = window;
    return { tokens: tokens(text), sampled: sampled.map(tokens), ...rest };
  });
  return new ScriptedEngine(windows, tokenizer);
}

/** Transcribes `seconds` of silence, in which the script hears things; in English unless a language is to be detected. */
async function transcribe(seconds: number, script: Script, options: SequentialOptions = {}) {
  const engine = engineOf(script);
  const starts: number[] = [];
  const asked = { ...(options.languagePerWindow === true ? {} : { language: "en" }), ...options };
  const transcript = await transcribeSequential(contextOf(engine), silence(seconds), asked);
  for (const { seek } of transcript.segments) if (seek !== starts.at(-1)) starts.push(seek as number);
  expect(engine.alive).toBe(0);
  return { engine, transcript, starts };
}

/** Tokens before startoftranscript, without startofprev, of each window that was decoded greedily. */
const contexts = (engine: ScriptedEngine): number[][] =>
  engine.requests.map(({ prompt, sotIndex }) => prompt.slice(1, sotIndex));

const REPEATED = `<0>${"8 ".repeat(40)}<5>`;

describe("transcribeSequential() moves its window (facts 2.3.3, 2.3.6-2.3.8)", () => {
  it.each<[string, number, Script, SequentialOptions, number[], string]>([
    ["by the last pair of timestamps", 50, ["<0>1<20><20>2", "<0>2 3<10>"], {}, [0, 2000], " w1 w2 w3"],
    ["by the whole window after a single timestamp", 50, ["<0>1<9><9>2<12>", "<0>3<5>"], {}, [0, 3000], " w1 w2 w3"],
    ["by the whole window without a pair", 50, ["<0>1<12>", "<0>2"], {}, [0, 3000], " w1 w2"],
    ["by the whole window without timestamps", 50, ["1", "2"], { withoutTimestamps: true }, [0, 3000], " w1 w2"],
    ["by what is left at the end", 35, ["<0>1<30>", "<0>2"], {}, [0, 3000], " w1 w2"],
    [
      "over silence",
      95,
      [{ noSpeechProb: 0.7, logprob: -1.5, text: "<0>1" }, "<0>2<3>", "3", "4"],
      {},
      [3000, 6000, 9000],
      " w2 w3 w4",
    ],
    ["not over silence that the model is sure of", 25, [{ noSpeechProb: 0.7, text: "<0>1" }], {}, [0], " w1"],
    [
      "not over silence without a threshold",
      25,
      [{ noSpeechProb: 1, logprob: -0.9, text: "<0>1" }],
      { noSpeechThreshold: null },
      [0],
      " w1",
    ],
    [
      "over silence if there is no threshold of sureness",
      25,
      [{ noSpeechProb: 0.7, text: "<0>1" }],
      { logprobThreshold: null },
      [],
      "",
    ],
    ["on, where the model would stay", 31, ["<0><0>", "<0>1"], {}, [0, 3000], " w1"],
    [
      "through clips",
      60,
      ["<0>1<2><2>", "2", "3", "4"],
      { clipTimestamps: "5,10,20,22,40,50" },
      [500, 700, 2000, 4000],
      " w1 w2 w3 w4",
    ],
    ["to a clip that lies before", 60, ["1", "2"], { clipTimestamps: "20,22,5,6" }, [2000, 500], " w1 w2"],
    ["past no end", 10, ["1"], { clipTimestamps: "5,60,70,80" }, [500], " w1"],
  ])("%s", async (_, seconds, script, options, starts, text) => {
    const found = await transcribe(seconds, script, options);
    expect(found.starts).toEqual(starts);
    expect(found.transcript.text).toBe(text);
    expect(found.engine.encoded).toHaveLength(script.length);
  });

  it("after the last word, where words are timed (facts 2.3.8)", async () => {
    const script = [
      { text: "<0>1 2<20><20>3", spoken: [0, 0.5, 18.2] },
      { text: "<0>3<5><5>4<6>", spoken: [0, 1, 6] },
    ];
    const { starts, transcript } = await transcribe(30, script, { wordTimestamps: true });
    expect(starts).toEqual([0, 1820]);
    expect(transcript.segments[0].words?.map(({ word }) => word)).toEqual([" w1", " w2"]);
    expect(transcript.segments.map(({ end }) => end)[0]).toBe(18.2);
  });

  it("knowing when the window before ended, where words are timed (facts 2.5.7)", async () => {
    const script = [
      { text: "<0>11 12<10><10>13", spoken: [0, 0.5, 10] },
      { text: "<0>13 14 15 16<3.1>", spoken: [0, 1.6, 2.1, 2.6, 3.1] },
    ];
    const { transcript } = await transcribe(20, script, { wordTimestamps: true });
    // After a pause w13 would be cut to 1 s, twice the median.
    expect(transcript.segments[1].words?.[0]).toMatchObject({ word: " w13", start: 10, end: 11.6 });
  });

  it("over silence around text that looks made up (facts 2.3.9)", async () => {
    const script = [
      { text: "<5>1<6><6>2", spoken: [5, 5.5], tokenProb: 0.1 },
      { text: "<0>1<1>", spoken: [0, 0.5] },
    ];
    const options = { wordTimestamps: true, hallucinationSilenceThreshold: 2 };
    const { starts, transcript } = await transcribe(30, script, options);
    expect(starts).toEqual([500]);
    expect(transcript.text).toBe(" w1");
  });
});

describe("transcribeSequential() shows the engine", () => {
  it("frames of one spectrogram of the whole recording, then 0.0 (facts 2.2.2)", async () => {
    const samples = Float32Array.from(
      { length: 45 * RATE },
      (_, i) => Math.sin(i * i * 1e-7) * (i > 500_000 ? 0.5 : 0.001),
    );
    const engine = engineOf(["<0>1<20><20>2", "<0>3<4>"]);
    const mels: Tensor[] = [];
    engine.onEncode = (mel) => mels.push(mel);
    await transcribeSequential(contextOf(engine), arrayAudio(samples, { pieceLength: 70001 }), { language: "en" });
    const whole = logMelSpectrogram(samples, 80, { padding: 480000 });
    expect(mels.map(({ dims }) => dims)).toEqual(new Array(2).fill([1, 80, 3000]));
    const isWindow = ({ data }: Tensor, from: number, size: number): boolean =>
      data.every((value, i) => {
        const frame = i % 3000;
        return value === (frame < size ? whole.data[Math.floor(i / 3000) * whole.dims[1] + from + frame] : 0);
      });
    expect(isWindow(mels[0], 0, 3000)).toBe(true);
    expect(isWindow(mels[1], 2000, 2500)).toBe(true);
  });

  it("the text so far (facts 2.3.3)", async () => {
    const { engine } = await transcribe(80, ["<0>1<20><20>2", "<0>3<30>", "<0>4"], {});
    const at = (seconds: number): number => timestampBegin + seconds * 50;
    expect(contexts(engine)).toEqual([[], [at(0), 1, at(20)], [at(0), 1, at(20), at(0), 3, at(30)]]);
  });

  it.each<[string, SequentialOptions, number[][]]>([
    ["nothing of it if that was not wanted", { conditionOnPreviousText: false }, [[], []]],
    ["an initial prompt", { initialPrompt: "w8 w9", conditionOnPreviousText: false }, [[8, 9], []]],
    [
      "an initial prompt each time",
      { initialPrompt: "w8 w9", conditionOnPreviousText: false, carryInitialPrompt: true },
      [
        [8, 9],
        [8, 9],
      ],
    ],
  ])("%s", async (_, options, expected) => {
    const { engine } = await transcribe(50, ["<0>1<30>", "<0>2"], options);
    expect(contexts(engine)).toEqual(expected);
  });

  it("no text that was left out, nor that of silence", async () => {
    const script = [{ noSpeechProb: 0.7, logprob: -1.5, text: "<0>1" }, "<5>", "<0>3"];
    const { engine } = await transcribe(70, script);
    expect(contexts(engine)).toEqual([[], [], []]);
  });

  it("a prefix at each window, which is not part of the text", async () => {
    const { engine, transcript } = await transcribe(50, ["<0>1<30>", "<0>2"], {
      prefix: "w5",
      conditionOnPreviousText: false,
    });
    expect(engine.requests.map(({ prompt }) => prompt.at(-1))).toEqual([5, 5]);
    expect(transcript.text).toBe(" w1 w2");
  });
});

describe("transcribeSequential() falls back (facts 2.3.4)", () => {
  const attempts = ({ transcript }: Awaited<ReturnType<typeof transcribe>>) =>
    transcript.segments.map(({ text, temperature, fallback }) => [
      text.slice(0, 6),
      temperature,
      fallback?.map((failed) => [failed.temperature, ...failed.reasons]),
    ]);

  it.each<[string, Script[number], SequentialOptions, unknown[]]>([
    ["not from good text", "<0>3 4<5>", {}, [" w3 w4", 0, undefined]],
    ["from repeated text", { text: REPEATED, sampled: ["<0>3 4<5>"] }, {}, [" w3 w4", 0.2, [[0, "compressionRatio"]]]],
    [
      "from text whose tokens repeat themselves, by whisper.cpp's rule",
      { text: REPEATED, sampled: ["<0>3 4<5>"] },
      { compressionRatioThreshold: null, entropyThreshold: 2.4 },
      [" w3 w4", 0.2, [[0, "entropy"]]],
    ],
    [
      "not below the entropy that was asked for",
      { text: REPEATED, sampled: ["<0>3 4<5>"] },
      { compressionRatioThreshold: null, entropyThreshold: 0 },
      [" w8 w8", 0, undefined],
    ],
    [
      "from text that it is unsure of",
      { text: "<0>9<5>", logprob: -2, sampled: ["<0>3 4<5>"] },
      {},
      [" w3 w4", 0.2, [[0, "avgLogprob"]]],
    ],
    [
      "more than once",
      { text: REPEATED, logprob: -2, sampled: [REPEATED, "<0>3 4<5>"] },
      {},
      [
        " w3 w4",
        0.4,
        [
          [0, "compressionRatio", "avgLogprob"],
          [0.2, "compressionRatio"],
        ],
      ],
    ],
    [
      "to the last temperature and no further",
      { text: REPEATED, sampled: [REPEATED] },
      { temperature: [0, 0.7] },
      [
        " w8 w8",
        0.7,
        [
          [0, "compressionRatio"],
          [0.7, "compressionRatio"],
        ],
      ],
    ],
    ["not at a single temperature", { text: REPEATED }, { temperature: 0 }, [" w8 w8", 0, [[0, "compressionRatio"]]]],
    [
      "not without thresholds",
      { text: REPEATED, logprob: -2 },
      { compressionRatioThreshold: null, logprobThreshold: null },
      [" w8 w8", 0, undefined],
    ],
    [
      "from a first temperature above 0",
      { sampled: [REPEATED, "<0>3 4<5>"] },
      { temperature: [0.4, 0.8] },
      [" w3 w4", 0.8, [[0.4, "compressionRatio"]]],
    ],
  ])("%s", async (_, window, options, expected) => {
    expect(attempts(await transcribe(20, [window], options))).toEqual([expected]);
  });

  it("forgetting the text so far after a temperature above 0.5 (facts 2.3.11)", async () => {
    const script = [{ sampled: ["<0>3<30>"] }, { sampled: ["<0>4<30>"] }];
    const contextAt = async (temperature: number) => {
      const { engine } = await transcribe(50, script, { temperature });
      return engine.prompts.map((prompt) => prompt.indexOf(tokenizer.special.sot));
    };
    expect([await contextAt(0.5), await contextAt(0.6)]).toEqual([
      [0, 4],
      [0, 0],
    ]);
  });

  it("encoding the window once", async () => {
    const { engine } = await transcribe(20, [{ text: REPEATED, sampled: [REPEATED, REPEATED, "<0>3<5>"] }]);
    expect(engine.encoded).toEqual([1]);
  });
});

describe("transcribeSequential() gives", () => {
  it("segments with what they were decoded with (facts 2.3.13)", async () => {
    const script = [{ text: "<0>1<2><3>4 5<20><20>6", logprob: -0.25, noSpeechProb: 0.125 }, "<0>6<4>"];
    const { transcript } = await transcribe(50, script);
    expect(transcript).toMatchObject({ language: "en", languageProbability: null, duration: 50, warnings: [] });
    expect(transcript.segments.map(({ id, seek, start, end, text }) => [id, seek, start, end, text])).toEqual([
      [0, 0, 0, 2, " w1"],
      [1, 0, 3, 20, " w4 w5"],
      [2, 2000, 20, 24, " w6"],
    ]);
    expect(transcript.segments[0]).toMatchObject({ tokens: tokens("<0>1<2>"), temperature: 0, noSpeechProb: 0.125 });
    expect(transcript.segments[0].avgLogprob).toBeCloseTo(-0.25, 6);
    // Of the whole window: " w1 w4 w5 w6" stripped.
    expect(transcript.segments[0].compressionRatio).toBe(transcript.segments[1].compressionRatio);
    expect(transcript.segments[0]).not.toHaveProperty("fallback");
    expect(transcript.segments[0]).not.toHaveProperty("words");
    expect(transcript.segments[0]).not.toHaveProperty("language");
  });

  it("emptied segments where there is no text, or no length (facts 2.3.10)", async () => {
    const { transcript } = await transcribe(70, ["<0>1<2><2><4><4>", "<5>", "<0>3<30>", "4"]);
    const empty = transcript.segments.filter(({ text }) => text === "");
    expect(empty).toMatchObject([
      { id: 1, start: 2, end: 2, tokens: [], words: [] },
      { id: 2, start: 4, end: 4, tokens: [], words: [] },
      { id: 3, start: 4, end: 9, tokens: [], words: [] },
    ]);
    expect(transcript.text).toBe(" w1 w3 w4");
  });

  it("the language of the first 30 s, also if clips begin later (facts 2.3.1)", async () => {
    const engine = engineOf([{ language: "fr" }, "<0>1"]);
    const options = { clipTimestamps: "40" };
    const transcript = await transcribeSequential(contextOf(engine), silence(50), options);
    expect(transcript).toMatchObject({ language: "fr" });
    expect(transcript.languageProbability).toBeCloseTo(0.9, 5);
    expect(engine.requests.map(({ prompt }) => prompt)).toEqual([
      tokenizer.sotSequence({ language: "fr", timestamps: true }),
    ]);
  });

  it("the first 30 s to the engine once, if they are a window too", async () => {
    const engine = engineOf([{ language: "fr", tokens: tokens("<0>1<30>") }, "<0>2"]);
    const { text } = await transcribeSequential(contextOf(engine), silence(40));
    expect([text, engine.encoded.length, engine.detections]).toEqual([" w1 w2", 2, 1]);
  });

  it("segments in the language of their window, where that is wanted", async () => {
    const script = [
      { language: "de", text: "<0>1<30>" },
      { language: "fr", text: "<0>2" },
    ];
    const { transcript, engine } = await transcribe(50, script, { languagePerWindow: true });
    expect(transcript.language).toBe("de");
    expect(transcript.segments.map(({ language }) => language)).toEqual(["de", "fr"]);
    expect(engine.requests.map(({ prompt, sotIndex }) => prompt[sotIndex + 1])).toEqual([50261, 50265]);
  });

  it.each([0, 0.005])("an empty transcript of %d s", async (seconds) => {
    const engine = engineOf([]);
    const transcript = await transcribeSequential(contextOf(engine), silence(seconds));
    expect(transcript).toMatchObject({
      text: "",
      language: "en",
      languageProbability: null,
      duration: seconds,
      segments: [],
    });
  });

  it("warnings of the audio, of clips, and of text that was cut", async () => {
    const engine = engineOf([{ text: "1 2 3", stop: "length" }]);
    const audio = silence(20, { warnings: ["a part is damaged"] });
    const { warnings } = await transcribeSequential(contextOf(engine), audio, {
      language: "en",
      clipTimestamps: "5,30",
      sampleLength: 3,
    });
    expect(warnings).toEqual([
      "a part is damaged",
      "The clip from 5 s to 30 s was cut at the end of the recording at 20.00 s",
      "Text was cut at the limit of tokens in the window at 5.00 s",
    ]);
  });

  it("each segment as soon as it is there, and progress that never decreases", async () => {
    const engine = engineOf(["<0>1<10><10>2", "<0>2<3>", "3"]);
    const seen: (Segment | number)[] = [];
    const progress: Progress[] = [];
    const transcript = await transcribeSequential(contextOf(engine), silence(50), {
      language: "en",
      clipTimestamps: "10,50,0,5",
      onSegment: (segment) => seen.push(segment),
      onProgress: ({ processedSeconds, totalSeconds }) => {
        progress.push({ processedSeconds, totalSeconds });
        seen.push(processedSeconds);
      },
    });
    const [first, second, third] = transcript.segments;
    expect(seen).toEqual([first, 20, second, 50, third, 50, 50]);
    expect(progress.every(({ totalSeconds }) => totalSeconds === 50)).toBe(true);
  });
});

describe("transcribeSequential() ends", () => {
  it("with the signal's reason, between windows and between attempts", async () => {
    for (const at of [1, 2]) {
      const engine = engineOf([{ text: "<0>1<10><10>", sampled: [] }, { text: REPEATED, sampled: ["<0>1"] }, "3"]);
      const controller = new AbortController();
      engine.onEncode = () => engine.encoded.length === at - 1 && controller.abort(new Error("enough"));
      const audio = silence(50);
      const run = transcribeSequential(contextOf(engine), audio, { language: "en", signal: controller.signal });
      await expect(run).rejects.toThrow("enough");
      expect([engine.encoded.length, engine.prompts.length, engine.alive, audio.isClosed]).toEqual([at, 0, 0, true]);
    }
  });

  it("with the audio's error, closing it", async () => {
    const audio = silence(5, { error: new Error("damaged") });
    await expect(transcribeSequential(contextOf(engineOf([])), audio)).rejects.toThrow("damaged");
    expect(audio.isClosed).toBe(true);
  });

  it("with the engine's error, freeing what it made", async () => {
    const engine = engineOf([{ error: new Error("out of memory") }]);
    await expect(transcribeSequential(contextOf(engine), silence(5), { language: "en" })).rejects.toThrow(
      "out of memory",
    );
    expect(engine.alive).toBe(0);
  });

  it("before any audio is read, for options that do not fit", async () => {
    const audio = silence(5, { error: new Error("read") });
    const run = transcribeSequential(contextOf(engineOf([])), audio, { hallucinationSilenceThreshold: 2 });
    await expect(run).rejects.toThrow("Cannot use hallucinationSilenceThreshold without times of words");
    expect(audio.isClosed).toBe(true);
  });
});

describe("transcribeManySequential()", () => {
  it.each<[what: string, options: SequentialOptions]>([
    ["an empty phrase", { allowedPhrases: ["w1", " "] }],
    ["a phrase without tokens", { allowedPhrases: ["?"] }],
    ["a prefix without room", { prefix: "w1 ".repeat(223), initialPrompt: "w1 ".repeat(223) }],
  ])("refuses %s before audio is opened or read", async (_, options) => {
    const [engine, open] = [engineOf([]), silence(10)];
    const sources = [open, () => expect.fail("opened the second recording")];
    await expect(transcribeManySequential(contextOf(engine), sources, options)).rejects.toThrow(OptionError);
    expect([open.isClosed, engine.encoded]).toEqual([true, []]);
  });

  it("goes on after a recording that fails, and says of which one it reports", async () => {
    const engine = engineOf(["<0>1<2>", "<0>2<2>"]);
    const opened: string[] = [];
    const reports: string[] = [];
    const last = silence(10);
    const results = await transcribeManySequential(
      contextOf(engine),
      [
        () => Promise.resolve(silence(10, { name: "a" })).finally(() => opened.push("a")),
        () => Promise.reject(new Error("not there")),
        last,
      ],
      {
        language: "en",
        onSegment: ({ text }, i) => reports.push(`${i}:${text}`),
        onProgress: ({ processedSeconds }, i) => reports.push(`${i}:${processedSeconds}`),
        onResult: ({ status }, i) => reports.push(`${i}:${status}`),
      },
    );
    expect(
      results.map((result) => (result.status === "fulfilled" ? result.value.text : String(result.reason))),
    ).toEqual([" w1", "Error: not there", " w2"]);
    expect(reports).toEqual([
      "0: w1",
      "0:10",
      "0:10",
      "0:fulfilled",
      "1:rejected",
      "2: w2",
      "2:10",
      "2:10",
      "2:fulfilled",
    ]);
    expect(last.isClosed).toBe(true);
  });

  it("rejects what is left once the signal is aborted", async () => {
    const controller = new AbortController();
    const engine = engineOf(["<0>1<2>"]);
    const results = await transcribeManySequential(contextOf(engine), [silence(10), silence(10)], {
      language: "en",
      signal: controller.signal,
      onResult: () => controller.abort(new Error("enough")),
    });
    expect(results).toMatchObject([{ status: "fulfilled" }, { status: "rejected", reason: new Error("enough") }]);
  });
});
