// Every kernel at the shapes of a large model, one by one: milliseconds, TFLOP/s or GB/s, and the share of what the device can do (the larger of the
// times that its operations and its bytes need at least, over the time it takes). Last, what they add up to.
//
//   node bench/gpu/kernels.mjs [--small] [--dtype=bfloat16] [--model=large-v2]
import { DeviceLogMel } from "../../dist/engine/cuda/log-mel.js";
import { ceilingsOf } from "./ceilings.mjs";
import { normals, openGpu } from "./gpu.mjs";
import { KernelBench } from "./kernel-bench.mjs";
import { digits, flag, isSmall, median, percent, save } from "./report.mjs";
import { dimensionsOf } from "./sizes.mjs";

const model = flag("model", "large-v2");
const dtype = flag("dtype", "bfloat16");
const dimensions = dimensionsOf(model);
const { nMels, nAudioCtx, nAudioState: d, nAudioHead: nHead, nAudioLayer, nTextLayer, nVocab, nTextCtx } = dimensions;
const windows = isSmall ? 2 : 32;
const batches = isSmall ? [1, 5] : [1, 8, 64, 128, 180];
const groupCounts = isSmall ? [1, 5] : [1, 16, 120, 180];
const position = isSmall ? 5 : 100;

const gpu = openGpu();
const ceilings = await ceilingsOf(gpu);
const bench = await KernelBench.make(gpu, dtype);
const rows = [];
const failed = [];

/** @param times how often the engine runs it: in an encoder batch, or in a step */
async function row(part, name, times, run) {
  let result;
  try {
    result = { part, name, times, ...(await run()) };
  } catch (error) {
    // The others are still worth knowing.
    console.error(`${part}: ${name} FAILED: ${error.message}`);
    process.exitCode = 1;
    failed.push(`${part}: ${name}: ${error.message}`);
    return;
  }
  const floor = Math.max(result.flops / ceilings.tflops / 1e9, result.bytes / ceilings.copyGBs / 1e6);
  rows.push({ ...result, share: floor / result.ms });
  console.log(`${part}: ${name} ${result.kernel} ${digits(result.ms)} ms`);
}

const m = windows * nAudioCtx;
const frames = 2 * nAudioCtx;
const padded = frames + 2;
const encoder = (name, times, product, options) => row("encoder", name, times, () => bench.product(product, options));

await row("encoder", "log-Mel, with the copies of the samples", 1, logMel);
await encoder("conv1", 1, {
  ...{ m: windows * frames, n: d, k: 3 * nMels, epilogue: "gelu" },
  a: { stride: nMels, perBatch: frames, batchStride: padded * nMels },
  out: { stride: d, perBatch: frames, batchStride: padded * d },
});
await encoder("conv2", 1, {
  ...{ m, n: d, k: 3 * d, epilogue: "positions" },
  a: { stride: 2 * d, perBatch: nAudioCtx, batchStride: padded * d },
  out: { stride: d, perBatch: nAudioCtx, batchStride: nAudioCtx * d },
});
await row("encoder", "layer norm", 2 * nAudioLayer + 1, () => bench.layerNorm(m, d));
await encoder("q, k, v", nAudioLayer, { m, n: 3 * d, k: d, epilogue: "store" });
await row("encoder", "attention", nAudioLayer, () =>
  bench.encoderAttention({ batch: windows, nCtx: nAudioCtx, nHead }),
);
await encoder("attention out", nAudioLayer, { m, n: d, k: d, epilogue: "residual" });
await encoder("fc1", nAudioLayer, { m, n: 4 * d, k: d, epilogue: "gelu" });
await encoder("fc2", nAudioLayer, { m, n: d, k: 4 * d, epilogue: "residual" });
await encoder("cross keys, values", nTextLayer, {
  ...{ m, n: 2 * d, k: d, epilogue: "crossCache", heads: nHead },
  out: { stride: 64, perBatch: nAudioCtx, batchStride: 2 * nAudioCtx * d },
});
if (dtype !== "float32") {
  await encoder("fc1, by mma.sync", 0, { m, n: 4 * d, k: d, epilogue: "gelu" }, { tensorCores: 80 });
  await encoder("fc2, by mma.sync", 0, { m, n: d, k: 4 * d, epilogue: "residual" }, { tensorCores: 80 });
}

keep(false);
for (const batch of batches) {
  const part = `step of ${batch}`;
  const step = (name, times, n, k, epilogue) =>
    row(part, name, times, () => bench.product({ m: batch, n, k, epilogue, live: true }, { cold: true }));
  await row(part, "begin, embed", 1, () => bench.beginStep({ rows: batch, dimensions }));
  await row(part, "layer norm", 3 * nTextLayer + 1, () => bench.layerNorm(batch, d));
  await step("q, k, v", nTextLayer, 3 * d, d, "store");
  await row(part, `self-attention, ${position + 1} positions`, nTextLayer, () =>
    bench.selfAttention({ rows: batch, position, nHead, nTextCtx }),
  );
  await step("attention out", 2 * nTextLayer, d, d, "residual");
  await step("cross query", nTextLayer, d, d, "store");
  await row(part, "cross-attention", nTextLayer, () =>
    bench.crossAttention({ groups: batch, nCtx: nAudioCtx, nHead, layers: nTextLayer }),
  );
  await step("fc1", nTextLayer, 4 * d, d, "gelu");
  await step("fc2", nTextLayer, d, 4 * d, "residual");
  await step("logits", 1, nVocab, d, "float");
  await row(part, "choose", 1, () => bench.chooseTokens({ rows: batch, dimensions }));
  keep(false);
}
for (const groups of groupCounts) {
  await row("cross-attention", `${groups} windows`, 0, () =>
    bench.crossAttention({ groups, nCtx: nAudioCtx, nHead, layers: nTextLayer }),
  );
}
await row("cross-attention", "16 windows, 5 beams each", 0, () =>
  bench.crossAttention({ groups: isSmall ? 2 : 16, nCtx: nAudioCtx, nHead, layers: nTextLayer, beams: 5 }),
);
bench.free();
keep(true);

/** By the clock of this process: between its launches the engine waits for the copy of the samples before. */
async function logMel() {
  const { device } = gpu;
  const log = new DeviceLogMel(bench.kernels, dimensions);
  const samples = Array.from({ length: windows }, (_, i) => normals(log.windowSamples, 0.1, i));
  const out = device.alloc(windows * padded * nMels * 4);
  const times = [];
  for (let run = 0; run < (isSmall ? 2 : 11); run++) {
    const begin = performance.now();
    await log.compute(samples, out.address);
    await device.finished();
    times.push(performance.now() - begin);
  }
  await log.free();
  device.free(out);
  const spectra = windows * frames;
  const flops = 2 * spectra * (416 * 400 + nMels * 208);
  return { ms: median(times.slice(1)), kernel: "float32 products", flops, bytes: 4 * windows * log.windowSamples };
}

/** Keeps what has been measured until now. */
function keep(isAll) {
  const parts = [...new Set(rows.map(({ part }) => part))];
  const sums = parts
    .map((part) => ({ part, own: rows.filter((one) => one.part === part && one.times > 0) }))
    .filter(({ own }) => own.length > 0)
    .map(({ part, own }) => {
      const ms = own.reduce((sum, one) => sum + one.times * one.ms, 0);
      const floor = own.reduce((sum, one) => sum + one.times * one.ms * one.share, 0);
      const largest = own.reduce((best, one) => (one.times * one.ms > best.times * best.ms ? one : best));
      return { part, ms, share: floor / ms, largest: largest.name, largestShare: (largest.times * largest.ms) / ms };
    });
  const tables = [
    {
      title: `Kernels, ${model}, ${dtype}, ${windows} windows`,
      columns: ["part", "what", "kernel", "ms", "TFLOP/s", "GB/s", "of ceiling", "error"],
      rows: rows.map(({ part, name, kernel, ms, flops, bytes, share, error }) => [
        ...[part, name, kernel, digits(ms), digits(flops / ms / 1e9), digits(bytes / ms / 1e6), percent(share)],
        error === undefined ? "" : error.toExponential(0),
      ]),
    },
    {
      title: "What they add up to",
      columns: ["part", "ms", "of ceiling", "largest part", ""],
      rows: sums.map(({ part, ms, share, largest, largestShare }) => [
        ...[part === "encoder" ? `encoder, ${windows} windows` : part, digits(ms), percent(share)],
        ...[largest, percent(largestShare)],
      ]),
    },
  ];
  save("kernels", { model, dtype, windows, rows, sums, failed }, tables, isAll);
}
