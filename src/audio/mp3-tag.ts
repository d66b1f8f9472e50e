/**
 * The tag that encoders put in an MP3's first frame: how many frames follow, and a checksum of them. A flipped bit in an
 * MP3 is no error to a decoder, only another sound; the checksum tells. Layout: the "Xing" or "Info" tag and LAME's
 * extension of it, which FFmpeg's muxer writes too.
 */

import { open } from "node:fs/promises";

/** What the tag says. */
export interface Mp3Tag {
  /** The recording's length is known, not guessed from the bit rate. */
  readonly countsFrames: boolean;
  /** The bytes after the tag's frame and their CRC-16, where an encoder wrote them down. */
  readonly music: { readonly start: number; readonly end: number; readonly crc: number } | null;
}

/** Read at once for the checksum. */
const BLOCK = 2 ** 20;

/** The first frame and its tag fit in this. */
const HEAD_BYTES = 4096;

let table: Uint16Array | undefined;

/** CRC-16/ARC: polynomial 0x8005, bits reflected. */
function crc16(crc: number, bytes: Uint8Array): number {
  table ??= Uint16Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >> 1) ^ 0xa001 : value >> 1;
    return value;
  });
  for (let i = 0; i < bytes.length; i++) crc = (crc >> 8) ^ table[(crc ^ bytes[i]) & 255];
  return crc;
}

/**
 * Reads the tag of an MP3 file; `null` if it has none.
 *
 * The checksum is believed only if the tag's own checksum is right.
 */
export async function readMp3Tag(path: string): Promise<Mp3Tag | null> {
  const file = await open(path, "r");
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    await file.read(head, 0, 10, 0);
    // An ID3v2 tag goes before the first frame; its size has 7 bits in each byte.
    const id3 =
      head.toString("latin1", 0, 3) === "ID3"
        ? 10 + head.subarray(6, 10).reduce((size, byte) => size * 128 + byte, 0)
        : 0;
    const { bytesRead } = await file.read(head, 0, HEAD_BYTES, id3);
    return parseTag(head.subarray(0, bytesRead), id3);
  } finally {
    await file.close();
  }
}

function parseTag(head: Buffer, fileOffset: number): Mp3Tag | null {
  const text = head.toString("latin1");
  const sync = text.search(/\xff[\xe0-\xff]/);
  if (sync < 0) return null;
  const frame = head.subarray(sync);
  const frameText = text.slice(sync, sync + 64);
  if (frameText.includes("VBRI")) return { countsFrames: true, music: null };
  const mark = Math.max(frameText.indexOf("Xing"), frameText.indexOf("Info"));
  if (mark < 0 || frame.length < mark + 8) return null;
  const flags = frame.readUInt32BE(mark + 4);
  const fields = [4, 4, 100, 4]; // frames, bytes, table of contents, quality: each there if its flag is
  const lame = mark + 8 + fields.reduce((size, field, bit) => size + (flags & (1 << bit) ? field : 0), 0);
  const countsFrames = (flags & 1) !== 0;
  if (lame + 36 > frame.length) return { countsFrames, music: null };
  const length = frame.readUInt32BE(lame + 28);
  const tagBytes = frameBytes(frame);
  const trusted = tagChecksums(frame, lame + 34, tagBytes).includes(frame.readUInt16BE(lame + 34));
  if (!trusted || length <= tagBytes || tagBytes === 0) return { countsFrames, music: null };
  const start = fileOffset + sync;
  return { countsFrames, music: { start: start + tagBytes, end: start + length, crc: frame.readUInt16BE(lame + 32) } };
}

/** LAME's checksum covers all before itself; FFmpeg's always 190 bytes, zeros past the frame, its own still 0. */
function tagChecksums(frame: Uint8Array, at: number, frameLength: number): number[] {
  const zeroed = Uint8Array.from(frame.subarray(0, 190));
  zeroed.fill(0, Math.min(at, 190), Math.min(at + 2, 190));
  zeroed.fill(0, Math.min(frameLength, 190));
  return [crc16(0, frame.subarray(0, at)), crc16(0, zeroed)];
}

/** Length of a Layer III frame by its header; 0 if the header is none. */
function frameBytes(header: Uint8Array): number {
  const version = (header[1] >> 3) & 3; // 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
  const bitRates =
    version === 3
      ? [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
      : [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
  const bitRate = bitRates[header[2] >> 4] ?? 0;
  const rate = [44100, 48000, 32000, NaN][(header[2] >> 2) & 3] / (version === 3 ? 1 : version === 2 ? 2 : 4);
  const bytes = Math.floor(((version === 3 ? 144 : 72) * bitRate * 1000) / rate) + ((header[2] >> 1) & 1);
  return bitRate > 0 && Number.isFinite(bytes) ? bytes : 0;
}

/** True if the bytes are those that the encoder wrote. Reads the file once, in blocks; the caller's other work goes on. */
export async function musicIsIntact(path: string, music: NonNullable<Mp3Tag["music"]>): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const block = Buffer.allocUnsafe(BLOCK);
    let crc = 0;
    for (let at = music.start; at < music.end;) {
      const { bytesRead } = await file.read(block, 0, Math.min(BLOCK, music.end - at), at);
      if (bytesRead === 0) return false;
      crc = crc16(crc, block.subarray(0, bytesRead));
      at += bytesRead;
    }
    return crc === music.crc;
  } finally {
    await file.close();
  }
}
