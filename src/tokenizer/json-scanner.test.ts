import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseNumberMember, scanNumbers, scanObject, skipValue } from "./json-scanner.ts";

const indents = fc.constantFrom(undefined, 1, "\t");
const record = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> =>
  fc.dictionary(fc.string({ unit: "binary" }), value, { noNullPrototype: true });

describe("scanObject() and skipValue()", () => {
  it("find the members that JSON.parse finds, whatever they are", () => {
    fc.assert(
      fc.property(record(fc.jsonValue()), indents, (object, indent) => {
        const text = `${JSON.stringify(object, null, indent)} tail`;
        const found: [string, unknown][] = [];
        const end = scanObject(text, 0, (key, at) => {
          const valueEnd = skipValue(text, at);
          found.push([key, JSON.parse(text.slice(at, valueEnd))]);
          return valueEnd;
        });
        expect(text.slice(end)).toBe(" tail");
        expect(found).toEqual(Object.entries(JSON.parse(text.slice(0, end)) as object));
      }),
    );
  });

  it("skip arrays of many strings with braces in them", () => {
    const text = JSON.stringify(Array.from({ length: 20_000 }, (_, i) => `{ "${i}" ] \\`));
    expect(skipValue(`${text}, 1`, 0)).toBe(text.length);
  });

  it.each([
    "",
    "1",
    "[]",
    "{",
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{"a" 1}',
    "{a:1}",
    '{"a":[1,2}',
    '{"a":}',
  ])("refuse %s", (text) => {
    const scan = (): number => scanObject(text, 0, (_key, at) => skipValue(text, at));
    expect(scan).toThrow(SyntaxError);
  });

  it("say what was found where", () => {
    expect(() => scanObject('{"a" 1}', 0, (_key, at) => skipValue('{"a" 1}', at))).toThrow(
      'found "1" at character 5, expected ":"',
    );
  });
});

describe("scanNumbers() and parseNumberMember()", () => {
  it("find the members that JSON.parse finds", () => {
    fc.assert(
      fc.property(record(fc.nat()), indents, (object, indent) => {
        const text = `${JSON.stringify(object, null, indent)} tail`;
        const { keys, end } = scanNumbers(text, 0);
        expect(text.slice(end)).toBe(" tail");
        const found = [...keys].map((at) => parseNumberMember(text, at));
        expect(found.map(({ key, value }) => [key, value])).toEqual(
          Object.entries(JSON.parse(text.slice(0, end)) as object),
        );
      }),
    );
  });

  it("find more members than fit at first", () => {
    const text = JSON.stringify(Object.fromEntries(Array.from({ length: 150_000 }, (_, i) => [`t${i}`, i])));
    const { keys, end } = scanNumbers(text, 0);
    expect(keys).toHaveLength(150_000);
    expect(end).toBe(text.length);
    expect(parseNumberMember(text, keys[149_999])).toEqual({ key: "t149999", value: 149_999 });
  });

  it.each(["", "[]", "{", '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{"a":"1"}', '{"a":-1}', '{"a":1.5}', '{"a":{}}'])(
    "refuse %s",
    (text) => {
      expect(() => scanNumbers(text, 0)).toThrow(SyntaxError);
    },
  );
});
