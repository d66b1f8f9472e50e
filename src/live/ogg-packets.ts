/** Takes an Ogg stream (RFC 3533) apart into its packets, as its bytes come. Of several streams in one, the first counts. */

const HEADER_BYTES = 27;
/** Opus packets have at most 61 kB (RFC 7845); headers with pictures in them are the sender's to leave out. */
const MAX_PACKET_BYTES = 2 ** 20;

const CONTINUED = 1;

export class OggPackets {
  #held: Uint8Array = new Uint8Array(0);
  #serial: number | null = null;
  #partial: Uint8Array[] = [];
  #partialBytes = 0;

  /**
   * @returns packets that are complete, in order
   * @throws {SyntaxError} where no page begins
   */
  push(bytes: Uint8Array): Uint8Array[] {
    this.#held = join([this.#held, bytes]);
    const packets: Uint8Array[] = [];
    for (let used = this.#page(packets); used > 0; used = this.#page(packets)) this.#held = this.#held.subarray(used);
    return packets;
  }

  /** @returns packets that are complete in the page that was cut off by the end of the stream */
  flush(): Uint8Array[] {
    const packets: Uint8Array[] = [];
    this.#page(packets, true);
    this.#held = new Uint8Array(0);
    return packets;
  }

  /** Reads one page. @returns its bytes, 0 if it is not complete */
  #page(packets: Uint8Array[], isCutOff = false): number {
    const held = this.#held;
    if (held.length < HEADER_BYTES) return 0;
    if (held[0] !== 0x4f || held[1] !== 0x67 || held[2] !== 0x67 || held[3] !== 0x53) {
      throw new SyntaxError("Cannot read the Ogg stream: no page begins where one should");
    }
    const view = new DataView(held.buffer, held.byteOffset, held.byteLength);
    const segments = held[26];
    const body = HEADER_BYTES + segments;
    if (held.length < body) return 0;
    const lacing = held.subarray(HEADER_BYTES, body);
    const size = lacing.reduce((sum, length) => sum + length, 0);
    if (held.length < body + size && !isCutOff) return 0;

    const serial = view.getUint32(14, true);
    this.#serial ??= serial;
    if (serial !== this.#serial) return body + size;
    if ((held[5] & CONTINUED) === 0) this.#drop();
    let at = body;
    for (const length of lacing) {
      if (at + length > held.length) return 0;
      this.#partial.push(held.slice(at, at + length));
      this.#partialBytes += length;
      if (this.#partialBytes > MAX_PACKET_BYTES) {
        throw new SyntaxError(`Cannot read the Ogg stream: a packet has more than ${MAX_PACKET_BYTES} bytes`);
      }
      at += length;
      if (length === 255) continue;
      packets.push(join(this.#partial));
      this.#drop();
    }
    return body + size;
  }

  #drop(): void {
    this.#partial = [];
    this.#partialBytes = 0;
  }
}

/** One array of several. */
export function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
