import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HELLO, segment, transcript, worded } from "../../test/helpers/transcript.ts";
import { OptionError } from "../errors.ts";
import { type SubtitleOptions, toAss, toSrt, toVtt, writeTranscript } from "./index.ts";

/** Cues of a WebVTT file as `start-end text`, line breaks as `/`. */
function cues(vtt: string): string[] {
  return vtt
    .split("\n\n")
    .slice(1, -1)
    .map((block) => {
      const [times, ...lines] = block.split("\n");
      return `${times.replaceAll("00:0", "").replace(" --> ", "-")} ${lines.join("/")}`;
    });
}

const shaped = (options: SubtitleOptions): string[] => cues(toVtt(HELLO, options));

describe("subtitles of words", () => {
  it.each<[string, SubtitleOptions, string[]]>([
    ["no options", {}, ["0.000-2.500 Hello there, my friend.", "7.000-8.040 How are you?"]],
    ["S4", { maxLineWidth: 20 }, ["0.000-2.500 Hello there, my/friend.", "7.000-8.040 How are you?"]],
    [
      "S5",
      { maxLineWidth: 20, maxLineCount: 1 },
      ["0.000-1.200 Hello there, my", "1.200-2.500 friend.", "7.000-8.040 How are you?"],
    ],
    ["S6", { maxLineWidth: 12, maxLineCount: 2 }, ["0.000-2.500 Hello there,/my friend.", "7.000-8.040 How are you?"]],
    [
      "S7",
      { maxWordsPerLine: 2 },
      ["0.000-0.900 Hello there,", "1.000-2.500 my friend.", "7.000-7.500 How are", "7.500-8.040 you?"],
    ],
    [
      "S8",
      { highlightWords: true },
      [
        "0.000-0.500 <u>Hello</u> there, my friend.",
        "0.500-0.900 Hello <u>there,</u> my friend.",
        "0.900-1.000 Hello there, my friend.",
        "1.000-1.200 Hello there, <u>my</u> friend.",
        "1.200-2.500 Hello there, my <u>friend.</u>",
        "7.000-7.300 <u>How</u> are you?",
        "7.300-7.500 How <u>are</u> you?",
        "7.500-8.040 How are <u>you?</u>",
      ],
    ],
  ])("are shaped as facts 6.7 has them: %s", (_, options, expected) => {
    expect(shaped(options)).toEqual(expected);
  });

  it("flow across segments only with a line width and a line count (facts 2.6.4)", () => {
    const near = transcript([worded([" a", 0, 1], [" b", 1, 2]), worded([" c", 2, 3])]);
    expect(cues(toVtt(near, { maxLineWidth: 20, maxLineCount: 2 }))).toEqual(["0.000-3.000 a b c"]);
    expect(cues(toVtt(near, { maxLineWidth: 20 }))).toHaveLength(2);
  });

  it("are drawn with line breaks outside the underlined word", () => {
    expect(toSrt(HELLO, { maxLineWidth: 20, highlightWords: true })).toContain(
      "00:00:01,200 --> 00:00:02,500\nHello there, my\n<u>friend.</u>\n\n",
    );
  });

  it("escape texts, and not their own marks", () => {
    const nasty = transcript([worded([" a", 0, 1], [" <i>", 1, 2], [" -->", 2, 3])]);
    expect(cues(toVtt(nasty, { highlightWords: true }))).toEqual([
      "0.000-1.000 <u>a</u> &lt;i> ->",
      "1.000-2.000 a <u>&lt;i></u> ->",
      "2.000-3.000 a &lt;i> <u>-></u>",
    ]);
  });

  it("never go back in time where words overlap", () => {
    const overlapping = transcript([worded([" a", 0, 1.5], [" b", 1, 2], [" c", 2, 1.9])]);
    expect(cues(toVtt(overlapping, { highlightWords: true }))).toEqual([
      "0.000-1.500 <u>a</u> b c",
      "1.000-2.000 a <u>b</u> c",
      "2.000-2.000 a b <u>c</u>",
    ]);
  });

  it.each<[option: string, options: SubtitleOptions]>([
    ["maxLineWidth", { maxLineWidth: 5 }],
    ["maxWordsPerLine", { maxWordsPerLine: 2 }],
    ["highlightWords", { highlightWords: true }],
  ])("are refused of a transcript without words: %s", (option, options) => {
    const plain = transcript([segment(0, 2, " Hello there, my friend.")]);
    for (const write of [toSrt, toVtt, toAss]) {
      expect(() => write(plain, options)).toThrow(
        `Cannot use ${option}: the transcript has no words with times\nHint: transcribe it with wordTimestamps`,
      );
      expect(write(plain, { highlightWords: false })).toBe(write(plain));
      expect(write(transcript([]), options)).toBe(write(transcript([])));
    }
  });

  it("are refused where they have no effect on each other", () => {
    expect(() => toSrt(HELLO, { maxLineCount: 2 })).toThrow("Cannot use maxLineCount without maxLineWidth");
    expect(() => toSrt(HELLO, { maxLineWidth: 9, maxLineCount: 2, maxWordsPerLine: 3 })).toThrow(
      "Cannot use maxWordsPerLine together with maxLineWidth and maxLineCount",
    );
  });

  it.each([
    { maxLineWidth: 0 },
    { maxLineCount: -1 },
    { maxWordsPerLine: 1.5 },
    { maxLineWidth: NaN },
    { maxLineWidth: "20" as unknown as number },
    { highlightWords: "yes" as unknown as boolean },
    { lineWidth: 20 } as SubtitleOptions,
  ])("refuse %j", (options) => {
    for (const format of ["srt", "vtt", "ass", "txt"] as const) {
      expect(() => writeTranscript(HELLO, format, options), format).toThrow(OptionError);
    }
  });

  it("say every word once, in order, in cues that parse back", () => {
    const limit = fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined });
    const options = fc
      .record({ maxLineWidth: limit, maxLineCount: limit, maxWordsPerLine: limit })
      .filter(({ maxLineWidth, maxLineCount, maxWordsPerLine }) =>
        maxLineCount === undefined ? true : maxLineWidth !== undefined && maxWordsPerLine === undefined,
      );
    const word = fc.tuple(
      fc.string({ unit: fc.constantFrom("a", "b", " ", "\n", "-", ">", "<", "&", "é", "😀"), maxLength: 6 }),
      fc.integer({ min: 0, max: 500 }),
    );
    const texts = fc.array(fc.array(word, { maxLength: 6 }), { maxLength: 4 });
    fc.assert(
      fc.property(texts, options, fc.boolean(), (given, shape, highlightWords) => {
        let time = 0;
        const segments = given.map((words) =>
          worded(...words.map(([text, length]) => [text, time, (time += length / 100)] as const)),
        );
        const srt = toSrt(transcript(segments), { ...shape, highlightWords });
        const times = srt.split("\n").filter((line) => line.includes("-->"));
        const blocks = srt.split(/^\d+\n[\d:,]+ --> [\d:,]+$/m).slice(1);
        expect(blocks).toHaveLength(times.length);
        for (const line of times) {
          const [start, end] = line.split(" --> ");
          expect(start <= end, line).toBe(true);
        }
        if (highlightWords) {
          expect(srt.match(/<u>/g)?.length ?? 0).toBeLessThanOrEqual(given.flat().length);
          return;
        }
        // Arrows lose dashes, and lines and subtitles take the place of spaces.
        const said = (text: string): string => text.replace(/[-\s]/g, "");
        expect(said(blocks.join(""))).toBe(said(blocks.length > 0 ? segments.map(({ text }) => text).join("") : ""));
      }),
    );
  });
});

describe("toAss()", () => {
  const events = (ass: string): string[] => ass.split("\n").filter((line) => line.startsWith("Dialogue:"));

  it("lights up each word for its time, and counts pauses", () => {
    expect(events(toAss(HELLO))).toEqual([
      "Dialogue: 0,0:00:00.00,0:00:02.50,Karaoke,,0,0,0,,{\\k50}Hello{\\k40} there,{\\k10}{\\k20} my{\\k130} friend.",
      "Dialogue: 0,0:00:07.00,0:00:08.04,Karaoke,,0,0,0,,{\\k30}How{\\k20} are{\\k54} you?",
    ]);
  });

  it("is shaped as the other subtitles are", () => {
    expect(events(toAss(HELLO, { maxLineWidth: 20, maxLineCount: 2 }))[0]).toContain(" my{\\k130}\\Nfriend.");
    expect(events(toAss(HELLO, { maxWordsPerLine: 1 }))).toHaveLength(7);
  });

  it("is divided for reading by default, at words that light up where their times are known", () => {
    const text = " And so my fellow Americans, ask not what your country can do for you, ask what you can do.";
    const words = text.match(/ \S+/g)!.map((word, i) => [word, i * 0.5, (i + 1) * 0.5] as const);
    const [first, second, ...others] = events(toAss(transcript([worded(...words)])));
    expect(others).toEqual([]);
    expect(first.replace(/\{\\k\d+\}/g, "")).toMatch(
      /,Karaoke,.*And so my fellow Americans,\\Nask not what your .*you,$/,
    );
    expect(first).toMatch(/0:00:00.00,0:00:0\d.\d\d,Karaoke,,0,0,0,,\{\\k50\}And\{\\k50\} so/);
    expect(second).toContain("{\\k50}ask{\\k50} what");
    const [plain] = events(toAss(transcript([segment(0, 9.5, text)])));
    expect(plain).toMatch(/,Default,.*,,And so my fellow Americans,$/);
  });

  it("has plain lines for a transcript without words, speakers as names, and hours", () => {
    const plain = transcript([segment(3661.5, 3662, " Hi, all", { speaker: "S,1" })], 4000);
    expect(events(toAss(plain, { readable: false }))).toEqual([
      "Dialogue: 0,1:01:01.50,1:01:02.00,Default,S 1,0,0,0,,Hi, all",
    ]);
    // As long as it takes to read.
    expect(events(toAss(plain))).toEqual(["Dialogue: 0,1:01:01.50,1:01:02.50,Default,S 1,0,0,0,,Hi, all"]);
    const spoken = transcript([{ ...worded([" a", 0, 1]), speaker: "B" }]);
    expect(events(toAss(spoken))[0]).toContain(",Karaoke,B,");
  });

  it("lets no text become a command", () => {
    const nasty = transcript([segment(0, 1, " a{\\b1}b\\Nc\nd")]);
    expect(events(toAss(nasty, { readable: false }))[0]).toContain(",,a\\{\\\u2060b1\\}b\\\u2060Nc\\Nd");
    expect(events(toAss(nasty))[0]).toContain(",,a\\{\\\u2060b1\\}b\\\u2060Nc d");
  });

  it("is a header that declares what its lines have", () => {
    const [head, tail] = toAss(HELLO).split("[Events]\n");
    expect(head.startsWith("[Script Info]\nScriptType: v4.00+\n")).toBe(true);
    const fields = (line: string): number => line.split(",").length;
    const [format, ...styles] = head.split("\n").filter((line) => /^(Format|Style): /.test(line));
    expect(styles.map(fields)).toEqual([fields(format), fields(format)]);
    expect(tail.split("\n")[0].split(", ")).toHaveLength(10);
    for (const style of ["Default", "Karaoke"]) expect(head).toContain(`Style: ${style},`);
  });

  it("gives the words of a line exactly its time", () => {
    const time = fc.integer({ min: 0, max: 300 });
    fc.assert(
      fc.property(fc.array(fc.tuple(time, time), { minLength: 1, maxLength: 8 }), (steps) => {
        let at = 0;
        const words = steps.map(([pause, length]) => {
          const start = at + pause / 1000;
          at = start + length / 1000;
          return [" a", start, at] as const;
        });
        const [line] = events(toAss(transcript([worded(...words)]), { readable: false }));
        const [, start, end] = line.split(",").map((clock) => Number(clock.split(":").at(-1)));
        const sum = [...line.matchAll(/\{\\k(\d+)\}/g)].reduce((total, [, length]) => total + Number(length), 0);
        expect(sum).toBe(Math.round(100 * (end - start)));
      }),
    );
  });
});
