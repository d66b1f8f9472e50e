/** Samples of a window side by side, each token drawn at random (openai/whisper GreedyDecoder, facts 2.4.8). */
import { randomFrom } from "./random.ts";
import type { Hypothesis } from "./result.ts";
import { applyRules, splitRows, startSearch, type SearchOutcome, type SearchTask } from "./search-task.ts";
import { drawToken, topTokens } from "../engine/token-scores.ts";

interface Sample extends Hypothesis {
  readonly tokens: number[];
  sumLogprob: number;
  stop: "eot" | "length";
}

/**
 * Draws whole texts. A sample follows from the seed, the temperature and its own number: it is the same among more samples.
 *
 * @param temperature 0 takes the likeliest token, for searches that the engine's greedy generation cannot do
 */
export async function sampleTexts(
  task: SearchTask,
  { rows, temperature, seed }: { readonly rows: number; readonly temperature: number; readonly seed: number },
): Promise<SearchOutcome> {
  const { engine, rules, maxTurns } = task;
  const { eot } = rules;
  const samples = Array.from({ length: rows }, (): Sample => ({ tokens: [], sumLogprob: 0, stop: "length" }));
  const randoms = samples.map((_, row) => randomFrom(seed, temperature, row));
  const start = await startSearch(task, rows);
  let { logits } = start;
  try {
    for (let turn = 0; turn < maxTurns; turn++) {
      if (turn > 0) {
        const last = Int32Array.from(samples, ({ tokens, stop }) => (stop === "eot" ? eot : tokens[tokens.length - 1]));
        logits = splitRows(await engine.step(start.state, last), engine.dimensions.nVocab);
      }
      for (const [row, sample] of samples.entries()) {
        if (sample.stop === "eot") continue;
        applyRules(task, logits[row], sample.tokens);
        const { id, logprob } = choose(logits[row], temperature, randoms[row]);
        sample.sumLogprob += logprob;
        if (id === eot || id < 0) sample.stop = "eot";
        else sample.tokens.push(id);
      }
      if (samples.every(({ stop }) => stop === "eot")) break;
    }
  } finally {
    start.state.dispose();
  }
  return { hypotheses: samples, noSpeechProb: start.noSpeechProb };
}

/** The next token, and -1 where the rules leave none. */
function choose(logits: Float32Array, temperature: number, random: () => number): { id: number; logprob: number } {
  if (temperature > 0) return drawToken(logits, temperature, random());
  const { ids, logprobs } = topTokens(logits, 1);
  return { id: ids[0] ?? -1, logprob: logprobs[0] ?? 0 };
}
