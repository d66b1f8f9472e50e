import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import {
  abortSignal,
  anyOf,
  assertOption,
  assertOptions,
  callback,
  flag,
  listOf,
  number,
  oneOf,
  orNull,
  text,
  whole,
  withoutAliases,
  type OptionKind,
} from "./index.ts";

describe("assertOption()", () => {
  it.each<[kind: OptionKind, value: unknown, message: string]>([
    [flag, "yes", 'Cannot use "yes" as x, expected true or false'],
    [flag, 1, "Cannot use 1 as x, expected true or false"],
    [flag, null, "Cannot use null as x, expected true or false"],
    [text, 5, "Cannot use 5 as x, expected a string"],
    [whole(1, 8), "8", 'Cannot use "8" as x, expected a whole number from 1 to 8'],
    [whole(1, 8), 0, "Cannot use 0 as x, expected a whole number from 1 to 8"],
    [whole(1, 8), 8n, "Cannot use 8 as x, expected a whole number from 1 to 8"],
    [whole(1), 1.5, "Cannot use 1.5 as x, expected a whole number, 1 or more"],
    [whole(0), 2 ** 60, "as x, expected a whole number, 0 or more"],
    [number(), Infinity, "Cannot use Infinity as x, expected a number"],
    [number({ above: 0 }), 0, "Cannot use 0 as x, expected a number above 0"],
    [number({ above: 0, to: 5 }), NaN, "Cannot use NaN as x, expected a number above 0 and at most 5"],
    [number({ from: 0, to: 1 }), -0.1, "Cannot use -0.1 as x, expected a number from 0 to 1"],
    [
      orNull(number({ from: 0 }), "no limit"),
      "",
      'Cannot use "" as x, expected a number, 0 or more, or null for no limit',
    ],
    [oneOf(["a", "b"]), "c", 'Cannot use "c" as x, expected one of a, b'],
    [listOf(whole(0), "tokens"), [1, -1], "Cannot use [1,-1] as x, expected an array of tokens"],
    [listOf(number(), "numbers", { from: 2, to: 2 }), [NaN], 'Cannot use ["NaN"] as x, expected an array of 2 numbers'],
    [anyOf(text, listOf(text, "strings")), {}, "Cannot use {} as x, expected a string, or an array of strings"],
    [callback, "f", 'Cannot use "f" as x, expected a function'],
    [flag, Math.max, "Cannot use function max as x, expected true or false"],
    [abortSignal, new AbortController(), "Cannot use a value of class AbortController as x, expected an AbortSignal"],
    [text, new Float32Array(9), "Cannot use a value of class Float32Array as x, expected a string"],
  ])("refuses: case %#", (kind, value, message) => {
    expect(() => assertOption("x", value, kind)).toThrow(message);
    expect(() => assertOption("x", value, kind)).toThrow(
      expect.objectContaining({ constructor: OptionError, option: "x" }),
    );
  });

  it("survives values that cannot be shown", () => {
    const circle: unknown[] = [];
    circle.push(circle);
    for (const value of [circle, { big: 1n }, Object.create(null), Symbol("s"), { at: new Float32Array(1e6) }]) {
      expect(() => assertOption("x", value, flag)).toThrow(/^Cannot use .{1,90} as x, expected true or false$/);
    }
  });

  it.each<[kind: OptionKind, value: unknown]>([
    [flag, undefined],
    [whole(1, 8), 8],
    [number({ from: 0, to: 1 }), 0.5],
    [orNull(whole(1)), null],
    [listOf(text, "strings"), []],
    [callback, () => undefined],
    [abortSignal, AbortSignal.abort()],
  ])("takes what is of the kind, and undefined: case %#", (kind, value) => {
    expect(() => assertOption("x", value, kind)).not.toThrow();
  });
});

describe("assertOptions()", () => {
  const table = { beamSize: whole(1), language: text, batchSize: whole(1) };
  it("says which names there are, each once, and which one was probably meant", () => {
    expect(() => assertOptions("transcribe", { lanuage: "de" }, table)).toThrow(
      'Unknown option "lanuage" of transcribe, expected one of beamSize, language, batchSize\nHint: did you mean language?',
    );
    expect(() => assertOptions("transcribe", { beam_size: 5 }, table)).toThrow("did you mean beamSize?");
    expect(() => assertOptions("transcribe", { quantize: true }, table)).not.toThrow("did you mean");
  });
  it.each([null, "de", 5, ["de"]])("refuses %j in place of options", (options) => {
    expect(() => assertOptions("transcribe", options, table)).toThrow(/as options of transcribe, expected an object$/);
  });
  it("takes no name of Object's for an option", () => {
    expect(() => assertOptions("transcribe", { constructor: 1 }, table)).toThrow('Unknown option "constructor"');
  });
});

describe("withoutAliases()", () => {
  const aliases = { numBeams: "beamSize", maxNewTokens: "sampleLength", sampleLen: "sampleLength" };
  it("gives options their own names", () => {
    expect(withoutAliases({ numBeams: 5, language: "de", sampleLen: undefined }, aliases)).toEqual({
      beamSize: 5,
      language: "de",
    });
  });
  it.each([
    [{ numBeams: 5, beamSize: 5 }, "Cannot use numBeams together with beamSize: they are two names of one option"],
    [{ beamSize: 5, numBeams: 2 }, "leave out numBeams"],
    [{ maxNewTokens: 5, sampleLen: 5 }, "Cannot use maxNewTokens together with sampleLen"],
  ])("refuses %j", (options, message) => {
    expect(() => withoutAliases(options, aliases)).toThrow(message);
  });
  it("takes two names of which one is undefined", () => {
    expect(withoutAliases({ numBeams: undefined, beamSize: 5 }, aliases)).toEqual({ beamSize: 5 });
  });
});
