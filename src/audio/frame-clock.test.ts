import { describe, expect, it } from "vitest";

import { FrameClock, startStamp } from "./frame-clock.ts";

/** Silence before frames of 0.5 s with these stamps. */
function silences(start: number, stamps: readonly number[]): number[] {
  const clock = new FrameClock(start);
  return stamps.map((stamp) => {
    const silence = clock.next(stamp);
    clock.advance(0.5);
    return Math.round(silence * 1000) / 1000;
  });
}

describe("FrameClock", () => {
  it.each<[string, number, number[], number[]]>([
    ["lets frames in order be", 0, [0, 0.5, 1], [0, 0, 0]],
    ["puts silence before audio that begins late", 0, [4, 4.5], [4, 0]],
    ["counts from where the file starts", 10, [14, 14.5], [4, 0]],
    ["lets priming at the start be", 0, [-0.021, 0.479, 0.979], [0, 0, 0]],
    ["lets a start be that is later by less than is heard", 0, [0.069, 0.569], [0, 0]],
    ["does not count the start that it let be twice", 0, [0.09, 0.59, 1.15], [0, 0, 0]],
    ["does not know when the audio begins without the file's start", NaN, [4, 4.5], [0, 0]],
    ["fills a gap", 0, [0, 0.5, 6, 6.5], [0, 0, 5, 0]],
    ["lets jitter be", 0, [0.03, 0.47, 1.06, 1.49, 2.08], [0, 0, 0, 0, 0]],
    ["fills many small gaps once they can be heard", 0, [0, 0.54, 1.08, 1.62, 2.16], [0, 0, 0, 0.12, 0]],
    ["drops nothing where stamps overlap, and counts on", 0, [0, 0.5, 0.2, 0.7, 2.2], [0, 0, 0, 0, 1]],
    ["goes on where stamps start again", 0, [100, 100.5, 0, 0.5, 2], [100, 0, 0, 0, 1]],
    ["does not wait for a day", 0, [0, 0.5, 86400, 86400.5, 86402], [0, 0, 0, 0, 1]],
    ["does not begin in a day", 0, [86400, 86400.5], [0, 0]],
    ["goes over frames without stamps", 0, [0, NaN, NaN, 2.5], [0, 0, 0, 1]],
  ])("%s", (_, start, stamps, expected) => {
    expect(silences(start, stamps)).toEqual(expected);
  });
});

describe("startStamp()", () => {
  it.each<[string, number, number]>([
    ["mov,mp4,m4a,3gp,3g2,mj2", 4, 0],
    ["matroska,webm", -0.007, 0],
    ["matroska,webm", 1800, 1800], // a piece of a broadcast
    ["mpegts", 1.4, 1.4],
    ["ogg", 30, 30],
    ["mp3", 0.025, 0.025],
  ])("of %s that begins at %d s is %d", (format, first, expected) => {
    expect(startStamp(format, first)).toBe(expected);
  });
});
