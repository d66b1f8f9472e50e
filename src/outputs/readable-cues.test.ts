import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Segment, Transcript, Word } from "../transcription/index.ts";
import { toAss } from "./ass.ts";
import { readableCues } from "./readable-cues.ts";
import { toSrt } from "./srt.ts";
import { toVtt } from "./vtt.ts";

const SIZES = { maxLineWidth: 42, maxLineCount: 2 };

function segment(id: number, words: readonly Word[] | null, text: string, start: number, end: number): Segment {
  return {
    ...{
      id,
      seek: 0,
      start,
      end,
      text,
      tokens: [],
      temperature: 0,
      avgLogprob: 0,
      compressionRatio: 1,
      noSpeechProb: 0,
    },
    ...(words === null ? {} : { words }),
  };
}

/** Words of a text, each as long as its letters, from a time on; "|" is a pause of half a second. */
function spoken(text: string, start = 0, perCharacter = 0.06): Word[] {
  let at = start;
  return (text.match(/\s*\S+/gu) ?? []).flatMap((part) => {
    if (part.trim() === "|") {
      at += 0.5;
      return [];
    }
    const from = at;
    at += part.length * perCharacter;
    return [{ word: part, start: from, end: at, probability: 1 }];
  });
}

const of = (words: readonly Word[]): Segment =>
  segment(0, words, words.map(({ word }) => word).join(""), words[0]?.start ?? 0, words.at(-1)?.end ?? 0);

const linesOf = (text: string, sizes = SIZES): string[] =>
  readableCues([of(spoken(text))], 1000, sizes).map(({ words }) => words.map(({ word }) => word).join(""));

describe("readableCues()", () => {
  it("ends cues where sentences end", () => {
    expect(
      linesOf(
        " This is the first sentence of all. And this one comes after it. Here is a third one, longer than both.",
      ),
    ).toEqual([
      "This is the first sentence of all.\nAnd this one comes after it.",
      "Here is a third one, longer than both.",
    ]);
  });

  it("divides a long sentence at its commas, and lines evenly", () => {
    const text =
      " And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country.";
    expect(linesOf(text)).toEqual([
      "And so my fellow Americans,\nask not what your country can do for you,",
      "ask what you can do for your country.",
    ]);
  });

  it("divides at pauses where there are no marks", () => {
    expect(
      linesOf(" we went down to the river early | and the boats had left before we came to the bank of it")[0],
    ).toBe("we went down to the river early");
  });

  it("never holds a cue through a long silence", () => {
    const words = [...spoken(" before it"), ...spoken(" after it", 10)];
    const cues = readableCues([of(words)], 20, SIZES);
    expect(cues.map(({ start, end }) => [start, Number(end.toFixed(2))])).toEqual([
      [0, 1],
      [10, 11],
    ]);
  });

  it("joins words of several segments, and keeps them apart where a segment ends a sentence", () => {
    const first = spoken(" It begins in one segment");
    const second = spoken(" and ends in the next.", first.at(-1)?.end);
    expect(readableCues([of(first), of(second)], 60, SIZES)).toHaveLength(1);
  });

  it("keeps speakers apart, and says whose a cue is", () => {
    const [question, answer] = [spoken(" Are you there"), spoken(" I am", 1)];
    const cues = readableCues(
      [
        { ...of(question), speaker: "A" },
        { ...of(answer), speaker: "B" },
      ],
      60,
      SIZES,
    );
    expect(cues.map(({ speaker, words }) => [speaker, words.length])).toEqual([
      ["A", 3],
      ["B", 2],
    ]);
  });

  it("has a word longer than a line alone in it", () => {
    expect(linesOf(" a Donaudampfschifffahrtsgesellschaft b", { maxLineWidth: 10, maxLineCount: 3 })).toEqual([
      "a\nDonaudampfschifffahrtsgesellschaft\nb",
    ]);
  });

  it("divides scripts without spaces, with word times and without", () => {
    const text =
      "これは日本語の文章です。とても長いので、二つ以上の字幕に分けなければなりません。そして三つ目の文もあります。";
    const words = [...text].map((word, i) => ({ word, start: i * 0.2, end: (i + 1) * 0.2, probability: 1 }));
    for (const one of [of(words), segment(0, null, text, 0, text.length * 0.2)]) {
      const cues = readableCues([one], 60, { maxLineWidth: 16, maxLineCount: 2 });
      expect(cues.length).toBeGreaterThan(1);
      expect(cues.map(({ words: own }) => own.map(({ word }) => word.replace("\n", "")).join("")).join("")).toBe(text);
      expect(cues[0].words.at(-1)?.word).toBe("。");
      for (const { words: own } of cues) {
        for (const line of own
          .map(({ word }) => word)
          .join("")
          .split("\n"))
          expect([...line].length).toBeLessThanOrEqual(16);
      }
    }
  });

  it("loses and moves no word, holds its limits, and lets no cue overlap the next", () => {
    const word = fc.record({
      letters: fc.integer({ min: 1, max: 14 }),
      mark: fc.constantFrom("", "", "", ",", ".", "?"),
      spaced: fc.boolean(),
      gap: fc.double({ min: -0.2, max: 2.5, noNaN: true }),
      seconds: fc.double({ min: 0, max: 1.5, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(fc.array(word, { maxLength: 25 }), { maxLength: 5 }),
        fc.boolean(),
        fc.integer({ min: 5, max: 60 }),
        fc.integer({ min: 1, max: 3 }),
        (all, hasWords, maxLineWidth, maxLineCount) => {
          let at = 0;
          const segments = all.map((asked, id) => {
            const words = asked.map(({ letters, mark, spaced, gap, seconds }) => {
              const start = Math.max(0, at + gap);
              at = Math.max(at, start + seconds);
              return {
                word: `${spaced ? " " : ""}${"x".repeat(letters)}${mark}`,
                start,
                end: start + seconds,
                probability: 1,
              };
            });
            const text = words.map((one) => one.word).join("");
            return segment(id, hasWords ? words : null, text, words[0]?.start ?? at, words.at(-1)?.end ?? at);
          });
          const duration = at + 0.5;
          const cues = readableCues(segments, duration, { maxLineWidth, maxLineCount });
          const plain = (text: string): string => text.replace(/\s/g, "");
          const texts = cues.map(({ words }) => words.map((one) => one.word).join(""));
          expect(plain(texts.join(""))).toBe(plain(segments.map(({ text }) => text).join("")));
          for (const [i, { start, end, words }] of cues.entries()) {
            const next = cues[i + 1]?.start ?? Math.max(duration, end);
            expect(end).toBeGreaterThanOrEqual(start);
            expect(end).toBeLessThanOrEqual(next);
            expect(end - start).toBeLessThanOrEqual(7 + 1e-9);
            // As long as it can be read, where the next one leaves room.
            expect(end - start).toBeGreaterThanOrEqual(Math.min(1, next - start) - 1e-9);
            const lines = texts[i].split("\n");
            expect(lines.length).toBeLessThanOrEqual(words.length === 1 ? 1 : maxLineCount);
            const longest = Math.max(...words.map((one) => one.word.trim().length));
            for (const line of lines) expect(line.length).toBeLessThanOrEqual(Math.max(maxLineWidth, longest));
          }
        },
      ),
    );
  });
});

describe("subtitles that are readable", () => {
  const words = spoken(" And so my fellow Americans, ask not what your country can do for you.");
  const transcript: Transcript = {
    ...{ text: "", language: "en", languageProbability: null, duration: 11, warnings: [], hasTimestamps: true },
    segments: [of(words)],
  };

  it("are written by every format that has cues", () => {
    const srt = toSrt(transcript, { readable: true });
    expect(srt).toBe(
      "1\n00:00:00,000 --> 00:00:04,200\nAnd so my fellow Americans,\nask not what your country can do for you.\n\n",
    );
    expect(toVtt(transcript, { readable: true })).toContain("Americans,\nask not");
    expect(toAss(transcript, { readable: true }).replace(/\{.*?\}/g, "")).toContain("Americans,\\Nask not");
    expect(
      toSrt(transcript, { readable: true, maxLineWidth: 20, maxLineCount: 1 }).match(/-->/g)?.length,
    ).toBeGreaterThan(3);
    expect(toSrt(transcript, { readable: true, highlightWords: true })).toContain("<u>fellow</u>");
  });

  it("need no word times, unless words are to be highlighted", () => {
    const { words: _, ...plain } = transcript.segments[0];
    const without = { ...transcript, segments: [plain] };
    expect(toSrt(without, { readable: true })).toContain("Americans,\nask not");
    expect(() => toSrt(without, { readable: true, highlightWords: true })).toThrow(/no words/);
  });

  it("are not limited in words", () => {
    expect(() => toSrt(transcript, { readable: true, maxWordsPerLine: 3 })).toThrow(
      /maxWordsPerLine together with readable/,
    );
  });
});
