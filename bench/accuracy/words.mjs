// Words of transcripts as they are compared: normalised as `sotto eval` does, each with its place in time.
import { normalizerFor, normalizerOf } from "../../dist/evaluation/index.js";

/**
 * @typedef {object} TimedWord
 * @property {string} word normalised; a character in languages without spaces
 * @property {number} time its middle, in seconds
 */

/** @param {string} text @param {string | null} language code; null: words are kept in any script */
export function wordsOf(text, language) {
  const normalize = normalizerOf(language === null ? "basic" : normalizerFor(language));
  return normalize(text)
    .split(/\s+/)
    .filter((word) => word !== "");
}

/**
 * The words of a transcript with their times: those of its words where it has them, else words are spread evenly over their segment.
 *
 * @param {import("./transcripts.mjs").Result} result
 * @param {(time: number) => string | null} languageAt
 * @returns {TimedWord[]}
 */
export function timedWords({ segments }, languageAt) {
  return segments.flatMap((segment) => {
    const parts = segment.words?.map(({ start, end, word }) => ({ start, end, text: word })) ?? [segment];
    return parts.flatMap(({ start, end, text }) => {
      const words = wordsOf(text, languageAt((start + end) / 2));
      return words.map((word, i) => ({ word, time: start + ((i + 0.5) * (end - start)) / words.length }));
    });
  });
}
