import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assembleModule } from "../wasm/index.ts";
import { INNER_STEP, LANES, matmulFunction, packWeights, type Matmul } from "./matmul-kernel.ts";

const BYTES = 4;
const { fround } = Math;

describe("matmulFunction()", () => {
  it("sums products in order, in float32, for any number of columns and outputs", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
        fc.infiniteStream(fc.float({ min: -1, max: 1, noNaN: true })),
        (columns, vectors, blocks, steps, rectified, values) => {
          const [inputs, outputs] = [steps * INNER_STEP, blocks * vectors * LANES];
          const draw = (count: number): Float32Array => Float32Array.from({ length: count }, () => next(values));
          const [x, w, bias] = [draw(columns * inputs), draw(outputs * inputs), draw(outputs)];
          const module = new WebAssembly.Module(assembleModule([matmulFunction("run", columns, vectors)]));
          const { run, memory } = new WebAssembly.Instance(module).exports as {
            run: Matmul;
            memory: WebAssembly.Memory;
          };
          const floats = new Float32Array(memory.buffer);
          floats.set(x, 0);
          floats.set(
            packWeights(outputs, inputs, vectors, (output, input) => w[output * inputs + input]),
            1000,
          );
          floats.set(bias, 5000);
          const floor = rectified ? 0 : -Infinity;
          const stride = (outputs + 4) * BYTES;
          run(0, inputs * BYTES, inputs * BYTES, 4000, 0, 20000, 24000, stride, outputs * BYTES, floor);
          for (let column = 0; column < columns; column++) {
            for (let output = 0; output < outputs; output++) {
              let sum = bias[output];
              for (let i = 0; i < inputs; i++) {
                sum = fround(sum + fround(w[output * inputs + i] * x[column * inputs + i]));
              }
              expect(floats[6000 + column * (outputs + 4) + output]).toBe(fround(Math.max(sum, floor)));
            }
          }
        },
      ),
    );
  });
});

describe("packWeights()", () => {
  it("refuses sizes that do not fill blocks and steps", () => {
    expect(() => packWeights(12, 4, 2, () => 0)).toThrow(RangeError);
    expect(() => packWeights(8, 5, 2, () => 0)).toThrow(RangeError);
  });
});

function next(values: Iterator<number>): number {
  return (values.next() as IteratorYieldResult<number>).value;
}
