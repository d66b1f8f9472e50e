// Live captions of recordings in pieces of 100 ms, each waited for: computing per second of audio, and how late texts are.
// Usage: node bench/live.mjs MODEL RECORDING...
import { loadAudio, SAMPLE_RATE } from "../dist/audio/index.js";
import { Endpointer, LiveSession } from "../dist/live/index.js";
import { loadSileroVad, WhisperPipeline } from "../dist/pipeline/index.js";

const PIECE = SAMPLE_RATE / 10;
const [model, ...recordings] = process.argv.slice(2);
const pipeline = await WhisperPipeline.fromPretrained(model);
const network = await loadSileroVad();

let encoded = 0;
for (const name of ["encode", "encodeSamples"]) {
  const compute = pipeline.engine[name]?.bind(pipeline.engine);
  if (compute === undefined) continue;
  pipeline.engine[name] = (...all) => {
    encoded++;
    return compute(...all);
  };
}
const median = (all) => all.toSorted((a, b) => a - b)[all.length >> 1] ?? 0;

/** Milliseconds of each call, and what came of it. */
async function listen(samples) {
  const calls = [];
  let call = { events: [] };
  const session = new LiveSession(pipeline.context, {}, ({ type }) => call.events.push(type));
  const timed = async (work) => {
    call = { events: [], before: encoded, start: performance.now() };
    await work();
    calls.push({ ms: performance.now() - call.start, events: call.events, encoded: encoded - call.before });
  };
  for (let at = 0; at < samples.length; at += PIECE) {
    await timed(() => session.push(samples.subarray(at, at + PIECE)));
  }
  await timed(() => session.end());
  return calls;
}

function endpointingMs(samples) {
  const settings = { voice: {}, silenceSeconds: 1.5, lateSilenceSeconds: 0.5, prefixSeconds: 1 };
  const endpointer = new Endpointer(network, settings);
  const start = performance.now();
  for (let at = 0; at < samples.length; at += PIECE) endpointer.push(samples.subarray(at, at + PIECE));
  return performance.now() - start;
}

await listen((await loadAudio(recordings[0])).subarray(0, 3 * SAMPLE_RATE)); // warms up
for (const recording of recordings) {
  const samples = await loadAudio(recording);
  const seconds = samples.length / SAMPLE_RATE;
  const calls = await listen(samples);
  const ends = calls.filter(({ events }) => events.includes("final")).map(({ ms }) => ms);
  const steps = calls.filter(({ events, encoded }) => encoded > 0 && !events.includes("final")).map(({ ms }) => ms);
  const total = calls.reduce((sum, { ms }) => sum + ms, 0);
  const windows = calls.reduce((sum, call) => sum + call.encoded, 0);
  console.log(
    `${recording}: ${seconds.toFixed(1)} s, ${(total / seconds).toFixed(0)} ms a second of audio, ` +
      `of which endpointing ${(endpointingMs(samples) / seconds).toFixed(1)}; ${windows} encoder runs; ` +
      `hypotheses ${median(steps).toFixed(0)} ms, final texts ${median(ends).toFixed(0)} ms (medians of ${steps.length} and ${ends.length})`,
  );
}
await pipeline.dispose();
