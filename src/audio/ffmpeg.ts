/**
 * Decoding by the ffmpeg program on PATH, for machines without node-av. It writes a WAV stream of float samples at the
 * recording's own rate and channels to a pipe, and our WAV reader and resampler do the rest: one sound from both decoders.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";

import type { AudioGap } from "./audio-input.ts";
import { ByteSource } from "./byte-source.ts";
import { SAMPLE_RATE } from "./constants.ts";
import { DecodeFailure, DecoderUnavailable, type DecoderOptions, type OpenDecoder } from "./decoder.ts";
import { FfmpegLog } from "./ffmpeg-log.ts";
import { MAX_GAP_SECONDS, MIN_GAP_SECONDS } from "./frame-clock.ts";
import { FORMAT_WHITELIST } from "./media-formats.ts";
import { Resampler } from "./resample.ts";
import { noSuchTrack, tracksWarning } from "./tracks.ts";
import { parseWavHeader, readWav, type WavHeader } from "./wav.ts";

/** Ceiling of the header that ffmpeg writes before the samples. */
const MAX_HEADER_BYTES = 65536;

/**
 * What `FrameClock` does, in the language of ffmpeg's filter: variable 0 is the stamp of the recording's time 0, variable 1 the seconds of audio so
 * far, variable 2 what is missing before this frame. ffmpeg counts stamps from the file's start, or from 0 with -copyts.
 */
const CLOCK = [
  "st(2, T - ld(0) - ld(1))",
  `if(gt(ld(2), ${MAX_GAP_SECONDS}) + lt(ld(2), ${-MIN_GAP_SECONDS}) + eq(N, 0) * lte(ld(2), ${MIN_GAP_SECONDS}), st(0, T - ld(1)))`,
  "st(2, T - ld(0))",
  `st(1, if(gt(ld(2) - ld(1), ${MIN_GAP_SECONDS}), ld(2), ld(1)) + NB_SAMPLES / SR)`,
  "ld(2) / TB",
].join("; ");

/** Silence where the clock says that audio is missing. */
const FILTER = `asetpts='${CLOCK}',aresample=async=1:first_pts=0:min_hard_comp=${MIN_GAP_SECONDS}`;

/** How stamps are counted: from 0, from the file's start, or from the start of whichever streams ffmpeg uses. */
type Stamps = "zero" | "file" | "used";

const makeArguments = (path: string, stamps: Stamps, audioTrack: number | undefined) => [
  // Its list of tracks is written at level "info".
  ...["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"],
  ...["-protocol_whitelist", "file,pipe", "-format_whitelist", FORMAT_WHITELIST],
  ...(stamps === "zero" ? ["-copyts"] : []),
  ...["-i", `file:${path}`],
  ...(audioTrack === undefined ? [] : ["-map", `0:a:${audioTrack - 1}`]),
  ...["-vn", "-sn", "-dn", "-af", FILTER, "-codec:a", "pcm_f32le", "-f", "wav", "pipe:1"],
  // A picture that goes nowhere, and is not decoded, is one of the streams that start the file.
  ...(stamps === "used" ? ["-map", "0:a", "-map", "0:v?", "-codec", "copy", "-f", "null", "-"] : []),
];

/**
 * Starts ffmpeg on a file.
 *
 * @throws {DecoderUnavailable} if no ffmpeg is on PATH
 * @throws {DecodeFailure} if it decodes nothing
 */
export async function openWithFfmpeg(path: string, options: DecoderOptions): Promise<OpenDecoder> {
  const { audioTrack } = options;
  const child = spawn("ffmpeg", makeArguments(path, await stampsOf(path), audioTrack), {
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  const exited = once(child, "close").then(
    ([code]) => code as number | null,
    (error: unknown) => error as Error, // not found, or not executable
  );
  const log = new FfmpegLog();
  child.stderr.setEncoding("utf8").on("data", (text: string) => log.add(text));
  const source = new ByteSource(options.name, child.stdout);
  try {
    const header = await readHeader(source, options.name);
    if (header === null) {
      const end = await exited;
      if (end instanceof Error) throw new DecoderUnavailable(end.message);
      const count = log.tracks.length;
      const noTrack = audioTrack !== undefined && count > 0 && audioTrack > count;
      throw new DecodeFailure(noTrack ? noSuchTrack(audioTrack, count) : `ffmpeg says "${log.complaint}"`);
    }
    return new FfmpegDecoder(child, source, header, exited, log, options);
  } catch (error) {
    await stop(child);
    throw error;
  }
}

const ZERO = /^(....(ftyp|moov|mdat|free|wide|skip)|\x1a\x45\xdf\xa3|RIFF....AVI |FLV|\x30\x26\xb2\x75)/s;
const USED = /^(\x47|....\x47|\x00\x00\x01\xba|OggS)/s;

/** By the file's first bytes; "zero" for the formats of which `startStamp` says so. */
async function stampsOf(path: string): Promise<Stamps> {
  const file = await open(path, "r");
  try {
    const { buffer } = await file.read(Buffer.alloc(16), 0, 16, 0);
    const head = buffer.toString("latin1");
    return ZERO.test(head) ? "zero" : USED.test(head) ? "used" : "file";
  } finally {
    await file.close();
  }
}

/** Least silence that is taken for a gap, in samples at 16 kHz. */
const MIN_SILENCE = SAMPLE_RATE / 4;

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
    private readonly log: FfmpegLog,
    private readonly options: DecoderOptions,
  ) {}

  async *pieces(): AsyncGenerator<Float32Array> {
    const { signal, warnings } = this.options;
    const silence = new SilenceFinder(this.options.gaps);
    const abort = () => void this.child.kill("SIGKILL");
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const resampler = new Resampler(this.header.sampleRate);
      let heard = false;
      for await (const piece of readWav(this.header, this.source.chunks(), warnings, null)) {
        signal?.throwIfAborted();
        heard = true;
        yield silence.passed(resampler.push(piece));
      }
      signal?.throwIfAborted();
      await this.exited;
      const { complaint, tracks, taken } = this.log;
      if (!heard) throw new DecodeFailure(`ffmpeg says "${complaint || "no audio"}"`);
      if (complaint !== "") warnings.add(`The file is damaged: ffmpeg says "${complaint}"`);
      const others = this.options.audioTrack === undefined ? tracksWarning(tracks, taken) : null;
      if (others !== null) warnings.add(others);
      yield silence.passed(resampler.flush());
      silence.end();
    } finally {
      signal?.removeEventListener("abort", abort);
      await this.close();
    }
  }

  async close(): Promise<void> {
    await stop(this.child);
  }
}

/** Finds the gaps that ffmpeg has filled: it does not tell, but nothing else is as still for long. */
class SilenceFinder {
  private at = 0; // samples so far
  private start = -1; // of the silence under way

  constructor(private readonly gaps: AudioGap[]) {}

  /** @returns the very samples */
  passed(samples: Float32Array): Float32Array {
    for (let i = 0; i < samples.length; i++) {
      if (samples[i] !== 0) this.endAt(this.at + i);
      else if (this.start < 0) this.start = this.at + i;
    }
    this.at += samples.length;
    return samples;
  }

  end(): void {
    this.endAt(this.at);
  }

  private endAt(end: number): void {
    if (this.start >= 0 && end - this.start >= MIN_SILENCE) {
      this.gaps.push({ start: this.start / SAMPLE_RATE, end: end / SAMPLE_RATE });
    }
    this.start = -1;
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
