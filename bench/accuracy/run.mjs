// How good transcripts are: sotto's algorithms and dtypes beside the programs of Python, on recordings of people and on sounds without speech.
// Usage: node bench/accuracy/run.mjs [--sets short,long] [--systems sotto:vad,openai-whisper] [--python PYTHON] ... (README.md of this folder)
import { writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadAudio } from "../../dist/index.js";
import { writeSamples } from "./audio-files.mjs";
import { details, table } from "./report.mjs";
import { scoreOf } from "./scores.mjs";
import { loadSet, SETS } from "./sets.mjs";
import { selectSystems, systemOf, SYSTEMS } from "./systems.mjs";
import { Transcripts } from "./transcripts.mjs";

const { SOTTO_REAL_MODELS, SOTTO_REAL_AUDIO } = process.env;
const root = fileURLToPath(new URL("../..", import.meta.url));
const { values } = parseArgs({
  options: {
    sets: { type: "string", default: "short,long,hour,silence,faults" },
    systems: { type: "string" },
    only: { type: "string" },
    model: {
      type: "string",
      default: join(SOTTO_REAL_MODELS || join(homedir(), ".cache/sotto-real"), "hf/whisper-base"),
    },
    audio: { type: "string", default: resolve(root, SOTTO_REAL_AUDIO || "../shared/audio/real") },
    faults: { type: "string", default: join(root, "../shared/faults") },
    python: { type: "string" },
    sotto: { type: "string", default: root },
    cache: { type: "string", default: join(root, "node_modules/.cache/accuracy") },
    minutes: { type: "string", default: "60" },
    threads: { type: "string", default: "1" },
    json: { type: "string" },
    details: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
});

if (values.list) {
  console.log(SYSTEMS.join("\n"));
  process.exit();
}

const places = {
  model: resolve(values.model),
  sotto: resolve(values.sotto),
  python: values.python ?? null,
  threads: Number(values.threads),
};
const cache = resolve(values.cache);
const sources = {
  audio: resolve(values.audio),
  faults: resolve(values.faults),
  joinedSeconds: 60 * Number(values.minutes),
  loadAudio,
};
const systems = selectSystems(values.systems?.split(",")).map((name) => systemOf(name, places));
for (const name of values.sets.split(",")) {
  if (!Object.hasOwn(SETS, name))
    throw new Error(`There is no set "${name}", expected some of ${Object.keys(SETS).join(", ")}`);
}

const transcripts = new Transcripts(cache);
const report = [];
for (const set of values.sets.split(",")) {
  let items;
  try {
    items = await prepared(await loadSet(set, sources));
  } catch (error) {
    console.log(`\n${set}: skipped: ${error.message}`);
    continue;
  }
  console.log(`\n## ${set}: ${SETS[set]} (${items.length}, ${minutesOf(items)} min)\n`);
  const rows = [];
  for (const system of systems) {
    const row = await runSystem(system, items);
    rows.push(row);
    report.push({ set, ...row });
    if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(report, null, 1));
  }
  console.log(table(rows));
  if (values.details) console.log(details(rows));
}
await transcripts.end();

/** The recordings of a set as files of samples. */
async function prepared(items) {
  const chosen = items.filter(({ name }) => values.only === undefined || new RegExp(values.only).test(name));
  const files = [];
  for (const item of chosen) {
    const samples = await item.load();
    files.push({ ...item, seconds: samples.length / 16000, file: writeSamples(join(cache, "samples"), samples) });
  }
  return files;
}

function minutesOf(items) {
  return (items.reduce((sum, { seconds }) => sum + seconds, 0) / 60).toFixed(1);
}

/**
 * A system that fails on the first recording is skipped: it lacks an option, or a file. One that fails on others has written nothing for them.
 *
 * @returns a row of the table: `skipped` with the reason, or `results` with the scores, and `failures`
 */
async function runSystem(system, items) {
  const { name, missing } = system;
  if (missing !== null) return { system: name, skipped: missing };
  const results = [];
  const failures = [];
  for (const { file, load: _load, ...item } of items) {
    let result;
    try {
      result = await transcripts.transcribe(system, file);
    } catch (error) {
      const [reason] = error.message.split("\n");
      if (results.length === 0) return { system: name, skipped: `${item.name}: ${reason}` };
      failures.push(`${item.name}: ${reason}`);
      result = { text: "", language: null, segments: [], seconds: 0, cpuSeconds: 0 };
    }
    results.push({ item, result, score: scoreOf(item, result) });
    if (process.stderr.isTTY) process.stderr.write(`\r${name}: ${results.length} of ${items.length}\x1b[K`);
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  return { system: name, results, failures };
}
