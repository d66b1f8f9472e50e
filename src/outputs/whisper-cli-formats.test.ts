/** The formats of whisper-cli: lrc, csv, json-full. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HELLO, segment, transcript, worded } from "../../test/helpers/transcript.ts";
import { formatExtension, OUTPUT_FORMATS, toCsv, toJsonFull, toLrc, writeTranscript } from "./index.ts";

describe("toLrc()", () => {
  it("has a line for each segment, with its start in minutes and hundredths (facts 4b.4)", () => {
    const long = transcript(
      [segment(0, 2, " One."), segment(61.239, 62, " Two."), segment(6000, 6001, " Three.")],
      9000,
    );
    expect(toLrc(long)).toBe("[by:sotto]\n[00:00.00] One.\n[01:01.24] Two.\n[100:00.00] Three.\n");
  });

  it("rounds before it splits", () => {
    expect(toLrc(transcript([segment(59.996, 61, " a")]))).toContain("[01:00.00] a\n");
  });

  it("keeps a line on one line", () => {
    expect(toLrc(transcript([segment(0, 1, " a\nb\r\nc")]))).toBe("[by:sotto]\n[00:00.00] a b c\n");
  });
});

describe("toCsv()", () => {
  it("has milliseconds and quoted text, quotes doubled (facts 4b.4)", () => {
    expect(toCsv(transcript([segment(0, 2.5, ' He said "no", twice.'), segment(7, 8.04, " How?")]))).toBe(
      'start,end,text\n0,2500," He said ""no"", twice."\n7000,8040," How?"\n',
    );
  });

  it("has a column of speakers where one is known", () => {
    const spoken = transcript([
      segment(0, 1, " a", { speaker: "0" }),
      segment(1, 2, " b"),
      segment(2, 3, "", { speaker: 'A,"B"' }),
    ]);
    expect(toCsv(spoken)).toBe('start,end,speaker,text\n0,1000,0," a"\n1000,2000,," b"\n2000,3000,"A,""B""",""\n');
  });

  it("parses back", () => {
    const text = fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", "\r", " ", "é") });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 5 }), (texts) => {
        const csv = toCsv(transcript(texts.map((one, i) => segment(i, i + 1, one))));
        const rows = [...csv.slice("start,end,text\n".length).matchAll(/(\d+),(\d+),"((?:[^"]|"")*)"\n/gy)];
        expect(rows.map(([, start, end, cell]) => [start, end, cell.replaceAll('""', '"')])).toEqual(
          texts.map((one, i) => [`${i * 1000}`, `${(i + 1) * 1000}`, one]),
        );
      }),
    );
  });
});

describe("toJsonFull()", () => {
  const dimensions = {
    ...{ nMels: 80, nAudioCtx: 1500, nAudioState: 384, nAudioHead: 6, nAudioLayer: 4 },
    ...{ nVocab: 51865, nTextCtx: 448, nTextState: 384, nTextHead: 6, nTextLayer: 4 },
  };

  it("has whisper-cli's layout (facts 4b.7c)", () => {
    const json = toJsonFull(transcript([segment(0, 2.5, ' "Hi"\n')]), {
      ...{ model: "tiny", dimensions, dtype: "int8", task: "translate" },
    });
    expect(json).toBe(
      [
        '{\n\t"systeminfo": "sotto",',
        '\t"model": {\n\t\t"type": "tiny",\n\t\t"multilingual": true,\n\t\t"vocab": 51865,',
        '\t\t"audio": {\n\t\t\t"ctx": 1500,\n\t\t\t"state": 384,\n\t\t\t"head": 6,\n\t\t\t"layer": 4\n\t\t},',
        '\t\t"text": {\n\t\t\t"ctx": 448,\n\t\t\t"state": 384,\n\t\t\t"head": 6,\n\t\t\t"layer": 4\n\t\t},',
        '\t\t"mels": 80,\n\t\t"ftype": 7\n\t},',
        '\t"params": {\n\t\t"model": "tiny",\n\t\t"language": "en",\n\t\t"translate": true\n\t},',
        '\t"result": {\n\t\t"language": "en"\n\t},',
        '\t"transcription": [\n\t\t{',
        '\t\t\t"timestamps": {\n\t\t\t\t"from": "00:00:00,000",\n\t\t\t\t"to": "00:00:02,500"\n\t\t\t},',
        '\t\t\t"offsets": {\n\t\t\t\t"from": 0,\n\t\t\t\t"to": 2500\n\t\t\t},',
        '\t\t\t"text": " \\"Hi\\"\\n"\n\t\t}\n\t]\n}\n',
      ].join("\n"),
    );
  });

  it("leaves out what is not known", () => {
    expect(JSON.parse(toJsonFull(transcript([segment(0, 1, " a", { speaker: "0" })])))).toEqual({
      systeminfo: "sotto",
      result: { language: "en" },
      transcription: [
        {
          timestamps: { from: "00:00:00,000", to: "00:00:01,000" },
          offsets: { from: 0, to: 1000 },
          text: " a",
          speaker: "0",
        },
      ],
    });
  });

  it("has tokens with the times and probabilities of their words; parts of a character are one", () => {
    // Tokens by id: timestamps are not spoken, 4 and 5 are halves of a character, 6 is a mark of the word before it.
    const bytes: Record<number, number[]> = {
      ...{ 0: [...Buffer.from("<|0.00|>")], 1: [...Buffer.from(" un")], 2: [...Buffer.from("believ")] },
      ...{ 3: [...Buffer.from(" ")], 4: [0xc3], 5: [0xa9], 6: [...Buffer.from(".")] },
    };
    const decode = (ids: readonly number[]): string => Buffer.from(ids.flatMap((id) => bytes[id])).toString("utf8");
    const given = { ...worded([" unbeliev", 0.5, 1], [" é.", 1, 1.5]), tokens: [0, 1, 2, 3, 4, 5, 6, 0] };
    const { transcription } = JSON.parse(toJsonFull(transcript([given]), { decode })) as {
      transcription: { tokens: Record<string, unknown>[] }[];
    };
    const first = {
      timestamps: { from: "00:00:00,500", to: "00:00:01,000" },
      offsets: { from: 500, to: 1000 },
    };
    const second = {
      timestamps: { from: "00:00:01,000", to: "00:00:01,500" },
      offsets: { from: 1000, to: 1500 },
    };
    expect(transcription[0].tokens).toEqual([
      { text: "<|0.00|>", id: 0, t_dtw: -1 },
      { text: " un", ...first, id: 1, p: 0.5, t_dtw: 50 },
      { text: "believ", ...first, id: 2, p: 0.5, t_dtw: -1 },
      { text: " ", ...second, id: 3, p: 0.5, t_dtw: 100 },
      { text: "é", ...second, id: 4, p: 0.5, t_dtw: -1 },
      { text: ".", ...second, id: 6, p: 0.5, t_dtw: -1 },
      { text: "<|0.00|>", id: 0, t_dtw: -1 },
    ]);
  });

  it("always is JSON", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const json = toJsonFull(transcript([segment(0, 1, text)]), { model: text });
        const read = JSON.parse(json) as { params: { model: string }; transcription: { text: string }[] };
        expect([read.params.model, read.transcription[0].text]).toEqual([text, text]);
      }),
    );
  });
});

describe("writeTranscript()", () => {
  it.each(OUTPUT_FORMATS)("refuses a negative time where %s writes times", (format) => {
    const write = (): string => writeTranscript(transcript([segment(-0.001, 1, " a")]), format);
    if (format === "txt" || format === "json") expect(write()).toContain("a");
    else expect(write).toThrow(RangeError);
  });

  it("passes details on, and gives every format files of its own", () => {
    expect(writeTranscript(HELLO, "json-full", { details: { model: "base" } })).toContain('"model": "base"');
    const extensions = OUTPUT_FORMATS.map(formatExtension);
    expect(extensions).toEqual(["txt", "vtt", "srt", "tsv", "json", "lrc", "csv", "full.json", "ass"]);
  });
});
