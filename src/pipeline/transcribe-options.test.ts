import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { ALIASES, resolveTranscribe, TRANSCRIBE_OPTIONS } from "./transcribe-options.ts";

const resolve = (options: object): ReturnType<typeof resolveTranscribe> => resolveTranscribe("transcribe", options);

describe("resolveTranscribe()", () => {
  it.each([...Object.keys(TRANSCRIBE_OPTIONS), ...Object.keys(ALIASES)])(
    "refuses values that are none of %s",
    (name) => {
      // Of these, each option takes none.
      for (const value of [new Date(0), Number.NaN, Infinity, {}, [[]], Symbol("x")]) {
        expect(() => resolve({ [name]: value }), String(value)).toThrow(
          expect.objectContaining({ constructor: OptionError, option: name }),
        );
      }
      expect(() => resolve({ [name]: undefined })).not.toThrow();
    },
  );

  it.each<[options: object, message: string]>([
    [{ returnTimestamps: "yes" }, 'Cannot use "yes" as returnTimestamps, expected true or false, or one of word'],
    [{ wordTimestamps: 1 }, "Cannot use 1 as wordTimestamps, expected true or false"],
    [{ numBeams: 0 }, "Cannot use 0 as numBeams, expected a whole number from 1 to 128, or null"],
    [{ batchSize: "8" }, 'Cannot use "8" as batchSize, expected a whole number from 1 to 1024'],
    [
      { noSpeechThreshold: 60 },
      "Cannot use 60 as noSpeechThreshold, expected a number from 0 to 1, or null for no threshold",
    ],
    [
      { temperature: [] },
      "Cannot use [] as temperature, expected a number from 0 to 100, or an array of 1 to 100 such numbers",
    ],
    [{ signal: new AbortController() }, "as signal, expected an AbortSignal"],
    [{ onSegment: "print" }, 'Cannot use "print" as onSegment, expected a function'],
    [
      { strideLength: [5] },
      "Cannot use [5] as strideLength, expected a number, 0 or more, or an array of 2 such numbers",
    ],
    [{ maxSeconds: 0 }, "Cannot use 0 as maxSeconds, expected a number above 0"],
  ])("refuses %j", (options, message) => {
    expect(() => resolve(options)).toThrow(message);
  });

  it("lists every option once", () => {
    const message = String(
      (() => {
        try {
          resolve({ x: 1 });
        } catch (error) {
          return (error as Error).message;
        }
      })(),
    );
    const listed = message
      .replace(/^.*expected one of /, "")
      .replace(/\n.*/s, "")
      .split(", ");
    expect(new Set(listed).size).toBe(listed.length);
    expect(listed).toContain("sampleLength");
  });

  it.each<[options: object, algorithm: string]>([
    [{}, "vad"],
    [{ language: "de" }, "vad"],
    [{ batchSize: 2 }, "vad"],
    [{ beamSize: 5 }, "vad"],
    [{ numBeams: 5 }, "vad"],
    [{ temperature: 0, language: "de", maxBytes: 5 }, "vad"],
    [{ vadThreshold: 0.4 }, "vad"],
    [{ conditionOnPreviousText: true, beamSize: 5 }, "sequential"],
    [{ returnLanguage: true, batchSize: 5 }, "chunked"],
    [{ beamSize: undefined, chunkLength: 20 }, "chunked"],
    [{ algorithm: "sequential" }, "sequential"],
    [{ algorithm: undefined, initialPrompt: "x" }, "vad"],
    [{ algorithm: undefined, prefix: "x" }, "sequential"],
  ])("of %j chooses %s", (options, algorithm) => {
    expect(resolve(options).algorithm).toBe(algorithm);
  });

  it.each<[options: object, message: RegExp]>([
    [
      { beamSize: 5, chunkLength: 20 },
      /^Cannot use chunkLength together with beamSize: no algorithm has both\nHint: .*chunked.*"vad" or "sequential"/,
    ],
    [{ numBeams: 5, chunkLengthS: 20 }, /^Cannot use chunkLengthS together with numBeams/],
    [
      { algorithm: "chunked", beamSize: 5 },
      /^Option "beamSize" does not exist in algorithm "chunked"\nHint: algorithm "vad" or "sequential" has it$/,
    ],
    [{ algorithm: "sequential", batchSize: 5 }, /^Option "batchSize" does not exist in algorithm "sequential"/],
    [
      { withoutTimestamps: true, returnTimestamps: true },
      /^Cannot use withoutTimestamps together with returnTimestamps/,
    ],
    [{ returnTimestamps: "word", wordTimestamps: false }, /^Cannot use "word" as returnTimestamps/],
    [{ sampleLen: 5, maxNewTokens: 5 }, /two names of one option/],
  ])("refuses options against each other: %j", (options, message) => {
    expect(() => resolve(options)).toThrow(message);
  });

  it("takes the names of other systems", () => {
    const given = { maxNewTokens: 1, logProbThreshold: -2, conditionOnPrevTokens: false, multilingual: true };
    expect(resolve(given).options).toEqual({
      sampleLength: 1,
      logprobThreshold: -2,
      conditionOnPreviousText: false,
      languagePerWindow: true,
    });
    expect(resolve({ chunkLengthS: 20, strideLengthS: [1, 2], sampleLen: 3 }).options).toEqual({
      chunkLength: 20,
      strideLength: [1, 2],
      sampleLength: 3,
      returnTimestamps: true,
    });
  });

  it("has timestamps unless they are turned off, and words where they are the timestamps", () => {
    const algorithm = "chunked";
    expect(resolve({}).options).toEqual({});
    expect(resolve({ algorithm }).options).toEqual({ returnTimestamps: true });
    expect(resolve({ algorithm, returnTimestamps: false }).options).toEqual({ returnTimestamps: false });
    expect(resolve({ algorithm, returnTimestamps: "word" }).options).toEqual({
      returnTimestamps: true,
      wordTimestamps: true,
    });
    expect(resolve({ algorithm: "sequential" })).toMatchObject({ returnTimestamps: true, options: {} });
    expect(resolve({ withoutTimestamps: true })).toMatchObject({ returnTimestamps: false, algorithm: "sequential" });
  });
});
