import { describe, expect, it } from "vitest";
import { sizeOf } from "../tensor/index.ts";
import { isMultilingual, numLanguages, parameterCount, windowFrames, type ModelDimensions } from "./dimensions.ts";
import { parameterDims } from "./parameters.ts";

/** Facts 0.4. */
const sized = (state: number, heads: number, encoder: number, decoder = encoder): Partial<ModelDimensions> => ({
  nAudioState: state,
  nAudioHead: heads,
  nAudioLayer: encoder,
  nTextState: state,
  nTextHead: heads,
  nTextLayer: decoder,
});
const BASE: ModelDimensions = {
  nMels: 80,
  nAudioCtx: 1500,
  nAudioState: 512,
  nAudioHead: 8,
  nAudioLayer: 6,
  nVocab: 51865,
  nTextCtx: 448,
  nTextState: 512,
  nTextHead: 8,
  nTextLayer: 6,
};

/** Sizes that the Hugging Face hub shows for the checkpoints (the tied output head once, encoder positions included). */
const PUBLISHED: [string, Partial<ModelDimensions>, number][] = [
  ["tiny", sized(384, 6, 4), 37_760_640],
  ["tiny.en", { ...sized(384, 6, 4), nVocab: 51864 }, 37_760_256],
  ["base", {}, 72_593_920],
  ["small", sized(768, 12, 12), 241_734_912],
  ["medium", sized(1024, 16, 24), 763_857_920],
  ["large-v2", sized(1280, 20, 32), 1_543_304_960],
  ["large-v3", { ...sized(1280, 20, 32), nMels: 128, nVocab: 51866 }, 1_543_490_560],
  ["large-v3-turbo", { ...sized(1280, 20, 32, 4), nMels: 128, nVocab: 51866 }, 808_878_080],
];

describe("parameterCount()", () => {
  it.each(PUBLISHED)("of %s is the published one", (_, changes, count) => {
    expect(parameterCount({ ...BASE, ...changes })).toBe(count);
  });

  it.each(PUBLISHED)("of %s is the sum over parameterDims()", (_, changes) => {
    const dimensions = { ...BASE, ...changes };
    const sum = [...parameterDims(dimensions).values()].reduce((total, dims) => total + sizeOf(dims), 0);
    expect(sum).toBe(parameterCount(dimensions));
  });
});

describe("vocabularies (facts 0.5)", () => {
  it.each([
    [51864, false, 99],
    [51865, true, 99],
    [51866, true, 100],
  ])("%d ids: multilingual %s, %d languages", (nVocab, multilingual, languages) => {
    expect(isMultilingual({ ...BASE, nVocab })).toBe(multilingual);
    expect(numLanguages({ ...BASE, nVocab })).toBe(languages);
  });
});

describe("windowFrames()", () => {
  it("is 30 s of 10 ms (facts 0.1)", () => {
    expect(windowFrames(BASE)).toBe(3000);
  });
});
