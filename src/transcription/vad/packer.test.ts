import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { firstWindow } from "./packer.ts";
import { lengthOf, piecesOf, type Span } from "./speech-window.ts";

const RATE = 16000;
const layout = { window: 30 * RATE, edge: 0.4 * RATE, pause: 2 * RATE, separation: Infinity };
const speech = (...times: [start: number, end: number][]): Span[] =>
  times.map(([start, end]) => ({ start: start * RATE, end: end * RATE }));

describe("firstWindow()", () => {
  it.each<[what: string, spans: Span[], isEnd: boolean, count: number | null]>([
    ["waits while more may fit", speech([1, 5], [6, 12]), false, null],
    ["takes all that is left at the end", speech([1, 5], [6, 12]), true, 2],
    ["ends in a long pause rather than in a short one", speech([0, 12], [12.2, 22], [24, 27], [27.2, 35]), false, 2],
    ["but is not half empty for it", speech([0, 4], [6, 20], [20.3, 28], [28.3, 35]), false, 3],
    ["holds at least one span", speech([0, 29], [29.1, 33]), false, 1],
  ])("%s", (_, spans, isEnd, count) => {
    expect(firstWindow(spans, layout, isEnd)).toBe(count);
  });

  it("reaches across no pause that separates", () => {
    const spans = speech([1, 5], [6, 12], [15, 17]);
    expect(firstWindow(spans, { ...layout, separation: 2 * RATE }, false)).toBe(2);
    expect(firstWindow(spans, { ...layout, separation: 2 * RATE }, true)).toBe(2);
  });

  it("fits a window, whatever the speech", () => {
    const parts = fc.array(
      fc.tuple(fc.double({ min: 0.05, max: 9, noNaN: true }), fc.double({ min: 0.1, max: 28, noNaN: true })),
      {
        minLength: 1,
        maxLength: 20,
      },
    );
    fc.assert(
      fc.property(parts, (lengths) => {
        let at = 0;
        const spans = lengths.map(([pause, length]) => ({ start: (at += pause * RATE), end: (at += length * RATE) }));
        const count = firstWindow(spans, layout, true) as number;
        expect(count).toBeGreaterThanOrEqual(1);
        const pieces = piecesOf(spans.slice(0, count), layout, { start: -Infinity, end: Infinity });
        expect(lengthOf(pieces)).toBeLessThanOrEqual(layout.window + 2);
      }),
    );
  });
});
