import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { resolveDecoding, type DecodingOptions } from "./options.ts";
import { assertSearch, resolveSearch, searchAtTemperature, type SearchOptions } from "./search-options.ts";

describe("resolveSearch()", () => {
  it.each<[SearchOptions, object]>([
    [{}, { kind: "greedy", rows: 1, temperature: 0, lengthPenalty: null, seed: 0 }],
    [{ temperature: 0.2 }, { kind: "sampling", rows: 1, temperature: 0.2 }],
    [
      { temperature: 0.2, bestOf: 5, seed: 7 },
      { kind: "sampling", rows: 5, seed: 7 },
    ],
    [{ beamSize: 5 }, { kind: "beams", rows: 5, maxCandidates: 5 }],
    [
      { beamSize: 5, patience: 2, lengthPenalty: 0.6 },
      { kind: "beams", maxCandidates: 10, lengthPenalty: 0.6 },
    ],
    [
      { beamSize: 5, temperature: 1 },
      { kind: "beams", rows: 5, temperature: 1 },
    ],
    [
      { beamSize: null, bestOf: null, patience: null, lengthPenalty: null },
      { kind: "greedy", rows: 1 },
    ],
    [{ beamSize: 5, patience: 0.5 }, { maxCandidates: 2 }],
    [{ beamSize: 7, patience: 0.5 }, { maxCandidates: 4 }],
  ])("of %j is %j", (search, expected) => {
    expect(resolveSearch(search, 448)).toMatchObject(expected);
  });

  it.each<[SearchOptions, string, string]>([
    [{ beamSize: 5, bestOf: 5, temperature: 1 }, "bestOf", "Cannot use bestOf together with beamSize"],
    [{ bestOf: 5 }, "bestOf", "Cannot use bestOf at temperature 0"],
    [{ patience: 2 }, "patience", "Cannot use patience without beamSize"],
    [{ patience: 2, bestOf: 5, temperature: 1 }, "patience", "Cannot use patience without beamSize"],
    [{ beamSize: 2, patience: 0.25 }, "patience", 'Patience "0.25" of 2 beams waits for no text at all'],
    [{ beamSize: 2, patience: 0 }, "patience", 'Patience "0" of 2 beams'],
    [{ beamSize: 2, patience: -1 }, "patience", "Cannot use -1 as patience, expected a number from 0 to 100"],
    [{ lengthPenalty: 1.1 }, "lengthPenalty", "Cannot use 1.1 as lengthPenalty, expected a number from 0 to 1"],
    [{ lengthPenalty: -0.1 }, "lengthPenalty", "expected a number from 0 to 1"],
    [{ lengthPenalty: Number.NaN }, "lengthPenalty", "Cannot use NaN as lengthPenalty"],
    [{ temperature: -0.1 }, "temperature", "Cannot use -0.1 as temperature, expected a number from 0 to 100"],
    [{ temperature: Infinity }, "temperature", "Cannot use Infinity as temperature"],
    [{ beamSize: 0 }, "beamSize", "Cannot use 0 as beamSize, expected a whole number from 1 to 128"],
    [{ beamSize: 2.5 }, "beamSize", "expected a whole number"],
    [{ bestOf: 129, temperature: 1 }, "bestOf", "expected a whole number from 1 to 128"],
    [{ seed: 0.5 }, "seed", "expected a whole number"],
    [{ sampleLength: 0 }, "sampleLength", "expected a whole number, 1 or more"],
    [{ sampleLength: 449 }, "sampleLength", "expected a whole number from 1 to 448"],
  ])("refuses %j (facts 2.4.2)", (search, option, message) => {
    expect(() => resolveSearch(search, 448)).toThrow(message);
    expect(() => resolveSearch(search, 448)).toThrow(expect.objectContaining({ constructor: OptionError, option }));
  });
});

describe("assertSearch()", () => {
  const tokenizer = wordTokenizer();
  const check = (search: SearchOptions, options: DecodingOptions = {}) =>
    assertSearch(tokenizer, 448, resolveDecoding(tokenizer, 448, options), search);
  const words = (length: number): number[] => Array<number>(length).fill(1);

  it.each<[what: string, search: SearchOptions, options?: DecodingOptions]>([
    ["phrases", { allowedPhrases: ["w1 w2"], beamSize: 2 }],
    ["prompt and prefix that leave room", { prompt: words(300), prefix: words(221) }],
    ["the same beside notimestamps", { prompt: words(300), prefix: words(220) }, { withoutTimestamps: true }],
    ["a long prefix alone", { prefix: words(445) }],
    ["a prefix that is cut (facts 2.4.3)", { prompt: words(300), prefix: words(445), sampleLength: 200 }],
    ["the same by the resolved limit", { prompt: words(300), prefix: words(445) }, { sampleLength: 200 }],
  ])("takes %s", (_, search, options) => {
    expect(() => check(search, options)).not.toThrow();
  });

  const noRoom = "Cannot decode after 449 tokens of prompt and prefix: the model has room for 448";
  it.each<[what: string, search: SearchOptions, options: DecodingOptions, message: string]>([
    ["what resolveSearch() refuses", { bestOf: 5 }, {}, "Cannot use bestOf at temperature 0"],
    ["an empty phrase", { allowedPhrases: [" "] }, {}, "Cannot decode with 1 allowed phrases"],
    ["a phrase without tokens", { allowedPhrases: ["!?"] }, {}, "the vocabulary has no tokens for it"],
    ["a prefix without room", { prefix: words(446) }, {}, noRoom],
    ["prompt and prefix without room", { prompt: words(300), prefix: words(222) }, { language: "de" }, noRoom],
    ["notimestamps without room", { prompt: words(300), prefix: words(221) }, { withoutTimestamps: true }, noRoom],
  ])("refuses %s", (_, search, options, message) => {
    expect(() => check(search, options)).toThrow(message);
    expect(() => check(search, options)).toThrow(OptionError);
  });
});

describe("searchAtTemperature() (facts 2.3.4)", () => {
  const search = { beamSize: 5, bestOf: 4, patience: 2, lengthPenalty: 0.5, seed: 3 };
  it("drops what is for samples at 0, and what is for beams above", () => {
    expect(searchAtTemperature(search, 0)).toEqual({ ...search, bestOf: null, temperature: 0 });
    expect(searchAtTemperature(search, 0.2)).toEqual({ ...search, beamSize: null, patience: null, temperature: 0.2 });
  });
  it.each([0, 0.2])("leaves no conflict at %d", (temperature) => {
    expect(() => resolveSearch(searchAtTemperature(search, temperature), 448)).not.toThrow();
  });
});
