import { describe, expect, it } from "vitest";
import { isAnomalous, skipHallucinations, wordAnomaly, type WordedWindow } from "./hallucinations.ts";

/** `[word, start, end, probability]` */
type W = readonly [word: string, start: number, end: number, probability?: number];
const wordOf = ([word, start, end, probability = 0.9]: W) => ({ word, start, end, probability });

/** A segment from its first word to its last. */
const segment = (...words: readonly W[]) => ({
  start: words.at(0)?.[1] ?? 0,
  end: words.at(-1)?.[2] ?? 0,
  words: words.map(wordOf),
});

describe("wordAnomaly() (facts 2.3.9)", () => {
  it.each<[string, W, number]>([
    ["a usual word", [" a", 1, 1.4], 0],
    ["an unlikely one", [" a", 1, 1.4, 0.14], 1],
    ["a likely enough one", [" a", 1, 1.4, 0.15], 0],
    ["a short one", [" a", 1, 1.033], 1.5],
    ["one of no length", [" a", 1, 1], 1.995],
    ["a long one", [" a", 1, 4.5], 1.5],
    ["a long and unlikely one", [" a", 1, 4.5, 0], 2.5],
  ])("of %s", (_, word, expected) => {
    expect(wordAnomaly(wordOf(word))).toBeCloseTo(expected, 9);
  });
});

const usual = (from: number): W => [" a", from, from + 0.3];
const odd = (from: number): W => [" a", from, from + 0.3, 0.1];
const usuals = (count: number, from = 0): W[] => Array.from({ length: count }, (_, i) => usual(from + i));

describe("isAnomalous() (facts 2.3.9)", () => {
  it.each<[string, readonly W[], boolean]>([
    ["no words", [], false],
    ["a usual word", [usual(0)], false],
    ["an odd word alone", [odd(0)], true],
    ["one odd word of two", [odd(0), usual(1)], false],
    ["three odd words of eight", [...usuals(5), odd(6), odd(7), odd(8)], true],
    ["two odd words of eight", [...usuals(6), odd(7), odd(8)], false],
    ["odd words after the eighth", [...usuals(8), odd(9), odd(10), odd(11)], false],
    ["punctuation does not count", [...usuals(5), ["?", 6, 6], [".", 6, 6], ["!", 6, 6]], false],
    [
      "punctuation alone has nothing to say for itself",
      [
        ["...", 6, 6.5],
        [".", 6, 6.5],
      ],
      false,
    ],
  ])("%s", (_, words, expected) => {
    expect(isAnomalous(segment(...words))).toBe(expected);
  });
  it("no segment", () => expect(isAnomalous(undefined)).toBe(false));
  it("a segment whose words are all punctuation marks", () => {
    expect(isAnomalous(segment([".", 1, 1.3]))).toBe(true); // a score of 0 is as much as 0 words allow
  });
});

describe("skipHallucinations() (facts 2.3.9)", () => {
  /** A window from 10 s to 40 s of a recording of 100 s. */
  const inWindow = (segments: ReturnType<typeof segment>[], about: Partial<WordedWindow<never>> = {}) => ({
    seek: 1000,
    size: 3000,
    windowFrames: 3000,
    contentFrames: 10000,
    nextSeek: 3500,
    isSingleEnding: true,
    lastSpeech: 9,
    ...about,
    segments,
  });
  const said = (from: number) => segment(usual(from), usual(from + 0.5), usual(from + 1));
  const madeUp = (from: number) => segment(odd(from));

  it.each<[string, ReturnType<typeof segment>[], Partial<WordedWindow<never>>, number | null, number]>([
    ["keeps what looks spoken", [said(11), said(15)], {}, 2, 3500],
    // (a) The next window begins after the last word, or after the window where little is left of it.
    ["moves to the last word", [said(11)], { isSingleEnding: false }, 1, 1230],
    ["moves to the end of the window if that is near", [said(37)], { isSingleEnding: false }, 1, 4000],
    ["moves to the end of a short window", [said(37)], { isSingleEnding: false, size: 2900 }, 1, 3900],
    // (b) Made-up text after silence at the start: listen again without the silence.
    ["begins again after silence", [madeUp(13), said(15)], {}, null, 1300],
    ["looks at the first segment with words", [segment(), madeUp(13)], {}, null, 1300],
    ["does not begin again where there is none", [madeUp(12), said(12.5)], {}, 2, 3500],
    // (c) Made-up text between silences, at the window's border, or beside more of it.
    ["drops what stands in silence, and the rest", [said(11), madeUp(20), said(30)], {}, 1, 2000],
    ["keeps what touches the text before", [said(11), madeUp(12.5), said(30)], {}, 3, 3500],
    ["keeps what touches the text after", [said(11), madeUp(20), said(20.5)], {}, 3, 3500],
    ["drops what more of it follows", [said(11), madeUp(20), madeUp(20.5), said(21)], {}, 1, 2000],
    ["drops what is near the window's end", [said(11), madeUp(38.5), said(39)], {}, 1, 3850],
    ["drops what is near the window's start, moving a second", [madeUp(10.5), said(20)], {}, 0, 1100],
    ["ends the recording where little is left", [said(11), madeUp(20)], { contentFrames: 2150 }, 1, 2150],
    ["drops what is silent since the window before", [madeUp(12), said(20)], { lastSpeech: 9 }, 0, 1200],
    ["keeps what touches the window before", [madeUp(12), said(20)], { lastSpeech: 11.9 }, 2, 3500],
    ["passes over segments without words", [said(11), segment(), said(15)], {}, 3, 3500],
    ["has nothing to say of no segments with words", [segment()], {}, 1, 3500],
  ])("%s", (_, segments, about, kept, nextSeek) => {
    const result = skipHallucinations(inWindow(segments, about), 2);
    expect([result.segments?.length ?? null, result.nextSeek]).toEqual([kept, nextSeek]);
  });
});
