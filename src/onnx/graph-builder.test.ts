import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { afterAll, describe, expect, it } from "vitest";
import { GraphBuilder } from "./graph-builder.ts";

const folder = mkdtempSync(join(tmpdir(), "sotto-onnx-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The runtime is the judge of the file format: what it runs is right. */
async function run(
  graph: GraphBuilder,
  feeds: Record<string, ort.Tensor>,
  options: ort.InferenceSession.SessionOptions = {},
): Promise<ort.InferenceSession.OnnxValueMapType> {
  const session = await ort.InferenceSession.create(graph.toModel(), { logSeverityLevel: 3, ...options });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

const floats = (values: number[], dims = [values.length]): ort.Tensor =>
  new ort.Tensor("float32", Float32Array.from(values), dims);

describe("GraphBuilder", () => {
  it("builds a graph of nodes, constants and attributes of every kind", async () => {
    const graph = new GraphBuilder("g");
    const x = graph.input("x", "float32", ["rows", 3]);
    const weight = graph.constant("w", "float32", [3, 2], Float32Array.of(1, 0, 0, 1, 1, 1));
    const product = graph.microsoft("FusedMatMul", [x, weight], { transA: 0, transB: 0, alpha: { float: 2 } })[0];
    const turned = graph.op("Transpose", [product], { perm: [1, 0] });
    const [head, tail] = graph.opMany("Split", [turned, graph.ints(1, 1)], { axis: -2 }, 2);
    graph.output("head", graph.op("Gelu", [head], { approximate: "none" }), "float32", [1, "rows"]);
    graph.output("tail", tail, "float32", [1, "rows"]);
    const { head: gelu, tail: plain } = await run(graph, { x: floats([1, 2, 3, -1, 0, 0], [2, 3]) });
    expect([...(plain.data as Float32Array)]).toEqual([10, 0]);
    expect((gelu.data as Float32Array)[0]).toBeCloseTo(8, 5);
    expect((gelu.data as Float32Array)[1]).toBeCloseTo(-0.0455, 4);
  });

  it("writes negative, large and zero integers as the format has them", async () => {
    const graph = new GraphBuilder("g");
    const input = graph.input("x", "int64", [1]);
    const scaled = [-1, 0, 2 ** 40].map((value) => graph.op("Mul", [input, graph.int(value)]));
    graph.output("y", graph.op("Concat", scaled, { axis: 0 }), "int64", [3]);
    const { y } = await run(graph, { x: new ort.Tensor("int64", BigInt64Array.of(3n), [1]) });
    expect([...(y.data as BigInt64Array)]).toEqual([-3n, 0n, 3n * 2n ** 40n]);
  });

  it("maps constants from a file by offset, aligned or not", async () => {
    const bytes = new Uint8Array(3 + 16);
    new Uint8Array(bytes.buffer, 3).set(new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer));
    writeFileSync(join(folder, "weights.bin"), bytes);
    const graph = new GraphBuilder("g");
    const x = graph.input("x", "float32", [2]);
    const all = graph.external("all", "float32", [4], { location: "weights.bin", offset: 3, length: 16 });
    const last = graph.external("last", "float32", [2], { location: "weights.bin", offset: 11, length: 8 });
    graph.output("y", graph.op("Add", [x, last]), "float32", [2]);
    graph.output("all4", graph.op("Identity", [all]), "float32", [4]);
    const extra = { session: { model_external_initializers_file_folder_path: folder } };
    const { y, all4 } = await run(graph, { x: floats([10, 20]) }, { extra });
    expect([...(y.data as Float32Array)]).toEqual([13, 24]);
    expect([...(all4.data as Float32Array)]).toEqual([1, 2, 3, 4]);
  });

  it("keeps the constants of subgraphs outside, where all turns of a loop share them", async () => {
    const graph = new GraphBuilder("g");
    const x = graph.input("x", "float32", [1]);
    const turns = graph.input("turns", "int64", []);
    const body = graph.subgraph("body");
    body.input("i", "int64", []);
    const running = body.input("running", "bool", []);
    const state = body.input("state", "float32", [1]);
    const doubled = body.op("Mul", [state, body.scalar(2)]);
    body.output("goOn", body.op("Identity", [running]), "bool", []);
    body.output("next", doubled, "float32", [1]);
    body.output("seen", doubled, "float32", [1]);
    const yes = graph.constant("yes", "bool", [], Uint8Array.of(1));
    const [last, all] = graph.opMany("Loop", [turns, yes, x], { body }, 2);
    graph.output("last", last, "float32", [1]);
    graph.output("all", all, "float32", ["turns", 1]);
    const feeds = { x: floats([1]), turns: new ort.Tensor("int64", BigInt64Array.of(4n), []) };
    const outputs = await run(graph, feeds);
    expect([...(outputs["last"].data as Float32Array)]).toEqual([16]);
    expect([...(outputs["all"].data as Float32Array)]).toEqual([2, 4, 8, 16]);
  });
});
