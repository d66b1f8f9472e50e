import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CheckpointSyntaxError } from "../errors.ts";
import { MAX_HEADER_BYTES, MAX_TENSORS, parseHeaderLength, parseSafetensorsHeader } from "./header.ts";

const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

/** The error of parsing a header of this content, in a file with so many bytes of data. */
function fault(header: unknown, dataBytes = 1000): CheckpointSyntaxError {
  const json = encode(header);
  try {
    parseSafetensorsHeader(json, 8 + json.length + dataBytes, "x.safetensors");
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointSyntaxError);
    return error as CheckpointSyntaxError;
  }
  throw new Error(`parsed ${JSON.stringify(header)}`);
}

const entry = (shape: unknown, offsets: unknown, dtype: unknown = "F32"): object => ({
  dtype,
  shape,
  data_offsets: offsets,
});

describe("parseSafetensorsHeader()", () => {
  it("gives dims, dtype and place of every tensor", () => {
    const json = encode({
      __metadata__: { format: "pt" },
      a: entry([2, 3], [0, 24]),
      b: entry([4], [24, 32], "BF16"),
      c: entry([], [32, 34], "F16"),
      empty: entry([0, 5], [34, 34]),
    });
    const { entries, metadata, dataOffset } = parseSafetensorsHeader(json, 8 + json.length + 34, "x");
    expect(metadata).toEqual({ format: "pt" });
    expect(dataOffset).toBe(8 + json.length);
    expect([...entries.values()]).toEqual([
      { name: "a", dtype: "F32", dims: [2, 3], byteOffset: dataOffset, byteLength: 24 },
      { name: "b", dtype: "BF16", dims: [4], byteOffset: dataOffset + 24, byteLength: 8 },
      { name: "c", dtype: "F16", dims: [], byteOffset: dataOffset + 32, byteLength: 2 },
      { name: "empty", dtype: "F32", dims: [0, 5], byteOffset: dataOffset + 34, byteLength: 0 },
    ]);
  });

  it("allows padding of the header", () => {
    const json = encode(`{"a":${JSON.stringify(entry([1], [0, 4]))}}     `);
    expect(parseSafetensorsHeader(json, 8 + json.length + 4, "x").entries.size).toBe(1);
  });

  const layouts: [string, unknown, RegExp][] = [
    ["bytes after the last tensor", { a: entry([249], [0, 996]) }, /ends at byte \d+, expected the end of the file/],
    // What a header that is a byte short comes to: its last space is taken for data, and every tensor moves by a byte.
    ["one byte after the last tensor", { a: entry([999], [0, 999], "U8") }, /ends at byte \d+, expected the end/],
    ["a gap before the first tensor", { a: entry([249], [4, 1000]) }, /4 bytes between the header and parameter "a"/],
    [
      "a gap between tensors",
      { b: entry([100], [600, 1000]), a: entry([100], [0, 400]) },
      /200 bytes between parameter "a" and parameter "b" belong to no/,
    ],
    [
      "a name that is there twice",
      `{"a":${JSON.stringify(entry([125], [0, 500]))},"a":${JSON.stringify(entry([125], [500, 1000]))}}`,
      /500 bytes between the header and parameter "a"/,
    ],
    ["data without tensors", {}, /expected the end of the file/],
  ];
  it.each(layouts)("refuses %s", (_, header, message) => {
    expect(fault(header).message).toMatch(message);
  });

  const faults: [string, unknown, RegExp][] = [
    ["no JSON", "{", /header is not JSON/],
    ["no UTF-8", "\ud800", /header is not JSON/],
    ["a list", [], /holds no JSON object/],
    ["null", null, /holds no JSON object/],
    ["an entry that is a number", { a: 1 }, /"a" is described by "1", expected an object/],
    ["an unknown dtype", { a: entry([1], [0, 4], "F33") }, /has dtype "F33", expected one of F64/],
    ["a dtype of Object's", { a: entry([1], [0, 4], "constructor") }, /has dtype "constructor"/],
    ["no dtype", { a: { shape: [1], data_offsets: [0, 4] } }, /has dtype "undefined"/],
    ["a negative size", { a: entry([-1], [0, 4]) }, /has shape/],
    ["a fractional size", { a: entry([0.5], [0, 2]) }, /has shape/],
    ["a size above 2^53", { a: entry([2 ** 53], [0, 4]) }, /has shape/],
    ["too many dims", { a: entry(new Array(9).fill(1), [0, 4]) }, /has shape .* expected at most 8/],
    ["no offsets", { a: entry([1], undefined) }, /has data_offsets "undefined"/],
    ["three offsets", { a: entry([1], [0, 4, 8]) }, /has data_offsets/],
    ["offsets turned round", { a: entry([1], [4, 0]) }, /has data_offsets/],
    ["negative offsets", { a: entry([1], [-4, 0]) }, /has data_offsets/],
    ["too few bytes", { a: entry([2], [0, 4]) }, /has 4 bytes, expected 8 for F32 \[2\]/],
    ["a product that overflows", { a: entry([2 ** 31, 2 ** 31, 4], [0, 0]) }, /has 0 bytes, expected/],
    [
      "data beyond the file",
      { a: entry([300], [0, 1200]) },
      /ends at byte \d+, but the file has only \d+\nHint: .*cut/,
    ],
    ["overlapping data", { a: entry([2], [0, 8]), b: entry([2], [4, 12]) }, /"a" and "b" overlap/],
    ["the same data twice", { a: entry([2], [0, 8]), b: entry([2], [0, 8]) }, /"a" and "b" overlap/],
    ["a long name", { ["a".repeat(1000)]: entry([1], [0, 4]) }, /a name has 1000 characters/],
  ];
  it.each(faults)("refuses %s", (_, header, message) => {
    expect(fault(header).message).toMatch(message);
  });

  it("refuses more tensors than any checkpoint has", () => {
    const names = Array.from({ length: MAX_TENSORS + 1 }, (_, i) => [`a${i}`, 0]);
    expect(fault(Object.fromEntries(names)).message).toContain(`names ${MAX_TENSORS + 1} tensors`);
  });

  it("says at which byte of the file the fault is", () => {
    expect(fault(`{"a" 1}`).byteOffset).toBe(8 + 5);
    const header = { a: entry([2], [0, 8]), b: entry([2], [4, 12]) };
    expect(fault(header).byteOffset).toBe(8 + encode(header).length + 4);
    expect(fault(header).path).toBe("x.safetensors");
  });

  it("throws nothing but CheckpointSyntaxError, whatever it reads", () => {
    const any = fc.oneof(
      fc.json(),
      fc.string(),
      fc.dictionary(fc.string(), fc.json()).map((d) => JSON.stringify(d)),
    );
    fc.assert(
      fc.property(any, fc.nat(10_000), (text, size) => {
        try {
          parseSafetensorsHeader(encode(text), size, "x");
        } catch (error) {
          expect(error).toBeInstanceOf(CheckpointSyntaxError);
        }
      }),
    );
  });

  it("gives back tensors laid end to end in any order", () => {
    const tensors = fc.uniqueArray(
      fc.record({
        name: fc.string({ minLength: 1, maxLength: 20 }).filter((name) => name !== "__metadata__"),
        dims: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 }),
      }),
      { selector: ({ name }) => name, maxLength: 12 },
    );
    fc.assert(
      fc.property(tensors, (list) => {
        let offset = 0;
        const described = list.map(({ name, dims }) => {
          const begin = offset;
          offset += 2 * dims.reduce((product, size) => product * size, 1);
          return [name, entry(dims, [begin, offset], "F16")];
        });
        const json = encode(Object.fromEntries(described.reverse()));
        const { entries } = parseSafetensorsHeader(json, 8 + json.length + offset, "x");
        expect(entries.size).toBe(list.length);
        for (const { name, dims } of list) expect(entries.get(name)?.dims).toEqual(dims);
      }),
    );
  });
});

describe("parseHeaderLength()", () => {
  const prefix = (length: bigint): Uint8Array => new Uint8Array(new BigUint64Array([length]).buffer);

  it("reads eight bytes, little-endian", () => {
    expect(parseHeaderLength(prefix(0x1234n), 1e9, "x")).toBe(0x1234);
    expect(parseHeaderLength(prefix(BigInt(MAX_HEADER_BYTES)), 1e9, "x")).toBe(MAX_HEADER_BYTES);
  });

  const faults: [string, Uint8Array, number, RegExp][] = [
    ["an empty file", new Uint8Array(0), 0, /file has 0 bytes/],
    ["seven bytes", new Uint8Array(7), 7, /file has 7 bytes/],
    ["a hostile length", prefix(2n ** 63n), 1000, /header has 9223372036854776000 bytes, expected at most/],
    ["a length above the ceiling", prefix(25_000_001n), 1e9, /header has 25000001 bytes, expected at most 25000000/],
    ["a length above the file's", prefix(100n), 107, /header has 100 bytes, but only 99 follow\nHint: .*cut short/],
    [
      "a Git LFS pointer",
      encode("version https://git-lfs.github.com/spec/v1"),
      130,
      /Git LFS pointer.*\nHint: .*git lfs/,
    ],
  ];
  it.each(faults)("refuses %s", (_, bytes, size, message) => {
    expect(() => parseHeaderLength(bytes, size, "x")).toThrow(message);
  });
});
