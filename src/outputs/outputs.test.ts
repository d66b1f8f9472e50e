import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { segment, transcript } from "../../test/helpers/transcript.ts";
import type { Segment, Transcript } from "../transcription/index.ts";
import {
  formatTimestamp,
  type OutputFormat,
  STANDARD_FORMATS,
  type SubtitleOptions,
  toJson,
  toSrt,
  toTsv,
  toTxt,
  toVtt,
  type WriteOptions,
  writeTranscript,
} from "./index.ts";

const golden = new URL("../../test/golden/", import.meta.url);

/** A result of openai/whisper, as its JSON has it. */
interface Result {
  text: string;
  language: string;
  segments: {
    id: number;
    seek: number;
    start: number;
    end: number;
    text: string;
    tokens: number[];
    temperature: number;
    avg_logprob: number;
    compression_ratio: number;
    no_speech_prob: number;
    words?: { word: string; start: number; end: number; probability: number }[];
  }[];
}

function fromResult(result: Result): Transcript {
  const segments = result.segments.map(({ avg_logprob, compression_ratio, no_speech_prob, ...rest }) => ({
    ...rest,
    avgLogprob: avg_logprob,
    compressionRatio: compression_ratio,
    noSpeechProb: no_speech_prob,
  }));
  const duration = Math.max(0, ...segments.map(({ end }) => end));
  return { text: result.text, language: result.language, languageProbability: null, duration, segments, warnings: [] };
}

/** Options of openai/whisper's subtitle writers. */
interface Shape {
  max_line_width?: number;
  max_line_count?: number;
  max_words_per_line?: number;
  highlight_words?: boolean;
}

/** What openai/whisper's writers are silent of: options without effect on the others. Its command line warns of them. */
function isWithoutEffect({ max_line_width, max_line_count, max_words_per_line }: Shape): boolean {
  return max_line_count !== undefined && (max_line_width === undefined || max_words_per_line !== undefined);
}

function fromShape(shape: Shape): SubtitleOptions {
  return {
    readable: false,
    maxLineWidth: shape.max_line_width,
    maxLineCount: shape.max_line_count,
    maxWordsPerLine: shape.max_words_per_line,
    highlightWords: shape.highlight_words,
  };
}

/** openai/whisper's way: a cue for each segment. */
const SEGMENT_CUES: WriteOptions = { readable: false };

describe("the files of openai/whisper", () => {
  type Outputs = Record<OutputFormat, string>;
  const { cases, files, shapes, shaped, shapedFiles } = JSON.parse(
    readFileSync(new URL("outputs/openai-writers.json", golden), "utf8"),
  ) as {
    cases: { name: string; result: Result; outputs: Outputs }[];
    files: Record<string, Outputs>;
    shapes: Shape[];
    shaped: { name: string; result: Result; outputs: Outputs[] }[];
    shapedFiles: Record<string, Outputs[]>;
  };
  const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

  for (const { name, result, outputs } of cases) {
    it.each(STANDARD_FORMATS)(`writeTranscript() gives the same bytes: ${name}, %s`, (format) => {
      expect(writeTranscript(fromResult(result), format, SEGMENT_CUES)).toBe(outputs[format]);
    });
  }

  it("writeTranscript() gives the same bytes for every transcript of the bundled model", () => {
    const compared: string[] = [];
    for (const file of readdirSync(new URL("nano/", golden))) {
      const { transcribe } = JSON.parse(readFileSync(new URL(`nano/${file}`, golden), "utf8")) as {
        transcribe: Record<string, { result: Result }>;
      };
      for (const [options, { result }] of Object.entries(transcribe)) {
        const key = `${file.replace(/\.json$/, "")}/${options}`;
        for (const format of STANDARD_FORMATS) {
          expect(digest(writeTranscript(fromResult(result), format, SEGMENT_CUES)), `${key} ${format}`).toBe(
            files[key][format],
          );
        }
        compared.push(key);
      }
    }
    expect(compared.sort()).toEqual(Object.keys(files).sort());
  });

  for (const { name, result, outputs } of shaped) {
    it.each(shapes.map((shape, i) => [JSON.stringify(shape), shape, outputs[i]] as const))(
      `writeTranscript() gives the same subtitles: ${name}, %s`,
      (_, shape, expected) => {
        for (const format of ["vtt", "srt"] as const) {
          if (isWithoutEffect(shape)) {
            expect(() => writeTranscript(fromResult(result), format, fromShape(shape))).toThrow(OptionError);
            continue;
          }
          expect(writeTranscript(fromResult(result), format, fromShape(shape)), format).toBe(expected[format]);
        }
      },
    );
  }

  it("writeTranscript() gives the same subtitles for every transcript of the bundled model that has words", () => {
    const names = Object.keys(shapedFiles);
    expect(names.length).toBeGreaterThanOrEqual(15);
    for (const name of names) {
      const [recording, run] = name.split("/");
      const { transcribe } = JSON.parse(readFileSync(new URL(`nano/${recording}.json`, golden), "utf8")) as {
        transcribe: Record<string, { result: Result }>;
      };
      const given = fromResult(transcribe[run].result);
      for (const [i, shape] of shapes.entries()) {
        if (isWithoutEffect(shape)) continue;
        for (const format of ["vtt", "srt"] as const) {
          const text = writeTranscript(given, format, fromShape(shape));
          expect(digest(text), `${name} ${JSON.stringify(shape)}`).toBe(shapedFiles[name][i][format]);
        }
      }
    }
  });

  it("writeTranscript() gives the samples of facts 6.7 S1 to S3", () => {
    const two = transcript([segment(0, 2.5, " Hello there, my friend."), segment(7, 8.04, " How are you?")]);
    expect(toSrt(two, SEGMENT_CUES)).toBe(
      "1\n00:00:00,000 --> 00:00:02,500\nHello there, my friend.\n\n2\n00:00:07,000 --> 00:00:08,040\nHow are you?\n\n",
    );
    expect(toVtt(two, SEGMENT_CUES)).toBe(
      "WEBVTT\n\n00:00.000 --> 00:02.500\nHello there, my friend.\n\n00:07.000 --> 00:08.040\nHow are you?\n\n",
    );
    expect(toTsv(two)).toBe("start\tend\ttext\n0\t2500\tHello there, my friend.\n7000\t8040\tHow are you?\n");
  });
});

describe("where openai/whisper's file would not parse back", () => {
  it("cues have no arrow in their text, however long it was", () => {
    const text = toSrt(transcript([segment(0, 1, " a ---> b ----> c")]), SEGMENT_CUES);
    expect(text.match(/-->/g)).toHaveLength(1);
    expect(text).toContain("a -> b -> c");
  });

  it("cues with words have no arrow in their text (facts 2.6.2)", () => {
    const words = [" a", " -->", " b"].map((word, i) => ({ word, start: i, end: i + 1, probability: 1 }));
    expect(toVtt(transcript([segment(0, 3, " a --> b", { words })]), SEGMENT_CUES)).toBe(
      "WEBVTT\n\n00:00.000 --> 00:03.000\na -> b\n\n",
    );
  });

  it("cues keep a line break and drop blank lines, which would end them", () => {
    expect(toSrt(transcript([segment(0, 1, " one\r\n \n\ntwo\n")]), SEGMENT_CUES)).toBe(
      "1\n00:00:00,000 --> 00:00:01,000\none\ntwo\n\n",
    );
  });

  it("toVtt() escapes what a player would swallow, and leaves other ampersands", () => {
    const vtt = toVtt(
      transcript([segment(0, 1, " 1 < 2, AT&T, R & D, &amp; &#39; &eacute; &copyright")]),
      SEGMENT_CUES,
    );
    expect(vtt).toContain("\n1 &lt; 2, AT&T, R & D, &amp;amp; &amp;#39; &amp;eacute; &amp;copyright\n");
  });

  it("toTsv() keeps a row on one line", () => {
    expect(toTsv(transcript([segment(0, 1, " one\ntwo\r\nthree\tfour")]))).toBe(
      "start\tend\ttext\n0\t1000\tone two three four\n",
    );
  });

  it.each([null, undefined, NaN])("a missing end (%s) is the end of the audio", (end) => {
    const open = transcript([segment(2, end as null, " open")], 9.75);
    expect(toSrt(open, SEGMENT_CUES)).toContain("00:00:02,000 --> 00:00:09,750");
    expect(toVtt(open, SEGMENT_CUES)).toContain("00:02.000 --> 00:09.750");
    expect(toTsv(open)).toContain("\n2000\t9750\topen\n");
    expect(toJson(open)).toContain('"start": 2.0, "end": 9.75,');
    expect(toTxt(open)).toBe("open\n");
  });

  it("an end before the start is the start", () => {
    expect(toTsv(transcript([segment(5, 4, " back")]))).toContain("\n5000\t5000\tback\n");
  });

  it("toJson() writes figures that are not finite as null", () => {
    const json = toJson(transcript([segment(0, 1, " a", { avgLogprob: -Infinity, noSpeechProb: NaN })]));
    expect((JSON.parse(json) as Result).segments[0]).toMatchObject({ avg_logprob: null, no_speech_prob: null });
  });

  it("toJson() gives segments without a window position their own start as seek, in frames", () => {
    const json = toJson(transcript([segment(12.34, 13, " a", { language: "de", speaker: "S1" })]));
    expect(json).toContain('"seek": 1234, "start": 12.34');
    expect(json).toContain('"no_speech_prob": 0.0, "language": "de", "speaker": "S1"}]');
  });

  it.each(["srt", "vtt", "tsv"] as const)("%s refuses a negative time with a RangeError", (format) => {
    expect(() => writeTranscript(transcript([segment(-0.001, 1, " a")]), format)).toThrow(RangeError);
  });

  it("writeTranscript() lists the formats when it does not know one", () => {
    const unknown = (): string => writeTranscript(transcript([]), "doc" as OutputFormat);
    expect(unknown).toThrow(OptionError);
    expect(unknown).toThrow(
      'Unknown output format "doc", expected one of txt, vtt, srt, tsv, json, lrc, csv, json-full, ass',
    );
  });
});

describe("formatTimestamp()", () => {
  it.each([
    [0, "00:00.000"],
    [59.9995, "01:00.000"],
    [0.0005, "00:00.000"],
    [0.0015, "00:00.002"],
    [3599.9995, "01:00:00.000"],
    [360000.5, "100:00:00.500"],
  ])("rounds half to even before it splits: %s -> %s (facts 2.6.3)", (seconds, expected) => {
    expect(formatTimestamp(seconds)).toBe(expected);
  });

  it("writes hours and a comma where asked", () => {
    expect(formatTimestamp(1.5, { alwaysIncludeHours: true, decimalMarker: "," })).toBe("00:00:01,500");
  });

  it.each([-0.001, -1, NaN, Infinity])("refuses %s", (seconds) => {
    expect(() => formatTimestamp(seconds)).toThrow(RangeError);
  });
});

describe("every format reads back", () => {
  // Within one millisecond, whatever the text holds: each parser is the plainest reading of its format.
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({
      unit: fc.constantFrom("a", " ", "\t", "\n", "\r", "-", ">", "<", "&", ";", '"', "\\", "1", "é", "😀", "שׁ"),
    }),
  );
  const segments = fc
    .array(fc.record({ start: seconds(), length: fc.option(seconds()), text: texts }), { maxLength: 6 })
    .map((items) =>
      items.map(({ start, length, text }) => segment(start, length === null ? null : start + length, text)),
    );
  const times = (parts: Segment[]): [number, number][] =>
    parts.map(({ start, end }) => [start, Math.max(start, (end as number | null) ?? DURATION)]);
  const DURATION = 1e6;

  function seconds(): fc.Arbitrary<number> {
    return fc.double({ min: 0, max: 500_000, noNaN: true });
  }

  function check(format: OutputFormat, parse: (text: string) => [number, number][]): void {
    fc.assert(
      fc.property(segments, (parts) => {
        const read = parse(writeTranscript(transcript(parts, DURATION), format, SEGMENT_CUES));
        const expected = times(parts);
        expect(read.length).toBe(expected.length);
        for (const [i, [start, end]] of read.entries()) {
          expect(Math.abs(start - expected[i][0])).toBeLessThanOrEqual(0.000501);
          expect(Math.abs(end - expected[i][1])).toBeLessThanOrEqual(0.000501);
          expect(end).toBeGreaterThanOrEqual(start);
        }
      }),
    );
  }

  const clock = (text: string): number =>
    text.split(":").reduce((sum, part) => sum * 60 + Number(part.replace(",", ".")), 0);

  /** Cues by their time lines, wherever those stand: text that holds an arrow would show as one cue too many. */
  const cueTimes = (text: string): [number, number][] =>
    text
      .split(/\r\n|\r|\n/)
      .filter((line) => line.includes("-->"))
      .map((line) => line.split(" --> ").map(clock) as [number, number]);

  it("srt", () => check("srt", cueTimes));
  it("vtt", () => check("vtt", cueTimes));
  it("tsv", () =>
    check("tsv", (text) => {
      const [header, ...rows] = text.replace(/\n$/, "").split(/\r\n|\r|\n/);
      expect(header).toBe("start\tend\ttext");
      return rows.map((row) => {
        const cells = row.split("\t");
        expect(cells).toHaveLength(3);
        return [Number(cells[0]) / 1000, Number(cells[1]) / 1000];
      });
    }));

  it("srt numbers its cues, and nothing in a text ends a cue early", () => {
    fc.assert(
      fc.property(segments, (parts) => {
        const blocks = toSrt(transcript(parts, DURATION), SEGMENT_CUES)
          .split(/^(\d+)\n(?=[\d:,]+ --> [\d:,]+$)/m)
          .slice(1);
        expect(blocks.filter((_, i) => i % 2 === 0)).toEqual(parts.map((_, i) => String(i + 1)));
        for (const block of blocks.filter((_, i) => i % 2 === 1)) {
          const [, ...lines] = block.replace(/\n\n$/, "").split(/\r\n|\r|\n/);
          if (lines.length > 1) expect(lines).not.toContain("");
        }
      }),
    );
  });

  it("json: exactly the same values, in ASCII", () => {
    fc.assert(
      fc.property(segments, fc.double({ noNaN: true, noDefaultInfinity: true }), (parts, figure) => {
        const given = transcript(
          parts.map((part) => ({ ...part, avgLogprob: figure })),
          DURATION,
        );
        const json = toJson(given);
        expect(json).toMatch(/^[\x20-\x7e]*$/);
        const read = JSON.parse(json) as Result;
        expect(read.text).toBe(given.text);
        expect(read.segments.map(({ start, end }) => [start, end])).toEqual(times(parts));
        for (const [i, part] of read.segments.entries()) {
          expect(part.text).toBe(parts[i].text);
          expect(part.avg_logprob).toBe(figure);
        }
      }),
    );
  });

  it("txt: one line for each segment whose text has no line end", () => {
    fc.assert(
      fc.property(segments, (parts) => {
        const flat = parts.map((part) => ({ ...part, text: part.text.replace(/[\n\r]/g, " ") }));
        expect(toTxt(transcript(flat)).split("\n")).toHaveLength(flat.length + 1);
      }),
    );
  });
});
