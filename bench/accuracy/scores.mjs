// What is wrong with a transcript: words that were not heard, heard as others, or that nobody said; what is said twice; what is written
// where nobody speaks.
import { align, totalErrors } from "../../dist/evaluation/index.js";
import { timedWords, wordsOf } from "./words.mjs";

/**
 * @typedef {object} Score counts of one recording, or of many
 * @property {import("../../dist/evaluation/index.js").ErrorRate | null} errors null where nothing is known of what is said
 * @property {number} lost words in deletions of at least LOST_WORDS in a row: clauses and sentences
 * @property {number} repeats repetitions of at least REPEAT_WORDS words directly behind themselves, beyond those of the reference
 * @property {number} invented words in places where nobody speaks, that are not in the reference
 * @property {number} misplaced words of the reference in places where nobody speaks: their times are wrong
 * @property {{ kind: string, reference: string, hypothesis: string }[]} differences
 */

const LOST_WORDS = 5;
const REPEAT_WORDS = 3;
/** Longer phrases are not looked for. */
const LONGEST_REPEAT = 60;
/** A word this far from speech is outside it, in seconds: times of segments are not better in any program. */
const TOLERANCE = 0.5;

/**
 * @param {import("./sets.mjs").Item} item
 * @param {import("./transcripts.mjs").Result} result
 * @returns {Score}
 */
export function scoreOf(item, result) {
  const { reference, hypothesis, words } = comparedWords(item, result);
  if (reference === null) {
    return { errors: null, lost: 0, repeats: countRepeats(hypothesis), invented: 0, misplaced: 0, differences: [] };
  }
  const alignment = align(reference, hypothesis);
  const runs = alignment.edits.filter(({ kind }) => kind !== "hit");
  const differences = runs.map(({ kind, reference: [r0, r1], hypothesis: [h0, h1] }) => ({
    kind,
    reference: reference.slice(r0, r1).join(" "),
    hypothesis: hypothesis.slice(h0, h1).join(" "),
  }));
  const lengths = runs.filter(({ kind }) => kind === "deletion").map(({ reference: [from, to] }) => to - from);
  return {
    errors: totalErrors([alignment]),
    lost: lengths.filter((length) => length >= LOST_WORDS).reduce((sum, length) => sum + length, 0),
    repeats: Math.max(0, countRepeats(hypothesis) - countRepeats(reference)),
    ...outsideSpeech(item.speech, reference, words),
    differences,
  };
}

/**
 * Reference and hypothesis in words. Texts of one language are normalised whole; in a recording of several, each stretch and each segment
 * by the language that is spoken there.
 */
function comparedWords({ language, reference, speech }, result) {
  const languageAt = (time) => language ?? nearest(speech, time)?.language ?? null;
  const words = timedWords(result, languageAt);
  if (reference !== null) {
    return { reference: wordsOf(reference, language), hypothesis: wordsOf(result.text, language), words };
  }
  const hypothesis = words.map(({ word }) => word);
  const texts = speech?.length && speech.every(({ text }) => text !== undefined) ? speech : null;
  return { reference: texts?.flatMap(({ text, language }) => wordsOf(text, language)) ?? null, hypothesis, words };
}

function nearest(speech, time) {
  const distance = ({ start, end }) => Math.max(start - time, time - end, 0);
  return speech?.reduce((best, one) => (best === null || distance(one) < distance(best) ? one : best), null);
}

/** Words whose time is outside all speech by more than the tolerance; a word that the reference has is only at the wrong place. */
function outsideSpeech(speech, reference, words) {
  if (speech === null) return { invented: 0, misplaced: 0 };
  const isOutside = ({ time }) => speech.every(({ start, end }) => time < start - TOLERANCE || time > end + TOLERANCE);
  const counts = { invented: 0, misplaced: 0 };
  const { edits } = align(
    reference,
    words.map(({ word }) => word),
  );
  for (const {
    kind,
    hypothesis: [from, to],
  } of edits) {
    counts[kind === "hit" ? "misplaced" : "invented"] += words.slice(from, to).filter(isOutside).length;
  }
  return counts;
}

/** How often a phrase of REPEAT_WORDS words or more stands directly behind itself: "a b c a b c a b c" is two. */
export function countRepeats(words) {
  let repeats = 0;
  let at = 0;
  while (at + 2 * REPEAT_WORDS <= words.length) {
    const length = repeatedLength(words, at);
    if (length > 0) repeats++;
    at += Math.max(1, length);
  }
  return repeats;
}

/** Length of the shortest phrase that begins here and follows itself; 0 if there is none. */
function repeatedLength(words, at) {
  const longest = Math.min(LONGEST_REPEAT, (words.length - at) >> 1);
  for (let length = REPEAT_WORDS; length <= longest; length++) {
    let i = 0;
    while (i < length && words[at + i] === words[at + length + i]) i++;
    if (i === length) return length;
  }
  return 0;
}

/** Adds up scores. Recordings of which it is not known what is said count for repeats alone. */
export function totalScore(scores) {
  const sum = (of) => scores.reduce((total, score) => total + of(score), 0);
  return {
    errors: totalErrors(scores.flatMap(({ errors }) => errors ?? [])),
    lost: sum(({ lost }) => lost),
    repeats: sum(({ repeats }) => repeats),
    invented: sum(({ invented }) => invented),
    misplaced: sum(({ misplaced }) => misplaced),
  };
}
