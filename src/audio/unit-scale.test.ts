import { describe, expect, it } from "vitest";

import { InputError } from "../errors.ts";
import { loadAudio, openAudio } from "./open-audio.ts";
import { resample } from "./resample.ts";
import { assertUnitScale, UnitScale } from "./unit-scale.ts";
import { WarningList } from "./warnings.ts";
import { encodeWav } from "./wav.ts";

const RATE = 16000;

/** A second of a voice-like tone. */
const tone = (amplitude: number, seconds = 1, rate = RATE) =>
  Float32Array.from({ length: seconds * rate }, (_, i) => amplitude * Math.sin((2 * Math.PI * 220 * i) / rate));
const peak = (samples: Float32Array): number => samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

function scaled(...pieces: readonly Float32Array[]) {
  const warnings = new WarningList();
  const unit = new UnitScale("talk.wav", warnings);
  const counts: number[] = [];
  const out: Float32Array[] = [];
  for (const piece of pieces) {
    const ready = unit.push(piece);
    counts.push(ready.length);
    out.push(...ready);
  }
  out.push(...unit.finish());
  return { peaks: out.map(peak), counts, warnings: warnings.texts, out };
}

describe("UnitScale", () => {
  it.each<[string, Float32Array[]]>([
    ["samples from -1 to 1", [tone(0.5), tone(1)]],
    ["silence", [tone(0), tone(0)]],
    ["overdriven floats", [tone(0.5), tone(4), tone(30)]],
    ["floats that are overdriven from the start", [tone(4), tone(0.5)]],
    ["the very quiet", [tone(1e-6), tone(0.01)]],
  ])("leaves %s alone", (_, pieces) => {
    const { out, warnings } = scaled(...pieces);
    expect(out).toEqual(pieces);
    expect(out.every((piece) => pieces.includes(piece))).toBe(true);
    expect(warnings).toEqual([]);
  });

  it.each([
    ["16-bit", 20000, 32768],
    ["24-bit", 5e6, 8388608],
    ["32-bit", 1e9, 2147483648],
  ])("divides %s integers by their full scale, and says so", (name, amplitude, scale) => {
    const { peaks, warnings } = scaled(tone(amplitude), tone(amplitude / 100));
    expect(peaks[0]).toBeCloseTo(amplitude / scale, 3);
    expect(peaks[1]).toBeCloseTo(amplitude / scale / 100, 5);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(
      `expected values from -1 to 1: they were taken for ${name} integers and divided by ${scale}`,
    );
  });

  it("waits for integers that begin in silence", () => {
    const { peaks, counts } = scaled(tone(0), tone(3), tone(30), tone(8000));
    expect(counts).toEqual([1, 0, 0, 3]);
    expect(peaks.map((value) => Math.round(value * 32768))).toEqual([0, 3, 30, 8000]);
  });

  it("does not wait for more than ten seconds", () => {
    expect(scaled(tone(3, 4), tone(3, 4), tone(3, 4), tone(3)).counts).toEqual([0, 0, 3, 1]);
  });

  it("takes single wild values for damage", () => {
    const damaged = tone(0.5);
    damaged[100] = 1e6;
    damaged[101] = -3000;
    const { peaks, warnings } = scaled(damaged);
    expect(peaks[0]).toBeCloseTo(0.5, 3);
    expect(warnings).toEqual(["2 samples were NaN, infinite or absurdly loud: replaced by 0"]);
  });

  it("refuses a scale that changes after samples were given out", () => {
    expect(() => scaled(tone(1), tone(8000))).toThrow(InputError);
    expect(() => scaled(tone(1), tone(8000))).toThrow(
      'Cannot read "talk.wav": its samples reach 8000 after samples of at most 100, expected values from -1 to 1',
    );
  });
});

describe("openAudio() with floats on the scale of 16-bit integers", () => {
  const speech = tone(12000, 3);
  const unit = speech.map((value) => value / 32768);

  it.each([
    ["samples", () => speech],
    ["samples with their rate", () => ({ array: tone(12000, 3, 48000), samplingRate: 48000 })],
    [
      "a stream of samples",
      () =>
        new ReadableStream<Float32Array>({
          start(controller) {
            for (let at = 0; at < speech.length; at += 320) controller.enqueue(speech.slice(at, at + 320));
            controller.close();
          },
        }),
    ],
    ["a WAV of floats", () => encodeWav(speech, RATE, "f32")],
    ["a stereo WAV of floats", () => encodeWav([speech, speech], RATE, "f32")],
  ])("hears %s as it is meant", async (_, make) => {
    const stream = await openAudio(make());
    const pieces: number[] = [];
    for await (const piece of stream) pieces.push(...piece);
    expect(pieces).toHaveLength(unit.length);
    for (const i of [1000, 20000, 40000]) expect(pieces[i]).toBeCloseTo(unit[i], 3);
    expect(stream.warnings).toHaveLength(1);
    expect(stream.warnings[0]).toContain("they were taken for 16-bit integers and divided by 32768");
  });

  it("hears less than a second of them", async () => {
    expect(peak(await loadAudio(tone(12000, 0.25)))).toBeCloseTo(12000 / 32768, 3);
    expect(peak(await loadAudio(resample(tone(12000, 0.25, 8000), 8000)))).toBeCloseTo(12000 / 32768, 2);
  });
});

describe("assertUnitScale()", () => {
  it("lets samples from -1 to 1 pass, and loud ones", () => {
    for (const amplitude of [0, 0.5, 1, 8]) assertUnitScale("Cannot hear", tone(amplitude));
    assertUnitScale("Cannot hear", new Float32Array(0));
  });

  it("refuses 16-bit integers", () => {
    expect(() => assertUnitScale("Cannot hear the audio", tone(8000))).toThrow(
      "Cannot hear the audio: its samples reach 8000, expected values from -1 to 1\nHint: divide integers by their full scale: 32768 for 16 bits",
    );
  });
});
