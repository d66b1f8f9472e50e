// The built program as a process, on the bundled model and samples. What needs no process is tested in cli.test.ts.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const sample = (name: string): string => join(root, "samples", name);

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "sotto-spawn-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  err: string;
}

/** On the bundled model, which is never the default. */
function start(...argv: string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [join(root, "dist/cli/main.js"), "--model", "nano", ...argv], { cwd: folder });
  const ended: Ended = { code: null, signal: null, out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (ended.out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (ended.err += text));
  const closed = once(child, "close").then(([code, signal]) => {
    return { ...ended, code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  return { child, ended: closed };
}

async function run(...argv: string[]): Promise<Ended> {
  const { child, ended } = start(...argv);
  child.stdin?.end();
  return ended;
}

const words = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];

/** The text that is spoken, from beside the recordings. */
function spoken(name: string): string {
  const manifest = JSON.parse(readFileSync(sample("manifest.json"), "utf8")) as {
    samples: { file: string; text: string }[];
  };
  return manifest.samples.find(({ file }) => file === name)?.text ?? "";
}

describe("sotto, as a process", () => {
  it("prints the transcript of a sample", async () => {
    const { code, out, err } = await run(sample("en-short.wav"), "--dtype", "float32", "--verbose", "False");
    expect(words(out)).toEqual(words(spoken("en-short.wav")));
    expect(err).toContain('warning: The model "nano" knows synthetic speech only');
    expect(code).toBe(0);
  });

  it("writes every format with the same times and text", async () => {
    const { code, out, err } = await run(sample("de-short.flac"), "-o", "out", "-q", "--readable", "False");
    expect([code, out, err]).toEqual([0, "", ""]);
    const read = (extension: string): string => readFileSync(join(folder, `out/de-short.${extension}`), "utf8");
    const { segments, language } = JSON.parse(read("json")) as {
      segments: { start: number; end: number; text: string }[];
      language: string;
    };
    expect(language).toBe("de");
    expect(segments.length).toBeGreaterThan(0);
    const rows = segments.map(({ start, end, text }) => [
      Math.round(start * 1000),
      Math.round(end * 1000),
      text.trim(),
    ]);
    expect(read("tsv").trimEnd().split("\n").slice(1)).toEqual(rows.map((row) => row.join("\t")));
    expect(read("txt")).toBe(rows.map(([, , text]) => `${text}\n`).join(""));
    const ms = (time: string): number =>
      time.split(/[:,.]/).reduceRight((sum, part, i, all) => {
        return sum + Number(part) * [1, 1000, 60_000, 3_600_000][all.length - 1 - i];
      }, 0);
    for (const extension of ["srt", "vtt"]) {
      const cues = [...read(extension).matchAll(/^(\S+) --> (\S+)\n(.*)\n$/gm)];
      expect(cues.map(([, from, to, text]) => [ms(from), ms(to), text])).toEqual(rows);
    }
  });

  it("transcribes as openai/whisper does, and underlines words as they are spoken", async () => {
    const flags = "--algorithm sequential --word_timestamps True -f srt --highlight_words True -o . -q";
    const { code, out, err } = await run(sample("en-short.wav"), ...flags.split(" "));
    expect([code, out, err]).toEqual([0, "", ""]);
    const { transcribe } = JSON.parse(readFileSync(join(root, "test/golden/nano/en-short.json"), "utf8")) as {
      transcribe: { words: { result: { segments: { text: string; words: { word: string; start: number }[] }[] } } };
    };
    const expected = transcribe.words.result.segments.flatMap(({ text, words: spokenWords }) => {
      const whole = text.trim();
      let at = 0;
      return spokenWords.map(({ word, start }) => {
        const [from, to] = [whole.indexOf(word.trim(), at), whole.indexOf(word.trim(), at) + word.trim().length];
        at = to;
        return { start, text: `${whole.slice(0, from)}<u>${whole.slice(from, to)}</u>${whole.slice(to)}` };
      });
    });
    const cues = [
      ...readFileSync(join(folder, "en-short.srt"), "utf8").matchAll(/^00:00:(\S+) --> \S+\n(.*<u>.*)\n$/gm),
    ].map(([, start, text]) => ({ start: Number(start.replace(",", ".")), text }));
    expect(cues.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
    // Word times within 0.02 s of openai/whisper's: one step of the encoder.
    for (const [i, { start }] of cues.entries()) expect(Math.abs(start - expected[i].start)).toBeLessThan(0.0201);
  });

  it("reads standard input and writes a file's bytes to stdout", async () => {
    const { child, ended } = start("-", "--output", "-", "-f", "json", "-q");
    child.stdin?.end(readFileSync(sample("fr-short.flac")));
    const { code, out, err } = await ended;
    expect([code, err]).toEqual([0, ""]);
    expect(JSON.parse(out)).toMatchObject({ language: "fr" });
  });

  it("goes on past recordings that cannot be read, and exits with 1", async () => {
    writeFileSync(join(folder, "text.mp3"), "This is no sound at all.\n".repeat(50));
    writeFileSync(join(folder, "empty.wav"), "");
    copyFileSync(sample("en-short.wav"), join(folder, "speech.wav"));
    const { code, err } = await run("missing.wav", ".", "-o", "out", "-f", "txt");
    expect(readdirSync(join(folder, "out"))).toEqual(["speech.txt"]);
    for (const name of ["missing.wav", "text.mp3", "empty.wav"]) {
      expect(err.split("\n").filter((line) => line.startsWith(`sotto: Cannot read "${name}": `))).toHaveLength(1);
    }
    expect(err).toMatch(/\nsotto: 3 of 4 recordings failed\n$/);
    expect(code).toBe(1);
  });

  it("refuses wrong usage with 2 and shows help and version with 0", async () => {
    const [wrong, help, version] = await Promise.all([run("--task", "sing", "a.wav"), run("--help"), run("-V")]);
    expect([wrong.code, wrong.out]).toEqual([2, ""]);
    expect(wrong.err).toBe('sotto: Unknown task "sing", expected one of transcribe, translate\n');
    expect([help.code, help.err]).toEqual([0, ""]);
    expect(help.out).toContain("Usage: sotto");
    expect([version.code, version.err]).toEqual([0, ""]);
  });

  it("stops at Ctrl-C with what is finished written, and nothing half", async () => {
    copyFileSync(sample("en-short.wav"), join(folder, "0.wav"));
    for (let i = 1; i <= 8; i++) copyFileSync(sample("en-long.flac"), join(folder, `${i}.flac`));
    const { child, ended } = start(".", "-o", "out", "-f", "txt,json", "--batch_size", "1");
    await expect.poll(() => existsSync(join(folder, "out/0.json")), { timeout: 60_000 }).toBe(true);
    child.kill("SIGINT");
    const { code, signal, err } = await ended;
    // Ended by itself, or by the signal where native code did not return in time; a shell sees 130 for both.
    expect([code, signal]).toEqual(code === null ? [null, "SIGINT"] : [130, null]);
    expect(err).toMatch(/sotto: interrupted; \d of 9 recordings were finished\n$/);
    const files = readdirSync(join(folder, "out"));
    expect(files).toContain("0.txt");
    expect(files.filter((name) => !/^\d\.(txt|json)$/.test(name))).toEqual([]);
    for (const name of files.filter((one) => one.endsWith("json"))) {
      expect(() => JSON.parse(readFileSync(join(folder, "out", name), "utf8")) as unknown).not.toThrow();
    }
  });

  it("ends quietly when nobody reads its output any more", async () => {
    for (let i = 1; i <= 8; i++) copyFileSync(sample("en-long.flac"), join(folder, `${i}.flac`));
    const { child, ended } = start(".", "--batch_size", "1");
    child.stdout?.once("data", () => child.stdout?.destroy());
    const { code, out, err } = await ended;
    expect(out).toContain("==> 1.flac <==");
    expect(err).not.toMatch(/EPIPE|Error|8\.flac/);
    expect(code).toBe(0);
  });
});
