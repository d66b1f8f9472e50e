/** What every search on logits has in common: its first turn, and the rules of each. */
import type { AudioState, DecoderState, Engine } from "../engine/engine.ts";
import { applyTokenRules, type TokenRules } from "../engine/token-rules.ts";
import type { AllowedPhrases } from "./allowed-phrases.ts";
import type { Hypothesis } from "./result.ts";
import { noSpeechProbability } from "./scores.ts";

export interface SearchTask {
  readonly engine: Engine;
  readonly audio: AudioState;
  /** Index in the audio state. */
  readonly window: number;
  readonly prompt: readonly number[];
  /** Index of startoftranscript in the prompt. */
  readonly sotIndex: number;
  readonly noSpeech: number;
  readonly rules: TokenRules;
  readonly phrases: AllowedPhrases | null;
  /** Most turns: tokens to generate, endoftext included. One may lie past the end of the model's text, never to be read. */
  readonly maxTurns: number;
}

export interface SearchOutcome {
  /** In the order that decides a tie. */
  readonly hypotheses: readonly Hypothesis[];
  readonly noSpeechProb: number;
}

/** The first turn of a search. */
export interface SearchStart {
  /** [nVocab] for each row, no rule applied. */
  readonly logits: readonly Float32Array[];
  readonly noSpeechProb: number;
}

/** Starts rows that all read the prompt. */
export async function startSearch(
  task: SearchTask,
  rows: number,
): Promise<SearchStart & { readonly state: DecoderState }> {
  const { state, starts } = await startSearches([task], rows);
  return { state, ...starts[0] };
}

/**
 * Starts rows of several windows in one decoder state.
 *
 * @param tasks of one engine and audio state, with prompts of the same length, each for another window
 * @param rows of each task; they lie together
 */
export async function startSearches(
  tasks: readonly SearchTask[],
  rows: number,
): Promise<{ readonly state: DecoderState; readonly starts: readonly SearchStart[] }> {
  const [{ engine, audio, sotIndex, prompt }] = tasks;
  const { nVocab } = engine.dimensions;
  const { state, logits } = await engine.startDecoder(
    audio,
    tasks.flatMap(({ window, prompt }) => Array.from({ length: rows }, () => ({ window, prompt }))),
    [sotIndex, prompt.length - 1],
  );
  const positions = splitRows(logits, nVocab);
  const starts = tasks.map(({ noSpeech }, i) => {
    const own = positions.slice(2 * rows * i, 2 * rows * (i + 1));
    return { logits: own.filter((_, j) => j % 2 === 1), noSpeechProb: noSpeechProbability(own[0], noSpeech) };
  });
  return { state, starts };
}

/** Views of [nVocab] logits each. */
export function splitRows(logits: Float32Array, nVocab: number): Float32Array[] {
  return Array.from({ length: logits.length / nVocab }, (_, i) => logits.subarray(i * nVocab, (i + 1) * nVocab));
}

/**
 * Sets the logits of forbidden tokens to -Infinity. Phrases come first, as suppressed tokens do: the last of the timestamp
 * rules weighs what is left.
 *
 * @param logits [nVocab], changed in place
 */
export function applyRules({ rules, phrases }: SearchTask, logits: Float32Array, generated: readonly number[]): void {
  phrases?.apply(logits, generated, rules);
  applyTokenRules(logits, generated, rules);
}
