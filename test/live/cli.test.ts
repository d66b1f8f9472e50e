/** `sotto live` with the bundled model, on standard input and a recorder that is none. */
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { LIVE_EVENT } from "../../src/schemas/index.ts";
import { WhisperPipeline } from "../../src/pipeline/index.ts";
import { FakeHost } from "../cli/fake-host.ts";
import { referenceText, samplePath } from "../helpers/samples.ts";

const WAV = samplePath("en-short.wav");
const TEXT = referenceText("en-short.wav");

/** A process with these bytes on standard input, and the real bundled model. */
class LiveHost extends FakeHost {
  override readonly stdin;

  constructor(
    bytes: readonly Uint8Array[] | AsyncGenerator<Uint8Array, undefined>,
    options: { terminal?: boolean } = {},
  ) {
    super(undefined, options);
    this.stdin = (async function* (): AsyncGenerator<Uint8Array, undefined> {
      yield* bytes;
    })() as FakeHost["stdin"] & AsyncGenerator<Uint8Array, undefined>;
  }

  override run(...argv: string[]): Promise<number> {
    return super.run(...argv, "--model", "nano");
  }

  override async createPipeline(model: string): Promise<WhisperPipeline> {
    return WhisperPipeline.fromPretrained(model);
  }
}

const wav = async (): Promise<Buffer> => readFile(WAV);
/** The samples alone: the header of the sample is the plain one of 44 bytes. */
const bare = async (): Promise<Buffer> => (await wav()).subarray(44);
const words = (text: string): string => text.replace(/\s+/g, " ").trim();

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("sotto live -", () => {
  it("prints what is said in a WAV file, a line an utterance", async () => {
    const host = new LiveHost([await wav()]);
    expect(await host.run("live", "-", "--language", "en")).toBe(0);
    expect(words(host.out)).toBe(TEXT);
    expect(host.out.endsWith("\n")).toBe(true);
    expect(host.out).not.toContain("\x1b");
  });

  it("finds utterances as it is told", async () => {
    const [audio, pause] = [await bare(), Buffer.alloc(0.6 * 32_000)];
    const printed = async (...args: string[]): Promise<string[]> => {
      const host = new LiveHost([audio, pause, audio]);
      expect(await host.run("live", "-", "--language", "en", "-q", ...args)).toBe(0);
      return host.out.trim().split("\n");
    };
    expect(await printed("--vad_threshold", "0.6", "--vad_speech_pad_ms", "300")).toHaveLength(1);
    const split = await printed("--vad_min_silence_duration_ms", "800");
    expect(split.length).toBeGreaterThan(1);
    expect(words(split.join(" "))).toBe(`${TEXT} ${TEXT}`);
  });

  it("takes bare samples, cut anywhere, and writes events as lines of JSON", async () => {
    const audio = await bare();
    const pieces = Array.from({ length: Math.ceil(audio.length / 7001) }, (_, i) =>
      audio.subarray(i * 7001, (i + 1) * 7001),
    );
    const host = new LiveHost(pieces);
    expect(await host.run("live", "-", "-f", "jsonl", "-q")).toBe(0);
    expect(host.err).toBe("");
    const events = host.out
      .trim()
      .split("\n")
      .map((line) => LIVE_EVENT.parse(JSON.parse(line)));
    const finals = events.filter((event) => event.type === "final");
    expect(finals.map(({ text }) => text).join(" ")).toBe(TEXT);
    const committed = events.filter((event) => event.type === "commit");
    expect(
      committed
        .map(({ text }) => text)
        .join("")
        .trim(),
    ).toBe(TEXT);
    expect(
      committed
        .flatMap((event) => event.words.map(({ text }) => text))
        .join("")
        .trim(),
    ).toBe(TEXT);
    expect(events[0]).toEqual({
      type: "speech_start",
      utterance: 0,
      time: expect.any(Number) as number,
      audio_start: 0,
    });
  });

  it("writes subtitles", async () => {
    const host = new LiveHost([await wav()]);
    expect(await host.run("live", "-", "-f", "srt", "-q")).toBe(0);
    const cues = host.out
      .trim()
      .split("\n\n")
      .map((cue) => cue.split("\n"));
    expect(cues.map(([number]) => number)).toEqual(cues.map((_, i) => String(i + 1)));
    for (const [, times] of cues) expect(times).toMatch(/^00:00:0\d,\d{3} --> 00:00:0\d,\d{3}$/);
    expect(cues.map(([, , text]) => text).join(" ")).toBe(TEXT);
  });

  it("writes over what may still change on a terminal, and leaves the committed text", async () => {
    const host = new LiveHost([await wav()], { terminal: true });
    expect(await host.run("live", "-")).toBe(0);
    // What a terminal would show: text is drawn, moved back over, and erased to the end of the line.
    const shown: string[] = [];
    let at = 0;
    for (const [, erase, back, color, text] of host.out.matchAll(/(\x1b\[K)|\x1b\[(\d+)D|(\x1b\[\d+m)|([^\x1b])/g)) {
      if (erase !== undefined) shown.length = at;
      else if (back !== undefined) at -= Number(back);
      else if (color === undefined) shown[at++] = text;
    }
    expect(words(shown.join(""))).toBe(TEXT);
  });

  it("ends at Ctrl-C with what was said, though the pipe stays open", async () => {
    const audio = await bare();
    let interrupt = (): void => undefined;
    const host: LiveHost = new LiveHost(
      (async function* (): AsyncGenerator<Uint8Array, undefined> {
        yield audio;
        interrupt();
        await new Promise(() => undefined);
      })(),
    );
    interrupt = () => host.interrupt();
    expect(await host.run("live", "-", "--language", "en")).toBe(0);
    expect(words(host.out)).toBe(TEXT);
    expect(host.listening).toBe(false);
  });

  it("takes what came before Ctrl-C, though it was not read yet", async () => {
    const audio = await bare();
    let interrupt = (): void => undefined;
    const host: LiveHost = new LiveHost(
      (async function* (): AsyncGenerator<Uint8Array, undefined> {
        yield audio.subarray(0, 80_000);
        interrupt();
        yield audio.subarray(80_000);
        await new Promise(() => undefined);
      })(),
    );
    interrupt = () => host.interrupt();
    expect(await host.run("live", "-", "--language", "en")).toBe(0);
    expect(words(host.out)).toBe(TEXT);
  });

  it.each<[what: string, args: string[], message: string]>([
    ["a file", ["talk.wav"], "sotto FILE"],
    ["an unknown format", ["-", "-f", "vtt"], "text, jsonl, srt"],
    ["an unknown language", ["-", "--language", "klingon"], "klingon"],
    ["an unknown task", ["-", "--task", "sing"], "transcribe, translate"],
    ["a probability above 1", ["-", "--vad_threshold", "2"], "--vad_threshold"],
  ])("refuses %s before a model is loaded", async (_, args, message) => {
    const host = new FakeHost();
    expect(await host.run("live", ...args)).toBe(2);
    expect(host.err).toContain(message);
    expect(host.made).toEqual([]);
  });
});

describe("sotto live", () => {
  it("records through a program on PATH", async () => {
    const folder = await mkdtemp(join(tmpdir(), "sotto-recorder-"));
    await writeFile(
      join(folder, "arecord"),
      `#!${process.execPath}\nprocess.stdout.write(require("node:fs").readFileSync(${JSON.stringify(WAV)}).subarray(44));\n`,
    );
    await chmod(join(folder, "arecord"), 0o755);
    vi.stubEnv("PATH", folder);
    const host = new LiveHost([]);
    expect(await host.run("live", "--language", "en")).toBe(0);
    expect(words(host.out)).toBe(TEXT);
    expect(host.err).toContain("listening through arecord");
    await rm(folder, { recursive: true });
  });

  it("takes what a recorder still gives when it is told to end", async () => {
    const folder = await mkdtemp(join(tmpdir(), "sotto-recorder-"));
    await writeFile(
      join(folder, "arecord"),
      `#!${process.execPath}
const samples = require("node:fs").readFileSync(${JSON.stringify(WAV)}).subarray(44);
process.on("SIGTERM", () => process.stdout.write(samples.subarray(80000), () => process.exit(1)));
process.stdout.write(samples.subarray(0, 80000));
setInterval(() => undefined, 1000);
`,
    );
    await chmod(join(folder, "arecord"), 0o755);
    vi.stubEnv("PATH", folder);
    const host = new LiveHost([], { terminal: true });
    const run = host.run("live", "--language", "en");
    await vi.waitFor(() => expect(words(host.out)).toContain("Clara"), { timeout: 20_000 });
    host.interrupt();
    expect(await run).toBe(0);
    const last = TEXT.split(" ").slice(-3).join(" ");
    expect(words(host.out)).toContain(last);
    await rm(folder, { recursive: true });
  });

  it("passes on what a recorder complains about", async () => {
    const folder = await mkdtemp(join(tmpdir(), "sotto-recorder-"));
    await writeFile(
      join(folder, "rec"),
      `#!${process.execPath}\nconsole.error("no default audio device");process.exit(2);\n`,
    );
    await chmod(join(folder, "rec"), 0o755);
    vi.stubEnv("PATH", folder);
    const host = new LiveHost([]);
    expect(await host.run("live")).toBe(1);
    expect(host.err).toContain('rec ended: "no default audio device"');
    await rm(folder, { recursive: true });
  });

  it("names the recorders that it looks for", async () => {
    vi.stubEnv("PATH", "/nowhere");
    const host = new FakeHost();
    expect(await host.run("live")).toBe(1);
    expect(host.err).toContain("arecord, rec, sox, ffmpeg");
    expect(host.made).toEqual([]);
  });
});
