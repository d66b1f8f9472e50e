import { describe, expect, it } from "vitest";
import { ArgumentBlock, f32, i32, i64, ptr, struct, type Argument } from "./arguments.ts";

/** Lays arguments out in a block that "lies" at an address, and reads back where each parameter begins, from the block's begin. */
function layOut(args: readonly Argument[]): { values: Buffer; offsets: number[] } {
  let values: Buffer = Buffer.alloc(0);
  const block = new ArgumentBlock((array) => {
    values = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
    return 0x7f0000001000;
  });
  block.set(args);
  const offsets = args.map((_, i) => Number(block.addresses.readBigUInt64LE(8 * i) - 0x7f0000001000n));
  return { values, offsets };
}

describe("ArgumentBlock", () => {
  it("gives each parameter a place on a multiple of 8", () => {
    const { values, offsets } = layOut([i32(-5), f32(0.5), i64(2 ** 40), ptr(0x7fabcdef0000), ptr(null)]);
    expect(offsets).toEqual([0, 8, 16, 24, 32]);
    expect(values.readInt32LE(0)).toBe(-5);
    expect(values.readFloatLE(8)).toBe(0.5);
    expect(values.readBigInt64LE(16)).toBe(2n ** 40n);
    expect(values.readBigInt64LE(24)).toBe(0x7fabcdef0000n);
    expect(values.readBigInt64LE(32)).toBe(0n);
  });

  it("aligns the fields of a structure as C does", () => {
    const inner = struct([i32(1), i64(2), i32(3), f32(4), i32(5)]);
    const { values, offsets } = layOut([i32(9), inner, i32(7)]);
    expect(offsets).toEqual([0, 8, 40]); // 4, 4 unused, 8, 4, 4, 4, 4 unused
    expect([8, 24, 32].map((at) => values.readInt32LE(at))).toEqual([1, 3, 5]);
    expect(values.readBigInt64LE(16)).toBe(2n);
    expect(values.readFloatLE(28)).toBe(4);
    expect(values.readInt32LE(40)).toBe(7);
  });

  it("is used again for the next launch", () => {
    const block = new ArgumentBlock(() => 0x1000);
    block.set([i64(1), i64(2)]);
    block.set([i32(3)]);
    expect(block.addresses.readBigUInt64LE(0)).toBe(0x1000n);
  });
});
