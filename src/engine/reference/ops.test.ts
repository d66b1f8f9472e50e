import { describe, expect, it } from "vitest";
import { assertAllClose } from "../../../test/helpers/close.ts";
import { seededRandom } from "../../../test/helpers/random.ts";
import { TOY_DIMENSIONS } from "../../../test/helpers/toy-model.ts";
import { tensor, type Tensor } from "../../tensor/index.ts";
import { dotRows } from "./dot-rows.ts";
import { erf, gelu } from "./gelu.ts";
import { ReferenceOps } from "./ops.ts";

const of = (dims: number[], ...values: number[]): Tensor => tensor(Float32Array.from(values), dims);
const random = seededRandom(3);
const anything = (...dims: number[]): Tensor => {
  const size = dims.reduce((a, b) => a * b);
  return tensor(
    Float32Array.from({ length: size }, () => 4 * random() - 2),
    dims,
  );
};

/** The ops of a network with these parameters, and a state of 4 in 2 heads. */
function opsOf(parameters: Record<string, number[]>, past = 0): ReferenceOps {
  const values = Object.entries(parameters).map(([name, numbers]) => [name, Float32Array.from(numbers)] as const);
  return new ReferenceOps({ ...TOY_DIMENSIONS, nTextState: 2 }, new Map(values), past);
}

describe("erf()", () => {
  // Abramowitz and Stegun, table 7.1; erfc(3) and erfc(5) from Wolfram's tables.
  it.each([
    [0, 0],
    [0.5, 0.520499877813046],
    [1, 0.842700792949715],
    [-1, -0.842700792949715],
    [2, 0.995322265018953],
    [3, 1 - 2.20904969985854e-5],
    [5, 1 - 1.537459794428e-12],
    [7, 1],
    [-Infinity, -1],
  ])("of %d is %d", (x, value) => {
    expect(erf(x)).toBeCloseTo(value, 14);
  });
});

describe("gelu()", () => {
  it("is x times the normal distribution's probability below x", () => {
    expect(gelu(1)).toBeCloseTo(0.841344746068543, 14);
    expect(gelu(-1)).toBeCloseTo(-0.158655253931457, 14);
    expect(gelu(-2)).toBeCloseTo(-2 * 0.022750131948179, 14);
    expect([gelu(0), gelu(20)]).toEqual([0, 20]);
  });
});

describe("dotRows()", () => {
  it.each([
    [1, 1, 1],
    [4, 2, 7],
    [3, 9, 5],
    [37, 11, 3],
    [70, 5, 8],
  ])("of %d rows by %d rows of %d numbers is every dot product", (m, n, size) => {
    // Strides longer than a row, and rows that begin inside the array.
    const a = { data: anything(m + 1, size + 3).data, from: 2, stride: size + 3 };
    const b = { data: anything(n + 1, size + 1).data, from: 1, stride: size + 1 };
    const out = { data: new Float32Array((m + 1) * (n + 2)).fill(99), from: 1, stride: n + 2 };
    dotRows(a, b, out, m, n, size);
    const expected = new Float32Array(out.data.length).fill(99);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let k = 0; k < size; k++) sum += a.data[2 + i * a.stride + k] * b.data[1 + j * b.stride + k];
        expected[1 + i * out.stride + j] = sum;
      }
    }
    expect(out.data).toEqual(expected);
  });
});

describe("ReferenceOps", () => {
  const conv = { weight: "w", bias: "b", nIn: 2, nOut: 1 };
  const kernel = { w: [1, 10, 100, 1000, 10000, 100000], b: [0.5] };

  it("conv1d() sees one position to either side, zeros past the ends, and both channels", () => {
    const x = of([1, 2, 4], 1, 2, 3, 4, 5, 6, 7, 8);
    // At position 0: 10 * 1 + 100 * 2 + 10000 * 5 + 100000 * 6, and so on; GELU leaves large numbers alone.
    expect([...opsOf(kernel).conv1d(x, conv, 1).data]).toEqual([650210.5, 765321.5, 876432.5, 87043.5]);
    const halved = opsOf(kernel).conv1d(x, conv, 2);
    expect(halved).toEqual(of([1, 1, 2], 650210.5, 876432.5));
  });

  it("conv1d() ends in the exact GELU", () => {
    const out = opsOf({ w: [0, 1, 0, 0, 0, 0], b: [-1] }).conv1d(of([1, 2, 2], 0, 2, 9, 9), conv, 1);
    assertAllClose(out.data, [-0.158655254, 0.841344746], { absolute: 1e-7 });
  });

  it("addPositions() turns channels inside out", () => {
    const out = opsOf({ p: [10, 20, 30, 40, 50, 60] }).addPositions(of([1, 2, 3], 1, 2, 3, 4, 5, 6), "p");
    expect(out).toEqual(of([1, 3, 2], 11, 24, 32, 45, 53, 66));
  });

  it("layerNorm() gives mean 0 and variance 1 before it scales and shifts", () => {
    const norm = { weight: "w", bias: "b", size: 4 };
    const out = opsOf({ w: [1, 1, 2, 1], b: [0, 0, 0, 7] }).layerNorm(of([1, 4], 1, 2, 3, 4), norm);
    const unit = 1 / Math.sqrt(1.25 + 1e-5);
    assertAllClose(out.data, [-1.5 * unit, -0.5 * unit, unit, 7 + 1.5 * unit], { absolute: 1e-6 });
    const constant = opsOf({ w: [1, 1, 1, 1], b: [0, 0, 0, 0] }).layerNorm(of([1, 4], 3, 3, 3, 3), norm);
    expect([...constant.data]).toEqual([0, 0, 0, 0]);
  });

  it("linear() multiplies by [nOut, nIn], adds the bias, then GELU or the residual", () => {
    const p = { weight: "w", bias: "b", nIn: 2, nOut: 3 };
    const ops = opsOf({ w: [1, 2, 3, 4, 5, 6], b: [10, 20, 30] });
    const x = of([1, 2, 2], 1, 1, -2, 1);
    expect(ops.linear(x, p)).toEqual(of([1, 2, 3], 13, 27, 41, 10, 18, 26));
    expect(ops.linear(x, { ...p, bias: null })).toEqual(of([1, 2, 3], 3, 7, 11, 0, -2, -4));
    const residual = of([1, 2, 3], 1, 2, 3, 4, 5, 6);
    expect([...ops.linear(x, p, { residual }).data]).toEqual([14, 29, 44, 14, 23, 32]);
    expect(ops.linear(x, { ...p, bias: null }, { gelu: true }).data[4]).toBeCloseTo(-0.0455002638, 8);
  });

  it("attention() weighs values by the softmax of scaled scores, head by head", () => {
    const query = of([1, 2, 4], 1, 0, 0, 2, 0, 0, 1, 1);
    const key = of([1, 2, 4], 1, 1, 3, 0, 2, 0, 0, 1);
    const value = of([1, 2, 4], 1, 2, 3, 4, 5, 6, 7, 8);
    const out = opsOf({}).attention(query, key, value, 2);
    const share = (first: number, second: number): number => {
      const [a, b] = [first, second].map((score) => Math.exp(score / Math.sqrt(2)));
      return b / (a + b);
    };
    // Scores of head 0: q0 [1 2], q1 [0 0]; of head 1: q0 [0 2], q1 [3 1].
    const [s00, s01, s10, s11] = [share(1, 2), share(0, 0), share(0, 2), share(3, 1)];
    const expected = [
      1 + 4 * s00,
      2 + 4 * s00,
      3 + 4 * s10,
      4 + 4 * s10,
      1 + 4 * s01,
      2 + 4 * s01,
      3 + 4 * s11,
      4 + 4 * s11,
    ];
    assertAllClose(out.data, expected, { absolute: 1e-6 });
  });

  it("attention() withstands large scores", () => {
    const out = opsOf({}).attention(of([1, 1, 1], 1e4), of([1, 1, 1], 1e4), of([1, 1, 1], 7), 1);
    expect([...out.data]).toEqual([7]);
  });

  it("cachedSelfAttention() lets a position see itself and those before, cached or new", () => {
    const [query, key, value] = [anything(2, 5, 4), anything(2, 5, 4), anything(2, 5, 4)];
    const empty = { key: tensor(new Float32Array(0), [2, 0, 4]), value: tensor(new Float32Array(0), [2, 0, 4]) };
    const all = opsOf({}).cachedSelfAttention(query, key, value, empty, 2);

    // Position by position, with plain attention over what it may see.
    const positions = (x: Tensor, from: number, to: number, row: number): Tensor =>
      tensor(x.data.slice((row * 5 + from) * 4, (row * 5 + to) * 4), [1, to - from, 4]);
    for (let row = 0; row < 2; row++) {
      for (let t = 0; t < 5; t++) {
        const [seenKeys, seenValues] = [positions(key, 0, t + 1, row), positions(value, 0, t + 1, row)];
        const repeated = tensor(
          Float32Array.from({ length: (t + 1) * 4 }, (_, i) => positions(query, t, t + 1, row).data[i % 4]),
          [1, t + 1, 4],
        );
        const expected = opsOf({}).attention(repeated, seenKeys, seenValues, 2).data.subarray(0, 4);
        assertAllClose(
          positions(all.out, t, t + 1, row).data,
          expected,
          { absolute: 1e-6 },
          `row ${row}, position ${t}`,
        );
      }
    }
    expect(all.cache).toEqual({ key, value });
  });

  it("cachedSelfAttention() in two parts is one", () => {
    const [query, key, value] = [anything(1, 5, 4), anything(1, 5, 4), anything(1, 5, 4)];
    const part = (x: Tensor, from: number, to: number): Tensor =>
      tensor(x.data.slice(from * 4, to * 4), [1, to - from, 4]);
    const ops = opsOf({});
    const whole = ops.cachedSelfAttention(query, key, value, { key: part(key, 0, 0), value: part(key, 0, 0) }, 2);
    const past = { key: part(key, 0, 2), value: part(value, 0, 2) };
    const rest = ops.cachedSelfAttention(part(query, 2, 5), part(key, 2, 5), part(value, 2, 5), past, 2);
    assertAllClose(rest.out.data, whole.out.data.subarray(8), { absolute: 1e-6 });
    expect(rest.cache).toEqual(whole.cache);
  });

  it("crossAttention() gives each row the window it lies with", () => {
    const [key, value] = [anything(2, 3, 4), anything(2, 3, 4)];
    const query = anything(6, 1, 4);
    const out = opsOf({}).crossAttention(query, [key, value], 2);
    expect(out.dims).toEqual([6, 1, 4]);
    for (let row = 0; row < 6; row++) {
      const window = Math.floor(row / 3);
      const of = (x: Tensor): Tensor => tensor(x.data.slice(window * 12, (window + 1) * 12), [1, 3, 4]);
      const one = tensor(query.data.slice(row * 4, row * 4 + 4), [1, 1, 4]);
      const expected = opsOf({}).crossAttention(one, [of(key), of(value)], 2);
      assertAllClose(out.data.subarray(row * 4, row * 4 + 4), expected.data, { absolute: 1e-6 }, `row ${row}`);
    }
  });

  it("embed() adds the positions that follow the cached ones", () => {
    const parameters = { t: [1, 2, 3, 4, 5, 6], p: [10, 20, 30, 40, 50, 60] };
    expect(opsOf(parameters).embed(of([2, 2], 2, 0, 1, 1), "t", "p")).toEqual(
      of([2, 2, 2], 15, 26, 31, 42, 13, 24, 33, 44),
    );
    expect(opsOf(parameters, 2).embed(of([1, 1], 1), "t", "p")).toEqual(of([1, 1, 2], 53, 64));
  });

  it("logits() multiplies by the token embedding", () => {
    const out = opsOf({ t: [1, 2, 3, 4, 5, 6] }).logits(of([1, 2, 2], 1, 0, 0, 1), "t", 3);
    expect(out).toEqual(of([1, 2, 3], 1, 3, 5, 2, 4, 6));
  });

  it("names a parameter that is missing", () => {
    expect(() => opsOf({}).addPositions(of([1, 1, 1], 1), "encoder.x")).toThrow(
      'The network has no parameter "encoder.x"',
    );
  });
});
