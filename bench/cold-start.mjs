// Process start to printed transcript, as a user sees it: the command line on a sample with the bundled model, weights packed.
// Usage: node bench/cold-start.mjs [sample] [rounds]
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const [sample = "samples/en-medium.flac", rounds = "7"] = process.argv.slice(2);
const times = [];
for (let round = -1; round < Number(rounds); round++) {
  const started = performance.now();
  const { status, stdout } = spawnSync(process.execPath, ["dist/cli/main.js", sample, "--model", "nano", "--quiet"], {
    cwd: root,
  });
  if (status !== 0 || stdout.length === 0) throw new Error(`sotto ${sample} failed with exit code ${status}`);
  if (round >= 0) times.push(performance.now() - started); // the first run packs the weights
}
times.sort((a, b) => a - b);
const ms = (value) => value.toFixed(0);
console.log(`${sample}: median ${ms(times[times.length >> 1])} ms, ${ms(times[0])} to ${ms(times.at(-1))} ms`);
