/**
 * What searching reads from the logits of one row: the likeliest tokens with their log-probabilities, and a random token.
 * A vocabulary has 51865 tokens and a beam search reads five rows a turn, so these are plain passes over the row, without an
 * allocation for each token.
 */
import type { RankedTokens, RankRequest } from "./engine.ts";
import { applyTokenRules } from "./token-rules.ts";

/**
 * Tokens this far below the likeliest one are left out of sums: all of a vocabulary together add less than 2e-6 to a sum of
 * at least 1.
 */
const NEGLIGIBLE = 24;

/** exp(-i / STEPS), down to the negligible. Exponentials are most of the work: this takes a fifth of Math.exp's time. */
const STEPS = 128;
const POWERS = Float64Array.from({ length: NEGLIGIBLE * STEPS }, (_, i) => Math.exp(-i / STEPS));

/** Some tokens, the likeliest first; of equally likely ones the lower id first. */
export interface TopTokens {
  readonly ids: readonly number[];
  /** Log-probabilities among all tokens of the row. */
  readonly logprobs: readonly number[];
}

/**
 * The k likeliest tokens of a row.
 *
 * @param logits [nVocab]; -Infinity is impossible
 * @returns fewer than k where fewer are possible
 */
export function topTokens(logits: Float32Array, k: number): TopTokens {
  const ids: number[] = [];
  const values: number[] = [];
  let threshold = -Infinity;
  for (let id = 0; id < logits.length; id++) {
    const value = logits[id];
    if (!(value > threshold)) continue;
    let place = Math.min(values.length, k - 1);
    for (; place > 0 && values[place - 1] < value; place--) {
      values[place] = values[place - 1];
      ids[place] = ids[place - 1];
    }
    values[place] = value;
    ids[place] = id;
    if (values.length === k) threshold = values[k - 1];
  }
  if (values.length === 0) return { ids, logprobs: [] };
  const normalizer = values[0] + Math.log(sumOfExp(logits, values[0], 1));
  return { ids, logprobs: values.map((value) => value - normalizer) };
}

/** In place of a token: the row is idle (`RankRequest.tokens`). */
export const IDLE = -1;

/** A turn of `stepRanked` on the logits [rows, nVocab] of its new tokens, which are changed in place; those of idle rows are not read. */
export function rankRows(logits: Float32Array, { tokens, generated, rules, k }: RankRequest): RankedTokens {
  const rows = generated.length;
  const nVocab = logits.length / rows;
  const ids = new Int32Array(rows * k).fill(-1);
  const logprobs = new Float32Array(rows * k).fill(-Infinity);
  for (let row = 0; row < rows; row++) {
    if (tokens[row] === IDLE) continue;
    const own = logits.subarray(row * nVocab, (row + 1) * nVocab);
    applyTokenRules(own, generated[row], rules);
    const top = topTokens(own, k);
    ids.set(top.ids, row * k);
    logprobs.set(top.logprobs, row * k);
  }
  return { ids, logprobs };
}

/**
 * A token drawn from softmax(logits / temperature).
 *
 * @param temperature above 0
 * @param random in [0, 1)
 * @returns the token, and its log-probability at temperature 1 (facts 2.4.8); -1 and 0 where none is possible
 */
export function drawToken(logits: Float32Array, temperature: number, random: number): { id: number; logprob: number } {
  let largest = -Infinity;
  for (let id = 0; id < logits.length; id++) if (logits[id] > largest) largest = logits[id];
  if (largest === -Infinity) return { id: -1, logprob: 0 };
  const scale = STEPS / temperature;
  let left = random * sumOfExp(logits, largest, temperature);
  let drawn = -1;
  for (let id = 0; id < logits.length && left >= 0; id++) {
    const steps = (largest - logits[id]) * scale;
    if (!(steps < POWERS.length)) continue;
    drawn = id; // the last possible one, where rounding leaves a rest
    left -= expOfMinus(steps);
  }
  return { id: drawn, logprob: logits[drawn] - largest - Math.log(sumOfExp(logits, largest, 1)) };
}

/** Sum of exp((logits - largest) / temperature), at least 1. */
function sumOfExp(logits: Float32Array, largest: number, temperature: number): number {
  const scale = STEPS / temperature;
  let sum = 0;
  for (let id = 0; id < logits.length; id++) {
    const steps = (largest - logits[id]) * scale;
    if (steps < POWERS.length) sum += expOfMinus(steps);
  }
  return sum;
}

/** exp(-steps / STEPS) for 0 to POWERS.length steps, within 1e-7 of it: a table, and a parabola for the rest. */
function expOfMinus(steps: number): number {
  const whole = steps | 0;
  const rest = (whole - steps) / STEPS;
  return POWERS[whole] * (1 + rest * (1 + rest * 0.5));
}
