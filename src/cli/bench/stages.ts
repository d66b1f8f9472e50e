/**
 * Times the stages of a transcription on this machine: log-Mel, encoder, generation at several batch sizes, whole windows.
 *
 * The work is fixed: noise as audio, and a fixed number of tokens a window (endoftext is forbidden), since what a model says
 * decides how long it takes. Rounds of the stages are interleaved, and medians reported, so that a machine that slows down for
 * a while slows all stages and not one.
 */
import type { AudioState, Engine } from "../../engine/index.ts";
import { HOP_LENGTH, logMelWindow } from "../../features/index.ts";
import { windowFrames } from "../../model/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";

export interface StageOptions {
  /** Rounds whose median is reported. */
  readonly rounds: number;
  /** Tokens generated for each window. */
  readonly tokens: number;
  /** Windows of the batch. */
  readonly batch: number;
}

/** Time of one stage. */
export interface StageTime {
  readonly stage: string;
  /** Median of the rounds. */
  readonly ms: number;
  /** Fastest and slowest round. */
  readonly range: readonly [fastest: number, slowest: number];
  /** What one second of it would do: "41x real time", "350 tokens/s"; "" for nothing of the kind. */
  readonly rate: string;
}

interface Stage {
  readonly name: string;
  readonly run: () => Promise<void>;
  readonly rate: (ms: number) => string;
}

/** Seconds of a window. */
const WINDOW_SECONDS = 30;

/** Noise that is the same in every run; any signal would do, silence may take short cuts. */
function noise(samples: number): Float32Array {
  const audio = new Float32Array(samples);
  let state = 1;
  for (let i = 0; i < samples; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    audio[i] = 0.1 * (state / 0x40000000 - 1);
  }
  return audio;
}

const realTime = (seconds: number) => (ms: number) => `${((seconds * 1000) / ms).toFixed(1)}x real time`;
const tokenRate = (tokens: number) => (ms: number) => `${((tokens * 1000) / ms).toFixed(0)} tokens/s`;

/** @returns stages in the order of the work; each has run once before it is timed */
export async function timeStages(
  engine: Engine,
  tokenizer: Tokenizer,
  { rounds, tokens, batch }: StageOptions,
): Promise<StageTime[]> {
  const { nMels } = engine.dimensions;
  const frames = windowFrames(engine.dimensions);
  const samples = noise(frames * HOP_LENGTH);
  const one = logMelWindow(samples, nMels, frames);
  const mel = (windows: number): Tensor => {
    const data = new Float32Array(windows * one.data.length);
    for (let i = 0; i < windows; i++) data.set(one.data, i * one.data.length);
    return { data, dims: [windows, nMels, frames] };
  };
  const inputs = { one: mel(1), all: mel(batch) };
  const prompt = tokenizer.sotSequence({ language: "en", task: "transcribe", timestamps: false });
  const { eot, timestampBegin, noSpeech } = tokenizer.special;
  const generate = async (audio: AudioState): Promise<void> => {
    const rules = { eot, timestampBegin, suppress: [eot], suppressAtBegin: [], timestamps: null };
    await engine.generate(
      audio,
      Array.from({ length: audio.batch }, (_, window) => ({
        window,
        prompt,
        sotIndex: 0,
        noSpeech,
        rules,
        maxNewTokens: tokens,
      })),
    );
  };
  const whole = async (input: Tensor): Promise<void> => {
    const audio = await engine.encode(input);
    await generate(audio);
    audio.dispose();
  };
  const encode = async (input: Tensor): Promise<void> => (await engine.encode(input)).dispose();

  const kept = { one: await engine.encode(inputs.one), all: await engine.encode(inputs.all) };
  const stages: Stage[] = [
    {
      name: "log-Mel, 1 window",
      run: async () => void logMelWindow(samples, nMels, frames),
      rate: realTime(WINDOW_SECONDS),
    },
    { name: "encode, 1 window", run: () => encode(inputs.one), rate: realTime(WINDOW_SECONDS) },
    { name: `encode, ${batch} windows`, run: () => encode(inputs.all), rate: realTime(WINDOW_SECONDS * batch) },
    { name: `generate ${tokens} tokens, 1 window`, run: () => generate(kept.one), rate: tokenRate(tokens) },
    {
      name: `generate ${tokens} tokens, ${batch} windows`,
      run: () => generate(kept.all),
      rate: tokenRate(tokens * batch),
    },
    { name: "whole, 1 window", run: () => whole(inputs.one), rate: realTime(WINDOW_SECONDS) },
    { name: `whole, ${batch} windows`, run: () => whole(inputs.all), rate: realTime(WINDOW_SECONDS * batch) },
  ];
  const times = stages.map((): number[] => []);
  for (const stage of stages) await stage.run();
  for (let round = 0; round < rounds; round++) {
    for (const [i, stage] of stages.entries()) {
      const started = performance.now();
      await stage.run();
      times[i].push(performance.now() - started);
    }
  }
  kept.one.dispose();
  kept.all.dispose();
  return stages.map(({ name, rate }, i) => {
    const sorted = times[i].sort((a, b) => a - b);
    const ms = sorted[sorted.length >> 1];
    return { stage: name, ms, range: [sorted[0], sorted[sorted.length - 1]], rate: rate(ms) };
  });
}
