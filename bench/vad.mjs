// Voice activity on one thread: a recording as a whole, and in pieces of 20 ms as a stream has them.
// Usage: node bench/vad.mjs [recording] [rounds]
import { loadAudio, SAMPLE_RATE } from "../dist/audio/index.js";
import { loadSileroVad } from "../dist/pipeline/index.js";
import { speechSpans, VoiceActivityDetector } from "../dist/vad/index.js";

const [recording = "samples/en-long.flac", rounds = "15"] = process.argv.slice(2);
const samples = await loadAudio(recording);
const seconds = samples.length / SAMPLE_RATE;
const started = performance.now();
const network = await loadSileroVad();
console.log(`load: ${(performance.now() - started).toFixed(0)} ms`);

const detect = (pieceSamples) => {
  const detector = new VoiceActivityDetector(network);
  const probabilities = [];
  for (let at = 0; at < samples.length; at += pieceSamples) {
    probabilities.push(...detector.push(samples.subarray(at, at + pieceSamples)));
  }
  return [...probabilities, ...detector.finish()];
};

const whole = detect(samples.length);
const runs = { whole: () => detect(samples.length), "pieces of 20 ms": () => detect(SAMPLE_RATE / 50) };
for (const [name, run] of Object.entries(runs)) {
  if (run().join() !== whole.join()) throw new Error(`${name}: other probabilities than of the whole`);
}
const times = Object.fromEntries(Object.keys(runs).map((name) => [name, []]));
for (let round = 0; round < Number(rounds); round++) {
  for (const [name, run] of Object.entries(runs)) {
    const start = performance.now();
    run();
    times[name].push(performance.now() - start);
  }
}
for (const [name, all] of Object.entries(times)) {
  all.sort((a, b) => a - b);
  const speed = (ms) => `${((1000 * seconds) / ms).toFixed(0)}x`;
  const median = all[all.length >> 1];
  const perFrame = (1000 * median) / whole.length;
  const range = `${speed(all.at(-1))} to ${speed(all[0])}`;
  console.log(`${name}: median ${speed(median)} real time (${range}), ${perFrame.toFixed(1)} us a frame of 32 ms`);
}
const start = performance.now();
const spans = speechSpans(whole, samples.length);
console.log(`spans: ${spans.length} in ${(performance.now() - start).toFixed(2)} ms`);
