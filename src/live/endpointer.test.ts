import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { samplePath } from "../../test/helpers/samples.ts";
import { loadAudio, SAMPLE_RATE } from "../audio/index.ts";
import { loadSileroVad } from "../pipeline/index.ts";
import type { SileroVad } from "../vad/index.ts";
import { Endpointer, type EndpointerEvent } from "./endpointer.ts";
import { ManualTurns } from "./manual-turns.ts";

const SETTINGS = { voice: {}, silenceSeconds: 0.5, lateSilenceSeconds: 0.5, prefixSeconds: 1 };

let speech: Float32Array;
let network: SileroVad;
beforeAll(async () => {
  network = await loadSileroVad();
  speech = await loadAudio(samplePath("en-short.wav"));
});

/** White noise, the same for the same seed. @param level root mean square */
function noise(count: number, level: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * level * Math.sqrt(3);
  });
}

/** Ten seconds of these frequencies together, in Hz, anew every second. */
function tones(frequencies: readonly number[], level: number): Float32Array {
  return Float32Array.from({ length: 10 * SAMPLE_RATE }, (_, i) => {
    const decay = Math.exp(-2 * ((i / SAMPLE_RATE) % 1));
    const sum = frequencies.reduce((all, hz) => all + Math.sin((2 * Math.PI * hz * i) / SAMPLE_RATE), 0);
    return (decay * level * sum) / frequencies.length;
  });
}

function join(...parts: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function plus(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => value + (b[i] ?? 0));
}

function run(samples: Float32Array, piece = samples.length, settings = SETTINGS): EndpointerEvent[] {
  const endpointer = new Endpointer(network, settings);
  const events: EndpointerEvent[] = [];
  for (let at = 0; at < samples.length; at += piece) events.push(...endpointer.push(samples.subarray(at, at + piece)));
  return [...events, ...endpointer.end()];
}

/** An utterance: times in seconds. */
interface Found {
  start: number;
  audioStart: number;
  end: number;
  samples: Float32Array;
}

function utterances(events: readonly EndpointerEvent[]): Found[] {
  const found: Found[] = [];
  for (const event of events) {
    const last = found.at(-1);
    if (event.type === "start")
      found.push({ start: event.time, audioStart: event.audioStart, end: NaN, samples: new Float32Array(0) });
    else if (last !== undefined && event.type === "audio") last.samples = join(last.samples, event.samples);
    else if (last !== undefined && event.type === "end") last.end = event.time;
  }
  return found;
}

const timesOf = ({ start, audioStart, end }: Found): number[] => [start, audioStart, end];

function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

const silence = (seconds: number): Float32Array => new Float32Array(seconds * SAMPLE_RATE);

describe("Endpointer", () => {
  it("finds speech between silences, with a second before it and half a second after", () => {
    const found = utterances(run(join(silence(3), speech, silence(3))));
    expect(found.length).toBeGreaterThanOrEqual(1);
    const [first, last] = [found[0], found[found.length - 1]];
    expect(first.start).toBeGreaterThan(3.2);
    expect(first.start).toBeLessThan(3.5);
    expect(first.audioStart).toBeCloseTo(first.start - 1, 1);
    expect(last.end).toBeGreaterThan(3 + speech.length / SAMPLE_RATE - 1);
    expect(last.end).toBeLessThan(3 + speech.length / SAMPLE_RATE);
    for (const { audioStart, end, samples } of found) {
      expect(audioStart + samples.length / SAMPLE_RATE - end).toBeCloseTo(0.5, 1);
    }
  });

  it("gives each utterance the very samples of the stream", () => {
    const whole = join(silence(1), speech, silence(2), speech, silence(1));
    const found = utterances(run(whole, 4000));
    expect(found.length).toBeGreaterThanOrEqual(2);
    for (const { audioStart, samples } of found) {
      const from = Math.round(audioStart * SAMPLE_RATE);
      expect(isSame(samples, whole.subarray(from, from + samples.length))).toBe(true);
    }
  });

  it("hears nothing in silence and steady noise, but speech in noise", async () => {
    expect(run(silence(10))).toEqual([]);
    expect(run(await loadAudio(samplePath("noise.flac")))).toEqual([]);
    const level = Math.sqrt(speech.reduce((sum, value) => sum + value * value, 0) / speech.length) / 10 ** (10 / 20);
    const padded = join(silence(3), speech, silence(3));
    const found = utterances(run(plus(padded, noise(padded.length, level))));
    expect(found.length).toBeGreaterThanOrEqual(1);
    expect(found[0].start).toBeGreaterThan(3);
    expect(found[0].start).toBeLessThan(4);
    expect(found[found.length - 1].end).toBeGreaterThan(3 + speech.length / SAMPLE_RATE - 1.5);
  });

  it("takes no click for a voice", () => {
    const clicks = silence(5);
    for (let at = 8000; at < clicks.length; at += 16000) clicks.fill(0.9, at, at + 160);
    expect(run(clicks)).toEqual([]);
  });

  it("hears nothing in noise that begins, in hum and in chords, at any level", () => {
    for (const level of [0.003, 0.05, 0.3]) {
      expect(run(join(silence(2), noise(10 * SAMPLE_RATE, level)))).toEqual([]);
      expect(run(tones([50, 100, 150, 300], level))).toEqual([]);
      expect(run(tones([220, 277.2, 329.6, 440], level))).toEqual([]);
    }
  });

  it("gives the same whatever pieces the samples come in", () => {
    const whole = join(silence(1), speech, silence(1));
    const expected = utterances(run(whole));
    fc.assert(
      fc.property(fc.integer({ min: 50, max: 50_000 }), (piece) => {
        const found = utterances(run(whole, piece));
        expect(found.map(timesOf)).toEqual(expected.map(timesOf));
        expect(found.every(({ samples }, i) => isSame(samples, expected[i].samples))).toBe(true);
      }),
      { numRuns: 8 },
    );
  });

  it("waits as long as it is told before it ends an utterance", () => {
    const whole = join(speech, silence(1), speech, silence(4));
    expect(utterances(run(whole, 1600, { ...SETTINGS, silenceSeconds: 3 }))).toHaveLength(1);
    expect(utterances(run(whole)).length).toBeGreaterThan(1);
  });

  it("ends an utterance of more than 15 s at a shorter pause", () => {
    const settings = { ...SETTINGS, silenceSeconds: 3 };
    const sentence = join(speech, silence(1)); // 6 s, and a pause within
    const whole = join(sentence, sentence, sentence, sentence, silence(3));
    const found = utterances(run(whole, 1600, { ...settings, lateSilenceSeconds: 0.8 }));
    expect(found.map(({ end }) => Math.ceil(end / 6))).toEqual([3, 4]);
    expect(utterances(run(whole, 1600, { ...settings, lateSilenceSeconds: 3 }))).toHaveLength(1);
  });

  it("ends the utterance under way with all its samples, and forgets it when cleared", () => {
    const endpointer = new Endpointer(network, SETTINGS);
    const begun = endpointer.push(speech.subarray(0, 30_001));
    const [found] = utterances([...begun, ...endpointer.end()]);
    expect(found.samples.length).toBe(30_001 - Math.round(found.audioStart * SAMPLE_RATE));
    expect(endpointer.end()).toEqual([]);

    endpointer.push(speech);
    endpointer.clear();
    expect(endpointer.end()).toEqual([]);
  });
});

describe("ManualTurns", () => {
  it("makes one utterance of all that comes until it is told", () => {
    const turns = new ManualTurns(network, {});
    expect(turns.push(silence(1)).map(({ type }) => type)).toEqual(["start", "audio"]);
    expect(turns.push(silence(1)).map(({ type }) => type)).toEqual(["audio"]);
    expect(turns.end()).toEqual([{ type: "end", time: 2 }]);
    expect(turns.end()).toEqual([]);
    expect(turns.push(silence(1))[0]).toEqual({ type: "start", time: 2, audioStart: 2 });
  });
});
