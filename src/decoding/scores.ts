/** How sure the model was of a window: two numbers that the quality rules read (facts 2.4.4, 2.4.8). */
import { logSumExp } from "../engine/token-rules.ts";

/**
 * Mean log-probability of a decoded window. Divides by one more than the tokens, for endoftext, even where the text was
 * cut before it came (facts 2.4.8, 8.9).
 *
 * @param tokenLogprobs of each generated token, with endoftext's where it was generated
 * @param nTokens generated tokens without endoftext
 */
export function averageLogprob(tokenLogprobs: ArrayLike<number>, nTokens: number): number {
  let sum = 0;
  for (let i = 0; i < tokenLogprobs.length; i++) sum += tokenLogprobs[i];
  return sum / (nTokens + 1);
}

/**
 * Probability that a window holds no speech.
 *
 * @param logits [nVocab] at the position of startoftranscript, no rule applied (facts 2.4.4)
 * @param noSpeech id of the no-speech token
 */
export function noSpeechProbability(logits: Float32Array, noSpeech: number): number {
  return Math.exp(logits[noSpeech] - logSumExp(logits));
}
