import { readFileSync } from "node:fs";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { UnsupportedAudioError } from "../errors.ts";
import { concatenate } from "./resample.ts";
import { encodeWav, looksLikeWav, parseWavHeader, readWav } from "./wav.ts";
import { WarningList } from "./warnings.ts";

const FIXTURES = new URL("../../test/fixtures/audio/", import.meta.url);
const fixture = (name: string) => new Uint8Array(readFileSync(new URL(name, FIXTURES)));

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

/** Reads a file in chunks of `size` bytes. */
async function read(bytes: Uint8Array, size = 65536, fileBytes: number | null = bytes.length) {
  const header = parseWavHeader(bytes, "x.wav");
  if (header === null || header.format === null) throw new Error("no header");
  const warnings = new WarningList();
  const pieces: Float32Array[] = [];
  for await (const piece of readWav({ ...header, format: header.format }, cut(bytes, size), warnings, fileBytes)) {
    pieces.push(piece);
  }
  return { header, samples: concatenate(pieces), warnings: warnings.texts };
}

/** Sets fields of a canonical 44-byte header. */
function patched(bytes: Uint8Array, fields: { at: number; size: 2 | 4; value: number }[]): Uint8Array {
  const copy = bytes.slice();
  const data = new DataView(copy.buffer);
  for (const { at, size, value } of fields) {
    if (size === 2) data.setUint16(at, value, true);
    else data.setUint32(at, value, true);
  }
  return copy;
}

const DATA_SIZE = 40;
const RAMP = Float32Array.from({ length: 1000 }, (_, i) => (i - 500) / 1024);

describe("readWav()", () => {
  // Tolerance: one step of the coarser of the two formats, for its rounding; G.711 keeps 5 bits, 1/32 of the value.
  it.each([
    ["wav-u8.wav", "u8", 1 / 128],
    ["wav-s16le.wav", "s16", 2 ** -15],
    ["wav-s24le.wav", "s24", 2 ** -15],
    ["wav-s32le.wav", "s32", 2 ** -15],
    ["wav-f32le.wav", "f32", 2 ** -15],
    ["wav-f64le.wav", "f64", 2 ** -15],
    ["wav-alaw.wav", "alaw", 0.5 / 32],
    ["wav-mulaw.wav", "mulaw", 0.5 / 32],
    ["wav-rf64.wav", "s16", 2 ** -15],
  ])("reads %s as %s", async (name, format, tolerance) => {
    const { header, samples, warnings } = await read(fixture(name));
    expect(header).toMatchObject({ format, channels: 1, sampleRate: 8000 });
    expect(warnings).toEqual([]);
    expect(samples).toHaveLength(2000);
    const wanted = Float32Array.from({ length: 2000 }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / 8000));
    expect(Math.max(...samples.map((value, i) => Math.abs(value - wanted[i])))).toBeLessThanOrEqual(tolerance);
  });

  it("averages the six channels of an extensible 24-bit file", async () => {
    const { header, samples } = await read(fixture("wav-extensible-5.1.wav"));
    expect(header).toMatchObject({ format: "s24", channels: 6, sampleRate: 16000 });
    const wanted = (i: number) => ((0.5 + 0.25) / 6) * Math.sin((2 * Math.PI * 440 * i) / 16000);
    expect(Math.max(...samples.map((value, i) => Math.abs(value - wanted(i))))).toBeLessThan(2 ** -20);
  });

  it("gives the same samples for chunks of any size", async () => {
    const bytes = fixture("wav-extensible-5.1.wav");
    const whole = await read(bytes);
    for (const size of [1, 7, 4096]) expect((await read(bytes, size)).samples).toEqual(whole.samples);
  });

  it("reads back what encodeWav() wrote", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.float32Array({ min: -1, max: 1, noNaN: true, maxLength: 300 }),
        fc.integer({ min: 1, max: 50 }),
        async (samples, channels) => {
          const same = Array.from({ length: channels }, () => samples);
          const { samples: found, header } = await read(encodeWav(same, 22050, "f32"));
          expect(header.channels).toBe(channels);
          // The mean of n equal floats, by a sum in double precision: within a rounding of float32.
          expect(found).toHaveLength(samples.length);
          found.forEach((value, i) =>
            expect(Math.abs(value - samples[i])).toBeLessThanOrEqual(2 ** -23 * Math.abs(samples[i])),
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  it("writes 16 bits exactly, and clips", async () => {
    const { samples } = await read(encodeWav(Float32Array.of(0.5, -1, 1, 2, -3), 16000));
    expect([...samples]).toEqual([0.5, -1, 32767 / 32768, 32767 / 32768, -1]);
  });

  it("reads what is there when the header promises more, and says so", async () => {
    const bytes = patched(encodeWav(RAMP, 16000), [{ at: DATA_SIZE, size: 4, value: 9_000_000 }]);
    const { samples, warnings } = await read(bytes);
    expect(samples).toEqual(RAMP);
    expect(warnings).toEqual(["The header announces 281.25 s of audio, but only 0.06 s are there"]);
  });

  it("reads what is there when the header admits less, and says so", async () => {
    const bytes = patched(encodeWav(RAMP, 16000), [{ at: DATA_SIZE, size: 4, value: 100 }]);
    for (const size of [1, 13, 65536]) {
      const { samples, warnings } = await read(bytes, size);
      expect(samples).toEqual(RAMP);
      expect(warnings).toEqual(["The header announces 0.00 s of audio, but more follows: all of it is read"]);
    }
  });

  it.each([0xffffffff, 0x7fffffff])("reads to the end without a word when the size is %i, a pipe's", async (value) => {
    const { samples, warnings } = await read(patched(encodeWav(RAMP, 16000), [{ at: DATA_SIZE, size: 4, value }]));
    expect(samples).toEqual(RAMP);
    expect(warnings).toEqual([]);
  });

  it("stops at a chunk of notes behind the samples", async () => {
    const notes = Buffer.from("LIST\x0c\0\0\0INFOICMTabcd", "latin1");
    const bytes = Buffer.concat([encodeWav(RAMP, 16000), notes]);
    for (const size of [1, 5, 65536]) {
      const { samples, warnings } = await read(bytes, size);
      expect(samples).toEqual(RAMP);
      expect(warnings).toEqual([]);
    }
  });

  it("drops a frame that is cut in the middle", async () => {
    const { samples, warnings } = await read(encodeWav([RAMP, RAMP], 16000).subarray(0, 44 + 4 * 700 + 3));
    expect(samples).toEqual(RAMP.subarray(0, 700));
    expect(warnings).toHaveLength(1);
  });

  it("replaces NaN and infinity, with one warning", async () => {
    const samples = Float32Array.from({ length: 100_000 }, (_, i) =>
      i % 1000 === 0 ? NaN : i % 1000 === 1 ? Infinity : 0.5,
    );
    const { samples: found, warnings } = await read(encodeWav(samples, 16000, "f32"));
    expect(found.every((value) => value === 0 || value === 0.5)).toBe(true);
    expect(warnings).toEqual(["200 samples were NaN, infinite or absurdly loud: replaced by 0"]);
  });
});

describe("parseWavHeader()", () => {
  const good = encodeWav(RAMP, 16000);

  it("waits for more of a header that is cut anywhere", () => {
    for (let length = 12; length < 44; length++) expect(parseWavHeader(good.subarray(0, length), "x")).toBeNull();
    expect(parseWavHeader(good.subarray(0, 44), "x")).toMatchObject({ dataOffset: 44, dataBytes: 2000 });
  });

  it("leaves ADPCM to others", () => {
    expect(parseWavHeader(fixture("wav-adpcm.wav"), "x")?.format).toBeNull();
  });

  it.each([
    ["0 Hz", { at: 24, size: 4, value: 0 }, "sample rate of 0 Hz"],
    ["4 GHz", { at: 24, size: 4, value: 4_000_000_000 }, "sample rate of 4000000000 Hz"],
    ["0 channels", { at: 22, size: 2, value: 0 }, "0 channels"],
    ["65535 channels", { at: 22, size: 2, value: 65535 }, "65535 channels"],
    ["200 bits", { at: 34, size: 2, value: 200 }, "200-bit integer samples"],
    ["0 bits", { at: 34, size: 2, value: 0 }, "0-bit integer samples"],
    ["a format chunk of 4 bytes", { at: 16, size: 4, value: 4 }, "4 bytes, expected at least 16"],
  ] as const)("refuses %s", (_, field, message) => {
    const parse = () => parseWavHeader(patched(good, [field]), "x.wav");
    expect(parse).toThrow(UnsupportedAudioError);
    expect(parse).toThrow(message);
  });

  it("refuses samples before their description", () => {
    const bytes = Buffer.concat([good.subarray(0, 12), good.subarray(36)]);
    expect(() => parseWavHeader(bytes, "x.wav")).toThrow("before their description");
  });

  it("never throws anything else, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        const bytes = Buffer.concat([good.subarray(0, 12), tail]);
        try {
          parseWavHeader(bytes, "x.wav");
        } catch (error) {
          expect(error).toBeInstanceOf(UnsupportedAudioError);
        }
      }),
    );
  });
});

describe("looksLikeWav()", () => {
  it.each([
    ["RIFF\0\0\0\0WAVE", true],
    ["RF64\0\0\0\0WAVE", true],
    ["BW64\0\0\0\0WAVE", true],
    ["RIFF\0\0\0\0AVI ", false],
    ["RIFF", false],
    ["", false],
  ])("%j: %s", (text, wanted) => expect(looksLikeWav(Buffer.from(text, "latin1"))).toBe(wanted));
});

describe("encodeWav()", () => {
  it("refuses channels of different length, and none", () => {
    expect(() => encodeWav([new Float32Array(1), new Float32Array(2)], 16000)).toThrow(RangeError);
    expect(() => encodeWav([], 16000)).toThrow(RangeError);
  });
});
