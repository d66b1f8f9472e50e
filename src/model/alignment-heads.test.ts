import { describe, expect, it } from "vitest";
import { alignmentHeads, type Head } from "./alignment-heads.ts";
import type { ModelDimensions } from "./dimensions.ts";

function dimensions(nTextState: number, nTextLayer: number, nVocab: number, nMels = 80): ModelDimensions {
  const [nAudioCtx, nTextCtx, heads] = [1500, 448, nTextState / 64];
  const audio = { nMels, nAudioCtx, nAudioState: nTextState, nAudioHead: heads, nAudioLayer: Math.max(nTextLayer, 4) };
  return { ...audio, nVocab, nTextCtx, nTextState, nTextHead: heads, nTextLayer };
}

describe("alignmentHeads()", () => {
  // Number of heads, first and last one, of the published lists (facts 0.11).
  it.each([
    ["tiny", dimensions(384, 4, 51865), 6, [2, 2], [3, 5]],
    ["tiny.en", dimensions(384, 4, 51864), 8, [1, 0], [3, 4]],
    ["base", dimensions(512, 6, 51865), 8, [3, 1], [5, 6]],
    ["base.en", dimensions(512, 6, 51864), 5, [3, 3], [5, 7]],
    ["small", dimensions(768, 12, 51865), 10, [5, 3], [10, 5]],
    ["small.en", dimensions(768, 12, 51864), 19, [6, 6], [11, 4]],
    ["medium", dimensions(1024, 24, 51865), 6, [13, 15], [23, 4]],
    ["medium.en", dimensions(1024, 24, 51864), 18, [11, 4], [21, 12]],
    ["large-v2", dimensions(1280, 32, 51865), 23, [10, 12], [27, 15]],
    ["large-v3", dimensions(1280, 32, 51866, 128), 10, [7, 0], [25, 6]],
    ["turbo", dimensions(1280, 4, 51866, 128), 6, [2, 4], [3, 14]],
  ] as const)("knows %s by its dimensions", (_, model, count, first, last) => {
    const heads = alignmentHeads(model, null);
    expect(heads).toHaveLength(count);
    expect([heads[0], heads.at(-1)]).toEqual([first, last]);
    expect(heads).toEqual(heads.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]));
    expect(new Set(heads.map(String)).size).toBe(count);
    for (const [layer, head] of heads) {
      expect(layer).toBeLessThan(model.nTextLayer);
      expect(head).toBeLessThan(model.nTextHead);
    }
  });

  it.each<[string, Head[] | null, Head[]]>([
    [
      "what the checkpoint says comes first",
      [
        [3, 1],
        [0, 2],
        [3, 1],
      ],
      [
        [0, 2],
        [3, 1],
      ],
    ],
    [
      "heads that do not exist are left out",
      [
        [3, 1],
        [4, 0],
        [0, 6],
      ],
      [[3, 1]],
    ],
    [
      "if there is none among them, the table decides",
      [[9, 9]],
      [
        [2, 2],
        [3, 0],
        [3, 2],
        [3, 3],
        [3, 4],
        [3, 5],
      ],
    ],
  ])("%s", (_, configured, expected) => {
    expect(alignmentHeads(dimensions(384, 4, 51865), configured)).toEqual(expected);
  });

  it("takes all heads of the upper half of the layers of a model nobody knows", () => {
    expect(alignmentHeads(dimensions(128, 3, 51865), null)).toEqual([
      [1, 0],
      [1, 1],
      [2, 0],
      [2, 1],
    ]);
    expect(alignmentHeads(dimensions(128, 1, 51865), [])).toEqual([
      [0, 0],
      [0, 1],
    ]);
  });
});
