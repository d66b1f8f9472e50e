/** Formats with times, of transcripts that have none. */
import { describe, expect, it } from "vitest";
import { segment, transcript, worded } from "../../test/helpers/transcript.ts";
import { OptionError } from "../errors.ts";
import type { Transcript } from "../transcription/index.ts";
import { OUTPUT_FORMATS, toAss, toCsv, toLrc, toSrt, toTsv, toVtt, writeTranscript } from "./index.ts";

const UNTIMED = ["txt", "json", "json-full"] as const;
const TIMED = OUTPUT_FORMATS.filter((format) => !UNTIMED.some((one) => one === format));

const minute: Transcript = { ...transcript([segment(0, 60, " All that was said.")]), hasTimestamps: false };
const asRead = (given: Transcript): Transcript => JSON.parse(JSON.stringify(given)) as Transcript;

describe("writeTranscript() of a transcript without times", () => {
  it.each(TIMED)("refuses %s, and says what to do", (format) => {
    expect(() => writeTranscript(minute, format)).toThrow(OptionError);
    expect(() => writeTranscript(minute, format)).toThrow(
      new RegExp(`^Cannot write ${format}: the transcript has no times of its segments\nHint: .*returnTimestamps`),
    );
  });

  it.each(UNTIMED)("writes %s", (format) => {
    expect(writeTranscript(minute, format)).toContain("All that was said.");
  });

  it("is refused by the function of each format too", () => {
    for (const write of [toSrt, toVtt, toAss, toTsv, toCsv, toLrc]) expect(() => write(minute)).toThrow(OptionError);
  });

  it("makes subtitles of its words, where they are divided", () => {
    const words: Transcript = {
      ...transcript([worded([" a", 0, 1], [" b", 30, 31], [" c", 59, 60])]),
      hasTimestamps: false,
    };
    expect(() => toSrt(words)).toThrow(/maxWordsPerLine, or maxLineWidth with maxLineCount/);
    expect(() => toSrt(words, { highlightWords: true })).toThrow(OptionError);
    expect(() => toTsv(words)).toThrow(OptionError);
    expect(toSrt(words, { maxWordsPerLine: 1 }).match(/-->/g)).toHaveLength(3);
    expect(toVtt(words, { maxLineWidth: 20, maxLineCount: 1 }).match(/-->/g)).toHaveLength(3);
  });
});

describe("writeTranscript() of a transcript from before there was the field", () => {
  it.each<[what: string, given: Transcript]>([
    ["of several segments", transcript([segment(0, 30, " a"), segment(30, 60, " b")])],
    ["of one within the recording", transcript([segment(1, 9, " a")])],
    ["of a short recording", transcript([segment(0, 9, " a")], 9)],
    ["of nothing", transcript([])],
    ["of one that the model never closed", transcript([segment(0, null, " a")])],
    ["of the sequential algorithm", transcript([segment(0, 60, " a", { seek: 0 })])],
    ["with chunks", { ...transcript([segment(0, 60, " a")]), chunks: [{ timestamp: [0, null], text: " a" }] }],
    ["with words", transcript([worded([" a", 0, 30], [" b", 30, 60])])],
  ])("takes its times as they are: %s", (_, given) => {
    for (const format of TIMED) expect(() => writeTranscript(asRead(given), format)).not.toThrow();
  });

  it("refuses one segment that is longer than a window", () => {
    for (const format of TIMED) {
      expect(() => writeTranscript(asRead(transcript([segment(0, 60, " a")])), format)).toThrow(OptionError);
    }
  });
});
