/** Both algorithms: whatever timestamps the model writes, nothing begins or ends after the audio. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arrayAudio } from "../../test/helpers/array-audio.ts";
import { ScriptedEngine } from "../../test/helpers/scripted-engine.ts";
import { tokensOf, wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { transcribeChunked } from "./chunked.ts";
import { transcribeSequential } from "./sequential.ts";
import type { Transcript } from "./transcript.ts";

const RATE = 16000;
const tokenizer = wordTokenizer();

/**
 * Enough windows for any way through the audio: the texts again and again.
 *
 * @param unaligned what of a text is never aligned
 */
function engineOf(texts: readonly string[], spoken: readonly number[], unaligned = /$/): ScriptedEngine {
  const windows = Array.from({ length: 200 }, (_, i) => {
    const text = texts[i % texts.length];
    const aligned = tokensOf(text.replace(unaligned, ""), tokenizer);
    const words = aligned.filter((token) => token < tokenizer.special.eot).length;
    return { tokens: tokensOf(text, tokenizer), spoken: spoken.slice(0, words + 1) };
  });
  return new ScriptedEngine(windows, tokenizer);
}

/** What the sequential algorithm leaves to the next window. */
const UNFINISHED = /(?<=><[\d.]+>)\d+$/;

const audioOf = (seconds: number) => arrayAudio(new Float32Array(Math.round(seconds * RATE)));

function expectWithin({ segments, chunks = [], duration }: Transcript): void {
  const times = [
    ...segments.map(({ start, end }) => [start, end]),
    ...segments.flatMap(({ words = [] }) => words.map(({ start, end }) => [start, end])),
    ...chunks.map(({ timestamp: [start, end] }) => [start, end ?? duration]),
  ];
  for (const [start, end] of times) {
    expect(start).toBeGreaterThanOrEqual(0);
    expect(end).toBeGreaterThanOrEqual(start);
    expect(end).toBeLessThanOrEqual(duration);
  }
}

/** Timestamps and words, as a model writes them: times of a window never decrease. */
const windowText = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 1500 }), { minLength: 1, maxLength: 6 }), fc.boolean())
  .map(([steps, isClosed]) => {
    const times = steps.toSorted((a, b) => a - b).map((step) => (step * 2) / 100);
    const parts = times.map((time, i) => (i === 0 ? `<${time}>` : `${i}<${time}><${time}>`)).join("");
    return isClosed ? parts.replace(/<[^>]*>$/, "") : `${parts}9`;
  });
const texts = fc.array(windowText, { minLength: 1, maxLength: 4 });
/** Not before 2 s: the next window begins after the last word. */
const spoken = fc
  .array(fc.integer({ min: 100, max: 1500 }), { minLength: 8, maxLength: 8 })
  .map((steps) => steps.toSorted((a, b) => a - b).map((step) => (step * 2) / 100));
/** Odd ends between two frames included. */
const seconds = fc.double({ min: 0.1, max: 45, noNaN: true });

describe("transcribeSequential() keeps within the audio", () => {
  it("a segment that the model ends in the padding after a clip", async () => {
    const engine = engineOf(["<0>1 2<7>"], []);
    const { segments } = await transcribeSequential({ engine, tokenizer, generation: {} }, audioOf(4), {
      language: "en",
      clipTimestamps: "1",
    });
    expect(segments.map(({ start, end, text }) => [start, end, text])).toEqual([[1, 4, " w1 w2"]]);
  });

  it("the text that the model hears after its end", async () => {
    const engine = engineOf(["<0>1<3><5>2<8>"], []);
    const { segments } = await transcribeSequential({ engine, tokenizer, generation: {} }, audioOf(4), {
      language: "en",
    });
    expect(segments.map(({ start, end, text }) => [start, end, text])).toEqual([
      [0, 3, " w1"],
      [3.4, 4, " w2"],
    ]);
  });

  it("all segments and words, for any timestamps and clips", async () => {
    const clips = fc.array(fc.double({ min: 0, max: 70, noNaN: true }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(seconds, texts, spoken, clips, fc.boolean(), async (duration, script, times, ends, words) => {
        const options = {
          language: "en",
          wordTimestamps: words,
          clipTimestamps: ends.toSorted((a, b) => a - b),
        };
        const context = { engine: engineOf(script, times, UNFINISHED), tokenizer, generation: {} };
        expectWithin(await transcribeSequential(context, audioOf(duration), options));
      }),
      { numRuns: 40 },
    );
  });
});

describe("transcribeChunked() keeps within the audio", () => {
  it("all segments, words and chunks, for any timestamps", async () => {
    await fc.assert(
      fc.asyncProperty(seconds, texts, spoken, fc.boolean(), async (duration, script, times, words) => {
        const options = { language: "en", returnTimestamps: true, wordTimestamps: words };
        const context = { engine: engineOf(script, times), tokenizer, generation: {} };
        expectWithin(await transcribeChunked(context, audioOf(duration), options));
      }),
      { numRuns: 40 },
    );
  });
});
