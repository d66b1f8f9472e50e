import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { clipFrames, parseClipTimes } from "./clips.ts";

const clipsOf = (clips: string | readonly number[] | undefined, contentFrames: number) => {
  const found = clipFrames(parseClipTimes(clips), contentFrames);
  return [found.clips.map(({ start, end }) => [start, end]), found.warnings.length];
};

describe("clipFrames() (facts 2.3.2)", () => {
  it.each<[string | number[] | undefined, [number, number][], number]>([
    [undefined, [[0, 1000]], 0],
    ["", [[0, 1000]], 0],
    ["0", [[0, 1000]], 0],
    [[], [[0, 1000]], 0],
    ["1.5", [[150, 1000]], 0],
    [" 1, 2 ", [[100, 200]], 0],
    [
      [0.5, 2.5, 3],
      [
        [50, 250],
        [300, 1000],
      ],
      0,
    ],
    ["0.125,0.135", [[12, 14]], 0], // half to even
    [
      "5,6,1,2",
      [
        [500, 600],
        [100, 200],
      ],
      0,
    ], // in the order given
    ["1,1", [], 0],
    ["0,10", [[0, 1000]], 0],
    // openai/whisper goes on for ever from here on.
    ["0,11", [[0, 1000]], 1],
    [
      "8,12,3,4",
      [
        [800, 1000],
        [300, 400],
      ],
      1,
    ],
    ["12,13", [], 1],
    ["10,13", [], 1],
    ["12", [], 1],
    ["1,2,12,13,14", [[100, 200]], 2],
  ])("%j of 10 s", (clips, frames, warnings) => {
    expect(clipsOf(clips, 1000)).toEqual([frames, warnings]);
  });

  it("says what it left out", () => {
    expect(clipFrames([8, 12, 13, 14], 1000).warnings).toEqual([
      "The clip from 8 s to 12 s was cut at the end of the recording at 10.00 s",
      "The clip from 13 s lies past the end of the recording at 10.00 s and was left out",
    ]);
    expect(clipFrames([], 0)).toEqual({ clips: [], warnings: [] });
  });
});

describe("parseClipTimes()", () => {
  it.each(["a", "1,", "-1", "1,,2", "Infinity", [Number.NaN], [-0.1], 5 as unknown as string])(
    "refuses %j",
    (clips) => {
      expect(() => parseClipTimes(clips)).toThrow(OptionError);
    },
  );
  it("refuses a clip that ends before it starts", () => {
    expect(() => parseClipTimes("1,2,5,4")).toThrow("A clip cannot end at 4 s when it starts at 5 s");
  });
});
