// Runs transformers.js on onnxruntime-node for compare.mjs: WhisperForConditionalGeneration.generate, greedy, so many tokens a window.
// Arguments: library=FOLDER with node_modules, model=FOLDER of convert/transformers-js.mjs, dtype=fp32|q8 threads= mel= mels=
// prompt=ID,ID suppress=ID,ID [audio=]. Windows one after another, as its pipeline has them. Protocol: see ../peer-process.mjs.
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { answerCommands, FRAMES, readArguments } from "./driver.mjs";

const SAMPLES = 480000;
const { library, model: given, dtype, threads, nMels, prompt, suppress, mel, samples } = readArguments();

const require = createRequire(join(resolve(library), "package.json"));
const { AutoProcessor, Tensor, WhisperForConditionalGeneration, env } = require("@huggingface/transformers");
env.allowRemoteModels = false;

const started = performance.now();
const folder = resolve(given);
const model = await WhisperForConditionalGeneration.from_pretrained(folder, {
  device: "cpu",
  dtype,
  local_files_only: true,
  session_options: { intraOpNumThreads: threads },
});
const processor = samples === null ? null : await AutoProcessor.from_pretrained(folder, { local_files_only: true });

// generate() encodes and decodes: what the encoder takes is measured where it is called, and one window's answer can be kept.
const encoder = { ms: 0, kept: null, keep: false };
const session = model.sessions.model;
const runEncoder = session.run.bind(session);
session.run = async (feeds) => {
  if (encoder.keep && encoder.kept !== null) return { ...encoder.kept };
  const began = performance.now();
  const outputs = await runEncoder(feeds);
  encoder.ms += performance.now() - began;
  if (encoder.keep) encoder.kept = { ...outputs };
  return outputs;
};

async function generate(features, tokens) {
  const sequences = await model.generate({
    inputs: features,
    decoder_input_ids: prompt,
    max_new_tokens: tokens,
    suppress_tokens: suppress.length === 0 ? null : suppress,
    begin_suppress_tokens: null,
    do_sample: false,
    num_beams: 1,
  });
  return Array.from(sequences.data, Number).slice(prompt.length);
}

function melWindow(window) {
  const size = nMels * FRAMES;
  return new Tensor("float32", mel.slice(window * size, (window + 1) * size), [1, nMels, FRAMES]);
}

async function run(windows, tokens, features = melWindow) {
  const answer = { encodeMs: 0, decodeMs: 0, count: 0 };
  const began = performance.now();
  encoder.ms = 0;
  for (let window = 0; window < windows; window++) {
    const generated = await generate(await features(window), tokens);
    answer.count += generated.length;
    answer.tokens ??= generated;
  }
  answer.encodeMs = encoder.ms;
  answer.decodeMs = performance.now() - began - encoder.ms;
  return answer;
}

/** The first run keeps what the encoder says, and its time is taken out. */
async function steps(tokens) {
  encoder.keep = true;
  encoder.ms = 0;
  const began = performance.now();
  const generated = await generate(melWindow(0), tokens);
  const ms = performance.now() - began - encoder.ms;
  encoder.keep = false;
  return { ms, encodeMs: 0, decodeMs: ms, count: generated.length, tokens: generated };
}

async function transcribe(windows, tokens) {
  return run(windows, tokens, async (window) => {
    const { input_features } = await processor(samples.subarray(window * SAMPLES, (window + 1) * SAMPLES));
    return input_features;
  });
}

await answerCommands(performance.now() - started, { run, steps, long: transcribe });
await model.dispose();
