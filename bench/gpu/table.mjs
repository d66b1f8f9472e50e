// The table: one minute, ten minutes and one hour of audio that is in memory, from samples to tokens, with the shapes of large models.
//
//   node bench/gpu/table.mjs [--small] [--dtype=bfloat16] [--runs=10] [--rows=large-v2:60,turbo:3600:256]
//
// A row is a model, seconds of audio, and the windows of a batch: as many as the engine likes if that is left out. Where there are several
// batches, each is encoded while those before it are decoded.
import { createCudaEngine } from "../../dist/engine/cuda/index.js";
import { ceilingsOf } from "./ceilings.mjs";
import { openGpu } from "./gpu.mjs";
import { digits, flag, isSmall, median, percent, save } from "./report.mjs";
import { decoderBytes, dimensionsOf, encoderFlops } from "./sizes.mjs";
import { randomWeights } from "./weights.mjs";
import { audioOf, DISTRIBUTION, requestsOf, tokenCounts, windowsOf } from "./workload.mjs";

const dtype = flag("dtype", "bfloat16");
const runs = Number(flag("runs", isSmall ? 2 : 10));
const rows = flag(
  "rows",
  isSmall
    ? "large-v2:4,large-v2:13:4,turbo:7"
    : "large-v2:60,large-v2:600,large-v2:3600,large-v2:3600:256,large-v3:3600,large-v3:3600:256,turbo:3600,turbo:3600:256",
)
  .split(",")
  .map((row) => {
    const [model, seconds, batch] = row.split(":");
    return { model, seconds: Number(seconds), batch: batch === undefined ? null : Number(batch) };
  });

const gpu = openGpu();
const { about } = gpu;
const ceilings = await ceilingsOf(gpu);
const results = [];
for (const model of new Set(rows.map((row) => row.model))) {
  const dimensions = dimensionsOf(model);
  const weights = randomWeights(dimensions);
  const opened = performance.now();
  const engine = await createCudaEngine(weights, { dtype });
  const loadMs = performance.now() - opened;
  console.log(`${model}: ${digits(loadMs)} ms to load, batches of up to ${engine.batchSize}`);
  for (const { seconds, batch } of rows.filter((row) => row.model === model)) {
    try {
      results.push({ model, seconds, loadMs, ...(await transcribe(engine, seconds, batch)) });
    } catch (error) {
      // The others are still worth knowing.
      console.error(`${model}, ${seconds} s: FAILED: ${error.stack}`);
      process.exitCode = 1;
    }
    keep(false);
  }
  await engine.dispose();
  weights.remove();
}

keep(true);

/** Samples to tokens, one run to warm up and then `runs`. */
async function transcribe(engine, seconds, batch) {
  const { dimensions } = engine;
  const windows = windowsOf(audioOf(seconds), dimensions);
  const counts = tokenCounts(windows.length);
  const requests = requestsOf(counts, dimensions);
  const batches = Math.ceil(windows.length / Math.min(batch ?? engine.batchSize, windows.length));
  const size = Math.ceil(windows.length / batches);

  const once = async () => {
    let encodeMs = 0;
    const pending = [];
    const started = performance.now();
    for (let first = 0; first < windows.length; first += size) {
      const own = requests.slice(first, first + size).map((request, window) => ({ ...request, window }));
      const before = performance.now();
      const audio = await engine.encodeSamples(windows.slice(first, first + size));
      encodeMs += performance.now() - before;
      // The next batch is encoded while this one is decoded, and joins it.
      const generated = engine.generate(audio, own).finally(() => audio.dispose());
      generated.catch(() => {}); // awaited below
      pending.push(generated);
    }
    const tokens = (await Promise.all(pending)).flat().map((row) => row.tokens);
    return { ms: performance.now() - started, encodeMs, tokens };
  };

  const first = await once();
  const all = [];
  let otherRows = 0;
  for (let run = 0; run < runs; run++) {
    const { tokens, ...times } = await once();
    tokens.forEach((row, i) => {
      if (row.length !== counts[i]) throw new Error(`Window ${i} has ${row.length} tokens, expected ${counts[i]}`);
      // How many rows a step has depends on when the host looked, and sums of 16 bits on how many there are.
      if (row.some((token, j) => token !== first.tokens[i][j])) otherRows++;
    });
    all.push(times);
    console.log(`${seconds} s: ${digits(times.ms)} ms, encoder ${digits(times.encodeMs)}`);
  }

  const ms = median(all.map((one) => one.ms));
  const encodeMs = median(all.map((one) => one.encodeMs));
  const generateMs = median(all.map((one) => one.ms - one.encodeMs));
  const bytes = Array.from({ length: batches }, (_, i) =>
    decoderBytes(dimensions, counts.slice(i * size, (i + 1) * size), dtype === "float32" ? 4 : 2),
  ).reduce((a, b) => a + b, 0);
  return {
    ...{ windows: windows.length, batches, batchSize: size, ms, encodeMs, generateMs, otherRows },
    firstMs: first.ms,
    all: all.map((one) => one.ms),
    tokens: counts.reduce((a, b) => a + b, 0),
    longest: Math.max(...counts),
    encoderTflops: (windows.length * encoderFlops(dimensions)) / encodeMs / 1e9,
    decoderGBs: bytes / generateMs / 1e6,
  };
}

/** Keeps what has been measured until now. */
function keep(isAll) {
  const name = (seconds) =>
    seconds >= 3600 ? `${seconds / 3600} h` : seconds >= 60 ? `${seconds / 60} min` : `${seconds} s`;
  const tables = [
    {
      title: `Samples in memory to tokens, ${about.name}, ${dtype}, median of ${runs} runs; tokens per window ${DISTRIBUTION}`,
      columns: [
        ...["model", "audio", "windows", "tokens", "longest", "s", "fastest", "slowest", "x real time"],
        ...["encoder s", "TFLOP/s", "of ceiling", "decoder s", "GB/s", "of ceiling"],
      ],
      rows: results.map((one) => [
        ...[one.model, name(one.seconds), one.batches > 1 ? `${one.windows} in ${one.batches}` : one.windows],
        ...[one.tokens, one.longest, digits(one.ms / 1e3)],
        ...[digits(Math.min(...one.all) / 1e3), digits(Math.max(...one.all) / 1e3)],
        digits((1000 * one.seconds) / one.ms),
        // Of several batches both are done at a time.
        ...(one.batches > 1
          ? []
          : [
              ...[digits(one.encodeMs / 1e3), digits(one.encoderTflops), percent(one.encoderTflops / ceilings.tflops)],
              ...[digits(one.generateMs / 1e3), digits(one.decoderGBs), percent(one.decoderGBs / ceilings.copyGBs)],
            ]),
      ]),
    },
  ];
  save("table", { gpu: about, dtype, runs, distribution: DISTRIBUTION, results }, tables, isAll);
}
