import { describe, expect, it } from "vitest";
import { arrayAudio } from "../../test/helpers/array-audio.ts";
import { ScriptedEngine } from "../../test/helpers/scripted-engine.ts";
import { tokensOf, wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { transcribeChunked } from "./chunked.ts";
import { outsideGaps } from "./gaps.ts";
import { transcribeSequential } from "./sequential.ts";

const GAPS = [
  { start: 0, end: 4 },
  { start: 10, end: 12 },
];

describe("outsideGaps()", () => {
  it.each<[string, [number, number], [number, number]]>([
    ["begins where a gap ends", [0, 6], [4, 6]],
    ["ends where a gap begins", [8, 11], [8, 10]],
    ["does both", [2, 11.5], [4, 10]],
    ["lets be what lies between gaps", [5, 9], [5, 9]],
    ["lets be what touches them", [4, 10], [4, 10]],
    ["lets be what lies around a gap", [8, 13], [8, 13]],
    ["lets be what lies in a gap", [1, 3], [1, 3]],
  ])("%s", (_, [start, end], expected) => {
    const found = outsideGaps({ start, end, word: " w" }, GAPS);
    expect(found).toEqual({ start: expected[0], end: expected[1], word: " w" });
  });
});

describe("text over gaps of the audio", () => {
  const tokenizer = wordTokenizer();
  const engine = () =>
    new ScriptedEngine([{ tokens: tokensOf("<0>1<6><6>2<11>", tokenizer), spoken: [1, 6, 10.5] }], tokenizer);
  const audio = () => ({ ...arrayAudio(new Float32Array(14 * 16000)), gaps: GAPS });
  const context = () => ({ engine: engine(), tokenizer, generation: {} });

  it("transcribeSequential() keeps out of them", async () => {
    const { segments } = await transcribeSequential(context(), audio(), { language: "en" });
    expect(segments.map(({ start, end, text }) => [start, end, text])).toEqual([
      [4, 6, " w1"],
      [6, 10, " w2"],
    ]);
  });

  it("transcribeChunked() keeps out of them", async () => {
    const { segments, chunks } = await transcribeChunked(context(), audio(), {
      language: "en",
      returnTimestamps: true,
    });
    const expected = [
      [4, 6],
      [6, 10],
    ];
    expect(segments.map(({ start, end }) => [start, end])).toEqual(expected);
    expect(chunks?.map(({ timestamp }) => timestamp)).toEqual(expected);
  });

  it.each([
    ["transcribeSequential()", transcribeSequential],
    ["transcribeChunked()", transcribeChunked],
  ])("%s keeps words out of them", async (_, transcribe) => {
    const { segments } = await transcribe(context(), audio(), { language: "en", wordTimestamps: true });
    const words = segments.flatMap((segment) => segment.words ?? []);
    expect(words).toHaveLength(2);
    for (const { start, end } of [...segments, ...words]) {
      expect(start).toBeGreaterThanOrEqual(4);
      expect(end).toBeLessThanOrEqual(10);
    }
  });
});
