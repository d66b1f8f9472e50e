// Runs sotto for compare.mjs, through createCpuEngine alone (`long`: through the pipeline): log-Mel given, so many tokens a window.
// Arguments: model= dtype=int8|float32 threads= batch= mel= mels= prompt=ID,ID suppress=ID,ID [audio=]
// Protocol: see ../peer-process.mjs.
import { openCheckpoint } from "../../../dist/checkpoint/index.js";
import { createCpuEngine } from "../../../dist/engine/index.js";
import { answerCommands, FRAMES, readArguments } from "./driver.mjs";

const { model, dtype, threads, batch, nMels, prompt, suppress, mel, samples } = readArguments();
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
    returnTimestamps: false,
    sampleLength: tokens,
    suppressTokens: suppress,
    suppressBlank: false,
    batchSize: batch,
  });
  return { encodeMs: 0, decodeMs: 0, count: made.count, tokens: made.tokens };
}

await answerCommands(performance.now() - started, { run, steps, long: transcribe });
await engine?.dispose();
await pipeline?.engine.dispose();
