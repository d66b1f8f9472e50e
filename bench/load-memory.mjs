// Resident memory of one worker's sessions after loading, before any run: weights packed, encoder and decoder graph loaded.
// Usage: node bench/load-memory.mjs CHECKPOINT [int8|float32]
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-node";
import { openCheckpoint } from "../dist/checkpoint/index.js";
import { decoderGraph } from "../dist/engine/onnxruntime/decoder-graph.js";
import { encoderGraph } from "../dist/engine/onnxruntime/encoder-graph.js";
import { Weights } from "../dist/engine/onnxruntime/weights.js";
import { parameterDims } from "../dist/model/index.js";

const [folder, dtype = "int8"] = process.argv.slice(2);
const residentMB = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1024;
const checkpoint = await openCheckpoint(folder);
const names = () => parameterDims(checkpoint.dimensions).keys();
const record = () => {
  const weights = new Weights(checkpoint, dtype === "int8", names());
  return {
    weights,
    graphs: [encoderGraph(checkpoint.dimensions, weights), decoderGraph(checkpoint.dimensions, weights)],
  };
};
if (process.argv[4] !== "packed") {
  // Packing takes memory of its own, once in a checkpoint's life: it is done by a process that ends.
  await record().weights.ready();
  const { spawnSync } = await import("node:child_process");
  process.exit(spawnSync(process.execPath, [process.argv[1], folder, dtype, "packed"], { stdio: "inherit" }).status);
}
const { weights, graphs } = record();
const packed = await weights.ready();
const before = residentMB();
const sessions = [];
const started = performance.now();
for (const graph of graphs) {
  const extra = { session: { model_external_initializers_file_folder_path: packed.folder } };
  sessions.push(await ort.InferenceSession.create(graph, { intraOpNumThreads: 1, logSeverityLevel: 3, extra }));
}
const ms = performance.now() - started;
console.log(
  `${folder}, ${dtype}: packed file ${(packed.bytes / 2 ** 20).toFixed(0)} MiB; two sessions add ` +
    `${(residentMB() - before).toFixed(0)} MiB of resident memory in ${ms.toFixed(0)} ms`,
);
