// The table's work by PyTorch code on the same GPU: peers.py says how. Systems that are not installed are left out.
//
//   node bench/gpu/peers.mjs [--small] [--runs=3] [--model=large-v2]
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chunkWindows, windowLayout } from "../../dist/transcription/index.js";
import { digits, flag, isSmall, loadResult, save } from "./report.mjs";
import { dimensionsOf } from "./sizes.mjs";
import { tokenCounts } from "./workload.mjs";

const script = fileURLToPath(new URL("peers.py", import.meta.url));
const model = flag("model", "large-v2");
const runs = Number(flag("runs", isSmall ? 1 : 3));
const dimensions = dimensionsOf(model);

/** Seconds of audio, and rows of a batch; openai/whisper decodes a window at a time by itself, and a batch where it is given one. */
const SYSTEMS = isSmall
  ? { transformers: [[4, 13], [2, 8]], openai: [[4], [1, 2]] } // prettier-ignore
  : { transformers: [[60, 600, 3600], [32, 180]], openai: [[60, 600], [1, 32]] }; // prettier-ignore

/** What transformers wants to know of a checkpoint; large-v3's ids differ by one, which costs nothing. */
const generation = JSON.parse(
  readFileSync(new URL("../../models/nano/generation_config.json", import.meta.url), "utf8"),
);

/** Seconds that a system may take. */
const LIMIT = Number(flag("limit", "270"));

const folder = mkdtempSync(join(tmpdir(), "sotto-peers-"));
const results = {};
for (const [system, [lengths, batchSizes]] of Object.entries(SYSTEMS)) {
  const rows = lengths.map((seconds) => {
    const spans = chunkWindows(16000 * seconds, windowLayout(undefined, undefined, dimensions.nAudioCtx / 50));
    return { seconds, windows: spans.map(({ start, length }) => [start, length]), counts: tokenCounts(spans.length) };
  });
  const work = join(folder, `${system}.json`);
  const out = join(folder, `${system}-results.json`);
  writeFileSync(work, JSON.stringify({ dimensions, generation, rows, runs, batchSizes }));
  const lines = await python([script, system, work, out]);
  results[system] = existsSync(out)
    ? JSON.parse(readFileSync(out, "utf8"))
    : { version: lines.at(-1) ?? "ended", rows: partial(lines) };
}
rmSync(folder, { recursive: true });

/** Runs python3 until it ends or its time is over. @returns what it printed */
function python(args) {
  return new Promise((done) => {
    const child = spawn("python3", ["-u", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), 1000 * LIMIT);
    let output = "";
    const keep = (text) => {
      output += text;
      process.stdout.write(text);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("close", () => {
      clearTimeout(timer);
      done(output.trim().split("\n"));
    });
    child.on("error", () => done(["python3 cannot be run"]));
  });
}

/** Rows that were printed before the time was over. */
function partial(lines) {
  return lines.filter((line) => line.startsWith("RESULT ")).map((line) => JSON.parse(line.slice("RESULT ".length)));
}

const own = loadResult("table")?.results ?? [];
const ownMs = (seconds) => own.find((row) => row.model === model && row.seconds === seconds)?.ms;
save("peers", { model, runs, results }, [
  {
    title: `The same work in PyTorch, ${model}, median of ${runs} runs; rows of a batch run to the longest of them`,
    columns: ["system", "by", "audio, s", "batch", "s", "x real time", "of sotto's time"],
    rows: Object.values(results).flatMap(({ version, rows }) =>
      rows.length === 0
        ? [[`${version}`.slice(0, 120), "no result"]]
        : rows.map(({ way, seconds, batch, ms }) => [
            ...[version, way, seconds, batch, digits(ms / 1e3), digits((1e3 * seconds) / ms)],
            ownMs(seconds) === undefined ? "" : `${digits(ms / ownMs(seconds))}x`,
          ]),
    ),
  },
]);
