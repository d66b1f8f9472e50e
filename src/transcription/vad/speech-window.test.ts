import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lengthOf, partOf, piecesOf, recordingTime, totalOf, windowTime, without, type Span } from "./speech-window.ts";

const RATE = 16000;
const ANYWHERE = { start: 0, end: Infinity };
const margins = { edge: 0.4 * RATE, pause: 2 * RATE };
const span = (start: number, end: number): Span => ({ start: start * RATE, end: end * RATE });

/** Spans in order, in samples, with pauses of up to ten seconds. */
const spans = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 160_000 }), fc.integer({ min: 512, max: 80_000 })), {
    minLength: 1,
    maxLength: 8,
  })
  .map((parts) => {
    let at = 0;
    return parts.map(([pause, length]): Span => {
      const start = at + pause;
      at = start + length;
      return { start, end: at };
    });
  });

describe("piecesOf()", () => {
  it("keeps pauses up to the limit whole, and half of it on either side of longer ones", () => {
    const pieces = piecesOf([span(1, 2), span(3.5, 5), span(60, 61)], margins, ANYWHERE);
    expect(pieces).toEqual([
      { start: 0.6 * RATE, end: 6 * RATE, at: 0 },
      { start: 59 * RATE, end: 61.4 * RATE, at: 5.4 * RATE },
    ]);
    expect(lengthOf(pieces)).toBe(7.8 * RATE);
  });

  it("takes nothing from outside of what it may use", () => {
    expect(piecesOf([span(0.1, 2)], margins, span(0, 2.1))).toEqual([{ start: 0, end: 2.1 * RATE, at: 0 }]);
  });
});

describe("recordingTime()", () => {
  it("is where the pieces lie, and at a border the end of the one or the beginning of the other", () => {
    const pieces = piecesOf([span(1, 2), span(60, 61)], margins, ANYWHERE);
    expect(recordingTime(pieces, 0, false)).toBe(0.6);
    expect(recordingTime(pieces, 1, false)).toBeCloseTo(1.6);
    const border = (pieces[0].end - pieces[0].start) / RATE;
    expect(recordingTime(pieces, border, true)).toBe(3);
    expect(recordingTime(pieces, border, false)).toBe(59);
    expect(recordingTime(pieces, 100, true)).toBe(61.4);
  });

  it("undoes windowTime() for what a window holds", () => {
    fc.assert(
      fc.property(spans, fc.nat(), (speech, seed) => {
        const pieces = piecesOf(speech, margins, ANYWHERE);
        const { start, end } = pieces[seed % pieces.length];
        const sample = start + 1 + (seed % (end - start - 1));
        expect(recordingTime(pieces, windowTime(pieces, sample), false) * RATE).toBeCloseTo(sample, 5);
      }),
    );
  });
});

describe("partOf()", () => {
  it("holds the samples of its pieces, and of no others", () => {
    fc.assert(
      fc.property(spans, fc.nat(), (speech, seed) => {
        const pieces = piecesOf(speech, margins, ANYWHERE);
        const samples = new Float32Array(lengthOf(pieces));
        // Each sample is its place in the recording.
        for (const { start, end, at } of pieces) for (let i = start; i < end; i++) samples[at + i - start] = i;
        const some = speech.filter((_, i) => (seed >> i) % 2 === 0);
        if (some.length === 0) return;
        const part = partOf({ samples, pieces, speech }, some, { edge: 1600, pause: 8000 });
        expect(part.speech).toEqual(some);
        expect(part.samples).toHaveLength(lengthOf(part.pieces));
        for (const { start, end, at } of part.pieces) {
          expect([part.samples[at], part.samples[at + end - start - 1]]).toEqual([start, end - 1]);
        }
        for (const { start, end } of some) {
          expect(part.pieces.some((piece) => piece.start <= start && end <= piece.end)).toBe(true);
        }
      }),
    );
  });
});

describe("without()", () => {
  it("leaves what lies in no stretch", () => {
    expect(without([span(1, 5), span(8, 9)], [span(2, 3), span(4.5, 8.5)])).toEqual([
      span(1, 2),
      span(3, 4.5),
      span(8.5, 9),
    ]);
  });

  it("takes away exactly what they share", () => {
    fc.assert(
      fc.property(spans, spans, (speech, stretches) => {
        const left = without(speech, stretches);
        const shared = without(speech, left);
        expect(totalOf(left) + totalOf(shared)).toBe(totalOf(speech));
        expect(without(shared, stretches)).toEqual([]);
      }),
    );
  });
});
