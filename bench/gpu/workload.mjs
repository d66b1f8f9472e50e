// What is transcribed: windows of 30 s with strides of 5 s, and how many tokens each of them says. With random weights no text ends by itself, so
// every row's length is laid down: drawn from a normal distribution of mean 100 and deviation 30, cut off at 10 and 224, which is about
// what half a minute of speech takes; endoftext is suppressed.
import { readFileSync } from "node:fs";
import { chunkWindows, windowLayout } from "../../dist/transcription/index.js";
import { normals } from "./gpu.mjs";
import { isSmall } from "./report.mjs";
import { specialsOf } from "./sizes.mjs";

const SAMPLE_RATE = 16000;
const [MEAN, DEVIATION, LEAST, MOST] = isSmall ? [10, 3, 4, 20] : [100, 30, 10, 224];

/** Said of the distribution beside every table. */
export const DISTRIBUTION = `normal(${MEAN}, ${DEVIATION}) cut to ${LEAST}..${MOST}, seed 1`;

/** Tokens of each of so many windows. */
export function tokenCounts(windows) {
  const draws = normals(windows, DEVIATION, 1, MEAN);
  return Array.from(draws, (draw) => Math.round(Math.min(MOST, Math.max(LEAST, draw))));
}

/** So many seconds of noise whose loudness comes and goes like speech. */
export function audioOf(seconds) {
  const noise = normals(1 << 20, 0.1, 2);
  const samples = new Float32Array(seconds * SAMPLE_RATE);
  for (let start = 0; start < samples.length; start += noise.length) {
    samples.set(noise.subarray(0, Math.min(noise.length, samples.length - start)), start);
  }
  const syllable = SAMPLE_RATE / 4;
  for (let i = 0; i < samples.length; i++) samples[i] *= 0.55 + 0.45 * Math.sin((2 * Math.PI * i) / syllable);
  return samples;
}

/** The windows of a recording, as views of its samples. */
export function windowsOf(samples, dimensions) {
  const layout = windowLayout(undefined, undefined, dimensions.nAudioCtx / 50);
  return chunkWindows(samples.length, layout).map(({ start, length }) => samples.subarray(start, start + length));
}

/** What transcribing without timestamps in a known language asks of the engine, with the suppressed ids of the published models. */
export function requestsOf(counts, dimensions) {
  const t = specialsOf(dimensions);
  const config = JSON.parse(readFileSync(new URL("../../models/nano/generation_config.json", import.meta.url), "utf8"));
  const rules = {
    eot: t.eot,
    timestampBegin: t.timestampBegin,
    suppress: [...config.suppress_tokens, t.eot],
    suppressAtBegin: config.begin_suppress_tokens,
    timestamps: null,
  };
  return counts.map((maxNewTokens, window) => ({
    window,
    prompt: [t.sot, t.english, t.transcribe, t.noTimestamps],
    sotIndex: 0,
    noSpeech: t.noSpeech,
    rules,
    maxNewTokens,
  }));
}
