/**
 * Decodes a window again, at higher and higher temperatures, until it is good enough (openai/whisper's
 * `decode_with_fallback`, facts 2.3.4).
 *
 * Known shortcoming, kept so that texts are openai/whisper's: when nothing is good enough the last attempt is taken, though
 * an earlier one may have been better (faster-whisper takes the best, facts 3.2.9).
 */
import type { DecodingResult } from "../decoding/index.ts";
import type { FallbackReason, FailedAttempt } from "./transcript.ts";

/** Above this compression ratio text repeats itself: openai/whisper's default. */
export const REPETITIVE_COMPRESSION_RATIO = 2.4;
/** Below this entropy of its last tokens, in nats, text repeats itself: whisper.cpp's default. */
export const REPETITIVE_ENTROPY = 2.4;

/** What a window must reach; null for a rule that is turned off. */
export interface Thresholds {
  /** Higher: the text repeats itself. */
  readonly compressionRatio: number | null;
  /** Lower: the end of the text repeats itself (whisper.cpp's rule). */
  readonly entropy: number | null;
  /** Lower: the model was unsure. */
  readonly logprob: number | null;
  /** Higher: nobody speaks, unless the model is sure of its text. */
  readonly noSpeech: number | null;
}

export type WindowScores = Pick<
  DecodingResult,
  "compressionRatio" | "entropy" | "avgLogprob" | "noSpeechProb" | "temperature"
>;

/**
 * Why a window should be decoded again: nothing, if it is good, or if it is silence, of which no temperature makes
 * speech. Silence also excuses text that repeats itself, as in openai/whisper, but not from whisper.cpp's rule of entropy, as in
 * whisper.cpp.
 */
export function fallbackReasons(scores: WindowScores, thresholds: Thresholds): FallbackReason[] {
  const { compressionRatio, entropy, logprob, noSpeech } = thresholds;
  const reasons: FallbackReason[] = [];
  if (entropy !== null && scores.entropy !== null && scores.entropy < entropy) reasons.push("entropy");
  const isRepetitive = compressionRatio !== null && scores.compressionRatio > compressionRatio;
  const isUnsure = logprob !== null && scores.avgLogprob < logprob;
  if (noSpeech !== null && scores.noSpeechProb > noSpeech && isUnsure) return reasons;
  if (isRepetitive) reasons.push("compressionRatio");
  if (isUnsure) reasons.push("avgLogprob");
  return reasons;
}

/** Whether nobody speaks in a window, so that its text is left out (facts 2.3.6). */
export function isSilent(scores: WindowScores, { noSpeech, logprob }: Thresholds): boolean {
  if (noSpeech === null || !(scores.noSpeechProb > noSpeech)) return false;
  return logprob === null || !(scores.avgLogprob > logprob);
}

/**
 * @param attempts how often a window can be tried, 1 or more
 * @param decode makes attempt 0, 1, 2 ...
 * @returns the first good attempt, else the last, and all that were not good enough
 */
export async function decodeWithFallback<T extends WindowScores>(
  attempts: number,
  thresholds: Thresholds,
  decode: (attempt: number) => Promise<T>,
): Promise<{ result: T; failed: FailedAttempt[] }> {
  const failed: FailedAttempt[] = [];
  for (let attempt = 0; ; attempt++) {
    const result = await decode(attempt);
    const reasons = fallbackReasons(result, thresholds);
    if (reasons.length === 0) return { result, failed };
    failed.push({ temperature: result.temperature, reasons });
    if (attempt + 1 >= attempts) return { result, failed };
  }
}
