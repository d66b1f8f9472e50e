import { describe, expect, it, type TestContext } from "vitest";
import { i32, i64, ptr, struct } from "../../src/engine/cuda/arguments.ts";
import type { CudaDevice, DeviceBuffer } from "../../src/engine/cuda/device.ts";
import { EPILOGUE } from "../../src/engine/cuda/products.ts";
import { gelu } from "../../src/engine/reference/gelu.ts";
import { Random } from "../helpers/random.ts";
import { deviceFor, type Precision, PRECISIONS, relativeError } from "./precisions.ts";

type Epilogue = keyof typeof EPILOGUE;

/** A kernel, as the table in kernels/gemm.cuh has it. */
interface Variant {
  readonly name: string;
  readonly bm: number;
  readonly bn: number;
  readonly threads: number;
  readonly shared?: number;
  /** Rows kernels: sets of sums in shared memory. */
  readonly slots?: number;
}

const rowsVariant = (bm: number, bn: number, slots: number): Variant => ({
  name: `gemm_rows${bm}`,
  bm,
  bn,
  threads: 256,
  slots,
});

const HALF_VARIANTS: readonly Variant[] = [
  { name: "gemm_128x256", bm: 128, bn: 256, threads: 256, shared: 98304 },
  { name: "gemm_128x128", bm: 128, bn: 128, threads: 128, shared: 49152 },
  { name: "gemm_64x64", bm: 64, bn: 64, threads: 128, shared: 49152 },
  { name: "gemm_wgmma_128x256", bm: 128, bn: 256, threads: 256, shared: 231424 },
  rowsVariant(8, 16, 8),
  rowsVariant(16, 16, 8),
  rowsVariant(32, 32, 8),
  rowsVariant(64, 64, 2),
];
const FLOAT_VARIANTS: readonly Variant[] = [
  { name: "gemm_128x128", bm: 128, bn: 128, threads: 256, shared: 61440 },
  { name: "gemm_64x64", bm: 64, bn: 64, threads: 128, shared: 30720 },
  rowsVariant(8, 16, 8),
  rowsVariant(16, 16, 8),
  rowsVariant(32, 16, 8),
];

/** How rows of a matrix are found: see struct Gemm. */
interface Layout {
  readonly perBatch: number;
  readonly batchStride: number;
  readonly stride: number;
}

interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly epilogue?: Epilogue;
  readonly live?: number;
  readonly bias?: boolean;
  readonly a?: Layout;
  readonly out?: Layout;
  readonly splits?: number;
  /** Blocks side by side, where not one for each tile. */
  readonly columns?: number;
}

const offsetOf = ({ perBatch, batchStride, stride }: Layout, row: number): number =>
  Math.floor(row / perBatch) * batchStride + (row % perBatch) * stride;

async function check(device: CudaDevice, precision: Precision, variant: Variant, product: Product): Promise<void> {
  const { m, n, k, epilogue = "float", live = m, bias: hasBias = true, splits = 1 } = product;
  const a = product.a ?? { perBatch: m, batchStride: 0, stride: k };
  const isCache = epilogue === "crossCache";
  const heads = n / 128;
  const out =
    product.out ??
    (isCache ? { perBatch: m, batchStride: m * n, stride: 0 } : { perBatch: m, batchStride: 0, stride: n });
  const inFloats = precision.bytes === 4 || ["residual", "positions", "float"].includes(epilogue);
  const random = new Random(m * 1000003 + n * 1009 + k);

  const lastRow = Math.max(0, m - 1);
  const aValues = precision.round(random.normals(offsetOf(a, lastRow) + k));
  // Exact in 16 bits, so that the largest values reach where GELU is flat.
  const w = precision.round(random.normals(n * k, 1.5 / Math.sqrt(k)));
  const bias = random.normals(n, 0.5);
  const positions = random.normals(out.perBatch * n);
  const place = (row: number, column: number): number => {
    if (!isCache) return offsetOf(out, row) + column;
    const part = Math.floor(column / (n / 2));
    const within = column % (n / 2);
    const head = part * heads + Math.floor(within / 64);
    return (
      Math.floor(row / out.perBatch) * out.batchStride +
      (head * out.perBatch + (row % out.perBatch)) * 64 +
      (within % 64)
    );
  };
  const size = isCache ? Math.ceil(m / out.perBatch) * out.batchStride : offsetOf(out, lastRow) + n;
  const before = epilogue === "residual" ? random.normals(size) : new Float32Array(size).fill(NaN);

  const expected = Float64Array.from(before);
  const written = new Uint8Array(size);
  for (let row = 0; row < Math.min(m, live); row++) {
    for (let column = 0; column < n; column++) {
      let v = hasBias ? bias[column] : 0;
      for (let i = 0; i < k; i++) v += aValues[offsetOf(a, row) + i] * w[column * k + i];
      if (epilogue === "gelu" || epilogue === "positions") v = gelu(v);
      if (epilogue === "positions") v += positions[(row % out.perBatch) * n + column];
      const at = place(row, column);
      expected[at] = epilogue === "residual" ? before[at] + v : v;
      written[at] = 1;
    }
  }

  const tilesN = Math.ceil(n / variant.bn);
  const tilesM = Math.ceil(m / variant.bm);
  const isRows = variant.slots !== undefined;
  const buffers: DeviceBuffer[] = [];
  const upload = (data: ArrayBufferView): DeviceBuffer => {
    const buffer = device.upload(data);
    buffers.push(buffer);
    return buffer;
  };
  const outBuffer = upload(inFloats ? before : precision.store(before));
  const counters = upload(new Int32Array(tilesM * tilesN));
  const perSplit = Math.ceil(Math.ceil(k / 64) / splits);
  const slots = variant.slots ?? 0;
  const rangeBytes = variant.bm * (perSplit * 64 + 32) * precision.bytes;
  device.launch(
    `${variant.name}_${precision.suffix}`,
    {
      grid: isRows ? [product.columns ?? tilesN, splits, tilesM] : [product.columns ?? tilesM * tilesN, 1, 1],
      block: variant.threads,
      shared: variant.shared ?? rangeBytes + slots * variant.bm * (variant.bn + 4) * 4,
    },
    [
      struct([
        ptr(upload(precision.store(aValues))),
        ptr(upload(precision.store(w))),
        ptr(hasBias ? upload(bias) : null),
        ptr(outBuffer),
        ptr(epilogue === "positions" ? upload(positions) : null),
        ptr(product.live === undefined ? null : upload(Int32Array.of(live))),
        ptr(splits > 1 ? upload(new Float32Array(splits * m * n).fill(NaN)) : null),
        ptr(splits > 1 ? counters : null),
        ...[i64(a.batchStride), i64(out.batchStride)],
        ...[i32(a.perBatch), i32(a.stride), i32(out.perBatch), i32(out.stride)],
        ...[i32(m), i32(n), i32(k), i32(EPILOGUE[epilogue]), i32(splits), i32(isCache ? heads : 0)],
      ]),
    ],
  );
  const actual = inFloats
    ? await device.download(outBuffer, Float32Array, size)
    : await precision.download(device, outBuffer, size);
  const left = await device.download(counters, Int32Array, tilesM * tilesN);
  for (const buffer of buffers) device.free(buffer);

  const stray = actual.findIndex((value, i) => written[i] === 0 && !Object.is(value, before[i]));
  expect(stray, "first number written where none belongs").toBe(-1);
  const where = [...written.keys()].filter((i) => written[i] === 1);
  // Inputs are what the kernel has, and sums are float32: only a result that is stored in 16 bits is rounded, and GELU for 16 bits is off by 2e-7.
  const tolerance = inFloats ? 1e-5 : precision.tolerance / 2;
  if (where.length > 0) {
    expect(
      relativeError(
        Float32Array.from(where, (i) => actual[i]),
        Float64Array.from(where, (i) => expected[i]),
      ),
    ).toBeLessThan(tolerance);
  }
  expect(left.every((count) => count === 0)).toBe(true);
}

/** Two overlapping windows of three rows: the second convolution of an encoder, over 2 clips of 9 frames between zeros. */
const convolution = { perBatch: 5, batchStride: 11 * 40, stride: 80 };

const TILED: readonly Product[] = [
  { m: 1, n: 1, k: 8 },
  { m: 3, n: 64, k: 64, epilogue: "store" },
  { m: 77, n: 65, k: 40, epilogue: "store" },
  { m: 130, n: 264, k: 72, epilogue: "gelu" },
  { m: 300, n: 136, k: 200, epilogue: "residual" },
  { m: 45, n: 51, k: 136, epilogue: "residual" },
  { m: 40, n: 300, k: 64, epilogue: "residual", live: 21 },
  { m: 140, n: 70, k: 16, bias: false, live: 9 },
  {
    m: 10,
    n: 72,
    k: 120,
    epilogue: "positions",
    a: convolution,
    out: { perBatch: 5, batchStride: 7 * 72, stride: 72 },
  },
  {
    m: 10,
    n: 51,
    k: 120,
    epilogue: "positions",
    a: convolution,
    out: { perBatch: 5, batchStride: 5 * 51, stride: 51 },
  },
  { m: 10, n: 40, k: 120, epilogue: "gelu", a: convolution, out: { perBatch: 5, batchStride: 7 * 40, stride: 40 } },
  { m: 12, n: 384, k: 192, epilogue: "crossCache", out: { perBatch: 4, batchStride: 4 * 384, stride: 0 } },
  { m: 9, n: 128, k: 64, epilogue: "crossCache", bias: false },
  { m: 4, n: 16, k: 8, live: 0 },
];

const FEW: readonly Product[] = [
  { m: 1, n: 1, k: 8 },
  { m: 1, n: 83, k: 200, epilogue: "store" },
  { m: 8, n: 64, k: 64, epilogue: "gelu" },
  { m: 5, n: 128, k: 1288, epilogue: "residual" },
  { m: 5, n: 128, k: 1288, epilogue: "residual", splits: 3 },
  { m: 7, n: 70, k: 320, epilogue: "gelu", splits: 5 },
  { m: 40, n: 96, k: 192, epilogue: "store", splits: 2 },
  { m: 70, n: 51, k: 136, splits: 2 },
  { m: 20, n: 301, k: 128, columns: 2 },
  { m: 12, n: 301, k: 640, columns: 3, splits: 2, bias: false },
  { m: 20, n: 100, k: 128, live: 9, splits: 2 },
  { m: 6, n: 64, k: 72, live: 0, splits: 2 },
  // More splits than there are steps of k: the last have nothing to add.
  { m: 3, n: 32, k: 136, splits: 7 },
  { m: 6, n: 256, k: 128, epilogue: "crossCache", out: { perBatch: 3, batchStride: 3 * 256, stride: 0 } },
  { m: 6, n: 24, k: 64, epilogue: "positions", out: { perBatch: 3, batchStride: 4 * 24, stride: 24 } },
];

const MANY: readonly Product[] = [
  // A block goes through several tiles, from the last step of one to the first of the next.
  { m: 300, n: 520, k: 136, columns: 2, epilogue: "store" },
  { m: 260, n: 300, k: 64, columns: 1, epilogue: "residual" },
  { m: 260, n: 300, k: 8, columns: 3, live: 130, epilogue: "gelu" },
  { m: 64, n: 40, k: 1000, columns: 1 },
];

/** Float numbers go by fours. */
const FLOATS: readonly Product[] = [
  { m: 5, n: 30, k: 20 },
  // Frames of a spectrum: rows that overlap, in two clips.
  { m: 70, n: 42, k: 100, a: { perBatch: 35, batchStride: 35 * 40 + 60, stride: 40 } },
];

describe.each(PRECISIONS)("$suffix", (precision) => {
  const variants = precision.suffix === "f32" ? FLOAT_VARIANTS : HALF_VARIANTS;
  const run = (ctx: TestContext, variant: Variant, product: Product): Promise<void> => {
    const device = deviceFor(ctx);
    if (variant.name.includes("wgmma") && device.info.computeCapability !== 90) ctx.skip("for compute capability 9.0");
    return check(device, precision, variant, product);
  };

  describe.each(variants.filter(({ slots }) => slots === undefined))("$name()", (variant) => {
    it.for(TILED)("multiplies %o", (product, ctx) => run(ctx, variant, product));
  });
  describe.each(variants.filter(({ name }) => name.includes("wgmma")))("$name()", (variant) => {
    it.for(MANY)("multiplies %o", (product, ctx) => run(ctx, variant, product));
  });
  if (precision.suffix === "f32") {
    describe.each(variants)("$name()", (variant) => {
      it.for(FLOATS)("multiplies %o", (product, ctx) => run(ctx, variant, product));
    });
  }
  describe.each(variants.filter(({ slots }) => slots !== undefined))("$name()", (variant) => {
    it.for(FEW)("multiplies %o", (product, ctx) => run(ctx, variant, product));
  });
});
