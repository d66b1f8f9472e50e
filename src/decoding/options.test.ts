import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { decodingWarnings, resolveDecoding, resolveLanguage, tokenRules, type DecodingOptions } from "./options.ts";

const multilingual = wordTokenizer();
const english = wordTokenizer("english");
const SPECIALS = [50258, 50358, 50359, 50360, 50361, 50362];
const ENGLISH_SPECIALS = [50257, 50357, 50358, 50359, 50360, 50361];

describe("tokenRules() suppresses", () => {
  const cases: [string, DecodingOptions["suppressTokens"], readonly number[] | null | undefined, number[]][] = [
    ["the non-speech symbols where nobody says anything", undefined, undefined, [1, 2, 7]],
    ["the checkpoint's list by default", undefined, [5, 6], [5, 6]],
    ["the non-speech symbols where the checkpoint's list is empty (facts 1.13.7)", undefined, [], [1, 2, 7]],
    ["the non-speech symbols for -1", "-1", [5, 6], [1, 2, 7]],
    ["explicit ids", [13], [5, 6], [13]],
    ["explicit ids and the symbols", "-1,13", null, [1, 2, 7, 13]],
    ["ids from text with spaces", " 13 , 4 ", null, [4, 13]],
    ["nothing more for an empty list", [], [5, 6], []],
    ["nothing more for an empty text", "", [5, 6], []],
    ["each id once", [13, 13, 50258], null, [13]],
  ];
  it.each(cases)("%s", (_, suppressTokens, ofCheckpoint, expected) => {
    const rules = tokenRules(multilingual, { suppressTokens }, { suppressTokens: ofCheckpoint ?? null });
    expect(rules.suppress).toEqual([...expected, ...SPECIALS]);
  });

  it("the six specials of an English-only vocabulary (facts 6.4)", () => {
    expect(tokenRules(english, { suppressTokens: [13] }).suppress).toEqual([13, ...ENGLISH_SPECIALS]);
  });

  it("numerals where asked", () => {
    const words = { ...multilingual, decode: (ids: Iterable<number>) => ([...ids][0] < 2 ? " 7" : "seven") };
    const suppressed = (suppressNumerals: boolean) =>
      tokenRules(words, { suppressTokens: [5], suppressNumerals }).suppress;
    expect(suppressed(true)).toEqual([0, 1, 5, ...SPECIALS]);
    expect(suppressed(false)).toEqual([5, ...SPECIALS]);
  });

  it.each([["-2"], ["51865"], ["1,,2"], ["one"], [[1.5]]])("nothing for the faulty list %j", (suppressTokens) => {
    expect(() => tokenRules(multilingual, { suppressTokens })).toThrow(
      /^Cannot suppress token ".*", expected ids from 0 to 51864, or -1 for the non-speech symbols$/,
    );
  });
});

describe("tokenRules() at the begin", () => {
  it("forbids the space and endoftext (facts 2.4.6)", () => {
    expect(tokenRules(multilingual).suppressAtBegin).toEqual([220, 50257]);
    expect(tokenRules(english).suppressAtBegin).toEqual([220, 50256]);
  });
  it("forbids what the checkpoint lists, without encoding anything", () => {
    const tokenizer = { ...multilingual, encode: () => expect.fail("read the merges") };
    expect(tokenRules(tokenizer, {}, { beginSuppressTokens: [220, 50257] }).suppressAtBegin).toEqual([220, 50257]);
  });
  it("forbids nothing without suppressBlank", () => {
    expect(tokenRules(multilingual, { suppressBlank: false }).suppressAtBegin).toEqual([]);
  });
});

describe("tokenRules() of timestamps", () => {
  const indexOf = (maxInitialTimestamp: DecodingOptions["maxInitialTimestamp"], ofCheckpoint?: number | null) =>
    tokenRules(
      multilingual,
      { maxInitialTimestamp },
      ofCheckpoint === undefined ? {} : { maxInitialTimestampIndex: ofCheckpoint },
    ).timestamps?.maxInitialTimestampIndex;

  it("limit the first one to 1 s, or what the checkpoint or the caller says", () => {
    expect(indexOf(undefined)).toBe(50);
    expect(indexOf(undefined, null)).toBe(50);
    expect(indexOf(undefined, 10)).toBe(10);
    expect(indexOf(2, 10)).toBe(100);
    expect(indexOf(0)).toBe(0);
    expect(indexOf(null, 10)).toBeNull();
  });
  it.each([-0.02, 30.02, Number.NaN, Infinity])("refuse a limit of %d s", (seconds) => {
    expect(() => indexOf(seconds)).toThrow(OptionError);
  });
  it("never allow notimestamps", () => {
    expect(tokenRules(multilingual).timestamps?.noTimestamps).toBe(50363);
  });
  it("are not there without timestamps", () => {
    expect(tokenRules(multilingual, { withoutTimestamps: true }).timestamps).toBeNull();
  });
});

describe("resolveLanguage()", () => {
  it.each([
    ["de", "de"],
    ["German", "de"],
    ["<|de|>", "de"],
    ["castilian", "es"],
    [undefined, undefined],
  ])("of a multilingual checkpoint takes %j for %j", (language, expected) => {
    expect(resolveLanguage(multilingual, language)).toBe(expected);
  });
  it("lists what exists for an unknown language", () => {
    expect(() => resolveLanguage(multilingual, "xx")).toThrow(/Unknown language "xx", expected one of en, zh, de/);
  });
  it("refuses a language that the vocabulary has no token for", () => {
    expect(() => resolveLanguage(multilingual, "cantonese")).toThrow(
      /no token for language "cantonese", expected one of en, zh/,
    );
  });
  it("takes a language that only the checkpoint knows", () => {
    const languages = new Map([...multilingual.special.languages, ["qaa", 50357]]);
    const tokenizer = { multilingual: true, special: { ...multilingual.special, languages } };
    expect(resolveLanguage(tokenizer, "qaa")).toBe("qaa");
  });
  it.each([[undefined], ["en"], ["English"]])("of an English-only checkpoint takes %j for English", (language) => {
    expect(resolveLanguage(english, language)).toBe("en");
  });
  it("refuses another language and translation for an English-only checkpoint (facts 4b.10)", () => {
    expect(() => resolveLanguage(english, "french")).toThrow(
      'Cannot decode language "french": the checkpoint is English-only',
    );
    expect(() => resolveLanguage(english, undefined, "translate")).toThrow(
      'Cannot carry out task "translate": the checkpoint is English-only',
    );
  });
});

describe("resolveDecoding()", () => {
  it("fills in the checkpoint's limit, else all that fits", () => {
    expect(resolveDecoding(multilingual, 448, {}, { maxLength: 225 }).maxLength).toBe(225);
    expect(resolveDecoding(multilingual, 448, {}, { maxLength: null }).maxLength).toBe(448);
    expect(resolveDecoding(multilingual, 448, {}, { maxLength: 9999 }).maxLength).toBe(448);
    // Hugging Face's own default of 20 is a limit, one below the prompt is none.
    expect(resolveDecoding(multilingual, 448, {}, { maxLength: 2 }).maxLength).toBe(448);
    expect(resolveDecoding(multilingual, 448, { maxLength: 100 }, { maxLength: 225 }).maxLength).toBe(100);
  });
  it.each([
    [{ maxLength: 3 }, "expected a whole number from 4 to 448"],
    [{ maxLength: 449 }, "expected a whole number from 4 to 448"],
    [{ maxLength: 10.5 }, "Cannot use 10.5 as maxLength, expected a whole number, 1 or more"],
    [{ withoutTimestamps: true, maxLength: 4 }, "expected a whole number from 5 to 448"],
    [{ sampleLength: 0 }, "Cannot use 0 as sampleLength, expected a whole number, 1 or more"],
    [{ sampleLength: 449 }, "Cannot use 449 as sampleLength, expected a whole number from 1 to 448"],
  ])("refuses %j", (options, message) => {
    expect(() => resolveDecoding(multilingual, 448, options)).toThrow(message);
  });
  it("lists the tasks for an unknown one", () => {
    expect(() => resolveDecoding(multilingual, 448, { task: "summarize" as never })).toThrow(
      'Cannot use "summarize" as task, expected one of transcribe, translate',
    );
  });
});

describe("decodingWarnings()", () => {
  const base = { nMels: 80, nAudioCtx: 1500, nAudioState: 512, nAudioHead: 8, nAudioLayer: 6, nVocab: 51865 };
  const dimensions = { ...base, nTextCtx: 448, nTextState: 512, nTextHead: 8, nTextLayer: 6 };
  const warningsOf = (options: DecodingOptions, nAudioLayer = 6, nTextLayer = 6): string[] => {
    const resolved = resolveDecoding(multilingual, 448, options);
    return decodingWarnings(options, resolved, { ...dimensions, nAudioLayer, nTextLayer });
  };
  it.each([
    ["turbo", 32, 4],
    ["distil-large", 32, 2],
  ])("says of %s that it was not trained to translate", (_, nAudioLayer, nTextLayer) => {
    expect(warningsOf({ task: "translate" }, nAudioLayer, nTextLayer)).toEqual([
      expect.stringMatching(/not trained to translate/),
    ]);
    expect(warningsOf({ task: "transcribe" }, nAudioLayer, nTextLayer)).toEqual([]);
  });
  it("says nothing of models that translate", () => {
    expect(warningsOf({ task: "translate" })).toEqual([]);
    expect(warningsOf({ task: "translate" }, 32, 32)).toEqual([]);
    expect(warningsOf({ task: "translate" }, 4, 3)).toEqual([]);
  });
});
