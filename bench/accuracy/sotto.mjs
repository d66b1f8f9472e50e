// Transcribes recordings with sotto, in a process of its own. Protocol: that of peers.py.
// Usage: node sotto.mjs DIST/index.js MODEL DTYPE THREADS
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { readSamples } from "./audio-files.mjs";

const [entry, model, dtype, threads] = process.argv.slice(2);
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const { WhisperPipeline } = await import(pathToFileURL(entry));
const loading = performance.now();
const pipeline = await WhisperPipeline.fromPretrained(model, { dtype, threads: Number(threads) });
answer({ ready: true, version: "sotto", loadSeconds: (performance.now() - loading) / 1000 });

for await (const line of createInterface({ input: process.stdin })) {
  const { samples: path, options } = JSON.parse(line);
  try {
    const samples = await readSamples(path);
    const started = performance.now();
    const cpu = process.cpuUsage();
    const transcript = await pipeline.transcribe(samples, options);
    const { user, system } = process.cpuUsage(cpu);
    const { text, language, warnings, coverage } = transcript;
    answer({
      text,
      language,
      segments: transcript.segments.map(({ start, end, text, words, language }) => ({
        start,
        end,
        text,
        words,
        language,
      })),
      warnings,
      coverage,
      seconds: (performance.now() - started) / 1000,
      cpuSeconds: (user + system) / 1e6,
      peakBytes: process.resourceUsage().maxRSS * 1024,
    });
  } catch (error) {
    answer({ error: error.message });
  }
}
await pipeline.dispose();
