import { describe, expect, it } from "vitest";

import { Mixer } from "./mixer.ts";
import { WarningList } from "./warnings.ts";

const RATE = 16000;
const FRAMES = 8192;

/** Speech-like enough: unrelated from seed to seed. */
function noise(seed: number, frames = FRAMES): Float32Array {
  let state = seed;
  return Float32Array.from({ length: frames }, () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5);
}
const scaled = (samples: Float32Array, factor: number): Float32Array => samples.map((value) => value * factor);
const added = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, i) => value + b[i]);
const level = (samples: Float32Array): number =>
  Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);

/** Mixes blocks, one after the other. */
function mixed(...blocks: readonly (readonly Float32Array[])[]) {
  const warnings = new WarningList();
  const mixer = new Mixer(warnings);
  const out = blocks.map((planes) => {
    const mono = new Float32Array(planes[0].length);
    mixer.mix(planes, mono.length, mono);
    return mono;
  });
  return { out, warnings: warnings.texts };
}

const speech = noise(7);

describe("Mixer", () => {
  it("leaves one channel alone", () => {
    expect(mixed([speech])).toEqual({ out: [speech], warnings: [] });
  });

  it("averages channels", () => {
    const { out, warnings } = mixed([Float32Array.of(0.5, 0.25), Float32Array.of(0.25, 0.25)]);
    expect([...out[0]]).toEqual([0.375, 0.25]);
    expect(warnings).toEqual([]);
  });

  it("averages fifty channels", () => {
    const planes = Array.from({ length: 50 }, (_, i) => Float32Array.of((i * 100) / 32768, (i * 100 + 50) / 32768));
    const [out] = mixed(planes).out;
    expect(out[0]).toBeCloseTo(2450 / 32768, 7);
    expect(out[1]).toBeCloseTo(2500 / 32768, 7);
  });

  it.each<[string, Float32Array[]]>([
    ["unrelated channels: two speakers of a call", [speech, noise(99)]],
    ["one channel that is silent", [speech, new Float32Array(FRAMES)]],
    ["a weak echo of opposite polarity", [speech, scaled(speech, -0.3)]],
    ["a wide recording", [added(speech, scaled(noise(5), 1.2)), added(speech, scaled(noise(5), -1.2))]],
    ["what cannot be heard", [scaled(speech, 1e-4), scaled(speech, -1e-4)]],
    ["surround sound", [speech, noise(2), noise(3), noise(4), noise(5), noise(6)]],
  ])("averages %s", (_, planes) => {
    const { out, warnings } = mixed(planes);
    const mean = (i: number) => planes.reduce((sum, plane) => sum + plane[i], 0) / planes.length;
    for (const i of [0, 100, FRAMES - 1]) expect(out[0][i]).toBeCloseTo(mean(i), 6);
    expect(warnings).toEqual([]);
  });

  it("inverts a channel that would silence the other, and says so once", () => {
    const { out, warnings } = mixed([speech, scaled(speech, -1)], [speech, scaled(speech, -1)]);
    expect(out).toEqual([speech, speech]);
    expect(warnings).toEqual([
      "Its channels have opposite polarity and would cancel each other out: channel 2 was inverted",
    ]);
  });

  it("hears speech of which opposite channels hold nearly the same", () => {
    const { out } = mixed([added(speech, scaled(noise(3), 0.1)), added(scaled(speech, -0.8), scaled(noise(4), 0.1))]);
    expect(level(out[0])).toBeGreaterThan(0.8 * level(speech));
  });

  it("inverts the channels of surround sound that would silence the others", () => {
    const quiet = new Float32Array(FRAMES);
    const { out, warnings } = mixed([speech, scaled(speech, -1), quiet, quiet, speech, scaled(speech, -1)]);
    expect(level(out[0])).toBeCloseTo((4 / 6) * level(speech), 5);
    expect(warnings[0]).toContain("channels 2, 6 were inverted");
  });

  it("follows a recording whose polarity changes, without a click", () => {
    const tone = Float32Array.from({ length: FRAMES }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 200 * i) / RATE));
    const { out } = mixed([tone, tone], [tone, scaled(tone, -1)], [tone, tone]);
    for (const mono of out) expect(level(mono.subarray(256))).toBeCloseTo(level(tone.subarray(256)), 3);
    const whole = [...out[0], ...out[1], ...out[2]];
    const steps = whole.slice(1).map((value, i) => Math.abs(value - whole[i]));
    // The tone's own steepest step is 0.04; a block holds no whole number of its periods.
    expect(Math.max(...steps)).toBeLessThan(0.05 + Math.abs(tone[FRAMES - 1]));
  });

  it("judges nothing by the channels before, where their number changes", () => {
    const { out } = mixed([speech, scaled(speech, -1)], [speech], [speech, speech]);
    expect(out).toEqual([speech, speech, speech]);
  });
});
