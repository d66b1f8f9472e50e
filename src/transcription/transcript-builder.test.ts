import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DecodingResult } from "../decoding/index.ts";
import { tokensOf, wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { TranscriptBuilder, type TranscriptBuilderOptions } from "./transcript-builder.ts";
import type { Segment, Transcript } from "./transcript.ts";
import { chunkWindows } from "./windows.ts";

const RATE = 16000;
const LAYOUT = { chunk: 480000, left: 80000, right: 80000 };
const tokenizer = wordTokenizer();

interface Heard extends Partial<DecodingResult> {
  readonly tokens: readonly number[];
  readonly hasOwnLanguage?: boolean;
}

/** Builds the transcript of `seconds` of audio from what was heard in each of its windows. */
function build(seconds: number, heard: readonly Heard[], options: Partial<TranscriptBuilderOptions> = {}): Transcript {
  const builder = new TranscriptBuilder(tokenizer, { returnTimestamps: true, returnLanguage: false, ...options });
  const spans = chunkWindows(Math.round(seconds * RATE), LAYOUT);
  expect(heard).toHaveLength(spans.length);
  for (const [i, span] of spans.entries()) {
    const { hasOwnLanguage = false, ...rest } = heard[i];
    const defaults = { text: "", language: "en", task: "transcribe", avgLogprob: -0.5, noSpeechProb: 0 } as const;
    const result = { ...defaults, compressionRatio: 1, entropy: null, temperature: 0, stop: "eot", ...rest } as const;
    builder.add({ span, result, hasOwnLanguage });
  }
  return builder.finish({ language: "en", languageProbability: 0.9, duration: seconds, warnings: ["first"] });
}

const tokens = (text: string): number[] => tokensOf(text, tokenizer);

describe("TranscriptBuilder", () => {
  it("makes segments and chunks, each with the scores of the window that gave most of its tokens", () => {
    const transcript = build(40, [
      { tokens: tokens("<0>1 2<10><10>3 4 5 6<29>"), avgLogprob: -0.25, noSpeechProb: 0.125 },
      { tokens: tokens("<0>4 5 6<9><9>7 8<15>"), avgLogprob: -0.75, noSpeechProb: 0.5 },
    ]);
    expect(transcript).toEqual({
      text: " w1 w2 w3 w4 w5 w6 w7 w8",
      language: "en",
      languageProbability: 0.9,
      duration: 40,
      hasTimestamps: true,
      segments: [
        {
          id: 0,
          start: 0,
          end: 10,
          text: " w1 w2",
          tokens: [1, 2],
          temperature: 0,
          avgLogprob: -0.25,
          noSpeechProb: 0.125,
          compressionRatio: 5 / 13,
        },
        expect.objectContaining({ id: 1, start: 10, end: 29, text: " w3 w4 w5 w6", avgLogprob: -0.25 }),
        expect.objectContaining({ id: 2, start: 29, end: 35, text: " w7 w8", avgLogprob: -0.75, noSpeechProb: 0.5 }),
      ],
      chunks: [
        { timestamp: [0, 10], text: " w1 w2" },
        { timestamp: [10, 29], text: " w3 w4 w5 w6" },
        { timestamp: [29, 35], text: " w7 w8" },
      ],
      warnings: ["first"],
    });
  });

  it("ends an open segment with the audio, leaves the chunk open, and says so (facts 1.12.7, 9.4)", () => {
    const { segments, chunks, warnings } = build(11, [{ tokens: tokens("<0>1 2<4><4>3 4") }]);
    expect(segments.map(({ start, end }) => [start, end])).toEqual([
      [0, 4],
      [4, 11],
    ]);
    expect(chunks?.map(({ timestamp }) => timestamp)).toEqual([
      [0, 4],
      [4, null],
    ]);
    expect(warnings[1]).toMatch(/^The model gave no end time to the last segment/);
  });

  it("ends an open segment where the next one starts", () => {
    const { segments, chunks, warnings } = build(40, [
      { tokens: tokens("<0>1 2<4><26>3 4") },
      { tokens: tokens("<9>5<12>") },
    ]);
    expect(segments.map(({ start, end }) => [start, end])).toEqual([
      [0, 4],
      [26, 29],
      [29, 32],
    ]);
    expect(chunks?.map(({ timestamp }) => timestamp[1])).toEqual([4, 29, 32]);
    expect(warnings).toEqual(["first"]);
  });

  it("makes one segment of everything without timestamps, and no chunks", () => {
    const transcript = build(40, [{ tokens: tokens("1 2 3 4") }, { tokens: tokens("3 4 5 6") }], {
      returnTimestamps: false,
    });
    expect(transcript.segments).toMatchObject([{ start: 0, end: 40, text: " w1 w2 w3 w4 w5 w6" }]);
    expect(transcript).not.toHaveProperty("chunks");
    expect(transcript.warnings).toEqual(["first"]);
  });

  it("makes one segment without timestamps even of text that holds some (facts 6.8 V13)", () => {
    const { segments } = build(11, [{ tokens: tokens("<0>1 2<4><4>3<6>4") }], { returnTimestamps: false });
    expect(segments).toMatchObject([{ start: 0, end: 11, text: " w1 w2 w3 w4" }]);
  });

  it("makes a chunk of each language without timestamps (facts 6.8 V10)", () => {
    const { segments, chunks } = build(
      40,
      [
        { tokens: tokens("1 2"), hasOwnLanguage: true },
        { tokens: tokens("3 4"), language: "fr", hasOwnLanguage: true },
      ],
      { returnTimestamps: false, returnLanguage: true },
    );
    expect(segments).toMatchObject([
      { start: 0, end: 25, text: " w1 w2", language: "en" },
      { start: 25, end: 40, text: " w3 w4", language: "fr" },
    ]);
    expect(chunks).toMatchObject([
      { text: " w1 w2", language: "en" },
      { text: " w3 w4", language: "fr" },
    ]);
  });

  it("says where text was cut", () => {
    const cut = { tokens: tokens("<0>1 2<4>"), stop: "length" } as const;
    expect(build(11, [cut]).warnings[1]).toBe("Text was cut at the limit of tokens in the window at 0.00 s");
    expect(build(60, [{ tokens: [] }, cut, cut]).warnings[1]).toBe(
      "Text was cut at the limit of tokens in 2 windows, the first at 20.00 s",
    );
  });

  it("makes nothing of silence", () => {
    const { text, segments, chunks } = build(40, [{ tokens: [] }, { tokens: tokens("<0><4>") }]);
    expect({ text, segments, chunks }).toEqual({ text: "", segments: [], chunks: [] });
  });

  it("keeps times within 0.01 s of audio", () => {
    const { segments, chunks } = build(0.01, [{ tokens: tokens("<0>1 2<4><4>3 4<8>") }]);
    expect(segments.map(({ start, end }) => [start, end])).toEqual([
      [0, 0.01],
      [0.01, 0.01],
    ]);
    expect(chunks?.[1].timestamp).toEqual([0.01, 0.01]);
  });

  it("holds for whatever the model makes up: order, bounds, joined text (facts 9.5)", () => {
    const token = fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }) },
      { weight: 2, arbitrary: fc.integer({ min: 50364, max: 51864 }) },
      fc.integer({ min: 50257, max: 50363 }),
    );
    const windows = fc.array(fc.array(token, { maxLength: 30 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(windows, fc.boolean(), fc.boolean(), (heard, returnTimestamps, returnLanguage) => {
        const duration = heard.length * 20 + 9.5;
        const emitted: Segment[] = [];
        const transcript = build(
          duration,
          heard.map((ids) => ({ tokens: ids })),
          { returnTimestamps, returnLanguage, onSegment: (segment) => emitted.push(segment) },
        );
        let last = 0;
        for (const [i, { id, start, end, tokens: ids, text }] of transcript.segments.entries()) {
          expect(id).toBe(i);
          expect(start).toBeGreaterThanOrEqual(last);
          expect(end).toBeGreaterThanOrEqual(start);
          expect(text).toBe(tokenizer.decode(ids));
          expect(text).not.toBe("");
          last = end;
        }
        expect(last).toBeLessThanOrEqual(duration);
        expect(transcript.text).toBe(transcript.segments.map(({ text }) => text).join(""));
        expect(emitted).toEqual(transcript.segments);
      }),
    );
  });
});
