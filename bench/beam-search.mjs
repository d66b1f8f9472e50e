// What beam search costs beside greedy decoding: one window, the same number of tokens, interleaved rounds, medians.
// Usage: node bench/beam-search.mjs CHECKPOINT [int8|float32] [tokens] [rounds]
import { openCheckpoint } from "../dist/checkpoint/index.js";
import { decodeWindow, resolveDecoding } from "../dist/decoding/index.js";
import { createCpuEngine } from "../dist/engine/index.js";
import { logMelWindow } from "../dist/features/index.js";
import { loadTokenizer } from "../dist/pipeline/index.js";

const [folder, dtype = "int8", tokens = "100", rounds = "5"] = process.argv.slice(2);
const checkpoint = await openCheckpoint(folder);
const tokenizer = await loadTokenizer(checkpoint);
const engine = await createCpuEngine(checkpoint, { dtype });
const { nMels, nTextCtx } = engine.dimensions;
const samples = Float32Array.from({ length: 480000 }, (_, i) => 0.1 * Math.sin(i * 0.01 * (1 + (i % 7))));
const mel = logMelWindow(samples, nMels);
const audio = await engine.encode({ data: mel.data, dims: [1, ...mel.dims] });
// Endoftext is forbidden, so that both generate all the tokens.
const base = resolveDecoding(tokenizer, nTextCtx, { language: "en" }, checkpoint.generation);
const decoding = { ...base, rules: { ...base.rules, suppress: [...base.rules.suppress, tokenizer.special.eot] } };
const searches = {
  greedy: { temperature: 0, sampleLength: Number(tokens) },
  "beam 1": { temperature: 0, beamSize: 1, sampleLength: Number(tokens) },
  "beam 5": { temperature: 0, beamSize: 5, sampleLength: Number(tokens) },
};
const times = Object.fromEntries(Object.keys(searches).map((name) => [name, []]));
for (let round = -1; round < Number(rounds); round++) {
  for (const [name, search] of Object.entries(searches)) {
    const started = performance.now();
    await decodeWindow(engine, audio, 0, tokenizer, "en", decoding, search);
    if (round >= 0) times[name].push(performance.now() - started);
  }
}
await engine.dispose();
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const greedy = median(times.greedy);
for (const [name, values] of Object.entries(times)) {
  const ms = median(values);
  console.log(`${name.padEnd(8)} ${ms.toFixed(0)} ms, ${(ms / greedy).toFixed(2)} x greedy`);
}
