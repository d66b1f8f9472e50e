/**
 * Takes a WebM stream (a Matroska file, RFC 9559, as browsers record it) apart into the packets of its first audio track, as its
 * bytes come. Only what browsers write is understood: blocks without lacing, clusters of known or unknown size.
 */
import { join } from "./ogg-packets.ts";

const EBML = 0x1a45dfa3;
const SEGMENT = 0x18538067;
const CLUSTER = 0x1f43b675;
const TRACKS = 0x1654ae6b;
const TRACK_ENTRY = 0xae;
const TRACK_NUMBER = 0xd7;
const TRACK_TYPE = 0x83;
const CODEC_ID = 0x86;
const CODEC_PRIVATE = 0x63a2;
const BLOCK_GROUP = 0xa0;
const BLOCK = 0xa1;
const SIMPLE_BLOCK = 0xa3;

/** Elements whose children are read one by one, so that they may have no end. */
const OPENED = new Set([SEGMENT, CLUSTER, BLOCK_GROUP]);
const AUDIO = 2;
/** An element that is read whole: packets and descriptions of tracks have some kB. */
const MAX_ELEMENT_BYTES = 2 ** 20;

interface Element {
  readonly id: number;
  /** Of the content; null where it is not known. */
  readonly size: number | null;
  readonly headerBytes: number;
}

interface Track {
  readonly number: number;
  readonly codec: string;
}

export class WebmPackets {
  #held: Uint8Array = new Uint8Array(0);
  /** Bytes of an element of no interest that are still to come. */
  #skip = 0;
  #track: Track | null = null;
  #begun = false;

  /**
   * @returns packets that are complete, in order; the first is the codec's header (OpusHead)
   * @throws {SyntaxError} if it is no WebM, or holds no track of Opus
   */
  push(bytes: Uint8Array): Uint8Array[] {
    this.#held = join([this.#held, bytes]);
    const packets: Uint8Array[] = [];
    for (;;) {
      const skipped = Math.min(this.#skip, this.#held.length);
      this.#skip -= skipped;
      this.#held = this.#held.subarray(skipped);
      const element = readElement(this.#held);
      if (element === null) return packets;
      if (!this.#begun && element.id !== EBML) throw new SyntaxError("Cannot read the WebM stream: it has no head");
      this.#begun = true;
      const { id, size, headerBytes } = element;
      if (OPENED.has(id)) {
        this.#held = this.#held.subarray(headerBytes);
        continue;
      }
      if (size === null) throw new SyntaxError("Cannot read the WebM stream: an element has no end");
      const isRead = id === TRACKS || id === SIMPLE_BLOCK || id === BLOCK;
      if (!isRead) {
        this.#skip = headerBytes + size;
        continue;
      }
      if (size > MAX_ELEMENT_BYTES) {
        throw new SyntaxError(`Cannot read the WebM stream: an element has more than ${MAX_ELEMENT_BYTES} bytes`);
      }
      if (this.#held.length < headerBytes + size) return packets;
      const content = this.#held.slice(headerBytes, headerBytes + size);
      this.#held = this.#held.subarray(headerBytes + size);
      if (id === TRACKS) packets.push(this.#readTracks(content));
      else {
        const packet = this.#readBlock(content);
        if (packet !== null) packets.push(packet);
      }
    }
  }

  /** @returns the codec's header */
  #readTracks(content: Uint8Array): Uint8Array {
    for (const entry of children(content)) {
      if (entry.id !== TRACK_ENTRY) continue;
      const fields = new Map(children(entry.content).map((child) => [child.id, child.content]));
      if (unsigned(fields.get(TRACK_TYPE)) !== AUDIO) continue;
      const codec = new TextDecoder().decode(fields.get(CODEC_ID));
      const head = fields.get(CODEC_PRIVATE);
      if (codec !== "A_OPUS" || head === undefined) {
        throw new SyntaxError(`Cannot read the WebM stream: its audio is "${codec.slice(0, 40)}", expected A_OPUS`);
      }
      this.#track = { number: unsigned(fields.get(TRACK_NUMBER)), codec };
      return head;
    }
    throw new SyntaxError("Cannot read the WebM stream: it holds no audio track");
  }

  #readBlock(content: Uint8Array): Uint8Array | null {
    const track = readVint(content, 0, true);
    if (track === null || this.#track?.number !== track.value || content.length < track.bytes + 3) return null;
    const flags = content[track.bytes + 2];
    if ((flags & 0x06) !== 0) throw new SyntaxError("Cannot read the WebM stream: its blocks are laced");
    return content.slice(track.bytes + 3);
  }
}

function readElement(bytes: Uint8Array): Element | null {
  const id = readVint(bytes, 0, false);
  if (id === null) return null;
  const size = readVint(bytes, id.bytes, true);
  if (size === null) return null;
  return { id: id.value, size: size.isUnknown ? null : size.value, headerBytes: id.bytes + size.bytes };
}

/** A number of variable length; `isSize`: without the bit that marks its length. */
function readVint(
  bytes: Uint8Array,
  at: number,
  isSize: boolean,
): { readonly value: number; readonly bytes: number; readonly isUnknown: boolean } | null {
  if (at >= bytes.length) return null;
  const length = Math.clz32(bytes[at]) - 23;
  if (length > 8) throw new SyntaxError("Cannot read the WebM stream: a number has no length");
  if (at + length > bytes.length) return null;
  const mask = 0xff >> length;
  let value = isSize ? bytes[at] & mask : bytes[at];
  let isUnknown = (bytes[at] & mask) === mask;
  for (let i = 1; i < length; i++) {
    value = value * 256 + bytes[at + i];
    isUnknown &&= bytes[at + i] === 0xff;
  }
  return { value, bytes: length, isUnknown };
}

function children(content: Uint8Array): { readonly id: number; readonly content: Uint8Array }[] {
  const found: { id: number; content: Uint8Array }[] = [];
  for (let rest = content; ;) {
    const element = readElement(rest);
    if (element === null || element.size === null) return found;
    const end = element.headerBytes + element.size;
    found.push({ id: element.id, content: rest.subarray(element.headerBytes, end) });
    rest = rest.subarray(end);
  }
}

function unsigned(bytes: Uint8Array = new Uint8Array(0)): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}
