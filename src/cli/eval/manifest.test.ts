import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseManifest } from "./manifest.ts";
import { parseCsv, parseTsv } from "./separated-values.ts";

describe("parseManifest()", () => {
  const one = { file: "a.wav", text: "hi", language: "en" };
  it.each([
    ["a list", ".json", '[{"file": "a.wav", "text": "hi", "language": "en", "duration": 3}]'],
    ["this project's samples", ".json", '{"note": "", "samples": [{"file": "a.wav", "text": "hi", "language": "en"}]}'],
    ["JSON lines", ".jsonl", '{"file":"a.wav","text":"hi","language":"en"}\r\n\n'],
    ["a byte order mark", ".json", '\ufeff[{"file": "a.wav", "text": "hi", "language": "en"}]'],
    ["CSV", ".csv", 'File,Text,Language\r\na.wav,"hi",en\r\n'],
    ["Common Voice", ".tsv", "client_id\tpath\tsentence\tup_votes\tlocale\n1f\ta.wav\thi\t2\ten\n"],
    ["an audio folder", ".csv", "file_name,transcription,lang\na.wav,hi,en"],
  ])("reads %s", (_name, extension, text) => expect(parseManifest(text, extension)).toEqual([one]));

  it("reads NeMo's JSON lines, which are called .json", () => {
    const text =
      '{"audio_filepath": "a.wav", "duration": 1.5, "text": "x"}\n{"audio_filepath": "b.wav", "text": "y"}\n';
    expect(parseManifest(text, ".json")).toEqual([
      { file: "a.wav", text: "x" },
      { file: "b.wav", text: "y" },
    ]);
  });

  it("keeps an empty text, which is silence, and not an empty language or translation", () => {
    expect(parseManifest("file,text,language,translation\na.wav,,,", ".csv")).toEqual([{ file: "a.wav", text: "" }]);
    expect(parseManifest('[{"file": "a.wav", "text": null}]', ".json")).toEqual([{ file: "a.wav" }]);
  });

  it.each([
    [".json", "{}", "it is no list"],
    [".json", '[{"text": "hi"}]', "entry 1 names no file, expected one of the fields file, audio"],
    [".json", "[3]", "entry 1 is no object"],
    [".json", '[{"file": "a.wav", "text": 3}]', '"text" of entry 1 is no text'],
    [".json", "nonsense", "JSON"],
    [".jsonl", '{"file":"a"}\nx', "line 2 is no JSON"],
    [".csv", "name,text\na,b", "its first row names no column of files"],
    [".csv", "file,text\n,b", "row 2 names no file"],
    [".csv", 'file,text\na.wav,"b', "the quotes of a field in line 2 do not match"],
  ])("refuses %s %j", (extension, text, message) => {
    expect(() => parseManifest(text, extension)).toThrow(SyntaxError);
    expect(() => parseManifest(text, extension)).toThrow(message);
  });
});

describe("parseCsv() and parseTsv()", () => {
  it.each([
    [
      "a,b\nc,d",
      [
        ["a", "b"],
        ["c", "d"],
      ],
    ],
    ['"a,\n""b""",c\r\n', [['a,\n"b"', "c"]]],
    [
      "a,\n,b\n",
      [
        ["a", ""],
        ["", "b"],
      ],
    ],
    ["a,", [["a", ""]]],
    ['a,""', [["a", ""]]],
    ['in "the" middle,b', [['in "the" middle', "b"]]],
    ["\n\na\n", [["a"]]],
    ["", []],
  ])("parseCsv() reads %j", (text, rows) => expect(parseCsv(text)).toEqual(rows));

  it("parseCsv() reads back whatever is written in quotes", () => {
    const rows = fc.array(fc.array(fc.string({ unit: "binary" }), { minLength: 2, maxLength: 4 }), { maxLength: 4 });
    fc.assert(
      fc.property(rows, fc.constantFrom("\n", "\r\n"), (table, end) => {
        const text = table
          .map((row) => row.map((field) => `"${field.replaceAll('"', '""')}"`).join(",") + end)
          .join("");
        expect(parseCsv(text)).toEqual(table);
      }),
    );
  });

  it("parseTsv() takes lines as rows, and quotes only around a whole field", () => {
    const text = 'path\tsentence\na.mp3\t"He said ""yes"""\r\nb.mp3\tthe "red" bridge, "blue"\n';
    expect(parseTsv(text)).toEqual([
      ["path", "sentence"],
      ["a.mp3", 'He said "yes"'],
      ["b.mp3", 'the "red" bridge, "blue"'],
    ]);
  });
});
