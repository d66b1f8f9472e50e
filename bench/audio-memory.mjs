// Peak memory of decoding a long recording: `npm run build && node bench/audio-memory.mjs [hours] [format ...]`.
//
// Makes a recording of coloured noise in a temporary folder, decodes it in a process of its own, and prints the peak of
// that process's resident memory against what it had before, with the time and the speed. Formats: wav (44.1 kHz stereo,
// 16 bits), wav16k, flac and mp3 (these two made by the ffmpeg program). 3 hours unless said.

import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const [command, ...rest] = process.argv.slice(2);
if (command === "--decode") await decode(rest[0]);
else main(Number(command ?? 3), rest.length > 0 ? rest : ["wav16k", "wav", "flac", "mp3"]);

async function decode(path) {
  const { openAudio } = await import("../dist/audio/index.js");
  const before = process.memoryUsage.rss();
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20);
  const start = performance.now();
  const audio = await openAudio(path);
  let samples = 0;
  for await (const piece of audio) samples += piece.length;
  const seconds = (performance.now() - start) / 1000;
  clearInterval(timer);
  // The operating system's own peak (KiB on Linux) misses nothing between two looks.
  peak = Math.max(peak, process.resourceUsage().maxRSS * 1024);
  console.log(JSON.stringify({ before, peak, samples, seconds, warnings: audio.warnings }));
}

function main(hours, formats) {
  const folder = mkdtempSync(join(tmpdir(), "audio-memory-"));
  try {
    for (const format of formats) {
      const path = join(folder, `long.${format.startsWith("wav") ? "wav" : format}`);
      make(path, format, hours * 3600);
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [fileURLToPath(import.meta.url), "--decode", path],
        { encoding: "utf8" },
      );
      if (status !== 0) throw new Error(stderr);
      const { before, peak, samples, seconds, warnings } = JSON.parse(stdout);
      const mb = (bytes) => `${Math.round(bytes / 1e6)} MB`;
      console.log(
        `${format.padEnd(7)} file ${mb(statSync(path).size)}, ${(samples / 16000 / 3600).toFixed(2)} h decoded in ${seconds.toFixed(1)} s ` +
          `(${Math.round(samples / 16000 / seconds)} x real time); resident memory ${mb(before)} before, ${mb(peak)} at its peak, ` +
          `growth ${mb(peak - before)}${warnings.length > 0 ? `; ${warnings.join("; ")}` : ""}`,
      );
      rmSync(path);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function make(path, format, seconds) {
  if (format === "wav") writeWav(path, seconds, 44100, 2);
  else if (format === "wav16k") writeWav(path, seconds, 16000, 1);
  else {
    const source = `${path}.wav`;
    writeWav(source, seconds, 44100, 1);
    const arguments_ = ["-v", "error", "-nostdin", "-i", source, ...(format === "mp3" ? ["-b:a", "64k"] : []), path];
    const { status, error, stderr } = spawnSync(process.env.FFMPEG ?? "ffmpeg", arguments_, { encoding: "utf8" });
    rmSync(source);
    if (status !== 0)
      throw new Error(`Cannot make "${path}" with ffmpeg: ${error?.message ?? stderr} (set FFMPEG to its path)`);
  }
}

function writeWav(path, seconds, rate, channels) {
  const bytes = seconds * rate * channels * 2;
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(Math.min(bytes + 36, 0xffffffff), 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(channels, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * channels * 2, 28);
  header.writeUInt16LE(channels * 2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(Math.min(bytes, 0xffffffff), 40);
  // 10 s of noise through a resonance, over and over.
  const noise = new Int16Array(10 * rate * channels);
  let [state, a, b] = [1, 0, 0];
  for (let i = 0; i < noise.length; i++) {
    state = (state * 48271) % 2147483647;
    const value = 1.9 * a - 0.95 * b + (state / 2147483647 - 0.5) * 200;
    [a, b] = [value, a];
    noise[i] = Math.max(-32768, Math.min(32767, value));
  }
  const block = Buffer.from(noise.buffer);
  const file = openSync(path, "w");
  writeSync(file, header);
  for (let written = 0; written < bytes; written += block.length)
    writeSync(file, block, 0, Math.min(block.length, bytes - written));
  closeSync(file);
}
