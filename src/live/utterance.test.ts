import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Word } from "../transcription/index.ts";
import { Utterance, type Hypothesis, type WholeText } from "./utterance.ts";

const RATE = 16000;
const seconds = (count: number): Float32Array => new Float32Array(count * RATE);

/** A word a second: "w0", "w1" ... by the second of the session in which it is spoken. */
function heard(from: number, to: number): Word[] {
  return Array.from({ length: Math.floor(to) - Math.ceil(from) }, (_, i) => {
    const at = Math.ceil(from) + i;
    return { word: ` w${at}`, start: at - from, end: at + 0.9 - from, probability: 1 };
  });
}

/** The whole of an utterance, as `hear` makes it of all its audio at once. */
function wholeBy(hear: (length: number) => { words: readonly Word[]; language: string }): WholeText {
  let length = 0;
  return {
    append: (samples) => void (length += samples.length),
    ready: () => Promise.resolve(),
    finish: () => {
      const { words, language } = hear(length / RATE);
      const segments = words.length > 0 ? [{ words }] : [];
      return Promise.resolve({ text: words.map(({ word }) => word).join(""), segments, language });
    },
    cancel: () => undefined,
  };
}

interface Heard {
  readonly seconds: number;
  readonly prompt: string;
  readonly language: string | undefined;
}

/** A transcriber that hears every word right, and ends a segment each `segmentSeconds`; 0: never. */
function perfect(segmentSeconds: number) {
  const calls: Heard[] = [];
  let utterance: Utterance | null = null;
  const make = (start: number): Utterance =>
    (utterance = new Utterance(
      async (samples, prompt, language): Promise<Hypothesis> => {
        const length = samples.length / RATE;
        calls.push({ seconds: length, prompt, language });
        const from = (utterance as Utterance).end - length;
        const ends =
          segmentSeconds === 0
            ? []
            : Array.from({ length: Math.floor(length / segmentSeconds) }, (_, i) => (i + 1) * segmentSeconds);
        return { words: heard(from, from + length), segmentEnds: [...ends, length], language: "en" };
      },
      wholeBy((length) => ({ words: heard(start, start + length), language: "en" })),
      start,
      undefined,
    ));
  return { calls, make };
}

describe("Utterance", () => {
  it("commits what two steps agree on, and the rest at its end", async () => {
    const { make } = perfect(5);
    const utterance = make(10);
    const committed: string[] = [];
    for (let i = 0; i < 4; i++) {
      utterance.append(seconds(1), true);
      committed.push((await utterance.step()).map(({ word }) => word).join(""));
    }
    utterance.append(seconds(1), true);
    expect(committed).toEqual(["", " w10", " w11", " w12"]);
    expect(utterance.tentativeText).toBe(" w13");
    expect((await utterance.finish()).map(({ word }) => word)).toEqual([" w13", " w14"]);
    expect(utterance.words.map(({ start }) => start)).toEqual([10, 11, 12, 13, 14]);
    expect([utterance.start, utterance.end, utterance.language]).toEqual([10, 15, "en"]);
  });

  it("hears silence once, to agree on what was said before it, and no more", async () => {
    const { calls, make } = perfect(5);
    const utterance = make(0);
    await utterance.step();
    expect(calls).toEqual([]);
    utterance.append(seconds(3), true);
    await utterance.step();
    const committed: number[] = [];
    for (let i = 0; i < 60; i++) {
      utterance.append(seconds(1), false);
      committed.push((await utterance.step()).length);
    }
    expect(calls.map((call) => call.seconds)).toEqual([3, 4]);
    expect(committed.slice(0, 2)).toEqual([3, 0]);
    utterance.append(seconds(1), true);
    await utterance.step();
    expect(calls.at(-1)?.seconds).toBeLessThanOrEqual(17);
    expect(utterance.end).toBe(64);
  });

  it("drops audio at a completed segment once there are more than 15 s, and tells the model its last words", async () => {
    const { calls, make } = perfect(4);
    const utterance = make(0);
    for (let i = 0; i < 120; i++) {
      utterance.append(seconds(1), true);
      await utterance.step();
    }
    await utterance.finish();
    expect(utterance.words.map(({ word }) => word.trim())).toEqual(Array.from({ length: 120 }, (_, i) => `w${i}`));
    expect(Math.max(...calls.map((call) => call.seconds))).toBeLessThanOrEqual(17);
    const { prompt, seconds: length } = calls.at(-1) as Heard;
    expect(prompt.length).toBeGreaterThanOrEqual(200);
    expect(prompt.length).toBeLessThan(206);
    // Up to where the audio begins, but for the last word of all.
    expect(prompt.endsWith(` w${120 - length - 1}`)).toBe(true);
    expect(calls[0].prompt).toBe("");
  });

  it("says at its end what was heard in all of it, whatever was committed before", async () => {
    const calls: Heard[] = [];
    const make = (): Utterance =>
      new Utterance(
        async (samples, prompt, language): Promise<Hypothesis> => {
          const length = samples.length / RATE;
          calls.push({ seconds: length, prompt, language });
          return { words: heard(0, length), segmentEnds: [], language: "nn" };
        },
        wholeBy((length) => ({
          words: heard(0, length).map((word, i) => ({ ...word, word: ` W${i}` })),
          language: "de",
        })),
        0,
        undefined,
      );
    const utterance = make();
    for (let i = 0; i < 10; i++) {
      utterance.append(seconds(2), true);
      if (i < 9) await utterance.step();
    }
    await utterance.finish();
    expect(calls.at(-1)?.seconds).toBe(18);
    expect(utterance.words.slice(0, 3).map(({ word }) => word)).toEqual([" w0", " w1", " w2"]);
    expect(utterance.finalWords.map(({ word }) => word)).toEqual(Array.from({ length: 20 }, (_, i) => ` W${i}`));
    expect(utterance.language).toBe("de");
  });

  it.each([28, 31, 90])("says all of an utterance of %i s at its end", async (length) => {
    const { calls, make } = perfect(4);
    const utterance = make(10);
    for (let i = 0; i < length; i++) {
      utterance.append(seconds(1), true);
      await utterance.step();
    }
    await utterance.finish();
    expect(Math.max(...calls.map((call) => call.seconds))).toBeLessThanOrEqual(17);
    expect(utterance.finalWords.map(({ word }) => word.trim())).toEqual(Array.from({ length }, (_, i) => `w${10 + i}`));
    expect(utterance.finalWords[0].start).toBe(10);
    expect(utterance.finalText.split(" ")).toHaveLength(length);
    expect(utterance.words).toEqual(utterance.finalWords);
  });

  it("has neither words nor language where nothing was understood", async () => {
    const { make } = perfect(4);
    const utterance = make(0);
    utterance.append(seconds(0.5), true);
    await utterance.finish();
    expect([utterance.finalText, utterance.finalWords, utterance.language]).toEqual(["", [], null]);
  });

  it("settles the language with the first committed words", async () => {
    const { calls, make } = perfect(5);
    const utterance = make(0);
    for (let i = 0; i < 3; i++) {
      utterance.append(seconds(1), true);
      await utterance.step();
    }
    expect(calls.map(({ language }) => language)).toEqual([undefined, undefined, "en"]);
  });

  it("never holds more than a window, whether or not the model ends segments or agrees with itself", async () => {
    let count = 0;
    const lengths: number[] = [];
    const utterance = new Utterance(
      async (samples) => {
        lengths.push(samples.length / RATE);
        const start = samples.length / RATE - 1;
        return {
          words: [{ word: ` ${count++}`, start, end: start + 0.5, probability: 1 }],
          segmentEnds: [],
          language: "en",
        };
      },
      wholeBy(() => ({ words: [], language: "en" })),
      0,
      "en",
    );
    for (let i = 0; i < 100; i++) {
      utterance.append(seconds(1), true);
      await utterance.step();
    }
    expect(Math.max(...lengths)).toBeLessThan(30);
    expect(utterance.words.length).toBeGreaterThan(0);

    const { calls, make } = perfect(0);
    const agreeing = make(0);
    for (let i = 0; i < 100; i++) {
      agreeing.append(seconds(1), true);
      await agreeing.step();
    }
    await agreeing.finish();
    expect(Math.max(...calls.map((call) => call.seconds))).toBeLessThan(30);
    expect(agreeing.words).toHaveLength(100);
  });

  it("never changes what it has committed, whatever the model says", async () => {
    const word = fc.record({
      word: fc.constantFrom(" a", " b"),
      start: fc.float({ min: 0, max: 30, noNaN: true }),
      length: fc.constantFrom(0, 0.2, 3),
    });
    const said = fc.record({
      words: fc.array(word, { maxLength: 6 }),
      ends: fc.array(fc.float({ min: 0, max: 30, noNaN: true }), { maxLength: 4 }),
      step: fc.constantFrom(0.5, 1, 5),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(said, { maxLength: 25 }), async (steps) => {
        let next = { words: [] as Word[], segmentEnds: [] as number[], language: "en" };
        const lengths: number[] = [];
        const utterance = new Utterance(
          async (samples) => {
            lengths.push(samples.length / RATE);
            return next;
          },
          wholeBy(() => next),
          0,
          undefined,
        );
        const committed: Word[] = [];
        for (const { words, ends, step } of steps) {
          const sorted = words.toSorted((a, b) => a.start - b.start);
          next = {
            words: sorted.map(({ word: text, start, length }) => ({
              word: text,
              start,
              end: start + length,
              probability: 1,
            })),
            segmentEnds: ends.toSorted((a, b) => a - b),
            language: "en",
          };
          utterance.append(seconds(step), true);
          committed.push(...(await utterance.step()));
          expect(utterance.words).toEqual(committed);
        }
        committed.push(...(await utterance.finish()));
        expect(utterance.words).toEqual(committed);
        for (let i = 1; i < committed.length; i++)
          expect(committed[i].start).toBeGreaterThanOrEqual(committed[i - 1].end);
        for (const length of lengths) expect(length).toBeLessThanOrEqual(30);
      }),
      { numRuns: 60 },
    );
  });
});
