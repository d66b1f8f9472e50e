import { describe, expect, it } from "vitest";
import { logMelWindow } from "../features/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { arrayAudio, type ArrayAudioOptions } from "../../test/helpers/array-audio.ts";
import { ScriptedEngine, type ScriptedWindow } from "../../test/helpers/scripted-engine.ts";
import { tokensOf, wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import type { ChunkedOptions, Progress } from "./chunked-options.ts";
import { transcribeChunked, transcribeManyChunked, type ManyChunkedOptions } from "./chunked.ts";
import type { Segment } from "./transcript.ts";

const RATE = 16000;
const tokenizer = wordTokenizer();
const tokens = (text: string): number[] => tokensOf(text, tokenizer);

const silence = (seconds: number, options?: ArrayAudioOptions) =>
  arrayAudio(new Float32Array(Math.round(seconds * RATE)), options);

const contextOf = (engine: ScriptedEngine, own = tokenizer) => ({
  engine,
  tokenizer: own,
  generation: { maxLength: 448 },
});

function engineOf(script: readonly (string | (Partial<ScriptedWindow> & { text?: string }))[]): ScriptedEngine {
  const windows = script.map((window) =>
    typeof window === "string" ? { tokens: tokens(window) } : { tokens: tokens(window.text ?? ""), ...window },
  );
  return new ScriptedEngine(windows, tokenizer);
}

/** Transcribes `seconds` of silence, in which the script hears things. */
async function transcribe(seconds: number, script: Parameters<typeof engineOf>[0], options: ChunkedOptions = {}) {
  const engine = engineOf(script);
  const transcript = await transcribeChunked(contextOf(engine), silence(seconds), {
    returnTimestamps: false,
    ...options,
  });
  expect(engine.alive).toBe(0);
  return { engine, transcript };
}

/** What a perfect model hears of one sentence every four seconds, in the nth window of the default layout. */
function sentences(window: number): string {
  const all = Array.from({ length: 7 }, (_, i) => window * 5 + i);
  return all.map((n, i) => `<${4 * i}>${3 * n + 10} ${3 * n + 11} ${3 * n + 12}<${4 * i + 3.5}>`).join("");
}

describe("transcribeChunked()", () => {
  it("stitches windows into segments and chunks", async () => {
    const { transcript, engine } = await transcribe(40, ["<0>1 2<10><10>3 4 5 6<29>", "<0>4 5 6<9><9>7 8<15>"], {
      language: "en",
      returnTimestamps: true,
    });
    expect(transcript).toMatchObject({ text: " w1 w2 w3 w4 w5 w6 w7 w8", language: "en", duration: 40, warnings: [] });
    expect(transcript.languageProbability).toBeNull();
    expect(transcript.chunks?.map(({ timestamp }) => timestamp)).toEqual([
      [0, 10],
      [10, 29],
      [29, 35],
    ]);
    expect(engine.requests.map(({ prompt }) => prompt)).toEqual(new Array(2).fill([50258, 50259, 50359]));
    expect(engine.detections).toBe(0);
  });

  it("forbids timestamps where none were asked for (facts 1.8.5)", async () => {
    const { transcript, engine } = await transcribe(40, ["1 2 3 4", "3 4 5"], { language: "de", task: "translate" });
    expect(engine.requests[0].prompt).toEqual([50258, 50261, 50358, 50363]);
    expect(engine.requests[0].rules.timestamps).toBeNull();
    expect(transcript.segments).toMatchObject([{ start: 0, end: 40, text: " w1 w2 w3 w4 w5" }]);
    expect(transcript).not.toHaveProperty("chunks");
  });

  it("shows the engine the log-Mel of each window", async () => {
    const samples = Float32Array.from({ length: 45 * RATE }, (_, i) => Math.sin(i * i * 1e-7) * 0.5);
    const engine = engineOf(["1 2", "3 4"]);
    const mels: Tensor[] = [];
    engine.onEncode = (mel) => mels.push(mel);
    await transcribeChunked(contextOf(engine), arrayAudio(samples, { pieceLength: 70001 }), { batchSize: 1 });
    expect(mels.map(({ dims }) => dims)).toEqual(new Array(2).fill([1, 80, 3000]));
    const first = logMelWindow(samples.subarray(0, 30 * RATE), 80).data;
    const second = logMelWindow(samples.subarray(20 * RATE), 80).data;
    expect(mels[0].data.every((value, i) => value === first[i])).toBe(true);
    expect(mels[1].data.every((value, i) => value === second[i])).toBe(true);
  });

  it("gives the same for batches of 1, 2, 16, 17 (facts 9.2)", async () => {
    const count = 17;
    const script = Array.from({ length: count }, (_, i) => ({
      tokens: tokens(sentences(i)),
      logprob: -0.01 * (i + 1),
      noSpeechProb: i < 2 ? 0.9 : 0.1,
      language: i < 1 ? "fr" : "de",
    }));
    const seconds = count * 20 + 9;
    const of = async (batchSize: number) => {
      const segments: Segment[] = [];
      const onSegment = (segment: Segment) => void segments.push(segment);
      const options = { batchSize, returnTimestamps: true, returnLanguage: true, onSegment };
      const { transcript, engine } = await transcribe(seconds, script, options);
      expect(segments).toEqual(transcript.segments);
      expect(engine.mostAlive).toBeLessThanOrEqual(3); // two batches, one of them with a decoder for detection
      return { transcript, encoded: engine.encoded };
    };
    const [one, two, sixteen, seventeen] = [await of(1), await of(2), await of(16), await of(17)];
    expect(one.encoded).toEqual(new Array(17).fill(1));
    expect(two.encoded).toEqual([...new Array<number>(8).fill(2), 1]);
    expect(sixteen.encoded).toEqual([9, 8]);
    expect(seventeen.encoded).toEqual([17]);
    expect(one.transcript.language).toBe("de");
    expect(one.transcript.segments.length).toBeGreaterThan(50);
    expect(two.transcript).toEqual(one.transcript);
    expect(sixteen.transcript).toEqual(one.transcript);
    expect(seventeen.transcript).toEqual(one.transcript);
  });

  it("says every word of overlapping windows once, with times that go on", async () => {
    const script = Array.from({ length: 5 }, (_, i) => sentences(i));
    const { transcript } = await transcribe(109, script, { language: "en", returnTimestamps: true });
    const words = transcript.segments.flatMap((segment) => segment.tokens);
    expect(words).toEqual(Array.from({ length: 27 * 3 }, (_, i) => i + 10));
    for (const [i, { start, end }] of transcript.segments.entries()) {
      expect(start).toBeLessThan(end);
      expect(start).toBeGreaterThanOrEqual(transcript.segments[i - 1]?.end ?? 0);
    }
  });
});

describe("transcribeChunked() finds the language", () => {
  it("once, and says how sure it is", async () => {
    const script = [
      { text: "1 2", language: "de" },
      { text: "3 4", language: "fr" },
      { text: "5 6", language: "fr" },
    ];
    const { transcript, engine } = await transcribe(60, script, { batchSize: 1 });
    expect(transcript.language).toBe("de");
    expect(transcript.languageProbability).toBeCloseTo(0.9, 5);
    expect(engine.detections).toBe(1);
    expect(engine.requests.map(({ prompt }) => prompt[1])).toEqual([50261, 50261, 50261]);
    expect(transcript.segments[0]).not.toHaveProperty("language");
  });

  it("in the first window with speech; silent ones before keep their own (facts 9.6)", async () => {
    const script = [
      { text: "1 2", language: "ja", noSpeechProb: 0.95 },
      { text: "3 4", language: "de" },
      { text: "5 6", language: "fr" },
    ];
    for (const batchSize of [1, 3]) {
      const { transcript, engine } = await transcribe(60, script, { batchSize });
      expect(transcript.language).toBe("de");
      expect(engine.requests.map(({ prompt }) => prompt[1])).toEqual([50266, 50261, 50261]);
    }
  });

  it("in the least silent window where none has speech", async () => {
    const script = [
      { text: "1 2", language: "ja", noSpeechProb: 0.95 },
      { text: "3 4", language: "de", noSpeechProb: 0.7 },
      { text: "5 6", language: "fr", noSpeechProb: 0.8 },
    ];
    const { transcript } = await transcribe(60, script);
    expect(transcript.language).toBe("de");
  });

  it("of each window where asked", async () => {
    const script = [
      { text: "<0>1 2<20>", language: "en" },
      { text: "<0>3 4<20>", language: "fr" },
    ];
    const options = { returnTimestamps: true, returnLanguage: true, languagePerWindow: true, strideLength: 0 };
    const { transcript } = await transcribe(50, script, options);
    expect(transcript.language).toBe("en");
    expect(transcript.segments.map(({ language }) => language)).toEqual(["en", "fr"]);
    expect(transcript.chunks).toEqual([
      { timestamp: [0, 20], text: " w1 w2", language: "en" },
      { timestamp: [30, 50], text: " w3 w4", language: "fr" },
    ]);
  });

  it("never for an English-only checkpoint, with a warning where it was asked to", async () => {
    const own = wordTokenizer("english");
    const asked = { returnTimestamps: false, languagePerWindow: true };
    const one = new ScriptedEngine([{ tokens: [1, 2] }], own);
    const { warnings } = await transcribeChunked(contextOf(one, own), silence(5), asked);
    expect(warnings).toEqual(['"languagePerWindow" has no effect: the checkpoint is English-only']);
    const engine = new ScriptedEngine([{ tokens: [1, 2], language: "fr" }], own);
    const transcript = await transcribeChunked(contextOf(engine, own), silence(5), { returnTimestamps: false });
    expect(transcript).toMatchObject({ language: "en", languageProbability: null, text: " w1 w2" });
    expect(engine.detections).toBe(0);
    expect(engine.requests[0].prompt).toEqual([50257, 50362]);
  });
});

describe("transcribeChunked() of odd audio", () => {
  it("gives an empty transcript without samples, and computes nothing", async () => {
    const { transcript, engine } = await transcribe(0, [], { returnTimestamps: true });
    expect(transcript).toEqual({
      text: "",
      language: "en",
      languageProbability: null,
      duration: 0,
      segments: [],
      hasTimestamps: true,
      chunks: [],
      warnings: [],
    });
    expect(engine.encoded).toEqual([]);
    expect((await transcribe(0, [], { language: "german" })).transcript.language).toBe("de");
  });

  it.each([
    ["one sample", 1 / RATE],
    ["0.01 s", 0.01],
  ])("of %s keeps times within it", async (_, seconds) => {
    const { transcript } = await transcribe(seconds, ["<0>1 2<2>"], { returnTimestamps: true });
    expect(transcript).toMatchObject({ text: " w1 w2", duration: seconds });
    expect(transcript.segments).toMatchObject([{ start: 0, end: seconds }]);
  });

  it("passes on its warnings, and says where text was cut", async () => {
    const engine = engineOf([{ text: "1 2", stop: "length" }]);
    const audio = silence(5, { warnings: ["3 frames were damaged"] });
    const { warnings } = await transcribeChunked(contextOf(engine), audio, { returnTimestamps: false });
    expect(warnings).toEqual(["3 frames were damaged", "Text was cut at the limit of tokens in the window at 0.00 s"]);
  });

  it("throws what reading throws, and frees what was encoded", async () => {
    const engine = engineOf(["1 2", "3 4", "5 6"]);
    const audio = silence(60, { error: new Error("Disk on fire"), pieceLength: RATE });
    await expect(transcribeChunked(contextOf(engine), audio, { batchSize: 1 })).rejects.toThrow("Disk on fire");
    expect(engine.alive).toBe(0);
    expect(audio.isClosed).toBe(true);
  });

  it("throws what the engine throws, and frees what was encoded", async () => {
    const engine = engineOf(["1 2", { text: "3 4", error: new Error("Out of memory") }, "5 6", "7 8", "9 10"]);
    const audio = silence(100);
    await expect(transcribeChunked(contextOf(engine), audio, { batchSize: 1 })).rejects.toThrow("Out of memory");
    expect(engine.alive).toBe(0);
    // The window after it was under way; those after that were not begun.
    expect(engine.encoded.length).toBeLessThan(5);
    expect(audio.isClosed).toBe(true);
  });
});

describe("transcribeChunked() without chunking", () => {
  it("takes the stride of the input, and times from its left end on (facts 1.4.6)", async () => {
    const engine = engineOf(["<0>1 2<3><3>3 4<8>"]);
    const audio = silence(12, { stride: [2 * RATE, RATE] });
    const options = { chunkLength: 0, returnTimestamps: true };
    const { segments, duration } = await transcribeChunked(contextOf(engine), audio, options);
    expect(duration).toBe(12);
    expect(segments.map(({ start, end, text }) => [start, end, text])).toEqual([
      [0, 1, " w1 w2"],
      [1, 6, " w3 w4"],
    ]);
  });

  it("refuses audio beyond 30 s", async () => {
    await expect(transcribe(30.1, ["1 2"], { chunkLength: 0 })).rejects.toThrow(
      'Cannot transcribe "audio" in one piece: it is longer than 30 s',
    );
    expect((await transcribe(30, ["1 2"], { chunkLength: 0 })).transcript.text).toBe(" w1 w2");
  });

  it("warns of a stride that has no effect otherwise", async () => {
    const engine = engineOf(["1 2"]);
    const { warnings } = await transcribeChunked(contextOf(engine), silence(12, { stride: [1, 1] }), {
      returnTimestamps: false,
    });
    expect(warnings).toEqual(["The stride of the input has no effect unless chunking is off (chunkLength 0)"]);
  });
});

describe("transcribeChunked() reports", () => {
  it("progress that never goes back and ends with the audio", async () => {
    const of = async (options: ArrayAudioOptions) => {
      const reports: Progress[] = [];
      const engine = engineOf(["1 2", "3 4", "5 6"]);
      await transcribeChunked(contextOf(engine), silence(69, options), {
        batchSize: 2,
        onProgress: (progress) => reports.push(progress),
      });
      return reports.map(({ processedSeconds, totalSeconds }) => [processedSeconds, totalSeconds]);
    };
    expect(await of({ durationHint: 68 })).toEqual([
      [25, 68],
      [45, 68],
      [69, 69],
    ]);
    expect(await of({})).toEqual([
      [25, null],
      [45, null],
      [69, 69],
    ]);
  });

  it("segments before the end is computed", async () => {
    const engine = engineOf(Array.from({ length: 6 }, (_, i) => sentences(i)));
    const encodedAt: number[] = [];
    await transcribeChunked(contextOf(engine), silence(129), {
      batchSize: 1,
      language: "en",
      returnTimestamps: true,
      onSegment: () => encodedAt.push(engine.encoded.length),
    });
    expect(encodedAt[0]).toBe(2);
    expect(encodedAt.at(-1)).toBe(6);
  });

  it("to a callback that throws, by ending", async () => {
    const engine = engineOf(["1 2", "3 4", "5 6"]);
    const onProgress = () => {
      throw new Error("Screen is off");
    };
    const promise = transcribeChunked(contextOf(engine), silence(60), { batchSize: 1, onProgress });
    await expect(promise).rejects.toThrow("Screen is off");
    expect(engine.alive).toBe(0);
  });
});

describe("transcribeChunked() stops", () => {
  it("before anything is read", async () => {
    const engine = engineOf(["1 2"]);
    const audio = silence(5);
    const reason = new Error("Enough");
    const promise = transcribeChunked(contextOf(engine), audio, { signal: AbortSignal.abort(reason) });
    await expect(promise).rejects.toBe(reason);
    expect(engine.encoded).toEqual([]);
    expect(audio.isClosed).toBe(true);
  });

  it("between batches, with nothing left alive", async () => {
    const engine = engineOf(Array.from({ length: 10 }, () => "1 2"));
    const controller = new AbortController();
    engine.onEncode = () => {
      if (engine.encoded.length === 3) controller.abort();
    };
    const promise = transcribeChunked(contextOf(engine), silence(200), { batchSize: 1, signal: controller.signal });
    await expect(promise).rejects.toMatchObject({ name: "AbortError" });
    expect(engine.encoded.length).toBeLessThan(6);
    expect(engine.alive).toBe(0);
  });
});

describe("transcribeChunked() options", () => {
  it.each<[ChunkedOptions, string]>([
    [{ language: "xx" }, 'Unknown language "xx"'],
    [{ task: "sing" as never }, 'Cannot use "sing" as task, expected one of transcribe, translate'],
    [{ strideLength: 20 }, "too large for chunks of 30 s"],
    [{ chunkLength: 40 }, "expected more than 0 and at most 30"],
    [{ chunkLength: 0, strideLength: 5 }, "Windows cannot overlap when chunking is off"],
    [{ batchSize: 0 }, "Cannot use 0 as batchSize, expected a whole number from 1 to 1024"],
    [{ batchSize: 2000 }, "expected a whole number from 1 to 1024"],
    [{ maxLength: 500 }, "expected a whole number from 4 to 448"],
    [{ maxLength: 500, returnTimestamps: false }, "expected a whole number from 5 to 448"],
    [{ language: "de", languagePerWindow: true }, "Languages cannot be detected per window when the language is given"],
  ])("refuse %j before audio is read", async (options, message) => {
    const audio = silence(5);
    await expect(transcribeChunked(contextOf(engineOf(["1 2"])), audio, options)).rejects.toThrow(message);
    expect(audio.isClosed).toBe(true);
  });

  it("are not changed", async () => {
    const options = Object.freeze({ language: "de", strideLength: Object.freeze([4, 2] as const) });
    await transcribe(5, ["1 2"], options);
    expect(options).toEqual({ language: "de", strideLength: [4, 2] });
  });

  it("suppress numerals where that is asked for", async () => {
    const figures = { ...tokenizer, decode: (ids: Iterable<number>) => ([...ids][0] === 9 ? " 10%" : " ten") };
    const suppressed = async (suppressNumerals: boolean) => {
      const engine = engineOf(["1 2"]);
      const options = { language: "en", suppressTokens: "", suppressNumerals };
      await transcribeChunked(contextOf(engine, figures), silence(5), options);
      return engine.requests[0].rules.suppress;
    };
    const specials = await suppressed(false);
    expect(specials).not.toContain(9);
    expect(await suppressed(true)).toEqual([9, ...specials]);
  });
});

describe("transcribeChunked() with words", () => {
  /** Two windows of 40 s: sentences in the first, the overlap, and the second; each token takes a second. */
  const script = [
    { text: "<0>11 12<10><20>13 14 15 16<29>", spoken: [0, 1, 25, 26, 27, 28, 29] },
    { text: "<0>14 15 16<9><9>17 18<15>", spoken: [7.04, 8.1, 9.1, 10, 11, 15] },
  ];
  const words = (segments: readonly Segment[]) =>
    segments.map((segment) => segment.words?.map(({ start, end, word }) => [word, start, end]));

  it("gives each word the time that the window it comes from heard it at", async () => {
    const options = { language: "en", returnTimestamps: true, wordTimestamps: true };
    const { transcript } = await transcribe(40, script, options);
    expect(transcript.text).toBe(" w11 w12 w13 w14 w15 w16 w17 w18");
    expect(words(transcript.segments)).toEqual([
      [
        [" w11", 0, 1],
        [" w12", 1, 10],
      ],
      // The first window gives w13 w14 w15, and the second goes on from there.
      [
        [" w13", 25, 26],
        [" w14", 26, 27],
        [" w15", 28.1, 29.1],
        [" w16", 29.1, 30],
      ],
      [
        [" w17", 30, 31],
        [" w18", 31, 35],
      ],
    ]);
    expect(transcript.segments.map(({ start, end }) => [start, end])).toEqual([
      [0, 10], // w12 is heard until 25 s, which is not believed
      [25, 30],
      [30, 35],
    ]);
    expect(transcript.chunks?.map(({ timestamp }) => timestamp[0])).toEqual([0, 25, 30]);
    expect(transcript.segments[0].words?.[0].probability).toBeCloseTo(0.9, 6);
  });

  it("gives them without timestamps too", async () => {
    const plain = script.map(({ text, spoken }) => ({ text: text.replace(/<[^>]*>/g, " "), spoken }));
    const { transcript } = await transcribe(40, plain, { language: "en", wordTimestamps: true });
    const [segment] = transcript.segments;
    expect(segment.words?.map(({ word }) => word).join("")).toBe(segment.text);
    expect([segment.start, segment.end]).toEqual([0, 35]);
  });

  it("joins marks as asked, and warns of translations", async () => {
    const options = { language: "en", wordTimestamps: true, appendPunctuations: "( w12)", task: "translate" } as const;
    const window = { text: "11 12 13", spoken: [0, 1, 2, 3] };
    const { transcript } = await transcribe(10, [window], options);
    expect(words(transcript.segments)).toEqual([
      [
        [" w11 w12", 0, 1],
        [" w13", 2, 3],
      ],
    ]);
    expect(transcript.warnings).toEqual(["Times of words in translations may not be reliable"]);
  });

  it("keeps words in order where windows disagree on time", async () => {
    const early = [script[0], { ...script[1], spoken: [1, 2, 3, 4, 5, 15] }];
    const { transcript } = await transcribe(40, early, {
      language: "en",
      returnTimestamps: true,
      wordTimestamps: true,
    });
    const times = words(transcript.segments).flatMap((ofSegment) =>
      ofSegment?.flatMap(([, start, end]) => [start, end]),
    );
    expect(times).toEqual([...times].sort((a, b) => Number(a) - Number(b)));
  });
});

describe("transcribeManyChunked()", () => {
  const many = async (
    sources: Parameters<typeof transcribeManyChunked>[1],
    script: Parameters<typeof engineOf>[0],
    options: ManyChunkedOptions = {},
  ) => {
    const engine = engineOf(script);
    const results = await transcribeManyChunked(contextOf(engine), sources, options);
    expect(engine.alive).toBe(0);
    const texts = results.map((result) =>
      result.status === "fulfilled" ? result.value.text : String(result.reason as Error),
    );
    return { engine, results, texts };
  };

  it("shares batches among recordings", async () => {
    const { engine, texts } = await many(
      [silence(45), silence(5), silence(0), silence(5)],
      ["1 2 3", "2 3 4", "5 6", "7 8"],
      { batchSize: 4, language: "en" },
    );
    expect(engine.encoded).toEqual([4]);
    expect(texts).toEqual([" w1 w2 w3 w4", " w5 w6", "", " w7 w8"]);
  });

  it("finds the language of each", async () => {
    const script = [
      { text: "1 2", language: "de" },
      { text: "3 4", language: "fr" },
    ];
    const { results } = await many([silence(5), silence(5)], script);
    expect(results).toMatchObject([{ value: { language: "de" } }, { value: { language: "fr" } }]);
  });

  it("goes on after a recording that cannot be opened, and one that cannot be read to its end", async () => {
    const broken = silence(30, { error: new Error("Truncated"), pieceLength: RATE });
    const order: number[] = [];
    const { texts } = await many(
      [silence(5), () => Promise.reject(new Error("Not found")), broken, () => Promise.resolve(silence(5))],
      ["1 2", "3 4", "5 6"],
      { batchSize: 2, language: "en", onResult: (_, index) => order.push(index) },
    );
    expect(texts).toEqual([" w1 w2", "Error: Not found", "Error: Truncated", expect.stringMatching(/^ w/)]);
    expect([...order].sort()).toEqual([0, 1, 2, 3]);
    expect(broken.isClosed).toBe(true);
  });

  it("says which recording it reports of", async () => {
    const reports: string[] = [];
    await many([silence(5), silence(6)], ["<0>1 2<4>", "<0>3 4<4>"], {
      language: "en",
      returnTimestamps: true,
      onProgress: ({ processedSeconds }, index) => reports.push(`${index}: ${processedSeconds} s`),
      onSegment: ({ text }, index) => reports.push(`${index}:${text}`),
    });
    expect(reports).toEqual(["0: w1 w2", "0: 5 s", "1: w3 w4", "1: 6 s"]);
  });

  it("keeps what is done when it is stopped", async () => {
    const controller = new AbortController();
    const reason = new Error("Enough");
    const sources = [silence(5), silence(5), silence(5), silence(5)];
    const { results } = await many(sources, ["1 2", "3 4", "5 6", "7 8"], {
      batchSize: 1,
      signal: controller.signal,
      onResult: (_, index) => index === 0 && controller.abort(reason),
    });
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "rejected"]);
    expect(results[3]).toMatchObject({ reason });
    expect(sources.every(({ isClosed }) => isClosed)).toBe(true);
  });

  it("of none is none", async () => {
    expect((await many([], [])).results).toEqual([]);
  });
});
