import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { SpeechSegmenter, speechSpans } from "./speech-segmenter.ts";

/** So many frames of speech and of silence in turn. */
const frames = (...counts: number[]): number[] =>
  counts.flatMap((count, i) => new Array<number>(count).fill(i % 2 === 0 ? 0.9 : 0.1));

const FRAME = 512;
const NO_PAD = { vadSpeechPadMs: 0, vadMinSilenceDurationMs: 320 }; // 10 frames of silence

describe("SpeechSegmenter", () => {
  it("gives a span when silence has lasted long enough", () => {
    const segmenter = new SpeechSegmenter(NO_PAD);
    expect(segmenter.push(frames(20, 10))).toEqual([]);
    expect(segmenter.speaking).toBe(true);
    expect(segmenter.push([0.1])).toEqual([{ start: 0, end: 20 * FRAME }]);
    expect(segmenter.speaking).toBe(false);
  });

  it("gives a padded span when its padding cannot meet the next one's", () => {
    const segmenter = new SpeechSegmenter({ ...NO_PAD, vadSpeechPadMs: 320 }); // 10 frames
    expect(segmenter.push(frames(20, 19))).toEqual([]);
    expect(segmenter.push([0.1])).toEqual([{ start: 0, end: 30 * FRAME }]);
  });

  it("gives a span as soon as it is certain that another begins within its padding", () => {
    const segmenter = new SpeechSegmenter({ ...NO_PAD, vadSpeechPadMs: 3200, vadMinSpeechDurationMs: 64 });
    expect(segmenter.push(frames(20, 12, 2))).toEqual([]);
    expect(segmenter.push(frames(2))).toEqual([{ start: 0, end: 26 * FRAME }]);
    expect(segmenter.earliestStart).toBe(26 * FRAME);
  });

  it("begins another stream after finish()", () => {
    const segmenter = new SpeechSegmenter(NO_PAD);
    const whole = (): unknown => [...segmenter.push(frames(0, 3, 20)), ...segmenter.finish(23 * FRAME - 5)];
    expect(whole()).toEqual([{ start: 3 * FRAME, end: 23 * FRAME - 5 }]);
    expect(whole()).toEqual([{ start: 3 * FRAME, end: 23 * FRAME - 5 }]);
  });

  it("says which audio no later span needs", () => {
    const segmenter = new SpeechSegmenter({ vadSpeechPadMs: 64 });
    segmenter.push(frames(0, 100));
    expect(segmenter.earliestStart).toBe(98 * FRAME);
    segmenter.push(frames(30, 10));
    expect(segmenter.earliestStart).toBe(98 * FRAME);
  });

  it.each([
    [3, 2 * FRAME - 1],
    [3, 3 * FRAME + 1],
    [0, 1],
    [1, 0.5],
  ])("refuses to end a stream of %i frames at %d samples", (count, nSamples) => {
    const segmenter = new SpeechSegmenter();
    segmenter.push(frames(count));
    expect(() => segmenter.finish(nSamples)).toThrow(RangeError);
  });
});

describe("speechSpans()", () => {
  it("finds no speech in nothing, and in silence", () => {
    expect(speechSpans([], 0)).toEqual([]);
    expect(speechSpans(frames(0, 50), 50 * FRAME)).toEqual([]);
  });

  it.each([
    [{ vadThreshold: 2 }, "Cannot use 2 as vadThreshold, expected a number from 0 to 1"],
    [{ vadSpeechPadMs: -1 }, "Cannot use -1 as vadSpeechPadMs, expected a number, 0 or more"],
    [
      { vadMaxSpeechDurationS: 0 },
      "Cannot use 0 as vadMaxSpeechDurationS, expected a number above 0, or null for no limit",
    ],
    [{ threshold: 0.5 } as object, "threshold"],
  ])("refuses %o", (options: object, message) => {
    expect(() => speechSpans([], 0, options)).toThrow(OptionError);
    expect(() => speechSpans([], 0, options)).toThrow(message);
  });

  it("gives spans in order, apart, and within the recording", () => {
    const option = (max: number) => fc.option(fc.double({ min: 0, max, noNaN: true }), { nil: undefined });
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 200 }),
        fc.record({
          vadThreshold: option(1),
          vadNegThreshold: option(1),
          vadMinSpeechDurationMs: option(500),
          vadMinSilenceDurationMs: option(500),
          vadSpeechPadMs: option(500),
          vadMaxSpeechDurationS: fc.option(fc.double({ min: 0.1, max: 5, noNaN: true })),
        }),
        fc.integer({ min: 0, max: FRAME - 1 }),
        (probabilities, options, missing) => {
          const nSamples = Math.max(0, probabilities.length * FRAME - missing);
          let end = 0;
          for (const span of speechSpans(probabilities, nSamples, options)) {
            expect(span.start).toBeGreaterThanOrEqual(end);
            expect(span.end).toBeGreaterThanOrEqual(span.start);
            expect(Number.isInteger(span.start) && Number.isInteger(span.end)).toBe(true);
            ({ end } = span);
          }
          expect(end).toBeLessThanOrEqual(nSamples);
        },
      ),
    );
  });
});
