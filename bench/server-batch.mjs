// Sixteen short clips posted to a server at once, beside the same clips as one local batch: what the protocol and the queue cost.
// Usage: node bench/server-batch.mjs [MODEL] [rounds]
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WhisperPipeline } from "../dist/index.js";
import { resolveConfig, startServer } from "../dist/server/index.js";

const [model = "nano", rounds = "7"] = process.argv.slice(2);
const samples = fileURLToPath(new URL("../samples", import.meta.url));
const short = readdirSync(samples).filter((name) => /short.*\.(wav|flac|mp3)$/.test(name));
const clips = Array.from({ length: 16 }, (_, i) => join(samples, short[i % short.length]));

const pipeline = await WhisperPipeline.fromPretrained(model);
const server = await startServer(resolveConfig({ models: [model], port: 0, logLevel: "silent" }));

async function post(path) {
  const body = new FormData();
  body.set("file", new Blob([readFileSync(path)]), "clip.wav");
  body.set("model", server.service.models[0].id);
  body.set("response_format", "verbose_json");
  const response = await fetch(`${server.url}/v1/audio/transcriptions`, { method: "POST", body });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()).text;
}

async function transcribeAll() {
  for await (const { error } of pipeline.transcribeMany(clips)) if (error) throw error;
}

const ways = {
  local: transcribeAll,
  server: () => Promise.all(clips.map(post)),
};
const times = { local: [], server: [] };
for (let round = -1; round < Number(rounds); round++) {
  for (const [name, way] of Object.entries(ways)) {
    const started = performance.now();
    await way();
    if (round >= 0) times[name].push(performance.now() - started);
  }
}
await server.close();
await pipeline.dispose();
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const [local, posted] = [median(times.local), median(times.server)];
console.log(
  `${clips.length} clips: local batch ${local.toFixed(0)} ms, server ${posted.toFixed(0)} ms, ${(posted / local).toFixed(2)}x`,
);
