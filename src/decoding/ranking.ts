/** Which of several texts of a window is the best (openai/whisper MaximumLikelihoodRanker, facts 2.4.9). */
import type { Hypothesis } from "./result.ts";

/**
 * The hypothesis of the largest sum of log-probabilities over length, or over ((5 + length) / 6) ^ lengthPenalty. The first
 * wins a tie. Endoftext does not count in the length. An empty text has length 1 here: openai/whisper divides by 0.
 *
 * @param hypotheses at least one
 */
export function best(hypotheses: readonly Hypothesis[], lengthPenalty: number | null): Hypothesis {
  let [winner] = hypotheses;
  for (const hypothesis of hypotheses) {
    if (score(hypothesis, lengthPenalty) > score(winner, lengthPenalty)) winner = hypothesis;
  }
  return winner;
}

function score({ tokens: { length }, sumLogprob }: Hypothesis, lengthPenalty: number | null): number {
  return sumLogprob / (lengthPenalty === null ? Math.max(1, length) : ((5 + length) / 6) ** lengthPenalty);
}
