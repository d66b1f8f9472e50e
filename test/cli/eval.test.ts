import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InputError, OptionError } from "../../src/errors.ts";
import { EVAL_REPORT } from "../../src/schemas/index.ts";
import { NORMALIZERS } from "../../src/evaluation/index.ts";
import { EVAL_NORMALIZERS } from "../../src/cli/eval/flags.ts";
import { deferred, FakeHost, transcript, type Transcribe } from "./fake-host.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-eval-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (name: string): string => join(folder, name);
/** Writes recordings with their texts beside them; null is none. */
function recordings(texts: Record<string, string | null>): string {
  for (const [name, text] of Object.entries(texts)) {
    writeFileSync(file(`${name}.wav`), "");
    if (text !== null) writeFileSync(file(`${name}.txt`), text);
  }
  return folder;
}
function manifest(samples: readonly object[], name = "manifest.json"): string {
  writeFileSync(file(name), JSON.stringify({ samples }));
  return file(name);
}
/** Says for each file what it is told to, and fails where that is an error. */
const hearing =
  (texts: Record<string, string | Error>, language = "en"): Transcribe =>
  (input) => {
    const text = texts[basename(input as string)];
    if (text instanceof Error) return Promise.reject(text);
    return Promise.resolve({ ...transcript(text), language, duration: 10 });
  };

describe("sotto eval FOLDER", () => {
  it("compares recordings with the texts beside them, and prints rates, counts, differences and speed", async () => {
    recordings({ a: "The red bridge, is old!\n", b: "I can't see it." });
    const host = new FakeHost(hearing({ "a.wav": "the bread bridge is", "b.wav": "I cannot see it" }));
    host.now = () => (host.time += 100); // every look at the clock takes a tenth of a second
    expect(await host.run("eval", folder)).toBe(0);
    const [header, ...rows] = host.out.split("\n");
    expect(header.trim().split(/\s+/)).toEqual(["FILE", "WER", "CER", "WORDS", "SUB", "DEL", "INS", "AUDIO"]);
    const cells = (name: string): string[] =>
      rows
        .find((row) => row.trimStart().includes(name))!
        .trim()
        .split(/\s+/)
        .slice(1);
    expect(cells("a.wav")).toEqual(["40.0%", "28.6%", "5", "1", "1", "0", "0:10"]);
    expect(cells("b.wav")).toEqual(["40.0%", "6.3%", "5", "1", "1", "0", "0:10"]);
    expect(cells("TOTAL")).toEqual(["40.0%", "18.9%", "10", "2", "2", "0", "0:20"]);
    expect(host.out).toContain(
      "  REF: the red   bridge is old\n  HYP: the bread bridge is ***\n           S               D\n",
    );
    expect(host.out).toMatch(/x real time: 0:20 of audio in \d+\.\d s\n/);
    expect(host.out).toMatch(/\nmodel base, auto, auto, vad, transcribe; normaliser english\n$/);
    expect([host.made.length, host.disposed, host.listening]).toEqual([1, 1, false]);
  });

  it("leaves out recordings without a text, and says so", async () => {
    recordings({ a: "one", b: null });
    const host = new FakeHost(hearing({ "a.wav": "one" }));
    expect(await host.run("eval", folder)).toBe(0);
    expect(host.err).toContain("1 recording has no text beside and is left out");
    expect(host.asked).toHaveLength(1);
  });

  it("takes single files and patterns too", async () => {
    recordings({ a: "one", b: "two", c: "three" });
    const host = new FakeHost(hearing({ "a.wav": "one", "b.wav": "two" }));
    expect(await host.run("eval", file("[b]*.wav"), file("a.wav"), "--json")).toBe(0);
    const { files } = EVAL_REPORT.parse(JSON.parse(host.out));
    expect(files.map((one) => basename(one.file))).toEqual(["b.wav", "a.wav"]);
  });

  it("says what helps in the words of the command line", async () => {
    recordings({ a: "one" });
    const hint = { library: "pass allowX", commandLine: "--allow_x allows it" };
    const host = new FakeHost(hearing({ "a.wav": new InputError("x", "refused", { hint }) }));
    expect(await host.run("eval", folder)).toBe(1);
    expect(host.err).toContain('Cannot read "x": refused; --allow_x allows it');
    expect(host.err).not.toContain("allowX");
  });

  it("goes on after a recording that fails, counts the others, and ends with 1", async () => {
    recordings({ a: "one", b: "two", c: "three" });
    const host = new FakeHost(hearing({ "a.wav": "one", "b.wav": new InputError("x", "broken"), "c.wav": "tree" }));
    expect(await host.run("eval", folder, "--differences", "False")).toBe(1);
    expect(host.err).toMatch(/b\.wav: Cannot read "x": broken\n/);
    expect(host.err).toContain("1 of 3 recordings failed");
    expect(host.out).toMatch(/c\.wav +100\.0%/);
    expect(host.out).toMatch(/\nTOTAL .* 50\.0%/);
    expect(host.out).not.toContain("REF:");
  });

  it("prints in the order of the names, whichever is finished first", async () => {
    recordings({ a: "one", b: "two", c: "three" });
    const slow = deferred<void>();
    const seen: string[] = [];
    const host = new FakeHost(async (input) => {
      const name = basename(input as string);
      if (name === "a.wav") await slow.promise;
      else seen.push(host.out);
      if (name === "c.wav") slow.resolve();
      return transcript("x");
    });
    await host.run("eval", folder, "--differences=False");
    const rows = host.out.split("\n").map((line) => /(\w)\.wav/.exec(line)?.[1]);
    expect(rows.filter((name) => name !== undefined)).toEqual(["a", "b", "c"]);
    expect(seen.join("")).not.toContain(".wav");
  });

  it.each([
    ["a folder of no texts", { a: null, b: null }, [], /none of its recordings has a text of the same name beside it/],
    ["a folder of nothing", {}, [], /the folder holds no audio files/],
    ["a missing folder", {}, ["/missing/folder"], /Cannot read "\/missing\/folder": no such file or folder/],
    ["standard input", {}, ["-"], /standard input has no reference/],
    ["a URL", {}, ["https://example.org/a.wav"], /a URL has no text beside it; list it in a manifest/],
  ] as const)("refuses %s before it loads a model", async (_name, texts, words, message) => {
    recordings(texts);
    const host = new FakeHost();
    expect(await host.run("eval", ...(words.length > 0 ? words : [folder]))).toBe(1);
    expect(host.err).toMatch(message);
    expect(host.made).toEqual([]);
  });

  it("points at a manifest that lies in a folder without texts", async () => {
    recordings({ a: null });
    const path = manifest([]);
    const host = new FakeHost();
    await host.run("eval", folder);
    expect(host.err).toContain(`sotto eval ${path}`);
  });
});

describe("sotto eval MANIFEST", () => {
  it("tells the model the languages it knows, and normalises by them", async () => {
    const path = manifest([
      { file: "a.wav", text: "The colour!", language: "en" },
      { file: "b.wav", text: "Straße, colour", language: "German" },
      { file: "c.wav", text: "今日は", language: "ja-JP" },
      { file: "d.wav", text: "the colour" },
    ]);
    const host = new FakeHost(
      hearing({ "a.wav": "the color", "b.wav": "straße color", "c.wav": "今日", "d.wav": "the color" }),
    );
    expect(await host.run("eval", path, "--json")).toBe(0);
    const asked = host.asked.map(({ input, settings }) => [basename(input as string), settings.language]);
    expect(asked.sort()).toEqual([
      ["a.wav", "en"],
      ["b.wav", "de"],
      ["c.wav", "ja"],
      ["d.wav", undefined],
    ]);
    const { files, total, languages } = EVAL_REPORT.parse(JSON.parse(host.out));
    expect(files.map(({ language, normalizer, wer }) => [language, normalizer, wer])).toEqual([
      ["en", "english", 0],
      ["de", "basic", 1 / 2],
      ["ja", "letters", 1 / 3],
      ["en", "english", 0],
    ]);
    expect(total).toMatchObject({ files: 4, wer: 2 / 9, words: { errors: 2, hits: 7, reference_length: 9 } });
    expect(languages["ja"].wer).toBe(1 / 3);
    expect(host.asked[0].input).toBe(file("a.wav")); // relative to the manifest
  });

  it.each([
    [["--language", "fr"], "fr"],
    [["--language", "None"], undefined],
    [["--language_per_window"], undefined],
  ])("tells it nothing of the manifest's with %j", async (flags, language) => {
    const path = manifest([{ file: "a.wav", text: "x", language: "de" }]);
    const host = new FakeHost(hearing({ "a.wav": "x" }));
    expect(await host.run("eval", path, ...flags)).toBe(0);
    expect(host.asked[0].settings.language).toBe(language);
  });

  it("compares translations with translations, as English", async () => {
    const path = manifest([
      { file: "a.wav", text: "Guten Tag", translation: "It's colour", language: "de" },
      { file: "b.wav", text: "It's grey", language: "en" },
      { file: "c.wav", text: "Hallo", language: "de" },
      { file: "d.wav", text: "" },
    ]);
    const host = new FakeHost(hearing({ "a.wav": "it is color", "b.wav": "it is gray", "d.wav": "" }, "de"));
    expect(await host.run("eval", path, "--task", "translate", "--json")).toBe(1);
    const { total, failures } = EVAL_REPORT.parse(JSON.parse(host.out));
    expect(total).toMatchObject({ files: 3, wer: 0 });
    expect(failures).toEqual([
      { file: null, message: 'Cannot read "c.wav": its entry has no "translation" to compare with' },
    ]);
    expect(host.asked[0].settings.task).toBe("translate");
  });

  it("takes a language that the model refuses for a failure of its recordings alone, a flag that it refuses for the end", async () => {
    const path = manifest([
      { file: "a.wav", text: "x", language: "de" },
      { file: "b.wav", text: "x", language: "en" },
    ]);
    const refuse: Transcribe = (_input, { language }) =>
      language === "de" ? Promise.reject(new OptionError("language", "no German")) : Promise.resolve(transcript("x"));
    const host = new FakeHost(refuse);
    expect(await host.run("eval", path, "--json")).toBe(1);
    const { failures, files } = EVAL_REPORT.parse(JSON.parse(host.out));
    expect([failures, files.map((one) => one.file)]).toEqual([[{ file: "a.wav", message: "no German" }], ["b.wav"]]);

    const other = new FakeHost(refuse);
    expect(await other.run("eval", path, "--language", "de")).toBe(2);
    expect(other.err).toContain("no German");
    expect(other.disposed).toBe(1);
  });

  it("writes its report to a file, beside the table or the JSON on stdout", async () => {
    const path = manifest([
      { file: "a.wav", text: "a b c d" },
      { file: "b.wav", text: "" },
    ]);
    const host = new FakeHost(hearing({ "a.wav": "a x c d e", "b.wav": "hm" }));
    expect(await host.run("eval", path, "--output", file("report.json"), "--normalizer", "none")).toBe(0);
    expect(host.out).toContain("TOTAL");
    expect(host.out).toMatch(/\nb\.wav +- +- +0 +0 +0 +1 /);
    const report = EVAL_REPORT.parse(JSON.parse(readFileSync(file("report.json"), "utf8")));
    expect(report.files).toMatchObject([
      {
        file: "a.wav",
        normalizer: "none",
        wer: 2 / 4,
        hypothesis: " a x c d e",
        differences: [
          { kind: "substitution", reference: "b", hypothesis: "x" },
          { kind: "insertion", reference: "", hypothesis: "e" },
        ],
      },
      { file: "b.wav", wer: null, differences: [{ kind: "insertion" }] },
    ]);
    const again = new FakeHost(hearing({ "a.wav": "a x c d e", "b.wav": "hm" }));
    await again.run("eval", path, "--json", "--normalizer", "none");
    expect(EVAL_REPORT.parse(JSON.parse(again.out)).files).toEqual(report.files);
  });

  it("lists changes that come up again", async () => {
    const path = manifest([{ file: "a.wav", text: "a b a b c a" }]);
    const host = new FakeHost(hearing({ "a.wav": "x b x b oh c oh a" }));
    await host.run("eval", path, "--normalizer", "none");
    expect(host.out).toContain("\nmost frequent: 2x a -> x, 2x oh put in\n");
  });

  it("takes the first recordings with --limit", async () => {
    const path = manifest(["a", "b", "c"].map((name) => ({ file: `${name}.wav`, text: "x" })));
    const host = new FakeHost(hearing({ "a.wav": "x", "b.wav": "x" }));
    expect(await host.run("eval", path, "--limit", "2")).toBe(0);
    expect(host.asked).toHaveLength(2);
  });

  it.each([
    ["[]", /manifest\.json": it lists no recordings/],
    ["{", /Cannot read ".*manifest\.json": .*JSON/],
    ['[{"file": "a.wav"}]', /Cannot read "a\.wav": its entry has no "text" to compare with/],
    [
      '[{"file": "a.wav", "text": "x", "language": "Klingon"}]',
      /"a\.wav": its language "Klingon" is none that Whisper knows/,
    ],
  ])("refuses %s", async (text, message) => {
    writeFileSync(file("manifest.json"), text);
    const host = new FakeHost();
    expect(await host.run("eval", file("manifest.json"))).toBe(1);
    expect(host.err).toMatch(message);
    expect(host.made).toEqual([]);
  });

  it("refuses a manifest that is missing, a folder, or no text", async () => {
    mkdirSync(file("folder.json"));
    writeFileSync(file("bytes.csv"), Buffer.from([0xff, 0xfe, 0xfd]));
    const host = new FakeHost();
    expect(await host.run("eval", file("missing.tsv"), file("folder.json"), file("bytes.csv"))).toBe(1);
    expect(host.err).toMatch(/missing\.tsv": no such file or directory/);
    expect(host.err).toMatch(/folder\.json": illegal operation on a directory/);
    expect(host.err).toMatch(/bytes\.csv": "bytes\.csv" is no text in UTF-8/);
    expect(host.err).toContain("3 of 3 recordings failed");
  });
});

describe("sotto eval", () => {
  it("hands the flags of a transcription to the pipeline, and has none of its outputs", async () => {
    recordings({ a: "x" });
    const host = new FakeHost(hearing({ "a.wav": "x" }));
    const flags =
      "--model tiny --device cpu --dtype int8 --batch-size 4 --offline --chunk_length 20 --stride-length 4,2";
    expect(await host.run("eval", folder, ...flags.split(" "))).toBe(0);
    expect(host.made[0]).toMatchObject(["tiny", { device: "cpu", dtype: "int8", batchSize: 4, offline: true }]);
    expect(host.asked[0].settings).toMatchObject({ chunkLength: 20, strideLength: [4, 2] });
    const other = new FakeHost();
    expect(await other.run("eval", folder, "--output_format", "srt")).toBe(2);
    expect(other.err).toContain('Unknown option "--output_format"');
  });

  it.each([
    [[], "Nothing to evaluate"],
    [
      ["x", "--normalizer", "klingon"],
      'Unknown normalizer "klingon", expected one of auto, english, basic, letters, none',
    ],
    [["x", "--limit", "-1"], "--limit"],
    [["x", "--device", "tpu"], 'Unknown device "tpu"'],
    [["x", "--output", "/missing/report.json"], 'there is no folder "/missing"'],
  ])("refuses %j", async (words, message) => {
    const host = new FakeHost();
    expect(await host.run("eval", ...words)).toBe(2);
    expect(host.err).toContain(message);
    expect(host.made).toEqual([]);
  });

  it("knows the library's normalisers", () => expect(EVAL_NORMALIZERS).toEqual(["auto", ...NORMALIZERS]));

  it("reports what was finished when it is interrupted", async () => {
    recordings({ a: "one", b: "two" });
    const host: FakeHost = new FakeHost(async (input, { signal }) => {
      if (basename(input as string) === "a.wav") return transcript("one");
      await new Promise((resolve) => setImmediate(resolve));
      host.interrupt();
      throw signal!.reason as Error;
    });
    expect(await host.run("eval", folder)).toBe(130);
    expect(host.out).toMatch(/\nTOTAL +0\.0%/);
    expect(host.err).toContain("interrupted; 1 of 2 recordings were finished");
    expect([host.disposed, host.listening, host.died]).toEqual([1, false, []]);
  });

  it("leaves work alone that does not end after a stop", async () => {
    recordings({ a: "one" });
    const host: FakeHost = new FakeHost(() => {
      setImmediate(() => host.interrupt());
      return new Promise(() => undefined);
    });
    expect(await host.run("eval", folder)).toBe(130);
    expect(host.died).toEqual(["SIGINT"]);
  });

  it("paints nothing where there is no terminal", async () => {
    recordings({ a: "one two" });
    const plain = new FakeHost(hearing({ "a.wav": "one too" }));
    await plain.run("eval", folder);
    expect(plain.out).not.toContain("\u001b");
  });
});
