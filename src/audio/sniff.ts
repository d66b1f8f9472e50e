/**
 * What the first bytes of a file are, whatever its name says: our own WAV reader's, something for the decoder, or
 * certainly no audio, with a word for it.
 */

import { looksLikeWav } from "./wav.ts";

/** Bytes wanted for `sniff`. */
export const SNIFF_BYTES = 4096;

/** `reason` completes the sentence "Cannot read "x": ...". */
export type Sniffed = { readonly kind: "wav" | "encoded" } | { readonly kind: "other"; readonly reason: string };

const SIGNATURES: readonly (readonly [prefix: string, what: string])[] = [
  ["\x89PNG\r\n", "a PNG image"],
  ["\xff\xd8\xff", "a JPEG image"],
  ["GIF8", "a GIF image"],
  ["%PDF-", "a PDF document"],
  ["PK\x03\x04", "a ZIP archive (or an office document)"],
  ["\x1f\x8b", "a gzip archive"],
  ["7z\xbc\xaf\x27\x1c", "a 7-Zip archive"],
  ["\x7fELF", "a program"],
  ["MThd", "a MIDI file: notes without sound"],
];

/** @param head the first bytes of a file, at least `SNIFF_BYTES` of them if the file has as many */
export function sniff(head: Uint8Array): Sniffed {
  if (looksLikeWav(head)) return { kind: "wav" };
  const start = Buffer.from(head.subarray(0, 16)).toString("latin1");
  for (const [prefix, what] of SIGNATURES) {
    if (start.startsWith(prefix)) return { kind: "other", reason: `it is ${what}, not audio` };
  }
  if (head.every((byte) => byte === 0)) return { kind: "other", reason: "it holds only zero bytes, not audio" };
  if (isText(head)) {
    const html = /^\s*<(!doctype html|html)/i.test(Buffer.from(head.subarray(0, 256)).toString("latin1"));
    return { kind: "other", reason: html ? "it is a web page, not audio" : "it is text, not audio" };
  }
  return { kind: "encoded" };
}

/** No container that a decoder knows is free of control characters in its first bytes; playlists are, and are refused with text. */
function isText(head: Uint8Array): boolean {
  for (const byte of head) {
    const control = byte < 0x20 && !(byte >= 0x09 && byte <= 0x0d) && byte !== 0x1b;
    if (control || byte === 0x7f) return false;
  }
  try {
    // The last character may be cut: `stream` lets it be.
    new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: true });
    return true;
  } catch {
    return false;
  }
}
