// What this machine can do at the moment: float32 matrix products (1024^3) in one worker of one thread, and in one on each core at
// once. Quote it beside other figures: shared machines differ by the hour, and two "cores" may be one.
// Usage: node bench/machine-peak.mjs
import { availableParallelism } from "node:os";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import * as ort from "onnxruntime-node";
import { GraphBuilder } from "../dist/onnx/index.js";

const N = 1024;

async function gflops(seconds) {
  const graph = new GraphBuilder("product");
  const a = graph.input("a", "float32", [N, N]);
  const b = graph.constant("b", "float32", [N, N], new Float32Array(N * N).fill(0.5));
  graph.output("c", graph.op("ReduceMax", [graph.op("MatMul", [a, b])], { keepdims: 0 }), "float32", []);
  const session = await ort.InferenceSession.create(graph.toModel(), { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const feeds = { a: new ort.Tensor("float32", new Float32Array(N * N).fill(0.25), [N, N]) };
  await session.run(feeds);
  const rates = [];
  for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
    const started = performance.now();
    await session.run(feeds);
    rates.push((2 * N ** 3) / (performance.now() - started) / 1e6);
  }
  return rates.sort((x, y) => x - y)[rates.length >> 1];
}

if (isMainThread) {
  const run = (workers) =>
    Promise.all(
      Array.from({ length: workers }, () => new Worker(new URL(import.meta.url))).map(
        (worker) => new Promise((resolve) => worker.once("message", resolve)),
      ),
    );
  const [alone] = await run(1);
  const together = await run(availableParallelism());
  const sum = together.reduce((total, rate) => total + rate, 0);
  console.log(
    `float32 products: ${alone.toFixed(0)} GFLOP/s in one thread alone, ${sum.toFixed(0)} in ${together.length} at once`,
  );
} else {
  parentPort.postMessage(await gflops(3));
}
