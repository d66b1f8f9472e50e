// Resident memory of an engine: idle, loaded, and after work; and how long loading takes.
// Usage: node bench/load-memory.mjs CHECKPOINT [int8|float32] [native|onnxruntime|auto]
import { readFileSync } from "node:fs";
import { openCheckpoint } from "../dist/checkpoint/index.js";
import { createCpuEngine } from "../dist/engine/index.js";

const [folder, dtype = "int8", kernels = "auto"] = process.argv.slice(2);
const checkpoint = await openCheckpoint(folder);
// The first time packs the weights.
await (await createCpuEngine(checkpoint, { dtype, kernels })).dispose();

/** Resident megabytes: all, and those that no file backs. */
function resident() {
  globalThis.gc?.();
  const status = readFileSync("/proc/self/status", "latin1");
  const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)[1]) / 1024;
  return { all: of("VmRSS"), anonymous: of("RssAnon") };
}
const idle = resident();
const report = (what) => {
  const { all, anonymous } = resident();
  const more = (now, then) => `${(now - then).toFixed(0)} MiB`;
  console.log(`${what.padEnd(24)} ${more(all, idle.all)} more, ${more(anonymous, idle.anonymous)} of it anonymous`);
};
console.log(`${"idle".padEnd(24)} ${idle.all.toFixed(0)} MiB`);

const started = performance.now();
const engine = await createCpuEngine(checkpoint, { dtype, kernels });
report(`loaded in ${(performance.now() - started).toFixed(0)} ms`);

const { nMels, nAudioCtx } = engine.dimensions;
const tokens = checkpoint.dimensions.nVocab - 1501;
const rules = { eot: 50257, timestampBegin: tokens, suppress: [50257], suppressAtBegin: [], timestamps: null };
for (const windows of [1, 8]) {
  const frames = 2 * nAudioCtx;
  const data = Float32Array.from({ length: windows * nMels * frames }, (_, i) => Math.sin(i * 0.37) / 2);
  const audio = await engine.encode({ data, dims: [windows, nMels, frames] });
  const request = { prompt: [50258], sotIndex: 0, noSpeech: 50362, rules, maxNewTokens: 100 };
  await engine.generate(
    audio,
    Array.from({ length: windows }, (_, window) => ({ ...request, window })),
  );
  report(`${windows} windows of 100 tokens`);
  audio.dispose();
}
await engine.dispose();
