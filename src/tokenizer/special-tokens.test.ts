import { describe, expect, it } from "vitest";
import { CheckpointError } from "../errors.ts";
import { findSpecialTokens, specialTokens, timestampToken } from "./special-tokens.ts";
import type { AddedToken } from "./vocabulary.ts";

/** The added tokens of an official vocabulary; `names` replaces some. */
function officialTokens(nVocab: number, names: Record<string, string | null> = {}): AddedToken[] {
  const { languages, ...ids } = specialTokens(nVocab);
  const official: Record<string, number> = {
    "<|endoftext|>": ids.eot,
    "<|startoftranscript|>": ids.sot,
    "<|translate|>": ids.translate,
    "<|transcribe|>": ids.transcribe,
    "<|startoflm|>": ids.sotLm,
    "<|startofprev|>": ids.sotPrev,
    "<|nospeech|>": ids.noSpeech,
    "<|notimestamps|>": ids.noTimestamps,
    "<|0.00|>": ids.timestampBegin,
  };
  for (const [code, id] of languages) official[`<|${code}|>`] = id;
  return Object.entries(official).flatMap(([content, id]) => {
    const name = content in names ? names[content] : content;
    return name === null ? [] : [{ id, content: name, special: true }];
  });
}

const none = (): undefined => undefined;

describe("specialTokens()", () => {
  it.each([
    // nVocab, eot, sot, en, last language, translate, transcribe, sotLm, sotPrev, noSpeech, noTimestamps, <|0.00|>
    [51864, 50256, 50257, 50258, "su", 50356, 50357, 50358, 50359, 50360, 50361, 50362, 50363],
    [51865, 50257, 50258, 50259, "su", 50357, 50358, 50359, 50360, 50361, 50362, 50363, 50364],
    [51866, 50257, 50258, 50259, "yue", 50358, 50359, 50360, 50361, 50362, 50363, 50364, 50365],
  ] as const)("of a vocabulary of %d are those of facts 0.6", (nVocab, ...want) => {
    const s = specialTokens(nVocab);
    const last = [...s.languages.keys()].at(-1) ?? "";
    expect([
      s.eot,
      s.sot,
      s.languages.get("en"),
      last,
      s.languages.get(last),
      s.translate,
      s.transcribe,
      s.sotLm,
      s.sotPrev,
      s.noSpeech,
      s.noTimestamps,
      s.timestampBegin,
    ]).toEqual(want);
    expect(s.timestampBegin + 1500).toBe(nVocab - 1);
  });

  it("takes larger vocabularies for large-v3's", () => {
    expect(specialTokens(51968)).toEqual(specialTokens(51866));
  });

  it.each([0, 1000, 51863, 51865.5, NaN])("refuses a vocabulary of %d", (nVocab) => {
    expect(() => specialTokens(nVocab)).toThrow(RangeError);
  });
});

describe("findSpecialTokens()", () => {
  it.each([51864, 51865, 51866])("finds those of the official vocabulary of %d", (nVocab) => {
    const official = specialTokens(nVocab);
    expect(findSpecialTokens(officialTokens(nVocab), none, nVocab)).toEqual(official);
    expect(findSpecialTokens(officialTokens(nVocab).reverse(), none, undefined)).toEqual(official);
    expect([...findSpecialTokens(officialTokens(nVocab).reverse(), none, undefined).languages.keys()]).toEqual([
      ...official.languages.keys(),
    ]);
  });

  it("knows nospeech under its old name (facts 0.6)", () => {
    const tokens = officialTokens(51865, { "<|nospeech|>": "<|nocaptions|>" });
    expect(findSpecialTokens(tokens, none, undefined).noSpeech).toBe(50362);
  });

  it("finds timestamps that are not in the files after notimestamps", () => {
    const tokens = officialTokens(51865, { "<|0.00|>": null });
    expect(findSpecialTokens(tokens, none, undefined).timestampBegin).toBe(50364);
  });

  it("finds endoftext among the text tokens", () => {
    const tokens = officialTokens(51865, { "<|endoftext|>": null });
    const idOf = (token: string): number | undefined => (token === "<|endoftext|>" ? 50257 : undefined);
    expect(findSpecialTokens(tokens, idOf, undefined).eot).toBe(50257);
  });

  it("believes the files before the size: a large-v2 with a language added at its end", () => {
    const tokens = [...officialTokens(51865), { id: 51865, content: "<|yue|>", special: true }];
    const found = findSpecialTokens(tokens, none, 51866);
    expect(found).toEqual({ ...specialTokens(51865), languages: found.languages });
    expect(found.languages.get("yue")).toBe(51865);
    expect(found.languages.size).toBe(100);
  });

  it("knows languages in line that Whisper has no name for, and no other tokens of that form", () => {
    const tokens = officialTokens(51865, { "<|su|>": "<|tlh|>" });
    const found = findSpecialTokens([...tokens, { id: 51865, content: "<|foo|>", special: true }], none, undefined);
    expect(found.languages.get("tlh")).toBe(50357);
    expect(found.languages.has("foo")).toBe(false);
  });

  it("tells what the files lack by the size of the vocabulary", () => {
    expect(findSpecialTokens([], none, 51864)).toEqual(specialTokens(51864));
    expect(findSpecialTokens(officialTokens(51866, { "<|startoflm|>": null }), none, 51866).sotLm).toBe(50361);
  });

  it("lists every missing token where the size is not known either", () => {
    const tokens = officialTokens(51865, { "<|startoflm|>": null, "<|nospeech|>": null });
    expect(() => findSpecialTokens(tokens, none, undefined)).toThrow(CheckpointError);
    expect(() => findSpecialTokens(tokens, none, undefined)).toThrow(
      /"<\|startoflm\|>" is missing[^]*"<\|nospeech\|>" is missing/,
    );
  });

  it("refuses the tokenizer of a larger model", () => {
    expect(() => findSpecialTokens(officialTokens(51866), none, 51865)).toThrow(
      "special tokens go up to id 51865, expected less than the model's vocabulary of 51865",
    );
  });
});

describe("timestampToken()", () => {
  it.each([
    [0, "<|0.00|>"],
    [1, "<|0.02|>"],
    [50, "<|1.00|>"],
    [312, "<|6.24|>"],
    [1500, "<|30.00|>"],
  ])("writes index %d as %s", (index, text) => {
    expect(timestampToken(index)).toBe(text);
  });
});
