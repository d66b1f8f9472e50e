// Runs sotto for compare.mjs, through createCpuEngine alone (`long`: through the pipeline): log-Mel given, so many tokens a window.
// Arguments: model= dtype=int8|float32 threads= batch= mel= mels= prompt=ID,ID suppress=ID,ID [audio=]
// Protocol: see ../peer-process.mjs.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { openCheckpoint } from "../../../dist/checkpoint/index.js";
import { createCpuEngine } from "../../../dist/engine/index.js";

const FRAMES = 3000;
const options = Object.fromEntries(process.argv.slice(2).map((argument) => argument.split(/=(.*)/s).slice(0, 2)));
const ids = (list) => list.split(",").filter(Boolean).map(Number);
const [threads, batch, nMels] = [options.threads, options.batch, options.mels].map(Number);
const { model, dtype } = options;
const [prompt, suppress] = [ids(options.prompt), ids(options.suppress)];
const samples = options.audio === undefined ? null : floats(options.audio);

/** float32 numbers of a file. */
function floats(path) {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** Highest resident memory; on Linux not resourceUsage, which counts the process that started this one, too. */
function peakBytes() {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

const mel = floats(options.mel);
const eot = 50257;
const timestampBegin = 50364;
const rules = { eot, timestampBegin, suppress, suppressAtBegin: [], timestamps: null };
const started = performance.now();
const pipeline = samples === null ? null : await openPipeline();
const engine = pipeline === null ? await createCpuEngine(await openCheckpoint(model), { dtype, threads }) : null;
let kept = null;

async function openPipeline() {
  const { WhisperPipeline } = await import("../../../dist/index.js");
  return WhisperPipeline.fromPretrained(model, { dtype, threads, device: "cpu" });
}

const encode = (first, count) => {
  const size = nMels * FRAMES;
  return engine.encode({ data: mel.subarray(first * size, (first + count) * size), dims: [count, nMels, FRAMES] });
};

const generate = (audio, maxNewTokens) =>
  engine.generate(
    audio,
    Array.from({ length: audio.batch }, (_, window) => ({
      window,
      prompt,
      sotIndex: 0,
      noSpeech: 50362,
      rules,
      maxNewTokens,
    })),
  );

async function run(windows, tokens) {
  const answer = { encodeMs: 0, decodeMs: 0, count: 0 };
  for (let first = 0; first < windows; first += batch) {
    const began = performance.now();
    const audio = await encode(first, Math.min(batch, windows - first));
    const encoded = performance.now();
    const results = await generate(audio, tokens);
    audio.dispose();
    answer.encodeMs += encoded - began;
    answer.decodeMs += performance.now() - encoded;
    for (const result of results) answer.count += result.tokens.length;
    answer.tokens ??= [...results[0].tokens];
  }
  return answer;
}

async function steps(tokens) {
  kept ??= await encode(0, 1);
  const began = performance.now();
  const [result] = await generate(kept, tokens);
  const ms = performance.now() - began;
  return { ms, encodeMs: 0, decodeMs: ms, count: result.tokens.length, tokens: [...result.tokens] };
}

/** The recording through the pipeline, in windows that do not overlap, as the other systems cut it. */
async function transcribe(windows, tokens) {
  const made = { count: 0, tokens: null };
  // What windows have in common is said once in a transcript: tokens are counted where they are made.
  pipeline.engine.generate = async (...request) => {
    const results = await Object.getPrototypeOf(pipeline.engine).generate.apply(pipeline.engine, request);
    for (const { tokens: ids } of results) made.count += ids.length;
    made.tokens ??= [...results[0].tokens];
    return results;
  };
  await pipeline.transcribe(samples.subarray(0, windows * 160 * FRAMES), {
    language: "en",
    strideLength: 0,
    sampleLength: tokens,
    suppressTokens: suppress,
    suppressBlank: false,
    batchSize: batch,
  });
  return { encodeMs: 0, decodeMs: 0, count: made.count, tokens: made.tokens };
}

console.log(JSON.stringify({ ready: true, loadMs: performance.now() - started }));
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...numbers] = line.split(" ");
  const [before, cpu] = [performance.now(), process.cpuUsage()];
  const handle = { run, steps, long: transcribe }[command];
  const answer = await handle(...numbers.map(Number));
  const used = process.cpuUsage(cpu);
  const ms = performance.now() - before;
  console.log(JSON.stringify({ ms, ...answer, cpuMs: (used.user + used.system) / 1000, peakBytes: peakBytes() }));
}
await engine?.dispose();
await pipeline?.engine.dispose();
