import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CONTEXT_SAMPLES, FRAME_SAMPLES } from "./constants.ts";
import { SileroVad } from "./silero-vad.ts";
import { VoiceActivityDetector } from "./voice-activity-detector.ts";

const bytes = readFileSync(new URL("../../models/silero-vad/silero_vad_16k.safetensors", import.meta.url));
const network = SileroVad.fromBytes(bytes);

/** Something with pitch and noise. */
const tone = (length: number): Float32Array =>
  Float32Array.from({ length }, (_, n) => 0.3 * Math.sin(n / (9 + (n % 5000) / 900)) + 0.1 * Math.sin(n * n));

function whole(samples: Float32Array): Float32Array {
  const detector = new VoiceActivityDetector(network);
  return Float32Array.from([...detector.push(samples), ...detector.finish()]);
}

describe("VoiceActivityDetector", () => {
  it("gives the same bits however the samples are cut", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60_000 }),
        fc.array(fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 20_000 })), { minLength: 1 }),
        (length, sizes) => {
          const samples = tone(length);
          const detector = new VoiceActivityDetector(network);
          const pieces: number[] = [];
          for (let at = 0, i = 0; at < length; i++) {
            const size = sizes[i % sizes.length] + (i % sizes.length === 0 ? 1 : 0);
            pieces.push(...detector.push(samples.subarray(at, at + size)));
            at = Math.min(length, at + size);
            expect(pieces).toHaveLength(Math.floor(at / FRAME_SAMPLES));
          }
          expect(Float32Array.from([...pieces, ...detector.finish()])).toEqual(whole(samples));
        },
      ),
      { numRuns: 40 },
    );
  });

  it("gives streams that share a network what each has alone", () => {
    const [a, b] = [tone(20_000), tone(40_000).subarray(20_000)];
    const [first, second] = [new VoiceActivityDetector(network), new VoiceActivityDetector(network)];
    const [ofA, ofB]: number[][] = [[], []];
    for (let at = 0; at < 20_000; at += 700) {
      ofA.push(...first.push(a.subarray(at, at + 700)));
      ofB.push(...second.push(b.subarray(at, at + 700)));
    }
    expect(Float32Array.from([...ofA, ...first.finish()])).toEqual(whole(a));
    expect(Float32Array.from([...ofB, ...second.finish()])).toEqual(whole(b));
  });

  it("fills the last frame up with silence", () => {
    const samples = tone(3 * FRAME_SAMPLES + 100);
    const filled = new Float32Array(4 * FRAME_SAMPLES);
    filled.set(samples);
    expect(whole(samples)).toEqual(whole(filled));
  });

  it("begins anew after finish() and reset()", () => {
    const detector = new VoiceActivityDetector(network);
    const samples = tone(5000);
    const expected = whole(samples);
    for (const restart of [() => detector.finish(), () => detector.reset()]) {
      detector.push(tone(9000));
      restart();
      expect(Float32Array.from([...detector.push(samples), ...detector.finish()])).toEqual(expected);
    }
    expect(detector.finish()).toHaveLength(0);
  });

  it.each(["immediate", "delayed"] as const)("recovers (%s): same bits however the samples are cut", (recovery) => {
    const samples = tone(90_000);
    const heard = (...pieces: Float32Array[]): Float32Array => {
      const detector = new VoiceActivityDetector(network, { recovery });
      return Float32Array.from([...pieces.flatMap((piece) => [...detector.push(piece)]), ...detector.finish()]);
    };
    const pieces = Array.from({ length: 90 }, (_, i) => samples.subarray(1000 * i, 1000 * (i + 1)));
    expect(heard(...pieces)).toEqual(heard(samples));
    expect(heard(samples)).toHaveLength(whole(samples).length);
    expect(heard()).toHaveLength(0);
  });

  it("takes samples that are not finite for silence", () => {
    const samples = tone(10_000);
    const silenced = samples.slice();
    for (const [i, value] of [NaN, Infinity, -Infinity].entries()) {
      samples[4000 + i] = value;
      silenced[4000 + i] = 0;
    }
    expect(whole(samples)).toEqual(whole(silenced));
  });
});

describe("SileroVad", () => {
  it("refuses samples that are no context and whole frames", () => {
    const run = (length: number): Float32Array => network.run(new Float32Array(length), network.initialState());
    expect(run(CONTEXT_SAMPLES)).toHaveLength(0);
    expect(() => run(CONTEXT_SAMPLES + 1)).toThrow("Cannot compute voice activity of 65 samples");
    expect(() => run(0)).toThrow(RangeError);
  });
});
