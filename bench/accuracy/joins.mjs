// Whether a transcript holds all that is said, in order, at its time: seeded random joins of clips and pauses, and what must hold for each.
// Usage: node bench/accuracy/joins.mjs [--joins 200] [--seed 1] [--algorithm vad] [--dtype int8] [--options '{"wordTimestamps":true}'] ...
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { loadAudio } from "../../dist/index.js";
import { violationsOf } from "./join-checks.mjs";
import { makeJoin, usableClips } from "./join-clips.mjs";
import { seededRandom } from "./random.mjs";
import { loadSet } from "./sets.mjs";

const { SOTTO_REAL_MODELS, SOTTO_REAL_AUDIO } = process.env;
const root = fileURLToPath(new URL("../..", import.meta.url));
const { values } = parseArgs({
  options: {
    joins: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    algorithm: { type: "string" },
    dtype: { type: "string", default: "int8" },
    options: { type: "string", default: "{}" },
    model: {
      type: "string",
      default: join(SOTTO_REAL_MODELS || join(homedir(), ".cache/sotto-real"), "hf/whisper-base"),
    },
    audio: { type: "string", default: resolve(root, SOTTO_REAL_AUDIO || "../shared/audio/real") },
    sotto: { type: "string", default: root },
    threads: { type: "string", default: "1" },
  },
});

const clips = await usableClips(await loadSet("short", { audio: resolve(values.audio), loadAudio }));
const entry = pathToFileURL(join(resolve(values.sotto), "dist/index.js"));
const { WhisperPipeline } = await import(entry);
const pipeline = await WhisperPipeline.fromPretrained(resolve(values.model), {
  dtype: values.dtype,
  threads: Number(values.threads),
});
const options = {
  ...JSON.parse(values.options),
  ...(values.algorithm !== undefined && { algorithm: values.algorithm }),
};

const counts = new Map();
let faulty = 0;
let seconds = 0;
const started = performance.now();
for (let i = 0; i < Number(values.joins); i++) {
  const joined = makeJoin(clips, seededRandom(Number(values.seed) * 100_000 + i));
  const transcript = await pipeline.transcribe(joined.samples, options);
  seconds += joined.samples.length / 16000;
  const violations = violationsOf(joined, transcript);
  if (violations.length === 0) continue;
  faulty++;
  console.log(
    `join ${i}: ${joined.language}, ${joined.clips.map(({ name, start, end }) => `${name} ${start.toFixed(2)}-${end.toFixed(2)}`).join(", ")}`,
  );
  for (const { rule, message } of violations) {
    counts.set(rule, (counts.get(rule) ?? 0) + 1);
    console.log(`    ${rule}: ${message}`);
  }
}
await pipeline.dispose();
const speed = seconds / ((performance.now() - started) / 1000);
console.log(
  `\n${values.joins} joins, ${(seconds / 60).toFixed(0)} min, ${speed.toFixed(1)} x real time; ${faulty} with violations`,
);
for (const [rule, count] of counts) console.log(`    ${rule}: ${count}`);
process.exitCode = faulty === 0 ? 0 : 1;
