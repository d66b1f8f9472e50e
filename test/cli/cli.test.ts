import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HubError, InputError, OptionError } from "../../src/errors.ts";
import { writeTranscript } from "../../src/outputs/index.ts";
import { deferred, FakeHost, segment, type Transcribe, transcript } from "./fake-host.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-cli-"));
  for (const name of ["a.wav", "b.wav", "c.wav"]) writeFileSync(join(folder, name), "");
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (name: string): string => join(folder, name);
const outputs = (): string[] =>
  readdirSync(file("out"))
    .filter((name) => !name.endsWith(".wav"))
    .sort();

describe("sotto FILE", () => {
  it("prints segments with their times, says on stderr what it did, and writes no file", async () => {
    const host = new FakeHost();
    expect(await host.run(file("a.wav"))).toBe(0);
    expect(host.out).toBe("[00:00.000 --> 00:01.500] one\n[00:02.000 --> 00:03.500] two\n");
    expect(host.made[0][0]).toBe("base");
    expect(host.err).toContain("using model base; --model chooses another");
    expect(host.err).toContain("a.wav: 0:04 of audio, English");
    expect(readdirSync(folder)).toEqual(["a.wav", "b.wav", "c.wav"]);
    expect([host.made.length, host.disposed, host.listening]).toEqual([1, 1, false]);
  });

  it("is the same as sotto transcribe FILE", async () => {
    const [short, long] = [new FakeHost(), new FakeHost()];
    await short.run(file("a.wav"));
    await long.run("transcribe", file("a.wav"));
    expect([long.out, long.err]).toEqual([short.out, short.err]);
  });

  it("prints each segment once, when it is ready", async () => {
    const rest = deferred<void>();
    const seen: string[] = [];
    const host = new FakeHost(async (_input, { onSegment }) => {
      onSegment?.(segment(0, 0, 1, " first"));
      seen.push(host.out);
      await rest.promise;
      return {
        ...transcript(),
        segments: [segment(0, 0, 1, " first"), segment(1, 1, 2, ""), segment(2, 2, 3, " last")],
      };
    });
    const running = host.run(file("a.wav"));
    rest.resolve();
    expect(await running).toBe(0);
    expect(seen).toEqual(["[00:00.000 --> 00:01.000] first\n"]);
    expect(host.out).toBe("[00:00.000 --> 00:01.000] first\n[00:02.000 --> 00:03.000] last\n");
  });

  it.each([["--verbose", "False"], ["--return_timestamps=False"], ["--return-timestamps", "false"]])(
    "prints text alone with %s %s",
    async (...flags) => {
      const host = new FakeHost();
      expect(await host.run(...flags, file("a.wav"))).toBe(0);
      expect(host.out).toBe("one\ntwo\n");
      expect(host.asked[0].settings.returnTimestamps).toBe(flags[0] === "--verbose");
    },
  );

  it("says nothing on stderr with --quiet", async () => {
    const host = new FakeHost(() => Promise.resolve({ ...transcript("x"), warnings: ["3 s were skipped"] }));
    expect(await host.run("-q", file("a.wav"))).toBe(0);
    expect(host.err).toBe("");
  });

  it("passes on warnings and the detected language", async () => {
    const result = { ...transcript("x"), language: "de", languageProbability: 0.987, warnings: ["3 s were skipped"] };
    const host = new FakeHost(() => Promise.resolve(result));
    await host.run(file("a.wav"));
    expect(host.err).toContain("warning: ");
    expect(host.err).toContain("a.wav: 3 s were skipped\n");
    expect(host.err).toContain("German (detected, 99%)");
  });

  it.each<[found: number, listed: string | null]>([
    [0, null],
    [1, "0:10–0:12"],
    [5, "0:10–0:12, 0:20–0:22, 0:30–0:32, 0:40–0:42, 0:50–0:52"],
    [8, "0:10–0:12, 0:20–0:22, 0:30–0:32, 0:40–0:42, 0:50–0:52 and 3 more"],
  ])("lists where speech has no text: %i stretches", async (found, listed) => {
    const untranscribed = Array.from({ length: found }, (_, i) => ({
      start: 10 * (i + 1) + 0.9,
      end: 10 * (i + 1) + 1.8,
    }));
    const coverage = { speechSeconds: 90, transcribedSeconds: 90 - 0.9 * found, untranscribed };
    const host = new FakeHost(() => Promise.resolve({ ...transcript("x"), coverage }));
    await host.run(file("a.wav"), "-o", file("out"), "-f", "txt");
    expect(host.err).toContain(found === 0 ? "speech 1:30, all with text" : "speech 1:30, with text 1:");
    const [, stretches] = /; speech without text: (.*) -> /.exec(host.err) ?? [];
    expect(stretches ?? null).toBe(listed);
  });

  it("lists stretches that touch as one", async () => {
    const untranscribed = [
      { start: 0.3, end: 4.9 },
      { start: 5.2, end: 9.8 },
      { start: 12.1, end: 12.9 },
    ];
    const coverage = { speechSeconds: 30, transcribedSeconds: 20, untranscribed };
    const host = new FakeHost(() => Promise.resolve({ ...transcript("x"), coverage }));
    await host.run(file("a.wav"));
    expect(host.err).toContain("; speech without text: 0:00–0:10, 0:12–0:13\n");
  });

  it.each<[flags: string, said: string]>([
    ["", "0:02 of audio, no speech, "],
    ["--language de", "0:02 of audio, German, no speech, "],
  ])("names no language that nobody spoke or gave: %s", async (flags, said) => {
    const coverage = { speechSeconds: 0, transcribedSeconds: 0, untranscribed: [] };
    const silence = { ...transcript(), duration: 2, language: flags === "" ? "en" : "de", coverage };
    const host = new FakeHost(() => Promise.resolve(silence));
    await host.run(file("a.wav"), ...flags.split(" ").filter(Boolean));
    expect(host.err).toContain(said);
  });

  it.each([
    ["help", "Usage: sotto [options] [file...]"],
    ["help serve", "Usage: sotto serve [options]"],
    ["help me", "Usage: sotto [options] [file...]"],
  ])("sotto %s shows help", async (words, usage) => {
    const host = new FakeHost();
    expect(await host.run(...words.split(" "))).toBe(0);
    expect(host.out).toContain(usage);
  });

  it("hands the flags to the pipeline, in either spelling", async () => {
    const host = new FakeHost();
    const flags =
      "--model tiny --device cpu --dtype int8 --threads 3 --batch-size 4 --offline --model_dir /models --task translate " +
      "--language German --chunk_length 20 --stride-length 4,2 --algorithm chunked --audio-track 2 --allow-private-addresses";
    expect(await host.run(...flags.split(" "), file("a.wav"))).toBe(0);
    expect(host.made[0]).toMatchObject([
      "tiny",
      { device: "cpu", dtype: "int8", threads: 3, batchSize: 4, offline: true, cacheDir: "/models" },
    ]);
    expect(host.asked[0].settings).toMatchObject({
      algorithm: "chunked",
      task: "translate",
      language: "de",
      chunkLength: 20,
      strideLength: [4, 2],
      audioTrack: 2,
      returnTimestamps: true,
      allowPrivateAddresses: true,
    });
    expect(host.err).not.toContain("using model");
  });

  it.each([
    ["en-US", "en"],
    ["pt_BR", "pt"],
    ["zh-Hans-CN", "zh"],
    ["yue", "yue"],
  ])("takes %s for language %s", async (tag, language) => {
    const host = new FakeHost();
    await host.run("--language", tag, file("a.wav"));
    expect(host.asked[0].settings.language).toBe(language);
  });

  it("takes None for a language that is to be detected", async () => {
    const host = new FakeHost();
    await host.run("--language", "None", file("a.wav"));
    expect(host.asked[0].settings).not.toHaveProperty("language");
  });

  it("reads standard input as -", async () => {
    const host = new FakeHost();
    expect(await host.run("-")).toBe(0);
    expect(host.asked[0].input).toBe(host.stdin);
  });
});

describe("output files", () => {
  const run = async (...flags: string[]): Promise<FakeHost> => {
    const host = new FakeHost();
    expect(await host.run(file("a.wav"), "-o", file("out"), ...flags)).toBe(0);
    return host;
  };

  it("are written in every format when only a folder is named, and nothing is printed", async () => {
    const host = await run();
    expect(outputs()).toEqual(["a.json", "a.srt", "a.tsv", "a.txt", "a.vtt"]);
    for (const format of ["json", "srt", "tsv", "txt", "vtt"] as const) {
      expect(readFileSync(file(`out/a.${format}`), "utf8")).toBe(writeTranscript(transcript("one", "two"), format));
    }
    expect(host.out).toBe("");
    expect(host.err).toContain(`-> ${file("out/a.txt")}, `);
  });

  it.each<[flags: string, files: string]>([
    ["-f srt", "a.srt"],
    ["-f srt,vtt", "a.srt a.vtt"],
    ["-f json --output-format txt", "a.json a.txt"],
    ["--output_format all", "a.json a.srt a.tsv a.txt a.vtt"],
    ["-f lrc,json-full,ass -f csv", "a.ass a.csv a.full.json a.lrc"],
    ["-f all,lrc", "a.json a.lrc a.srt a.tsv a.txt a.vtt"],
  ])("%s writes %s", async (flags, files) => {
    await run(...flags.split(" "));
    expect(outputs()).toEqual(files.split(" "));
  });

  it("are accompanied by segments on stdout with --verbose", async () => {
    expect((await run("-f", "txt", "--verbose", "True")).out).toContain("--> 00:01.500] one\n");
  });

  it("get names of their own when recordings share one", async () => {
    writeFileSync(file("a.mp3"), "");
    const host = new FakeHost((input) => Promise.resolve(transcript(String(input).slice(-3))));
    expect(await host.run(file("a.wav"), file("a.mp3"), file("b.wav"), "-o", file("out"), "-f", "txt")).toBe(0);
    expect(outputs()).toEqual(["a.mp3.txt", "a.wav.txt", "b.txt"]);
    expect(readFileSync(file("out/a.mp3.txt"), "utf8")).toBe("mp3\n");
  });

  it("may be one named file, its format told by its name", async () => {
    const host = new FakeHost();
    expect(await host.run(file("a.wav"), "--output", file("talk.SRT"))).toBe(0);
    expect(readFileSync(file("talk.SRT"), "utf8")).toBe(writeTranscript(transcript("one", "two"), "srt"));
  });

  it("are in whisper-cli's full JSON where the name says so", async () => {
    const host = new FakeHost();
    const flags = ["--model", "tiny", "--task", "translate", "--output", file("talk.full.json")];
    expect(await host.run(file("a.wav"), ...flags)).toBe(0);
    const written = JSON.parse(readFileSync(file("talk.full.json"), "utf8")) as object;
    expect(written).toMatchObject({ params: { model: "tiny", language: "en", translate: true } });
    expect(written).toHaveProperty("transcription.0.offsets", { from: 0, to: 1500 });
  });

  it.each(["txt", "vtt", "srt", "tsv", "json"] as const)("--output - -f %s writes to stdout alone", async (format) => {
    const host = new FakeHost();
    expect(await host.run("-", "--output", "-", "-f", format)).toBe(0);
    expect(host.out).toBe(writeTranscript(transcript("one", "two"), format).replace(/\n?$/, "\n"));
  });

  it("that cannot be written fail the recording, and leave no half file", async () => {
    mkdirSync(file("gone"));
    const host = new FakeHost(() => {
      rmSync(file("gone"), { recursive: true });
      return Promise.resolve(transcript("x"));
    });
    expect(await host.run(file("a.wav"), "--output", file("gone/a.txt"))).toBe(1);
    expect(host.err).toContain(
      `sotto: ${file("a.wav")}: Cannot write "${file("gone/a.txt")}": no such file or directory\n`,
    );
    expect(existsSync(file("gone"))).toBe(false);
  });

  it.each([
    ["none/a.txt", 'there is no folder "@none"'],
    ["a.wav/a.txt", '"@a.wav" is not a folder'],
    [".", "it is a folder"],
  ])("that cannot be written are told before the work: %s", async (name, reason) => {
    const host = new FakeHost();
    expect(await host.run(file("b.wav"), "--output", file(name), "-f", "txt")).toBe(2);
    expect(host.err).toContain(`Cannot write "${file(name)}": ${reason.replace("@", `${folder}/`)}`);
    expect(host.made).toEqual([]);
  });
});

describe("several recordings", () => {
  it("are written as they are finished, and printed in their order", async () => {
    const first = deferred<void>();
    const host = new FakeHost(async (input, { onSegment }, index) => {
      if (index === 0) await first.promise;
      onSegment?.(segment(0, 0, 1, ` of ${String(input).slice(-5)}`), index);
      return { ...transcript(), segments: [segment(0, 0, 1, ` of ${String(input).slice(-5)}`)] };
    });
    const running = host.run(file("a.wav"), file("b.wav"), "-o", file("out"), "-f", "txt", "--verbose");
    await expect.poll(() => existsSync(file("out/b.txt"))).toBe(true);
    expect([host.out, outputs()]).toEqual(["", ["b.txt"]]);
    first.resolve();
    expect(await running).toBe(0);
    expect(host.out.replaceAll(`${folder}/`, "")).toBe(
      "==> a.wav <==\n[00:00.000 --> 00:01.000] of a.wav\n==> b.wav <==\n[00:00.000 --> 00:01.000] of b.wav\n",
    );
  });

  it("go on when one fails; the exit code is 1 and the last line counts", async () => {
    const host = new FakeHost((input) =>
      String(input).endsWith("b.wav")
        ? Promise.reject(new InputError("b.wav", "it is\nbroken", { hint: "mend it" }))
        : Promise.resolve(transcript(String(input).slice(-5))),
    );
    expect(await host.run(file("none.wav"), folder, "-f", "txt", "-o", file("out"))).toBe(1);
    expect(outputs()).toEqual(["a.txt", "c.txt"]);
    const lines = host.err.trimEnd().split("\n");
    expect(lines).toContain(`sotto: Cannot read "${file("none.wav")}": no such file or folder`);
    expect(lines).toContain(`sotto: ${file("b.wav")}: Cannot read "b.wav": it is; broken; mend it`);
    expect(lines.at(-1)).toBe("sotto: 2 of 4 recordings failed");
  });

  it("named more than once are transcribed once, which is said", async () => {
    const host = new FakeHost();
    expect(await host.run(file("a.wav"), folder, file("./a.wav"), "-o", file("out"), "-f", "txt")).toBe(0);
    expect([outputs(), host.asked.length]).toEqual([["a.txt", "b.txt", "c.txt"], 3]);
    expect(host.err).toContain(`warning: "${file("a.wav")}" was named more than once, and is transcribed once\n`);
    const two = new FakeHost();
    await two.run(folder, file("a.wav"), file("b.wav"));
    expect(two.err).toContain("warning: 2 recordings were named more than once, and are transcribed once\n");
    const once = new FakeHost();
    await once.run(folder);
    expect(once.err).not.toContain("more than once");
  });

  it("print what was finished behind one that failed", async () => {
    const host = new FakeHost((input) =>
      String(input).endsWith("a.wav") ? Promise.reject(new Error("no")) : Promise.resolve(transcript("fine")),
    );
    expect(await host.run(file("a.wav"), file("b.wav"))).toBe(1);
    expect(host.out).toBe(`==> ${file("b.wav")} <==\n[00:00.000 --> 00:01.500] fine\n`);
  });

  it("are not begun when none can be found: no model is loaded", async () => {
    const host = new FakeHost();
    expect(await host.run("none.wav", file("*.ogg"))).toBe(1);
    expect(host.made).toEqual([]);
    expect(host.err).toMatch(/2 of 2 recordings failed\n$/);
  });
});

describe("wrong usage is told before a model is loaded, with exit code 2", () => {
  it.each<[flags: string, message: string]>([
    ["--tsk x", 'sotto: Unknown option "--tsk", did you mean "--task"?\nHint: see sotto --help\n'],
    ["--thread 2", 'sotto: Unknown option "--thread", did you mean "--threads"?\nHint: see sotto --help\n'],
    ["--out-putdir=x", 'sotto: Unknown option "--out-putdir", did you mean "--output_dir"?\nHint: see sotto --help\n'],
    ["-output_dir x", 'sotto: Unknown option "-output_dir", did you mean "--output_dir"?\nHint: see sotto --help\n'],
    ["--xyzzy", 'sotto: Unknown option "--xyzzy"\nHint: see sotto --help\n'],
    ["-x", 'sotto: Unknown option "-x"\nHint: see sotto --help\n'],
    ["--model trubo", 'sotto: Unknown model "trubo", did you mean "turbo"?\nHint: "sotto models" lists names; '],
    ["--model parrot", 'sotto: Unknown model "parrot", expected a name, a hub id or a folder\n'],
    ["--language germn", 'sotto: Unknown language "germn", did you mean "german"?\n'],
    ["--task sing", 'Unknown task "sing", expected one of transcribe, translate'],
    [
      "--language klingon",
      'Unknown language "klingon", expected a code or an English name ("de", "pt-BR", "german")\n',
    ],
    ["-f doc", 'Unknown output format "doc", expected one of txt, vtt, srt, tsv, json, lrc, csv, json-full, ass, all'],
    ["--device tpu", 'Unknown device "tpu", expected one of auto, cpu, cuda, reference'],
    ["--dtype float8", 'Unknown dtype "float8", expected one of auto, float32, float16, bfloat16, int8'],
    ["--algorithm magic", 'Unknown algorithm "magic", expected one of auto, vad, chunked, sequential'],
    ["--verbose=maybe", 'Cannot use "maybe" as --verbose, expected True or False'],
    ["--batch_size 0", 'Cannot use "0" as --batch_size, expected a whole number from 1 to 1024'],
    ["--threads two", 'Cannot use "two" as --threads'],
    ["--chunk_length 31", 'Cannot use "31" as --chunk_length, expected at most 30 seconds'],
    ["--audio_track 0", 'Cannot use "0" as --audio_track'],
    ["--stride_length 15", 'Cannot use "15" as --stride_length: left and right are 30 seconds together'],
    ["--stride_length 1,2,3", "expected one or two lengths"],
    ["--chunk_length 0 --stride_length 1", "Cannot use --chunk_length 0 with --stride_length"],
    ["--language de --language_per_window", "Cannot use --language_per_window with --language"],
    ["--output - -f srt,txt", "Cannot write txt, srt to one --output, expected one format"],
    ["--output - -o out", "Cannot use --output with --output_dir"],
    ["--output - --verbose True", "Cannot use --verbose True with --output -"],
    ["--output talk", 'Cannot tell the format of "talk"'],
    ["--output talk.doc", 'Unknown output format "doc", expected one of txt'],
    ["-f srt --return_timestamps False", "Cannot write srt with --return_timestamps False"],
    ["-f srt --without_timestamps True", "Cannot write srt with --without_timestamps True"],
    ["--model", 'Option "--model" needs a value, <name>\nHint: see sotto --help\n'],
    ["--word_timestamps Ture", 'Cannot use "Ture" as --word_timestamps, expected True or False\n'],
    ["--readable True --max_words_per_line 3 -f srt", "Cannot use --readable True with --max_words_per_line\nHint: "],
    [
      "--algorithm chunked --beam_size 3",
      "Cannot use --beam_size with --algorithm chunked\nHint: --beam_size needs --algorithm vad or sequential\n",
    ],
    [
      "--chunk_length 20 --beam_size 3",
      "Hint: --beam_size needs --algorithm vad or sequential, --chunk_length needs --algorithm chunked\n",
    ],
  ])("%s", async (flags, message) => {
    const host = new FakeHost();
    expect(await host.run(file("a.wav"), ...flags.split(" "))).toBe(2);
    expect(host.err).toContain(`sotto: `);
    expect(host.err).toContain(message);
    expect([host.made.length, host.out, readdirSync(folder).length]).toEqual([0, "", 3]);
  });

  it.each<[words: string, message: string]>([
    [
      "trnscribe a.wav",
      'Unknown command "trnscribe", and no such file; did you mean "sotto transcribe"?\nHint: see sotto --help',
    ],
    ["modles", 'Unknown command "modles", and no such file; did you mean "sotto models"?\nHint: see sotto --help'],
    ["-dash.wav", 'Unknown option "-dash.wav": put file names that begin with "-" after "--": sotto -- -dash.wav'],
    ["-quiet.wav", 'Unknown option "-quiet.wav": put file names that begin with "-" after "--": sotto -- -quiet.wav'],
    [
      "--da-sh.wav",
      'Unknown option "--da-sh.wav": put file names that begin with "-" after "--": sotto -- --da-sh.wav',
    ],
    ["models x y", 'Too many arguments: found "x", "y"\nHint: see sotto models --help'],
    [
      "serve --model bas",
      'Unknown model "bas", did you mean "base"?\nHint: "sotto models" lists names; a hub id is written "owner/name", a folder "./folder"',
    ],
    ["serve --prot 1", 'Unknown option "--prot", did you mean "--port"?\nHint: see sotto serve --help'],
    [
      "eval x --model trubo",
      'Unknown model "trubo", did you mean "turbo"?\nHint: "sotto models" lists names; a hub id is written "owner/name", a folder "./folder"',
    ],
    ["live --language germn", 'Unknown language "germn", did you mean "german"?'],
  ])("sotto %s", async (words, message) => {
    const host = new FakeHost();
    expect(await host.run(...words.split(" "))).toBe(2);
    expect([host.err, host.out, host.made]).toEqual([`sotto: ${message}\n`, "", []]);
  });

  it("a file that is called like a command is a file", async () => {
    const cwd = process.cwd();
    writeFileSync(file("modls"), "");
    process.chdir(folder);
    try {
      const host = new FakeHost();
      expect(await host.run("modls")).toBe(0);
      expect(host.asked[0].input).toBe("modls");
    } finally {
      process.chdir(cwd);
    }
  });

  it("nothing to transcribe", async () => {
    const host = new FakeHost();
    expect(await host.run()).toBe(2);
    expect(host.err).toContain("Nothing to transcribe, expected files, folders, URLs or -\nHint: ");
  });

  it("one file for several recordings", async () => {
    const host = new FakeHost();
    expect(await host.run(folder, "--output", "-", "-f", "json")).toBe(2);
    expect(host.err).toContain("Cannot write 3 recordings as one json, expected one recording\nHint: ");
    expect(await host.run(folder, "--output", "-", "-f", "txt")).toBe(0);
    expect(host.out).toBe("one\ntwo\n".repeat(3));
  });

  it("an output folder that is a file", async () => {
    const host = new FakeHost();
    expect(await host.run(file("a.wav"), "-o", file("b.wav"))).toBe(2);
    expect(host.err).toContain(`Cannot use --output_dir "${file("b.wav")}": it is a file`);
    expect(host.made).toEqual([]);
  });

  it("a flag that the model refuses, told once", async () => {
    const host = new FakeHost(() => Promise.reject(new OptionError("language", "This model knows English only")));
    expect(await host.run(folder, "--language", "de")).toBe(2);
    expect(host.err.match(/English only/g)).toHaveLength(1);
    expect(host.disposed).toBe(1);
  });
});

describe("a model that cannot be had", () => {
  it("ends the run with exit code 1 and its hint on a line of its own", async () => {
    const host = new FakeHost();
    host.onCreate = () => Promise.reject(new HubError("base", "no network", { hint: "--offline uses what is here" }));
    expect(await host.run(file("a.wav"), "--model", "base")).toBe(1);
    expect(host.err).toBe('sotto: Cannot get model "base": no network\nHint: --offline uses what is here\n');
  });
});

describe("being stopped", () => {
  /** Work that ends when it is told to. */
  const untilStopped = (signal: AbortSignal | undefined): Promise<never> =>
    new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason as Error)));

  it("Ctrl-C keeps what is finished, drops the rest, and ends with 130", async () => {
    const host = new FakeHost((input, { signal }) =>
      String(input).endsWith("a.wav") ? untilStopped(signal) : Promise.resolve(transcript("done")),
    );
    const running = host.run(file("a.wav"), file("b.wav"), "-o", file("out"), "-f", "txt", "--verbose");
    await expect.poll(() => existsSync(file("out/b.txt"))).toBe(true);
    host.interrupt();
    expect(await running).toBe(130);
    expect(outputs()).toEqual(["b.txt"]);
    expect(host.out).toBe(`==> ${file("b.wav")} <==\n[00:00.000 --> 00:01.500] done\n`);
    expect(host.err).toMatch(/sotto: interrupted; 1 of 2 recordings were finished\n$/);
    expect([host.disposed, host.listening, host.died]).toEqual([1, false, []]);
  });

  it("an aborted transcription is no failure of its recording", async () => {
    const host = new FakeHost((_input, { signal }) => untilStopped(signal));
    const running = host.run(file("a.wav"));
    await expect.poll(() => host.asked.length).toBe(1);
    host.interrupt("SIGTERM");
    expect(await running).toBe(143);
    expect(host.err).toMatch(/interrupted; 0 of 1 recording was finished\n$/);
    expect(host.err).not.toContain("abort");
  });

  it("what is finished just then is kept", async () => {
    const host: FakeHost = new FakeHost(() => {
      host.interrupt();
      return Promise.resolve(transcript("just in time"));
    });
    host.graceMs = 60_000; // a busy disk takes longer than 20 ms to write
    expect(await host.run(file("a.wav"), "-o", file("out"), "-f", "txt")).toBe(130);
    expect(outputs()).toEqual(["a.txt"]);
    expect(host.err).toContain("interrupted; 1 of 1 recording was finished");
  });

  it("work that does not end in time is left: the signal itself ends the process, and nothing is disposed under it", async () => {
    const host = new FakeHost(() => new Promise(() => undefined));
    const running = host.run(file("a.wav"), file("b.wav"));
    await expect.poll(() => host.asked.length).toBe(2);
    host.interrupt();
    expect(await running).toBe(130);
    expect([host.died, host.disposed]).toEqual([["SIGINT"], 0]);
  });

  it("an output that nobody takes is left too", async () => {
    execFileSync("mkfifo", [file("pipe.txt")]);
    const host = new FakeHost();
    const running = host.run(file("a.wav"), "--output", file("pipe.txt"));
    await expect.poll(() => host.asked.length).toBe(1);
    await setImmediate();
    host.interrupt("SIGTERM");
    expect([await running, host.died]).toEqual([143, ["SIGTERM"]]);
    expect(await readFile(file("pipe.txt"), "utf8")).toBe("one\ntwo\n"); // lets the writer go
  });

  it("Ctrl-C while the model is loaded", async () => {
    const host = new FakeHost();
    const loaded = deferred<never>();
    host.onCreate = (_model, { signal }) => Promise.race([loaded.promise, untilStopped(signal)]);
    const running = host.run(file("a.wav"));
    await expect.poll(() => host.made.length).toBe(1);
    host.interrupt();
    expect(await running).toBe(130);
    expect([host.asked, host.died]).toEqual([[], []]);
  });

  it("Ctrl-C while a model is loaded that comes nevertheless: it is disposed, and nothing begun", async () => {
    const host = new FakeHost();
    const loaded = deferred<never>();
    host.onCreate = () => loaded.promise;
    const running = host.run(file("a.wav"));
    await expect.poll(() => host.made.length).toBe(1);
    host.interrupt();
    loaded.resolve(undefined as never);
    expect(await running).toBe(130);
    expect([host.asked, host.disposed]).toEqual([[], 1]);
  });

  it("a reader of stdout that has gone ends a run that only prints, quietly", async () => {
    const host: FakeHost = new FakeHost((_input, { onSegment, signal }) => {
      onSegment?.(segment(0, 0, 1, " first"));
      const stopped = untilStopped(signal);
      host.closeOutput();
      onSegment?.(segment(1, 1, 2, " second"));
      return stopped;
    });
    expect(await host.run("-q", file("a.wav"))).toBe(0);
    expect([host.out, host.err]).toEqual(["[00:00.000 --> 00:01.000] first\n", ""]);
  });

  it("a reader of stdout that has gone does not end a run that writes files", async () => {
    const host = new FakeHost(() => {
      host.closeOutput();
      return Promise.resolve(transcript("kept"));
    });
    expect(await host.run(file("a.wav"), "-o", file("out"), "-f", "txt", "--verbose")).toBe(0);
    expect([host.out, outputs()]).toEqual(["", ["a.txt"]]);
  });
});

describe("progress", () => {
  /** Reports every 30 s of audio, each of which takes 3 s. */
  const work =
    (host: () => FakeHost, seconds: number, totalSeconds: number | null): Transcribe =>
    async (_input, { onProgress, onSegment }) => {
      for (let done = 0; done <= seconds; done += 30) {
        host().time += 3000;
        onProgress?.({ processedSeconds: done, totalSeconds });
        onSegment?.(segment(done, done, done + 1, ` at ${done}`));
        for (let turn = 0; turn < 3; turn++) await setImmediate(); // the bar is drawn when nothing else is to be done
      }
      return { ...transcript(), duration: seconds };
    };

  it("is a plain line now and then where there is no terminal", async () => {
    const host: FakeHost = new FakeHost(work(() => host, 600, 600));
    await host.run(file("a.wav"));
    const lines = host.err.split("\n").filter((line) => line.includes("%"));
    // A line each 10 s of the 63 that it takes: after 12, 24, 36, 48, 60.
    expect(lines).toHaveLength(5);
    expect(lines[1]).toBe(`sotto: ${file("a.wav")}: 35%, 3:30 of 10:00, 8.8x real time, ETA 0:45`);
    expect(host.err).toContain("10:00 of audio, English, 63.0 s, 9.5x real time");
    expect(host.err).not.toContain("\x1b");
  });

  it("says what is done where the length is not known", async () => {
    const host: FakeHost = new FakeHost(work(() => host, 120, null));
    await host.run(file("a.wav"));
    expect(host.err).toContain("0%, 1:30, 7.5x real time\n");
  });

  it("is a bar on a terminal, that results do not tear and that is gone at the end", async () => {
    const host: FakeHost = new FakeHost(
      work(() => host, 60, 60),
      { terminal: true },
    );
    await host.run(file("a.wav"));
    expect(host.err).toContain("█");
    expect(host.err).toContain("ETA");
    expect(host.err).toContain("x real time");
    // The cursor is visible again, and the line of the bar is empty before a line is written and at the end.
    expect(host.err.lastIndexOf("\x1b[?25h")).toBeGreaterThan(host.err.lastIndexOf("\x1b[?25l"));

    expect(host.out.replace(/\x1b\[\d+m/g, "")).toBe(
      "[00:00.000 --> 00:01.000] at 0\n[00:30.000 --> 00:31.000] at 30\n[01:00.000 --> 01:01.000] at 60\n",
    );
  });
});

describe("the program", () => {
  it("--help shows the flags and the commands on stdout", async () => {
    const host = new FakeHost();
    expect(await host.run("--help")).toBe(0);
    for (const word of ["--model <name>", "--output_format", "sotto models", "Examples:", "Exit code:"]) {
      expect(host.out).toContain(word);
    }
    expect(host.err).toBe("");
  });

  it.each(["--version", "-V"])("%s prints the package's version", async (flag) => {
    const host = new FakeHost();
    expect(await host.run(flag)).toBe(0);
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    expect(host.out).toBe(`${version}\n`);
  });

  it("sotto devices lists the processor, and the GPUs or why there are none", async () => {
    const host = new FakeHost();
    expect(await host.run("devices")).toBe(0);
    const [header, cpu, gpu] = host.out.split("\n");
    expect(header).toMatch(/^DEVICE +NAME +SIZE +STATE$/);
    expect(cpu).toMatch(
      /^cpu .* threads +ready, (native kernels \((avx512-vnni|amx-int8)\)|onnxruntime; native kernels: .*)$/,
    );
    expect(gpu).toMatch(/^cuda:0 |^cuda +- +- +(this machine has no NVIDIA driver|the NVIDIA driver .*)$/);
  });

  it("sotto models refuses what it does not know", async () => {
    const host = new FakeHost();
    expect(await host.run("models", "--task", "x")).toBe(2);
    expect(host.err).toBe('sotto: Unknown option "--task"\nHint: see sotto models --help\n');
  });
});
