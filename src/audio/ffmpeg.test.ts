import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { DecodeFailure, DecoderUnavailable } from "./decoder.ts";
import { openWithFfmpeg } from "./ffmpeg.ts";
import { concatenate, resample } from "./resample.ts";
import { encodeWav } from "./wav.ts";
import { WarningList } from "./warnings.ts";

const FIXTURE = fileURLToPath(new URL("../../test/fixtures/audio/tone.mp3", import.meta.url));
const TONE = Float32Array.from({ length: 44100 }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / 44100));

/** A program named ffmpeg that notes its arguments and does what `script` says. */
describe.skipIf(process.platform === "win32")("openWithFfmpeg() with a program in ffmpeg's place", () => {
  const path = process.env.PATH;
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "ffmpeg-test-"));
    await writeFile(join(folder, "tone.wav"), encodeWav([TONE, TONE], 44100, "f32"));
    process.env.PATH = folder;
  });
  afterEach(async () => {
    process.env.PATH = path;
    await rm(folder, { recursive: true });
  });

  async function program(script: string): Promise<void> {
    const text = `#!${process.execPath}\nconst fs = require("node:fs");\nconst folder = ${JSON.stringify(folder)};\n`;
    await writeFile(
      join(folder, "ffmpeg"),
      `${text}fs.writeFileSync(folder + "/args", process.argv.slice(2).join("\\n"));\n${script}`,
    );
    await chmod(join(folder, "ffmpeg"), 0o755);
  }
  const PLAY = `process.stdout.write(fs.readFileSync(folder + "/tone.wav"));`;

  async function open(signal?: AbortSignal, audioTrack?: number) {
    const warnings = new WarningList();
    const decoder = await openWithFfmpeg(FIXTURE, { name: "tone.mp3", signal, warnings, gaps: [], audioTrack });
    return { decoder, warnings };
  }

  it("mixes and resamples what the program writes", async () => {
    await program(PLAY);
    const { decoder, warnings } = await open();
    const pieces: Float32Array[] = [];
    for await (const piece of decoder.pieces()) pieces.push(piece);
    expect(concatenate(pieces)).toEqual(resample(TONE, 44100));
    expect(warnings.texts).toEqual([]);
  });

  it("keeps the program from other protocols and from playlists", async () => {
    await program(PLAY);
    const { decoder } = await open();
    await decoder.close();
    const { readFile } = await import("node:fs/promises");
    const args = (await readFile(join(folder, "args"), "utf8")).split("\n");
    expect(args[args.indexOf("-protocol_whitelist") + 1]).toBe("file,pipe");
    expect(args[args.indexOf("-format_whitelist") + 1].split(",")).not.toContain("hls");
    expect(args[args.indexOf("-i") + 1]).toBe(`file:${FIXTURE}`);
  });

  it("warns of complaints beside the sound", async () => {
    await program(`process.stderr.write("[mp3 @ 0x55d0c0] Header missing\\n");\n${PLAY}`);
    const { decoder, warnings } = await open();
    for await (const piece of decoder.pieces()) expect(piece).toBeInstanceOf(Float32Array);
    expect(warnings.texts).toEqual(['The file is damaged: ffmpeg says "mp3: Header missing"']);
  });

  it("fails with the program's complaint if there is no sound", async () => {
    await program(`process.stderr.write("Invalid data found\\n"); process.exitCode = 1;`);
    const opening = open();
    await expect(opening).rejects.toBeInstanceOf(DecodeFailure);
    await expect(opening).rejects.toThrow('ffmpeg says "Invalid data found"');
  });

  it("is not available without the program", async () => {
    await expect(open()).rejects.toBeInstanceOf(DecoderUnavailable);
  });

  it("ends the program when the reader leaves, and when the signal comes", async () => {
    // Endless: only a kill ends it.
    const endless = `${PLAY}\nfs.writeFileSync(folder + "/pid", String(process.pid));\nsetInterval(() => process.stdout.write(Buffer.alloc(65536)), 1);`;
    await program(endless);
    const { readFile } = await import("node:fs/promises");
    const alive = async () => {
      try {
        process.kill(Number(await readFile(join(folder, "pid"), "utf8")), 0);
        return true;
      } catch {
        return false;
      }
    };
    const first = await open();
    for await (const piece of first.decoder.pieces()) {
      expect(piece).toBeInstanceOf(Float32Array);
      break;
    }
    expect(await alive()).toBe(false);

    const controller = new AbortController();
    const second = await open(controller.signal);
    const reading = (async () => {
      for await (const piece of second.decoder.pieces()) if (piece.length > 0) controller.abort();
    })();
    await expect(reading).rejects.toMatchObject({ name: "AbortError" });
    expect(await alive()).toBe(false);
  });
});
