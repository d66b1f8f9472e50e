import { describe, expect, it } from "vitest";
import { assembleModule, doWhile, f32, f32x4, i32, increase, localGet, localSet, v128 } from "./assembler.ts";

function instantiate(functions: Parameters<typeof assembleModule>[0], pages?: number): WebAssembly.Exports {
  return new WebAssembly.Instance(new WebAssembly.Module(assembleModule(functions, pages))).exports;
}

describe("assembleModule()", () => {
  it.each([0, 1, 63, 64, -1, -64, -65, 127, 128, 8191, 8192, 65536, 1e6, -1e6, 2 ** 31 - 1, -(2 ** 31)])(
    "encodes the constant %i",
    (value) => {
      const { get } = instantiate([
        { name: "get", parameters: [], locals: [], result: "i32", body: i32.const(value) },
      ]) as { get: () => number };
      expect(get()).toBe(value);
    },
  );

  it("exports functions by name, and a memory of the pages asked for", () => {
    const one = { parameters: ["i32"], locals: ["i32"], result: "i32" } as const;
    const exports = instantiate(
      [
        { ...one, name: "double", body: [...localGet(0), ...localGet(0), ...i32.add] },
        { ...one, name: "square", body: [...localGet(0), ...localGet(0), ...i32.multiply] },
      ],
      300,
    ) as { double: (x: number) => number; square: (x: number) => number; memory: WebAssembly.Memory };
    expect([exports.double(7), exports.square(7)]).toEqual([14, 49]);
    expect(exports.memory.buffer.byteLength).toBe(300 * 65536);
  });

  it("makes loops over vectors, with offsets of more than a byte", () => {
    const [at, end, sum] = [0, 1, 2];
    const body = [
      ...doWhile([
        ...[...localGet(sum), ...localGet(at), ...v128.load(1024), ...f32x4.add, ...localSet(sum)],
        ...increase(at, i32.const(16)),
        ...[...localGet(at), ...localGet(end), ...i32.lessUnsigned],
      ]),
      ...[...localGet(sum), ...f32x4.extractLane(0), ...localGet(sum), ...f32x4.extractLane(3), ...f32.add],
    ];
    const { total, memory } = instantiate([
      { name: "total", parameters: ["i32", "i32"], locals: ["v128"], result: "f32", body },
    ]) as { total: (at: number, end: number) => number; memory: WebAssembly.Memory };
    new Float32Array(memory.buffer).set([1, 2, 3, 4, 5, 6, 7, 8], 256);
    expect(total(0, 32)).toBe(1 + 5 + 4 + 8);
  });
});
