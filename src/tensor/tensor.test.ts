import { describe, expect, it } from "vitest";
import { ShapeError } from "../errors.ts";
import { assertShape, sizeOf, tensor } from "./tensor.ts";

describe("sizeOf()", () => {
  it.each([
    [[2, 3, 4], 24],
    [[5], 5],
    [[3, 0], 0],
    [[], 1],
  ])("of %j is %d", (dims, size) => {
    expect(sizeOf(dims)).toBe(size);
  });
});

describe("tensor()", () => {
  it("keeps the data it is given", () => {
    const data = new Float32Array(6);
    expect(tensor(data, [2, 3]).data).toBe(data);
  });

  it("throws a ShapeError for data of another length", () => {
    expect(() => tensor(new Float32Array(5), [2, 3])).toThrow(new ShapeError("data", "[6]", "[5]"));
  });
});

describe("assertShape()", () => {
  const x = (...dims: number[]): { dims: number[] } => ({ dims });

  it.each<[number[], (number | string)[], Record<string, number>]>([
    [[1, 80, 3000], ["batch", 80, 3000], {}],
    [[4, 4], ["n", "n"], {}],
    [[80, 7], ["nMels", "frames"], { nMels: 80 }],
    [[], [], {}],
    [[0, 5], ["rows", 5], {}],
  ])("%j fits %j", (dims, pattern, sizes) => {
    assertShape("x", x(...dims), pattern, sizes);
  });

  it.each<[number[], (number | string)[], Record<string, number>, string]>([
    [[80, 3000], ["batch", 80, 3000], {}, "[batch, 80, 3000]"],
    [[1, 80, 2999], ["batch", 80, 3000], {}, "[batch, 80, 3000]"],
    [[4, 5], ["n", "n"], {}, "[n, n]"],
    [[128, 7], ["nMels", "frames"], { nMels: 80 }, "[nMels=80, frames]"],
    [[1, 2, 3], ["a", "b"], {}, "[a, b]"],
  ])("%j does not fit %j", (dims, pattern, sizes, expected) => {
    expect(() => assertShape("x", x(...dims), pattern, sizes)).toThrow(
      new ShapeError("x", expected, `[${dims.join(", ")}]`),
    );
  });

  it("does not write names back", () => {
    const sizes = {};
    assertShape("x", x(3), ["n"], sizes);
    expect(sizes).toEqual({});
  });
});
