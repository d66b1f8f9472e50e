// sotto beside other Whisper implementations: the same weights, the same log-Mel, the same number of tokens, the same threads.
// Each system is a process that stays loaded; rounds are interleaved, in a new order each; medians are printed.
//
// Usage: node bench/compare/compare.mjs [WORK ...] [options]
//   WORK                  base-1x100 (default), tiny-1x100, small-8x100, step, step-busy, long, or "all"
//   --systems a,b         only variants whose name contains one of these ("sotto" always runs)
//   --dtype int8,float32  how sotto computes; ratios are to the first
//   --threads 2           threads of every system
//   --rounds 5            rounds whose median is printed
//   --checkpoints DIR     folder of tiny/, base/, small/; missing ones are made with random weights
//   --seed 1              of the order of the rounds
//   --json FILE           every single time, too
//   --no-check            skip the check of the systems' tokens on the bundled model
//   --list                say what is found, and end
// Other systems are found by WHISPER_CPP_DRIVER, WHISPER_CPP_BLAS_DRIVER, WHISPER_CPP_QUANTIZE, CTRANSLATE2_DRIVER,
// OPENAI_WHISPER and TRANSFORMERS_JS; README.md of this folder says how to build them. Needs `npm run build`.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadAudio } from "../../dist/audio/index.js";
import { openCheckpoint } from "../../dist/checkpoint/index.js";
import { logMelWindow } from "../../dist/features/index.js";
import { loadTokenizer } from "../../dist/pipeline/index.js";
import { SIZES, writeRandomCheckpoint } from "../../scripts/make-random-checkpoint.mjs";
import { PeerProcess } from "./peer-process.mjs";
import { modelCache, peers, sotto } from "./peers.mjs";
import { STEPS_BEFORE, WORKS } from "./works.mjs";

const WINDOW = 480000;
const BATCH = 8;
/** For threads of the last system to stop waiting for more before the next one begins. */
const PAUSE_MS = 300;
const root = fileURLToPath(new URL("../../", import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    systems: { type: "string", default: "" },
    dtype: { type: "string", default: "int8,float32" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "5" },
    checkpoints: { type: "string", default: join(tmpdir(), "sotto-random") },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    check: { type: "boolean", default: true },
    list: { type: "boolean", default: false },
  },
});
const [threads, rounds] = [Number(values.threads), Number(values.rounds)];
const names =
  positionals.length === 0 ? ["base-1x100"] : positionals.includes("all") ? Object.keys(WORKS) : positionals;
const unknown = names.find((name) => !(name in WORKS));
if (unknown !== undefined) {
  console.error(`Unknown work "${unknown}", expected ${Object.keys(WORKS).join(", ")} or all`);
  process.exit(2);
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const cacheRoot = join(tmpdir(), "sotto-compare");

/** Fisher and Yates, with numbers that the seed settles (mulberry32). */
let randomState = Number(values.seed);
function random() {
  randomState = (randomState + 0x6d2b79f5) | 0;
  let t = Math.imul(randomState ^ (randomState >>> 15), 1 | randomState);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
function shuffled(list) {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

/** Opens a checkpoint, and gives everything made from it a folder that changes with it. */
async function openModel(folder) {
  const checkpoint = await openCheckpoint(folder);
  const key = createHash("sha256").update(checkpoint.fingerprint).digest("hex").slice(0, 16);
  return { checkpoint, folder, cache: await modelCache(cacheRoot, key) };
}

/** The recording as samples and as log-Mel windows, in files; and the tokens every generation begins with. */
async function writeInputs(model, samples, windows) {
  const { nMels } = model.checkpoint.dimensions;
  const mel = new Float32Array(windows * nMels * 3000);
  for (let i = 0; i < windows; i++) {
    mel.set(logMelWindow(samples.subarray(i * WINDOW, (i + 1) * WINDOW), nMels, 3000).data, i * nMels * 3000);
  }
  const tokenizer = await loadTokenizer(model.checkpoint);
  const files = { mel: join(model.cache, "mel.f32"), audio: join(model.cache, "audio.f32") };
  await writeFile(files.mel, new Uint8Array(mel.buffer));
  await writeFile(files.audio, new Uint8Array(samples.buffer, samples.byteOffset, windows * WINDOW * 4));
  const prompt = tokenizer.sotSequence({ language: "en", task: "transcribe", timestamps: false });
  const options = { mels: nMels, mel: files.mel, prompt: prompt.join(","), batch: BATCH };
  return { options, audio: files.audio, eot: tokenizer.special.eot };
}

/** So many windows of speech: a recording, again and again. */
async function recording(file, windows) {
  const speech = await loadAudio(join(root, "samples", file));
  const samples = new Float32Array(windows * WINDOW);
  for (let at = 0; at < samples.length; at += speech.length) {
    samples.set(speech.subarray(0, Math.min(speech.length, samples.length - at)), at);
  }
  return samples;
}

const found = peers(values.dtype.split(","));
const wanted = values.systems.split(",").filter(Boolean);
const variants = found
  .flatMap(({ variants }) => variants)
  .filter(({ name }) => name.startsWith("sotto ") || wanted.length === 0 || wanted.some((part) => name.includes(part)));
for (const { name, missing } of found) if (missing !== null) console.log(`${name}: not installed; ${missing}`);
if (values.list) {
  for (const { name } of variants) console.log(name);
  process.exit(0);
}
console.log(
  `${cpus()[0].model}, ${availableParallelism()} cores; Node ${process.version}; ${new Date().toISOString().slice(0, 16)}; ` +
    `load ${loadavg()[0].toFixed(1)}; ${threads} threads, ${rounds} rounds`,
);

if (values.check) await check();
const report = {};
for (const name of names) report[name] = await compare(name, WORKS[name]);
if (values.json !== undefined) {
  const machine = { cpu: cpus()[0].model, cores: availableParallelism(), node: process.version, threads, rounds };
  await writeFile(values.json, `${JSON.stringify({ machine, works: report }, null, 1)}\n`);
}

/**
 * Whether every system computes the same thing: the bundled model's tokens for a recording of one sentence. Variants close
 * to float32 must have all of them, quantised ones need not.
 */
async function check() {
  const model = await openModel(join(root, "models/nano"));
  const speech = await loadAudio(join(root, "samples/en-short.wav"));
  const samples = new Float32Array(WINDOW);
  samples.set(speech.subarray(0, WINDOW));
  const { options, eot } = await writeInputs(model, samples, 1);
  const first = async (variant, suppress, tokens) => {
    const path = await variant.prepare(model);
    const process = await PeerProcess.start(variant.launch(path, { ...options, threads, suppress }));
    const answer = await process.ask("run", 1, tokens);
    await process.end();
    return answer.tokens;
  };
  // With endoftext allowed: the tokens of the sentence, after which any system may say anything.
  const [reference] = sotto(["float32"]).variants;
  const expected = await first(reference, "", 60);
  console.log(`\nCheck: nano, samples/en-short.wav, ${expected.length} tokens of sotto float32`);
  for (const variant of variants) {
    const tokens = await first(variant, eot, expected.length).catch((error) => error);
    if (tokens instanceof Error) {
      console.log(`  ${variant.name.padEnd(30)} fails: ${tokens.message}`);
      variant.broken = true;
      continue;
    }
    let same = 0;
    while (same < expected.length && tokens[same] === expected[same]) same++;
    variant.broken = variant.exact && same < expected.length;
    const verdict = same === expected.length ? "same" : `first ${same} of ${expected.length} the same`;
    console.log(`  ${variant.name.padEnd(30)} ${verdict}${variant.broken ? ": WRONG, left out below" : ""}`);
  }
}

/** Runs one work with every variant, and prints its table. */
async function compare(name, work) {
  const folder = join(values.checkpoints, work.size);
  if (!existsSync(join(folder, "config.json"))) await writeRandomCheckpoint(folder, SIZES[work.size]);
  const model = await openModel(folder);
  const { options, audio, eot } = await writeInputs(model, await recording("en-long.flac", work.windows), work.windows);
  const common = { ...options, threads, suppress: eot, ...(work.kind === "long" && { audio }) };
  console.log(`\n${name}: ${work.what}`);

  const running = [];
  for (const variant of variants) {
    if (variant.broken === true || (variant.shares === true && work.windows === 1)) continue;
    try {
      const process = await PeerProcess.start(variant.launch(await variant.prepare(model), common));
      const entry = { name: variant.name, process, times: [] };
      await measure(entry, work); // the first run is not counted
      running.push(entry);
    } catch (error) {
      console.log(`  ${variant.name} fails: ${error.message}`);
    }
  }
  const spinners = work.busy === true ? Array.from({ length: Math.max(1, availableParallelism() - 1) }, spin) : [];
  for (let round = 0; round < rounds; round++) {
    for (const entry of shuffled(running)) {
      await sleep(PAUSE_MS);
      entry.times.push(await measure(entry, work));
    }
  }
  for (const spinner of spinners) spinner.kill();
  for (const { process } of running) await process.end();
  table(running, work);
  return running.map(({ name, times }) => ({ name, times }));
}

/** A process that keeps one core busy. */
function spin() {
  return spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" });
}

/** One run: milliseconds, checked to have made all the tokens. */
async function measure({ name, process }, { kind, windows, tokens }) {
  const ask = async (count) => {
    const answer = await process.ask(kind, ...(kind === "steps" ? [] : [windows]), count);
    if (answer.count !== windows * count)
      throw new Error(`${name} made ${answer.count} tokens, expected ${windows * count}`);
    return answer;
  };
  if (kind !== "steps") return ask(tokens);
  const short = await ask(STEPS_BEFORE);
  const long = await ask(STEPS_BEFORE + tokens);
  const step = (key) => (long[key] - short[key]) / tokens;
  return { ...long, ms: step("ms"), decodeMs: step("decodeMs"), cpuMs: step("cpuMs") };
}

function table(running, work) {
  const of = (entry, key) => median(entry.times.map((time) => time[key]));
  const number = (value) => (value < 100 ? value.toFixed(1) : value.toFixed(0));
  const base = running.find((entry) => entry.name.startsWith("sotto "));
  const columns = [
    ["SYSTEM", 30],
    ["MS", 9],
    ["FASTEST", 9],
    ["SLOWEST", 9],
    ["ENCODE", 9],
    ["DECODE", 9],
    ["CPU MS", 9],
    ["/ SOTTO", 9],
    ["PEAK MB", 9],
  ];
  console.log(
    `  ${columns.map(([title, width], i) => (i === 0 ? title.padEnd(width) : title.padStart(width))).join("")}`,
  );
  for (const entry of running.toSorted((a, b) => of(a, "ms") - of(b, "ms"))) {
    const all = entry.times.map(({ ms }) => ms);
    const stages = work.kind === "run" ? [number(of(entry, "encodeMs")), number(of(entry, "decodeMs"))] : ["", ""];
    const cells = [
      number(median(all)),
      number(Math.min(...all)),
      number(Math.max(...all)),
      ...stages,
      number(of(entry, "cpuMs")),
      base === undefined ? "" : `${(median(all) / of(base, "ms")).toFixed(2)}x`,
      number(entry.times.at(-1).peakBytes / 1e6),
    ];
    console.log(`  ${entry.name.padEnd(30)}${cells.map((cell) => cell.padStart(9)).join("")}`);
  }
}
