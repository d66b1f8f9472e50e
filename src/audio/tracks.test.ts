import { describe, expect, it } from "vitest";

import { tracksWarning } from "./tracks.ts";

const track = (language: string | null, title: string | null = null) => ({ language, title });

describe("tracksWarning()", () => {
  it("says nothing of a track that is alone", () => {
    expect(tracksWarning([], 1)).toBeNull();
    expect(tracksWarning([track("eng")], 1)).toBeNull();
  });

  it("names languages and titles where they are known", () => {
    expect(tracksWarning([track("und", " "), track("ger"), track("x-?", "Ton"), track(null)], 2)).toBe(
      'Track 2 of 4 audio tracks was read (1, 2 German, 3 x-? "Ton", 4): the option audioTrack (--audio_track) chooses another',
    );
  });

  it("is no longer than anybody reads", () => {
    const warning = tracksWarning(new Array(1000).fill(track("eng", "x".repeat(5000))), 1);
    expect(warning?.length).toBeLessThan(2000);
    expect(warning).toContain("16 English");
    expect(warning).toContain(", ...)");
  });
});
