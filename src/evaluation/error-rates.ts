/** Word and character error rates: how many edits lead from what was said to what was written, by the length of what was said. */

import { assertKnownOptions, OptionError } from "../errors.ts";
import { align, type Alignment, type EditCounts } from "./align.ts";
import { characterNormalizerOf, normalizerOf, type Normalizer } from "./normalizer.ts";
import { splitWords } from "./python-text.ts";

export interface ErrorRateOptions {
  /** What both texts go through before they are compared. Default "none": case and punctuation count. */
  readonly normalizer?: Normalizer | undefined;
}

/** Counts of one text or of many, and their rate. */
export interface ErrorRate extends EditCounts {
  /**
   * (substitutions + deletions + insertions) / referenceLength; above 1 where much was put in. With nothing said it is 0 if
   * nothing was written, else Infinity.
   */
  readonly rate: number;
  readonly errors: number;
  /** hits + substitutions + deletions */
  readonly referenceLength: number;
  /** hits + substitutions + insertions */
  readonly hypothesisLength: number;
}

/** An error rate with the texts that were compared, element by element. */
export interface AlignedErrors extends ErrorRate {
  readonly reference: readonly string[];
  readonly hypothesis: readonly string[];
  readonly edits: Alignment["edits"];
}

/**
 * The word error rate of a text, or of a corpus, whose errors and words are added up (it is not the mean of rates).
 *
 * @param reference what was said: a text, or one for each recording
 * @param hypothesis what was written: the same number of texts
 * @throws {OptionError} if the numbers of texts differ, or a normalizer does not exist
 * @throws {RangeError} if texts are too long to be aligned: 260,000 words each
 * @example
 * wordErrorRate("The colour is grey.", "the color is gray", { normalizer: "english" }).rate; // 0
 */
export function wordErrorRate(
  reference: string | readonly string[],
  hypothesis: string | readonly string[],
  options: ErrorRateOptions = {},
): ErrorRate {
  return rateOf("wordErrorRate", reference, hypothesis, options, normalizerOf, alignWords);
}

/**
 * The character error rate: the same with code points instead of words. White space between words counts as one character, at
 * the ends as none; with the normaliser `letters` it counts nowhere.
 *
 * @throws as `wordErrorRate`
 */
export function characterErrorRate(
  reference: string | readonly string[],
  hypothesis: string | readonly string[],
  options: ErrorRateOptions = {},
): ErrorRate {
  return rateOf("characterErrorRate", reference, hypothesis, options, characterNormalizerOf, alignCharacters);
}

/** Compares two texts word by word, as they are. */
export function alignWords(reference: string, hypothesis: string): AlignedErrors {
  return aligned(splitWords(reference), splitWords(hypothesis));
}

/** Compares two texts code point by code point, as they are but for white space. */
export function alignCharacters(reference: string, hypothesis: string): AlignedErrors {
  const characters = (text: string): string[] => Array.from(splitWords(text).join(" "));
  return aligned(characters(reference), characters(hypothesis));
}

/** Adds up the counts of several texts. */
export function totalErrors(parts: Iterable<EditCounts>): ErrorRate {
  const sum = { hits: 0, substitutions: 0, deletions: 0, insertions: 0 };
  for (const part of parts) {
    sum.hits += part.hits;
    sum.substitutions += part.substitutions;
    sum.deletions += part.deletions;
    sum.insertions += part.insertions;
  }
  const { hits, substitutions, deletions, insertions } = sum;
  const errors = substitutions + deletions + insertions;
  const referenceLength = hits + substitutions + deletions;
  const rate = errors === 0 ? 0 : errors / referenceLength;
  return { rate, errors, ...sum, referenceLength, hypothesisLength: hits + substitutions + insertions };
}

function aligned(reference: readonly string[], hypothesis: readonly string[]): AlignedErrors {
  const alignment = align(reference, hypothesis);
  return { ...totalErrors([alignment]), reference, hypothesis, edits: alignment.edits };
}

function rateOf(
  where: string,
  reference: string | readonly string[],
  hypothesis: string | readonly string[],
  options: ErrorRateOptions,
  normalizerOf: (normalizer: Normalizer) => (text: string) => string,
  compare: (reference: string, hypothesis: string) => EditCounts,
): ErrorRate {
  assertKnownOptions(where, options, ["normalizer"]);
  const normalize = normalizerOf(options.normalizer ?? "none");
  const references = typeof reference === "string" ? [reference] : reference;
  const hypotheses = typeof hypothesis === "string" ? [hypothesis] : hypothesis;
  if (references.length !== hypotheses.length) {
    throw new OptionError(
      "hypothesis",
      `Cannot compare ${references.length} references with ${hypotheses.length} hypotheses, expected as many of each`,
    );
  }
  return totalErrors(references.map((text, i) => compare(normalize(text), normalize(hypotheses[i]))));
}
