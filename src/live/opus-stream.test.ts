import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadAudio } from "../audio/index.ts";
import { UnsupportedAudioError } from "../errors.ts";
import { OpusStream } from "./opus-stream.ts";

const fixture = (name: string): URL => new URL(`../../test/fixtures/audio/${name}`, import.meta.url);

/** All samples of a stream whose bytes come in pieces of these sizes, in turn. */
async function decode(bytes: Uint8Array, sizes: readonly number[]): Promise<number[]> {
  const stream = await OpusStream.open();
  const samples: number[] = [];
  for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length]) {
    samples.push(...stream.push(bytes.subarray(at, at + sizes[i % sizes.length])));
  }
  samples.push(...stream.flush());
  stream.close();
  return samples;
}

describe("OpusStream", () => {
  it.each(["tone.opus", "tone.webm"])(
    "hears of %s what the decoder of files hears, as its bytes come",
    async (name) => {
      const whole = await loadAudio(fixture(name));
      const samples = await decode(readFileSync(fixture(name)), [100]);
      // Padding at the end of the last packet: a stream does not know that it is the last.
      expect(samples.length - whole.length).toBeGreaterThanOrEqual(0);
      expect(samples.length - whole.length).toBeLessThan(320);
      // The padding is heard by the resampler too, some ms before it begins.
      const worst = whole.subarray(0, -400).reduce((most, value, i) => Math.max(most, Math.abs(value - samples[i])), 0);
      expect(worst).toBeLessThan(1e-6);
    },
  );

  it("gives the same samples however the bytes are cut", async () => {
    const bytes = readFileSync(fixture("tone.webm"));
    const expected = await decode(bytes, [bytes.length]);
    const sizes = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(sizes, async (cut) => {
        expect(await decode(bytes, cut)).toEqual(expected);
      }),
      { numRuns: 10 },
    );
  });

  it("hears the packets of an Ogg page whose end never came", async () => {
    const bytes = readFileSync(fixture("tone.opus"));
    const whole = await decode(bytes, [bytes.length]);
    // In the middle of a page of 50 packets of 20 ms.
    const cut = await decode(bytes.subarray(0, 3000), [1000]);
    expect(cut.length).toBeGreaterThan(0.4 * 16_000);
    expect(cut.slice(0, -400)).toEqual(whole.slice(0, cut.length - 400));
  });

  it.each<[what: string, bytes: Uint8Array]>([
    ["Vorbis in Ogg", readFileSync(fixture("tone.ogg"))],
    ["another container", readFileSync(fixture("tone.mp3"))],
    ["text", Buffer.from("Once upon a time there was no audio")],
    ["an element without end", Uint8Array.of(0x1a, 0x45, 0xdf, 0xa3, 0xff)],
  ])("refuses %s", async (_, bytes) => {
    const stream = await OpusStream.open();
    expect(() => stream.push(bytes)).toThrow(UnsupportedAudioError);
    stream.close();
  });

  it("never fails but with its own error, whatever the bytes", async () => {
    const webm = readFileSync(fixture("tone.webm"));
    await fc.assert(
      fc.asyncProperty(fc.nat(webm.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), async (at, garbage) => {
        const damaged = Uint8Array.from(webm);
        damaged.set(garbage.subarray(0, damaged.length - at), at);
        const stream = await OpusStream.open();
        try {
          expect(stream.push(damaged)).toBeInstanceOf(Float32Array);
        } catch (error) {
          expect(error).toBeInstanceOf(UnsupportedAudioError);
        } finally {
          stream.close();
        }
      }),
      { numRuns: 50 },
    );
  });
});
