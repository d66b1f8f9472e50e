/** How sure the model is that nobody speaks, a number that the quality rules read. */
import { logSumExp } from "../engine/token-rules.ts";

/**
 * Probability that a window holds no speech.
 *
 * @param logits [nVocab] at the position of startoftranscript, no rule applied (facts 2.4.4)
 * @param noSpeech id of the no-speech token
 */
export function noSpeechProbability(logits: Float32Array, noSpeech: number): number {
  return Math.exp(logits[noSpeech] - logSumExp(logits));
}
