/** What the page computes by itself, without a browser. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Segment } from "../../src/transcription/index.ts";
import { captionSegments } from "../../web/src/lib/caption-segments.ts";
import { coverageSummary } from "../../web/src/lib/coverage.ts";
import { Downsampler, TARGET_RATE, toPcm16 } from "../../web/src/lib/downsampler.ts";
import { editSegment } from "../../web/src/lib/edit-words.ts";
import { parseEventStream, type ServerEvent } from "../../web/src/lib/event-stream.ts";
import { findText, MAX_MATCHES } from "../../web/src/lib/find-text.ts";
import { bytes, clock, spokenTime, stem } from "../../web/src/lib/format.ts";
import { positionAt } from "../../web/src/lib/playback-position.ts";
import { toWav } from "../../web/src/lib/wav.ts";

function segment(words: readonly string[], start = 10): Segment {
  const timed = words.map((word, i) => ({
    word: ` ${word}`,
    start: start + i,
    end: start + i + 0.75,
    probability: 0.5,
  }));
  return {
    ...{ id: 0, start, end: start + words.length, text: timed.map(({ word }) => word).join(""), words: timed },
    ...{ tokens: [1], temperature: 0, avgLogprob: -0.1, compressionRatio: 1, noSpeechProb: 0 },
  };
}

describe("editSegment()", () => {
  const spoken = segment(["the", "cat", "sat", "down"]);
  const times = (text: string) =>
    editSegment(spoken, text).words?.map(({ word, start, end }) => [word.trim(), start, end]);

  it.each([
    ["a corrected word takes the time of the wrong one", "the cat lay down", ["lay", 12, 12.75]],
    ["a word after it keeps its time", "the cat lay down", ["down", 13, 13.75]],
    ["two words share the time of the one they replace", "the cat or so down", ["or", 12, 12.375]],
    ["a new word lies in the pause it was put into", "the cat sat right down", ["right", 12.75, 13]],
    ["a word at the end lies before the end", "the cat sat down there", ["there", 13.75, 14]],
    ["a word after one that was removed keeps its time", "the sat down", ["sat", 12, 12.75]],
  ] as const)("%s", (_, text, expected) => {
    const found = times(text)?.find(([word]) => word === expected[0]);
    expect(found?.[1]).toBeCloseTo(expected[1], 1);
    expect(found?.[2]).toBeCloseTo(expected[2], 1);
  });

  it("takes the spaces that segments have", () => {
    expect(editSegment(spoken, "  two\n words ").text).toBe(" two words");
    expect(editSegment(spoken, " ").text).toBe("");
  });

  it("leaves a segment without words without words", () => {
    const { words: _, ...plain } = spoken;
    expect(editSegment(plain, "else")).toEqual({ ...plain, text: " else", tokens: [] });
  });

  it("gives words that are the text again, in order, within the segment", () => {
    const text = fc.array(fc.constantFrom("the", "cat", "sat", "down", "on", "a", "mat"), { maxLength: 12 });
    fc.assert(
      fc.property(text, text, (before, after) => {
        const edited = editSegment(segment(before), after.join(" "));
        const words = edited.words ?? [];
        expect(words.map(({ word }) => word).join("")).toBe(edited.text);
        let last = 10;
        for (const { start, end } of words) {
          expect(start).toBeGreaterThanOrEqual(last - 1e-9);
          expect(end).toBeGreaterThanOrEqual(start);
          last = start;
        }
        expect(last).toBeLessThanOrEqual(10 + before.length + 1e-9);
      }),
    );
  });
});

describe("coverageSummary()", () => {
  it.each([
    ["no speech", { speechSeconds: 0, transcribedSeconds: 0, untranscribed: [] }, "No speech found"],
    [
      "speech that all has text",
      { speechSeconds: 312.4, transcribedSeconds: 312, untranscribed: [] },
      "Speech 5:12, all of it with text",
    ],
    [
      "speech without text",
      { speechSeconds: 312.4, transcribedSeconds: 310, untranscribed: [{ start: 10, end: 12.4 }] },
      "Speech 5:12, with text 5:10; without text:",
    ],
  ])("%s", (_, coverage, expected) => {
    expect(coverageSummary(coverage)).toBe(expected);
  });
});

describe("findText()", () => {
  const found = (text: string, query: string) =>
    findText([text], query).map(({ start, end }) => text.slice(start, end));

  it.each([
    ["Über die Brücke", "brucke", ["Brücke"]],
    ["THE theatre", "the", ["THE", "the"]],
    [" two  words", "words", ["words"]],
    [" not here", "nothere", []],
    [" anything", "  ", []],
    [" aaaa", "aa", ["aa", "aa"]],
    [" e\u0301te\u0301", "ete", ["e\u0301te\u0301"]],
    [" İstanbul", "istanbul", ["İstanbul"]],
    [" 👍 done", "done", ["done"]],
  ] as const)("finds in %j %j", (text, query, expected) => {
    expect(found(text, query)).toEqual(expected);
  });

  it("stops where nobody reads on", () => {
    expect(findText(["a ".repeat(5000)], "a")).toHaveLength(MAX_MATCHES);
  });
});

describe("parseEventStream()", () => {
  const read = async (pieces: readonly Uint8Array[]): Promise<ServerEvent[]> => {
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const piece of pieces) controller.enqueue(piece);
        controller.close();
      },
    });
    const events: ServerEvent[] = [];
    for await (const event of parseEventStream(stream)) events.push(event);
    return events;
  };

  it("reads names, data of several lines, comments and unfinished events", async () => {
    const text = ': hello\r\nevent: done\r\ndata: {"a":1}\r\n\r\nid: 4\ndata:x\ndata: y\n\ndata: never ended';
    expect(await read([new TextEncoder().encode(text)])).toEqual([
      { event: "done", data: '{"a":1}', id: "" },
      { event: "message", data: "x\ny", id: "4" },
    ]);
  });

  it("gives the same events however the bytes were cut", async () => {
    const lines = fc.array(fc.record({ event: fc.constantFrom("a", "b"), data: fc.string({ unit: "grapheme" }) }));
    await fc.assert(
      fc.asyncProperty(
        lines,
        fc.constantFrom("\n", "\r\n", "\r"),
        fc.infiniteStream(fc.nat(7)),
        async (sent, end, cuts) => {
          const events = sent.map(({ event, data }) => ({ event, data: data.replace(/[\r\n]/g, ""), id: "" }));
          const text = events.map(({ event, data }) => `event: ${event}${end}data: ${data}${end}${end}`).join("");
          const all = new TextEncoder().encode(text);
          const pieces: Uint8Array[] = [];
          for (let at = 0; at < all.length;) {
            const size = 1 + (cuts.next().value as number);
            pieces.push(all.slice(at, at + size));
            at += size;
          }
          // A CR at the very end may be half of a CR LF: the last event waits for what follows.
          const expected = end === "\r" ? events.slice(0, -1) : events;
          expect((await read(pieces)).slice(0, expected.length)).toEqual(expected);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe("Downsampler", () => {
  const tone = (hertz: number, rate: number, seconds: number) =>
    Float32Array.from({ length: rate * seconds }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * i) / rate));
  /** In dB. */
  const level = (samples: Float32Array) =>
    10 * Math.log10(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length + 1e-12);

  it.each([
    [48000, 440],
    [44100, 440],
    [48000, 3000],
    [44100, 6000],
  ])("from %i Hz keeps a tone of %i Hz", (rate, hertz) => {
    const out = new Downsampler(rate).push(tone(hertz, rate, 1)).subarray(500);
    const expected = level(tone(hertz, TARGET_RATE, 1));
    expect(Math.abs(level(out) - expected)).toBeLessThan(0.2);
  });

  it.each([
    [48000, 9000],
    [44100, 9500],
    [48000, 15000],
  ])("from %i Hz keeps a tone of %i Hz from folding into speech", (rate, hertz) => {
    // A Hann window's side lobes lie 44 dB down.
    const out = new Downsampler(rate).push(tone(hertz, rate, 1)).subarray(500);
    expect(level(out) - level(tone(hertz, rate, 1))).toBeLessThan(-40);
  });

  it("gives the same samples however the sound was cut", () => {
    const sound = tone(700, 48000, 0.2);
    const whole = new Downsampler(48000).push(sound);
    const inPieces = new Downsampler(48000);
    const pieces: number[] = [];
    for (let at = 0; at < sound.length; at += 128) pieces.push(...inPieces.push(sound.subarray(at, at + 128)));
    expect(pieces.length).toBe(whole.length);
    expect(Math.max(...pieces.map((sample, i) => Math.abs(sample - whole[i])))).toBeLessThan(1e-6);
  });

  it("toPcm16() clips", () => {
    expect([...toPcm16(Float32Array.of(0, 0.5, 1, -1, 3, -3))]).toEqual([0, 16384, 32767, -32768, 32767, -32768]);
  });
});

describe("captionSegments()", () => {
  const word = (text: string, start: number) => ({ text, start, end: start + 0.3 });

  it("cuts at pauses, at ends of sentences, and where a segment gets long", () => {
    const words = [word(" One", 0), word(" two.", 0.4), word(" Three", 0.8), word(" four", 3), word("!", 3.3)];
    expect(captionSegments(words).map(({ text }) => text)).toEqual([" One two.", " Three", " four!"]);
    const long = Array.from({ length: 40 }, (_, i) => word(" on", i * 0.5));
    for (const { start, end } of captionSegments(long)) expect(end - start).toBeLessThanOrEqual(8);
  });

  it("puts a space between words that come without, where the script has spaces", () => {
    expect(captionSegments([word("one", 0), word("two", 0.4), word(",", 0.7)])[0].text).toBe(" one two,");
    expect(captionSegments([word("今日", 0), word("は", 0.4)])[0].text).toBe("今日は");
  });
});

describe("positionAt()", () => {
  const segments = [segment(["a", "b"], 1), segment(["c"], 10)];
  it.each([
    [0.5, -1, -1],
    [1, 0, 0],
    [2.9, 0, 1],
    [3.5, 0, 1],
    [7, -1, -1],
    [10.2, 1, 0],
    [99, -1, -1],
  ])("at %d s is segment %i, word %i", (time, expected, word) => {
    expect(positionAt(segments, time)).toEqual({ segment: expected, word });
  });
});

describe("figures", () => {
  it.each([
    [0, "0:00"],
    [61.9, "1:01"],
    [3725, "1:02:05"],
    [NaN, "0:00"],
    [Infinity, "0:00"],
  ])("clock(%d) is %s", (seconds, expected) => expect(clock(seconds)).toBe(expected));

  it.each([
    [0, "0 seconds"],
    [61, "1 minute 1 second"],
    [7200, "2 hours"],
  ])("spokenTime(%d) is %s", (seconds, expected) => expect(spokenTime(seconds)).toBe(expected));

  it.each([
    [999, "999 B"],
    [15_600, "16 kB"],
    [2_275_324, "2.3 MB"],
    [1.5e9, "1.50 GB"],
  ])("bytes(%d) is %s", (count, expected) => expect(bytes(count)).toBe(expected));

  it.each([
    ["talk.mp3", "talk"],
    ["a/b: c?.m4a", "a b c"],
    ["No. 5 of many", "No. 5 of many"],
    [".mp3", "transcript"],
  ])("stem(%s) is %s", (name, expected) => expect(stem(name)).toBe(expected));
});

describe("toWav()", () => {
  it("writes a file that has its samples", async () => {
    const samples = Int16Array.of(1, -2, 3, -4);
    const file = new DataView(await toWav([samples.slice(0, 1).buffer, samples.slice(1).buffer], 16000).arrayBuffer());
    expect(file.byteLength).toBe(44 + 8);
    expect(file.getUint32(24, true)).toBe(16000);
    expect(file.getUint32(40, true)).toBe(8);
    expect([0, 1, 2, 3].map((i) => file.getInt16(44 + 2 * i, true))).toEqual([1, -2, 3, -4]);
  });
});
