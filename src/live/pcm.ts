/** Bare samples as they come over a wire -> what sessions take: any rate to 16 kHz, 16 bits or G.711, cut anywhere. */
import { aLawTable, muLawTable } from "../audio/g711.ts";
import { Resampler, SAMPLE_RATE } from "../audio/index.ts";

/** 16-bit little-endian, or the two telephone codecs of ITU-T G.711. */
export const PCM_FORMATS = ["pcm16", "pcmu", "pcma"] as const;
export type PcmFormat = (typeof PCM_FORMATS)[number];

const FULL_SCALE = 32768;

/** Decodes a stream of mono samples, piece by piece; a piece may end in the middle of a sample. */
export class PcmDecoder {
  #resampler: Resampler | null;
  readonly #table: Int16Array | null;
  #oddByte: number | null = null;

  /** @throws {RangeError} for a rate that cannot be resampled */
  constructor(format: PcmFormat, rate: number) {
    this.#resampler = rate === SAMPLE_RATE ? null : new Resampler(rate);
    this.#table = format === "pcm16" ? null : format === "pcmu" ? muLawTable() : aLawTable();
  }

  /** @returns mono samples at 16 kHz */
  push(bytes: Uint8Array): Float32Array {
    const samples = this.#table === null ? this.#words(bytes) : expand(bytes, this.#table);
    return this.#resampler === null ? samples : this.#resampler.push(samples);
  }

  /** What is left in the resampler, at the end of the stream or of a turn: what is pushed afterwards is resampled on its own. */
  flush(): Float32Array {
    if (this.#resampler === null) return new Float32Array(0);
    const rest = this.#resampler.flush();
    this.#resampler = new Resampler(this.#resampler.fromRate);
    return rest;
  }

  #words(bytes: Uint8Array): Float32Array {
    const odd = this.#oddByte;
    const first = odd === null ? 0 : 1;
    const count = (bytes.length + first) >> 1;
    const samples = new Float32Array(count);
    const byteAt = (i: number): number => (i < first ? (odd as number) : bytes[i - first]);
    for (let i = 0; i < count; i++) {
      const low = byteAt(2 * i);
      const high = byteAt(2 * i + 1);
      samples[i] = (((high << 24) >> 16) | low) / FULL_SCALE;
    }
    this.#oddByte = (bytes.length + first) % 2 === 1 ? byteAt(bytes.length + first - 1) : null;
    return samples;
  }
}

function expand(bytes: Uint8Array, table: Int16Array): Float32Array {
  return Float32Array.from(bytes, (byte) => table[byte] / FULL_SCALE);
}
