/**
 * What a container says beside its samples: when they are heard, and which of its tracks they are. By both decoders, of which the ffmpeg program may
 * be missing. Fixtures: test/fixtures/audio/make.sh.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { describe, expect, it, type TestContext } from "vitest";

import type { LoadAudioOptions } from "./audio-input.ts";
import type { Decoder } from "./decoder.ts";
import { openInThread } from "./decoder-thread.ts";
import { openWithFfmpeg } from "./ffmpeg.ts";
import { openAudioWith } from "./open-audio.ts";
import { concatenate } from "./resample.ts";

const fixture = (name: string) => fileURLToPath(new URL(`../../test/fixtures/audio/${name}`, import.meta.url));
const hasFfmpeg = spawnSync("ffmpeg", ["-version"]).status === 0;

const decoders: readonly (readonly [string, Decoder])[] = [
  ["node-av", openInThread],
  ["ffmpeg", openWithFfmpeg],
];

async function read(decoder: Decoder, context: TestContext, name: string, options: LoadAudioOptions = {}) {
  if (decoder === openWithFfmpeg && !hasFfmpeg) context.skip("there is no ffmpeg on PATH");
  const stream = await openAudioWith([decoder], fixture(name), options);
  const pieces: Float32Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return { samples: concatenate(pieces), warnings: stream.warnings, gaps: stream.gaps ?? [] };
}

/** Seconds at which it begins and ceases to be loud, in blocks of 10 ms. */
function loudness(samples: Float32Array): number[] {
  const edges: number[] = [];
  let loud = false;
  for (let at = 0; at < samples.length; at += 160) {
    const isLoud = samples.subarray(at, at + 160).some((value) => Math.abs(value) > 0.1);
    if (isLoud !== loud) edges.push(at / 16000);
    loud = isLoud;
  }
  return loud ? [...edges, samples.length / 16000] : edges;
}

/** Codecs pad their beginnings and ends with a frame or two: at most 2048 samples at 16 kHz, and mp2 1152 more. */
const NEAR = 0.2;

const TIMES: readonly (readonly [string, readonly number[]])[] = [
  ["late.mp4", [2, 3]],
  ["late.mkv", [2, 3]],
  ["late.m2ts", [2, 3]],
  ["late-alone.m4a", [2, 3]],
  ["hole.m4a", [0, 1, 3, 4]],
  ["hole.mkv", [0, 1, 3, 4]],
  ["hole.webm", [0, 1, 3, 4]],
  ["hole.m2ts", [0, 1, 3, 4]],
];

describe.each(decoders)("openAudio() by %s", (_, decoder) => {
  for (const [name, expected] of TIMES) {
    it(`hears ${name} when its time stamps say so, and finds nothing wrong`, async (context) => {
      const { samples, warnings, gaps } = await read(decoder, context, name);
      const edges = loudness(samples);
      expect(edges).toHaveLength(expected.length);
      for (const [i, edge] of edges.entries()) expect(Math.abs(edge - expected[i])).toBeLessThan(NEAR);
      expect(warnings).toEqual([]);
      const silence = expected.length === 2 ? [0, 2] : [1, 3];
      expect(gaps).toHaveLength(1);
      expect(Math.abs(gaps[0].start - silence[0])).toBeLessThan(NEAR);
      expect(Math.abs(gaps[0].end - silence[1])).toBeLessThan(NEAR);
    });
  }

  // Priming of codecs, kept by some containers, is no time stamp to wait for.
  for (const name of [
    "tone.m4a",
    "tone.mp4",
    "tone.mkv",
    "tone.webm",
    "tone.opus",
    "tone.ogg",
    "tone.mp3",
    "tone.wma",
  ]) {
    it(`begins ${name} at once`, async (context) => {
      const { samples, gaps } = await read(decoder, context, name);
      expect(loudness(samples)[0]).toBeLessThan(0.07);
      expect(gaps).toEqual([]);
    });
  }

  it("reads the first of two equal tracks, and says which there are", async (context) => {
    const { samples, warnings } = await read(decoder, context, "two-tracks.mkv");
    expect(loudness(samples)).not.toEqual([]);
    expect(warnings).toEqual([
      'Track 1 of 2 audio tracks was read (1 English "Speaker", 2 German "Room, empty"): the option audioTrack (--audio_track) chooses another',
    ]);
  });

  it("reads the track that is chosen, without a word", async (context) => {
    const first = await read(decoder, context, "two-tracks.mkv", { audioTrack: 1 });
    const second = await read(decoder, context, "two-tracks.mkv", { audioTrack: 2 });
    expect(loudness(first.samples)).not.toEqual([]);
    expect(loudness(second.samples)).toEqual([]);
    expect([...first.warnings, ...second.warnings]).toEqual([]);
  });

  it("refuses a track that is not there", async (context) => {
    await expect(read(decoder, context, "two-tracks.mkv", { audioTrack: 3 })).rejects.toThrow(
      'two-tracks.mkv": it has 2 audio tracks, there is no track 3',
    );
    await expect(read(decoder, context, "late.mp4", { audioTrack: 2 })).rejects.toThrow(
      "it has 1 audio track, there is no track 2",
    );
  });

  it("hears channels of opposite polarity", async (context) => {
    const { samples, warnings } = await read(decoder, context, "opposite.mp3");
    expect(Math.max(...samples)).toBeCloseTo(0.5, 1);
    expect(warnings).toEqual([
      "Its channels have opposite polarity and would cancel each other out: channel 2 was inverted",
    ]);
  });
});
