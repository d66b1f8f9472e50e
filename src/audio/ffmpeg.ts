/**
 * Decoding by the ffmpeg program on PATH, for machines without node-av. It writes a WAV stream of float samples at the
 * recording's own rate and channels to a pipe, and our WAV reader and resampler do the rest: one sound from both decoders.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";

import { ByteSource } from "./byte-source.ts";
import { DecodeFailure, DecoderUnavailable, type DecoderOptions, type OpenDecoder } from "./decoder.ts";
import { FORMAT_WHITELIST } from "./media-formats.ts";
import { Resampler } from "./resample.ts";
import { parseWavHeader, readWav, type WavHeader } from "./wav.ts";

/** Kept of what ffmpeg complains about, in characters: a damaged hour gives megabytes. */
const MAX_COMPLAINT = 4096;

/** Ceiling of the header that ffmpeg writes before the samples. */
const MAX_HEADER_BYTES = 65536;

const ARGUMENTS = (path: string) => [
  ...["-nostdin", "-hide_banner", "-loglevel", "error"],
  ...["-protocol_whitelist", "file,pipe", "-format_whitelist", FORMAT_WHITELIST],
  ...["-i", `file:${path}`],
  ...["-vn", "-sn", "-dn", "-codec:a", "pcm_f32le", "-f", "wav", "pipe:1"],
];

/**
 * Starts ffmpeg on a file.
 *
 * @throws {DecoderUnavailable} if no ffmpeg is on PATH
 * @throws {DecodeFailure} if it decodes nothing
 */
export async function openWithFfmpeg(path: string, options: DecoderOptions): Promise<OpenDecoder> {
  const child = spawn("ffmpeg", ARGUMENTS(path), { stdio: ["ignore", "pipe", "pipe"], windowsHide: true });
  const exited = once(child, "close").then(
    ([code]) => code as number | null,
    (error: unknown) => error as Error, // not found, or not executable
  );
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    if (complaint.length < MAX_COMPLAINT) complaint += text.slice(0, MAX_COMPLAINT);
  });
  const source = new ByteSource(options.name, child.stdout);
  try {
    const header = await readHeader(source, options.name);
    if (header === null) {
      const end = await exited;
      if (end instanceof Error) throw new DecoderUnavailable(end.message);
      throw new DecodeFailure(`ffmpeg says "${summary(complaint)}"`);
    }
    return new FfmpegDecoder(child, source, header, exited, () => complaint, options);
  } catch (error) {
    await stop(child);
    throw error;
  }
}

type ReadableHeader = WavHeader & { readonly format: NonNullable<WavHeader["format"]> };

async function readHeader(source: ByteSource, name: string): Promise<ReadableHeader | null> {
  for (let bytes = 128; bytes <= MAX_HEADER_BYTES; bytes *= 2) {
    const head = await source.peek(bytes);
    const header = parseWavHeader(head, name);
    if (header !== null && header.format !== null) return { ...header, format: header.format, dataBytes: null };
    if (head.length < bytes) break;
  }
  return null;
}

class FfmpegDecoder implements OpenDecoder {
  readonly durationSeconds = null;

  constructor(
    private readonly child: ChildProcess,
    private readonly source: ByteSource,
    private readonly header: ReadableHeader,
    private readonly exited: Promise<number | null | Error>,
    private readonly complaint: () => string,
    private readonly options: DecoderOptions,
  ) {}

  async *pieces(): AsyncGenerator<Float32Array> {
    const { signal, warnings } = this.options;
    const abort = () => void this.child.kill("SIGKILL");
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const resampler = new Resampler(this.header.sampleRate);
      let heard = false;
      for await (const piece of readWav(this.header, this.source.chunks(), warnings, null)) {
        signal?.throwIfAborted();
        heard = true;
        yield resampler.push(piece);
      }
      signal?.throwIfAborted();
      await this.exited;
      if (!heard) throw new DecodeFailure(`ffmpeg says "${summary(this.complaint()) || "no audio"}"`);
      if (this.complaint() !== "") warnings.add(`The file is damaged: ffmpeg says "${summary(this.complaint())}"`);
      yield resampler.flush();
    } finally {
      signal?.removeEventListener("abort", abort);
      await this.close();
    }
  }

  async close(): Promise<void> {
    await stop(this.child);
  }
}

/** Ends the program and waits for it: its file may be deleted next. */
async function stop(child: ChildProcess): Promise<void> {
  child.stdout?.destroy();
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** The first lines, without memory addresses. */
function summary(complaint: string): string {
  const lines = complaint
    .replace(/\[([^\]@]+) @ [^\]]+\]/g, "$1:")
    .trim()
    .split(/\r?\n/);
  return lines.slice(0, 2).join("; ");
}
