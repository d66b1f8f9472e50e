import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_PARTIAL_BYTES, planProduct, type ProductDevice } from "./products.ts";

const H200: ProductDevice = { multiprocessors: 132, maxShared: 232448, isHopper: true };
const A100: ProductDevice = { multiprocessors: 108, maxShared: 166912, isHopper: false };
const RTX3090: ProductDevice = { multiprocessors: 82, maxShared: 101376, isHopper: false };

describe("planProduct()", () => {
  it.each([
    ["an encoder's layer on an H200", H200, "bfloat16", 48000, 5120, 1280, "gemm_wgmma_128x256"],
    ["the same on an A100", A100, "bfloat16", 48000, 5120, 1280, "gemm_128x256"],
    ["a window of a small model", H200, "float16", 1500, 384, 384, "gemm_64x64"],
    ["a step of one row", H200, "float16", 1, 1280, 1280, "gemm_rows8"],
    ["a step of 64 rows", A100, "float16", 64, 5120, 1280, "gemm_rows64"],
    ["exact mode", H200, "float32", 48000, 1280, 1280, "gemm_128x128"],
    ["an exact step", H200, "float32", 40, 1280, 1280, "gemm_rows32"],
  ] as const)("%s", (_, device, dtype, m, n, k, name) => {
    expect(planProduct(device, dtype, m, n, k).name).toBe(name);
  });

  it("fits every GPU, and covers every product of every model", () => {
    const sizes = fc.record({
      device: fc.constantFrom(H200, A100, RTX3090),
      dtype: fc.constantFrom("float32", "float16", "bfloat16"),
      m: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 300, max: 400_000 })),
      n: fc.constantFrom(80, 128, 384, 416, 512, 1280, 2560, 3840, 5120, 51864, 51865, 51866),
      k: fc.constantFrom(64, 128, 208, 240, 384, 400, 1280, 3840, 5120),
    });
    fc.assert(
      fc.property(sizes, ({ device, dtype, m, n, k }) => {
        const { name, shape, splits } = planProduct(device, dtype, m, n, k);
        expect(shape.shared ?? 0).toBeLessThanOrEqual(device.maxShared);
        expect(Math.min(...shape.grid)).toBeGreaterThanOrEqual(1);
        expect(shape.grid[1]).toBe(splits);
        expect(4 * splits * (splits > 1 ? m * n : 0)).toBeLessThanOrEqual(MAX_PARTIAL_BYTES);
        const [, rows] = /(\d+)(?:x\d+)?$/.exec(name) ?? [];
        const batches = name.includes("rows") ? shape.grid[2] : 1;
        // Tiles go over all rows; kernels of few rows have one batch of rows after another.
        if (name.includes("rows")) expect(batches * Number(rows)).toBeGreaterThanOrEqual(m);
      }),
      { numRuns: 2000 },
    );
  });
});
