/** Which language a recording is in, by the evidence of several windows that hold speech, and whether a window is in another. */
import type { LanguageDetection } from "../../decoding/index.ts";

/** Windows at the beginning of a recording whose evidence is taken together: two minutes of speech. */
export const EVIDENCE_WINDOWS = 4;

/** A window changes the language only if it is so sure of another. */
const CLEAR = 0.6;

/** A window's detection, and how much speech it rests on. */
export interface LanguageEvidence {
  readonly detection: LanguageDetection;
  readonly speechSeconds: number;
}

/** The likeliest language of windows together: probabilities are weighted with the seconds of speech. */
export function likeliestLanguage(evidence: readonly LanguageEvidence[]): { language: string; probability: number } {
  const sums = new Map<string, number>();
  let total = 0;
  for (const { detection, speechSeconds } of evidence) {
    total += speechSeconds;
    for (const [code, probability] of Object.entries(detection.probabilities)) {
      sums.set(code, (sums.get(code) ?? 0) + probability * speechSeconds);
    }
  }
  let [language, largest] = ["en", -Infinity];
  for (const [code, sum] of sums) if (sum > largest) [language, largest] = [code, sum];
  return { language, probability: total > 0 ? largest / total : 0 };
}

/** The language of a window in a recording that may change it. @param current that of the window before */
export function nextLanguage(current: string, { language, probability }: LanguageDetection): string {
  return probability >= CLEAR ? language : current;
}
