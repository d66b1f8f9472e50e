/** Decodes a window again, at higher and higher temperatures, until nothing is wrong with its text; else takes the best that was found. */
import type { DecodingResult } from "../../decoding/index.ts";
import {
  fallbackReasons,
  isSilent,
  REPETITIVE_COMPRESSION_RATIO,
  REPETITIVE_ENTROPY,
  type Thresholds,
} from "../fallback.ts";
import type { FailedAttempt, FallbackReason } from "../transcript.ts";

/** Nobody says so many words a second; a letter of a script without spaces counts as half a word. */
const MOST_WORDS_PER_SECOND = 9;
/** Words that are always possible: speech found is shorter than speech by what is silent at its edges. */
const WORDS_IN_PASSING = 4;

/** What is wrong with the text of so many seconds of speech. */
export function faultsOf(result: DecodingResult, thresholds: Thresholds, seconds: number): FallbackReason[] {
  const reasons = fallbackReasons(result, thresholds);
  if (wordsOf(result.text) > MOST_WORDS_PER_SECOND * seconds + WORDS_IN_PASSING) reasons.push("speechRate");
  return reasons;
}

/**
 * Above this no-speech probability a window holds no speech, however sure the model is of its text. With base, windows of speech have up to 0.12,
 * half a second of it up to 0.64, and instruments that voice activity detection takes for a voice, of which the model writes "you", 0.86 to 0.94.
 */
const SURELY_NO_SPEECH = 0.8;
/** Below this mean log-probability, at the best temperature, a text is nothing that anybody said. */
const LEAST_LOGPROB = -2;

/** Whether the text of a window is to be left out, since nobody speaks in it. */
export function isNoSpeech(result: DecodingResult, thresholds: Thresholds): boolean {
  if (isSilent(result, thresholds)) return true;
  const { noSpeech, logprob } = thresholds;
  if (noSpeech !== null && result.noSpeechProb > Math.max(noSpeech, SURELY_NO_SPEECH)) return true;
  return logprob !== null && result.avgLogprob < Math.min(logprob, LEAST_LOGPROB);
}

function wordsOf(text: string): number {
  const letters = text.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/gu)?.length ?? 0;
  const words = text.match(/[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]+/gu)?.length ?? 0;
  return words + letters / 2;
}

/**
 * @param attempts how often the window can be tried, 1 or more
 * @param faultsOf what is wrong with a result
 * @param decode makes attempt 0, 1, 2 ...
 * @returns the first attempt without a fault, else the likeliest, rather of those whose text may have been said; and all that had a fault
 */
export async function retry(
  attempts: number,
  faultsOf: (result: DecodingResult) => readonly FallbackReason[],
  decode: (attempt: number) => Promise<DecodingResult>,
): Promise<{ result: DecodingResult; failed: FailedAttempt[] }> {
  const tried: { result: DecodingResult; reasons: readonly FallbackReason[] }[] = [];
  const failed: FailedAttempt[] = [];
  for (let attempt = 0; attempt < attempts; attempt++) {
    const result = await decode(attempt);
    const reasons = faultsOf(result);
    if (reasons.length === 0) return { result, failed };
    tried.push({ result, reasons });
    failed.push({ temperature: result.temperature, reasons });
  }
  const plausible = tried.filter(({ result, reasons }) => !isImplausible(result, reasons));
  const candidates = plausible.length > 0 ? plausible : tried;
  const [best] = [...candidates].sort((a, b) => b.result.avgLogprob - a.result.avgLogprob);
  return { result: best.result, failed };
}

/**
 * Whether a text cannot have been said: it repeats itself, or is too long. A threshold that is stricter than usual asks for another attempt, and
 * says nothing of the kind: else what fails it at low temperatures, the text itself, would give way to whatever else a high one makes.
 */
function isImplausible({ compressionRatio, entropy }: DecodingResult, reasons: readonly FallbackReason[]): boolean {
  if (reasons.includes("compressionRatio") && compressionRatio > REPETITIVE_COMPRESSION_RATIO) return true;
  if (reasons.includes("entropy") && entropy !== null && entropy < REPETITIVE_ENTROPY) return true;
  return reasons.includes("speechRate");
}
