/**
 * Our own WAV reader and writer: RIFF, RIFX's little-endian kin RF64 and BW64, PCM of 8 to 32 bits, float, A-law and
 * mu-law, WAVE_FORMAT_EXTENSIBLE. It reads a stream from front to back and keeps no more than one piece. Sizes in a header are
 * hints: what is there is read. Layout: Microsoft's "Multiple channel audio data and WAVE files", EBU Tech 3306 (RF64).
 */

import { UnsupportedAudioError } from "../errors.ts";
import { BYTES_PER_SAMPLE, readInterleaved, type SampleFormat } from "./channels.ts";
import { MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE } from "./constants.ts";
import { MIX_FRAMES, Mixer } from "./mixer.ts";
import { formatSeconds, type WarningList } from "./warnings.ts";

/** What a WAV header says, as far as it can be believed. */
export interface WavHeader {
  /** `null` where the codec is none of ours (ADPCM, MP3 in WAV): another decoder may know it. */
  readonly format: SampleFormat | null;
  readonly channels: number;
  /** Hz */
  readonly sampleRate: number;
  /** Bytes of one sample of all channels. */
  readonly frameBytes: number;
  /** Where the samples begin, in bytes from the start of the file. */
  readonly dataOffset: number;
  /** Bytes of samples announced; `null` where a writer to a pipe could not know. */
  readonly dataBytes: number | null;
}

const PCM = 1;
const FLOAT = 3;
const A_LAW = 6;
const MU_LAW = 7;
const EXTENSIBLE = 0xfffe;

/** Sizes that writers put in when they do not know: ffmpeg to a pipe, sox to a pipe. */
const UNKNOWN_SIZES: readonly number[] = [0xffffffff, 0x7fffffff, 0x7ffff000];

function fourCC(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
}

/** True if the bytes begin as a WAV file does. */
export function looksLikeWav(bytes: Uint8Array): boolean {
  return bytes.length >= 12 && ["RIFF", "RF64", "BW64"].includes(fourCC(bytes, 0)) && fourCC(bytes, 8) === "WAVE";
}

/**
 * Parses the beginning of a WAV file, up to where its samples start.
 *
 * @param bytes the first bytes of a file that `looksLikeWav`
 * @param name of the file, for messages
 * @returns the header, or `null` if the bytes end before the samples begin
 * @throws {UnsupportedAudioError} if the rate, the channels or the sample size cannot be
 */
export function parseWavHeader(bytes: Uint8Array, name: string): WavHeader | null {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let format: Omit<WavHeader, "dataOffset" | "dataBytes"> | undefined;
  let longDataBytes: number | undefined;
  for (let at = 12; at + 8 <= bytes.length;) {
    const id = fourCC(bytes, at);
    const size = data.getUint32(at + 4, true);
    const body = at + 8;
    if (id === "data") {
      if (format === undefined) {
        throw new UnsupportedAudioError(name, "its samples come before their description, which is no WAV file");
      }
      const known = size === 0xffffffff && longDataBytes !== undefined ? longDataBytes : size;
      return { ...format, dataOffset: body, dataBytes: UNKNOWN_SIZES.includes(known) ? null : known };
    }
    if (id === "ds64" && body + 16 <= bytes.length) {
      const long = data.getBigUint64(body + 8, true);
      if (long > 0n && long <= BigInt(Number.MAX_SAFE_INTEGER)) longDataBytes = Number(long);
    }
    if (id === "fmt ") {
      if (body + 16 > bytes.length) return null;
      if (body + Math.min(size, 26) > bytes.length) return null;
      format = parseFormat(data, body, size, name);
    }
    at = body + size + (size % 2);
  }
  return null;
}

function parseFormat(data: DataView, at: number, size: number, name: string) {
  if (size < 16) throw new UnsupportedAudioError(name, `its format chunk has ${size} bytes, expected at least 16`);
  let tag = data.getUint16(at, true);
  const channels = data.getUint16(at + 2, true);
  const sampleRate = data.getUint32(at + 4, true);
  const blockAlign = data.getUint16(at + 12, true);
  const bits = data.getUint16(at + 14, true);
  if (tag === EXTENSIBLE && size >= 26) tag = data.getUint16(at + 24, true); // the sub-format's GUID begins with a tag
  if (channels < 1 || channels > MAX_CHANNELS) {
    throw new UnsupportedAudioError(name, `its header says ${channels} channels, expected 1 to ${MAX_CHANNELS}`);
  }
  if (sampleRate < MIN_SAMPLE_RATE || sampleRate > MAX_SAMPLE_RATE) {
    const range = `${MIN_SAMPLE_RATE} to ${MAX_SAMPLE_RATE}`;
    throw new UnsupportedAudioError(name, `its header says a sample rate of ${sampleRate} Hz, expected ${range}`);
  }
  const format = sampleFormat(tag, bits, blockAlign / channels, name);
  const frameBytes = format === null ? blockAlign : channels * BYTES_PER_SAMPLE[format];
  return { format, channels, sampleRate, frameBytes };
}

/** @param container bytes of one sample by the block size, which holds 24 bits in 4 bytes or 12 in 2, left-justified */
function sampleFormat(tag: number, bits: number, container: number, name: string): SampleFormat | null {
  if (tag === A_LAW) return "alaw";
  if (tag === MU_LAW) return "mulaw";
  if (tag !== PCM && tag !== FLOAT) return null;
  const bytes = Number.isInteger(container) && container * 8 >= bits && container > 0 ? container : Math.ceil(bits / 8);
  const formats: Partial<Record<number, SampleFormat>> =
    tag === PCM ? { 1: "u8", 2: "s16", 3: "s24", 4: "s32" } : { 4: "f32", 8: "f64" };
  const format = formats[bytes];
  if (format === undefined || bits === 0) {
    throw new UnsupportedAudioError(
      name,
      `its header says ${bits}-bit ${tag === PCM ? "integer" : "float"} samples, expected ${tag === PCM ? "8 to 32" : "32 or 64"} bits`,
    );
  }
  return format;
}

/** Bytes mixed at once, unless `MIX_FRAMES` are fewer. */
const BYTES_AT_ONCE = 2 ** 19;

/**
 * Reads the samples of a WAV file, mixed to mono, at the file's own rate.
 *
 * @param header from `parseWavHeader`, with a format of ours
 * @param chunks the whole file from its first byte, in chunks of any size
 * @param fileBytes size of the file, where known: tells damage at the end from a chunk of notes
 * @yields at least one sample; at most 32768
 */
export async function* readWav(
  header: WavHeader & { readonly format: SampleFormat },
  chunks: AsyncIterable<Uint8Array>,
  warnings: WarningList,
  fileBytes: number | null,
): AsyncGenerator<Float32Array> {
  const { format, channels, frameBytes, sampleRate } = header;
  const announced = header.dataBytes;
  const seconds = (bytes: number) => formatSeconds(bytes / frameBytes / sampleRate);
  const framesAtOnce = Math.min(MIX_FRAMES, Math.ceil(BYTES_AT_ONCE / frameBytes));
  const scratch = new Uint8Array(frameBytes * framesAtOnce);
  const planes = Array.from({ length: channels }, () => new Float32Array(framesAtOnce));
  const mixer = new Mixer(warnings);
  let held = 0; // bytes of `scratch` in use
  let skip = header.dataOffset;
  let end = announced ?? Infinity; // of the samples, counted in bytes from their start
  let read = 0;

  const drain = (): Float32Array | null => {
    const frames = Math.floor(held / frameBytes);
    if (frames === 0) return null;
    const out = new Float32Array(frames);
    warnings.addReplaced(readInterleaved(scratch, format, frames, planes));
    mixer.mix(planes, frames, out);
    scratch.copyWithin(0, frames * frameBytes, held);
    held -= frames * frameBytes;
    return out;
  };

  let carry: Uint8Array | null = null;
  for await (const next of chunks) {
    const chunk: Uint8Array = carry === null ? next : Buffer.concat([carry, next]);
    carry = null;
    let at = Math.min(skip, chunk.length);
    skip -= at;
    while (at < chunk.length) {
      if (read >= end) {
        // Past the announced end: a chunk of notes, or more samples than the header admits.
        const left = fileBytes === null ? null : fileBytes - header.dataOffset - read;
        const rest = chunk.subarray(at);
        if (end !== Infinity && rest.length < TRAILER_BYTES) {
          carry = rest.slice(); // too short to tell
          break;
        }
        if (end === Infinity || isTrailer(rest, left, read)) {
          const last = drain();
          if (last !== null) yield last;
          return;
        }
        warnings.add(`The header announces ${seconds(end)} of audio, but more follows: all of it is read`);
        end = Infinity;
      }
      const count = Math.min(chunk.length - at, scratch.length - held, end - read);
      scratch.set(chunk.subarray(at, at + count), held);
      held += count;
      at += count;
      read += count;
      if (held === scratch.length) {
        const piece = drain();
        if (piece !== null) yield piece;
      }
    }
  }
  const last = drain();
  if (last !== null) yield last;
  if (announced !== null && read < announced) {
    warnings.add(`The header announces ${seconds(announced)} of audio, but only ${seconds(read)} are there`);
  }
}

/** A pad byte, an identifier and a size; fewer bytes at the end of a file are nothing. */
const TRAILER_BYTES = 9;

/** What follows the samples is metadata if it begins as a chunk does: after a pad byte, four letters and a size that fits. */
function isTrailer(rest: Uint8Array, left: number | null, dataBytes: number): boolean {
  const at = dataBytes % 2;
  const size = new DataView(rest.buffer, rest.byteOffset + at + 4).getUint32(0, true);
  return /^[\w ]{4}$/.test(fourCC(rest, at)) && (left === null || size <= left);
}

/**
 * Writes a WAV file: for tests, microphones, and whoever wants to hear what the model heard.
 *
 * @param samples mono in [-1, 1], or one array of equal length for each channel; values beyond are clipped in "s16"
 * @param format "s16" (16-bit PCM) or "f32" (float, exact)
 * @throws {RangeError} if the channels differ in length, or the file would pass 4 GiB
 */
export function encodeWav(
  samples: Float32Array | readonly Float32Array[],
  sampleRate: number,
  format: "s16" | "f32" = "s16",
): Uint8Array {
  const channels = samples instanceof Float32Array ? [samples] : samples;
  const frames = channels[0]?.length ?? 0;
  if (channels.length === 0 || channels.some((channel) => channel.length !== frames)) {
    throw new RangeError(`Cannot write WAV: expected at least one channel, all of equal length`);
  }
  const frameBytes = BYTES_PER_SAMPLE[format] * channels.length;
  const dataBytes = frames * frameBytes;
  if (dataBytes + 44 > 0xffffffff) throw new RangeError(`Cannot write WAV: ${dataBytes} bytes pass its limit of 4 GiB`);
  const bytes = new Uint8Array(44 + dataBytes);
  const data = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode("RIFF\0\0\0\0WAVEfmt "));
  data.setUint32(4, 36 + dataBytes, true);
  data.setUint32(16, 16, true);
  data.setUint16(20, format === "s16" ? PCM : FLOAT, true);
  data.setUint16(22, channels.length, true);
  data.setUint32(24, sampleRate, true);
  data.setUint32(28, sampleRate * frameBytes, true);
  data.setUint16(32, frameBytes, true);
  data.setUint16(34, 8 * BYTES_PER_SAMPLE[format], true);
  bytes.set(new TextEncoder().encode("data"), 36);
  data.setUint32(40, dataBytes, true);
  let at = 44;
  for (let frame = 0; frame < frames; frame++) {
    for (const channel of channels) {
      if (format === "f32") data.setFloat32(at, channel[frame], true);
      else data.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(channel[frame] * 32768))), true);
      at += BYTES_PER_SAMPLE[format];
    }
  }
  return bytes;
}
