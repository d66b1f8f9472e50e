import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SAMPLE_RATE } from "../audio/index.ts";
import { PcmDecoder, type PcmFormat } from "./pcm.ts";

/** A second of a tone of 440 Hz at half scale, as bytes of a format. */
function tone(format: PcmFormat, rate: number): Uint8Array {
  const samples = Int16Array.from({ length: rate }, (_, i) =>
    Math.round(16384 * Math.sin((2 * Math.PI * 440 * i) / rate)),
  );
  if (format === "pcm16") return new Uint8Array(samples.buffer);
  return Uint8Array.from(samples, (sample) => encodeG711(sample, format));
}

/** ITU-T G.711, by search: the byte whose value is nearest. */
function encodeG711(sample: number, format: PcmFormat): number {
  let best = 0;
  let distance = Infinity;
  const decoder = new PcmDecoder(format, SAMPLE_RATE);
  ALL_BYTES[format] ??= decoder.push(Uint8Array.from({ length: 256 }, (_, i) => i));
  ALL_BYTES[format].forEach((value, byte) => {
    const off = Math.abs(value * 32768 - sample);
    if (off < distance) [best, distance] = [byte, off];
  });
  return best;
}
const ALL_BYTES: Partial<Record<PcmFormat, Float32Array>> = {};

function decode(format: PcmFormat, rate: number, bytes: Uint8Array, sizes: readonly number[]): number[] {
  const decoder = new PcmDecoder(format, rate);
  const samples: number[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length];
    samples.push(...decoder.push(bytes.subarray(at, at + size)));
    at += size;
  }
  samples.push(...decoder.flush());
  return samples;
}

describe("PcmDecoder", () => {
  it("reads 16 bits little-endian", () => {
    const bytes = Uint8Array.of(0x00, 0x80, 0xff, 0x7f, 0x00, 0x00, 0xff, 0xff, 0x00, 0x40);
    expect([...new PcmDecoder("pcm16", 16000).push(bytes)]).toEqual([-1, 32767 / 32768, 0, -1 / 32768, 0.5]);
  });

  it("knows the values of G.711", () => {
    expect([...new PcmDecoder("pcmu", 16000).push(Uint8Array.of(0xff, 0x00, 0x80))]).toEqual([
      0,
      -32124 / 32768,
      32124 / 32768,
    ]);
    expect([...new PcmDecoder("pcma", 16000).push(Uint8Array.of(0xd5, 0x2a, 0xaa))]).toEqual([
      8 / 32768,
      -32256 / 32768,
      32256 / 32768,
    ]);
  });

  it.each<[format: PcmFormat, rate: number, tolerance: number]>([
    ["pcm16", 16000, 0.001],
    ["pcm16", 24000, 0.001],
    ["pcm16", 48000, 0.001],
    ["pcmu", 8000, 0.02],
    ["pcma", 8000, 0.02],
  ])("keeps a tone of 440 Hz: %s at %i Hz", (format, rate, tolerance) => {
    const samples = decode(format, rate, tone(format, rate), [4096]);
    expect(samples).toHaveLength(SAMPLE_RATE);
    let worst = 0;
    for (let i = 2000; i < 14_000; i++) {
      worst = Math.max(worst, Math.abs(samples[i] - 0.5 * Math.sin((2 * Math.PI * 440 * i) / SAMPLE_RATE)));
    }
    expect(worst).toBeLessThan(tolerance);
  });

  it("gives the same samples however the bytes are cut, odd pieces included", () => {
    const bytes = tone("pcm16", 24000).subarray(0, 2400);
    const expected = decode("pcm16", 24000, bytes, [2400]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 9 }), (sizes) => {
        expect(decode("pcm16", 24000, bytes, sizes)).toEqual(expected);
      }),
      { numRuns: 30 },
    );
  });

  it("gives the rest of a turn when it is flushed, and goes on with the next, half a sample included", () => {
    const bytes = tone("pcm16", 24000).subarray(0, 4800); // 0.1 s
    const decoder = new PcmDecoder("pcm16", 24000);
    const turn = [...decoder.push(bytes), ...decoder.flush()];
    expect(turn).toHaveLength(1600);
    const next = [...decoder.push(bytes.subarray(0, 2401)), ...decoder.push(bytes.subarray(2401)), ...decoder.flush()];
    expect(next).toEqual(turn);
    decoder.push(bytes.subarray(0, 2401));
    decoder.flush();
    const rest = [...decoder.push(bytes.subarray(2401)), ...decoder.flush()];
    expect(Math.max(...rest.map(Math.abs))).toBeLessThan(0.6); // no byte has moved
  });
});
