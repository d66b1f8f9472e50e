import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GraphBuilder, type Value } from "../../onnx/index.ts";
import { multiplyRows, quantizeManyRows, quantizeRows, type QuantizedRows } from "./quantized-rows.ts";
import { loadRuntime } from "./runtime.ts";

const N_IN = 4;

/** Runs a graph of one input [rows, 4] as the engine's sessions do. */
async function run(graph: GraphBuilder, x: Float32Array): Promise<Record<string, Float32Array | Uint8Array>> {
  const { InferenceSession, Tensor } = loadRuntime();
  const session = await InferenceSession.create(graph.toModel(), {
    logSeverityLevel: 3,
    extra: { session: { x64quantprecision: "1" } },
  });
  try {
    const outputs = await session.run({ x: new Tensor("float32", x, [x.length / N_IN, N_IN]) });
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
  } finally {
    await session.release();
  }
}

type Quantize = (graph: GraphBuilder, x: Value) => QuantizedRows;
const signedRows: Quantize = (graph, x) => quantizeRows(graph, x, true);
const unsignedRows: Quantize = (graph, x) => quantizeRows(graph, x, false);

async function quantized(x: Float32Array, how: Quantize): Promise<{ quantized: Uint8Array; scale: Float32Array }> {
  const graph = new GraphBuilder("g");
  const rows = how(graph, graph.input("x", "float32", ["rows", N_IN]));
  graph.output("quantized", rows.quantized, "uint8", ["rows", N_IN]);
  graph.output("scale", rows.scale, "float32", ["rows", 1]);
  const outputs = await run(graph, x);
  return { quantized: outputs["quantized"] as Uint8Array, scale: outputs["scale"] as Float32Array };
}

/** The weight [4, 2] times scales 0.5 and 2 is [[0.5, 254], [-63.5, 0], [10, -4], [0, 2]]. */
async function multiplied(x: Float32Array): Promise<Float32Array> {
  const graph = new GraphBuilder("g");
  const rows = quantizeManyRows(graph, graph.input("x", "float32", ["rows", N_IN]));
  const weight = graph.constant("w", "int8", [N_IN, 2], Int8Array.of(1, 127, -127, 0, 20, -2, 0, 1));
  const scales = graph.constant("s", "float32", [2], Float32Array.of(0.5, 2));
  graph.output("y", multiplyRows(graph, rows, weight, scales), "float32", ["rows", 2]);
  return (await run(graph, x))["y"] as Float32Array;
}

const rowsOf = (min: number): fc.Arbitrary<Float32Array> =>
  fc
    .array(fc.float({ min, max: 1000, noNaN: true }), { minLength: 3 * N_IN, maxLength: 3 * N_IN })
    .map((values) => Float32Array.from(values));

for (const [name, how, zero] of [
  ["quantizeRows() of signed rows", signedRows, 128],
  ["quantizeRows() of rows without negative values", unsignedRows, 0],
  ["quantizeManyRows()", quantizeManyRows, 128],
] as const) {
  describe(name, () => {
    it("is wrong by at most half a step of the row", async () => {
      await fc.assert(
        fc.asyncProperty(rowsOf(zero === 0 ? 0 : -1000), async (x) => {
          const { quantized: bytes, scale } = await quantized(x, how);
          x.forEach((value, i) => {
            const step = scale[Math.floor(i / N_IN)];
            expect(Math.abs((bytes[i] - zero) * step - value)).toBeLessThanOrEqual(0.5001 * step + 1e-30);
          });
        }),
        { numRuns: 20 },
      );
    });

    it("gives the largest value of a row the last step, and rows of zeros nothing", async () => {
      const { quantized: bytes, scale } = await quantized(Float32Array.of(1, 4, 0, 3, 0, 0, 0, 0), how);
      const last = 255 - zero;
      expect([...bytes].map((byte) => byte - zero)).toEqual(
        [last / 4, last, 0, (last * 3) / 4, 0, 0, 0, 0].map(Math.round),
      );
      expect(scale[0]).toBeCloseTo(4 / last, 7);
    });

    it("keeps three dims", async () => {
      const graph = new GraphBuilder("g");
      const split = graph.op("Reshape", [graph.input("x", "float32", ["rows", N_IN]), graph.ints(1, 2, N_IN)]);
      const rows = how(graph, split);
      graph.output("quantized", graph.op("Shape", [rows.quantized]), "int64", [3]);
      graph.output("scale", graph.op("Shape", [rows.scale]), "int64", [3]);
      const dims = await run(graph, new Float32Array(2 * N_IN));
      expect(Array.from(dims["quantized"], Number)).toEqual([1, 2, N_IN]);
      expect(Array.from(dims["scale"], Number)).toEqual([1, 2, 1]);
    });
  });
}

it("quantizeRows() and quantizeManyRows() give the most negative value of a row the first step", async () => {
  for (const how of [signedRows, quantizeManyRows]) {
    const { quantized: bytes } = await quantized(Float32Array.of(1, -4, 0, 2), how);
    expect([...bytes]).toEqual([160, 1, 128, 192]);
  }
});

describe("multiplyRows()", () => {
  it("multiplies by the weight and its scales", async () => {
    // Rows whose largest value is 127 have steps of 1, so that nothing is rounded.
    const y = await multiplied(Float32Array.of(127, 0, 0, 0, 0, -127, 1, 2, 127, 3, -5, 4));
    [63.5, 32258, 8074.5, 0, -177, 32286].forEach((value, i) =>
      // A row's scale is a product of float32.
      expect(Math.abs(y[i] - value)).toBeLessThanOrEqual(1e-6 * Math.abs(value)),
    );
  });

  it("keeps a row as it is when another grows a thousandfold", async () => {
    const x = Float32Array.of(0.3, -0.2, 0.7, 0.1, 0.9, 0.4, -0.6, 0.2);
    const before = await multiplied(x);
    const after = await multiplied(x.map((value, i) => (i < N_IN ? 1000 * value : value)));
    expect([...after.subarray(2)]).toEqual([...before.subarray(2)]);
    expect(after[1] / before[1]).toBeCloseTo(1000, 2);
  });
});
