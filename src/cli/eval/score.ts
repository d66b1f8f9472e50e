/** Scores of transcripts: of a recording, of those of a language, of all, and what went wrong most often. */

import {
  alignCharacters,
  alignWords,
  type AlignedErrors,
  characterNormalizerOf,
  type EditKind,
  type ErrorRate,
  normalizerFor,
  type NormalizerName,
  normalizerOf,
  totalErrors,
} from "../../evaluation/index.ts";
import type { Task, Transcript } from "../../index.ts";
import type { Sample } from "./samples.ts";

/** How far one transcript is from its reference. */
export interface FileScore {
  readonly sample: Sample;
  readonly transcript: Transcript;
  /** Of the speech: as known beforehand, else as detected. */
  readonly language: string;
  readonly normalizer: NormalizerName;
  readonly words: AlignedErrors;
  /** null where the texts are too long to be compared letter by letter. */
  readonly characters: ErrorRate | null;
}

/** Compares a transcript with its reference; `auto` chooses by the language of the text. */
export function scoreOf(
  sample: Sample,
  transcript: Transcript,
  { normalizer: wanted, task }: { readonly normalizer: "auto" | NormalizerName; readonly task: Task },
): FileScore {
  const language = sample.language ?? transcript.language;
  const normalizer = wanted === "auto" ? normalizerFor(task === "translate" ? "en" : language) : wanted;
  const words = normalizerOf(normalizer);
  const characters = characterNormalizerOf(normalizer);
  return {
    sample,
    transcript,
    language,
    normalizer,
    words: alignWords(words(sample.reference), words(transcript.text)),
    characters: charactersOf(characters(sample.reference), characters(transcript.text)),
  };
}

function charactersOf(reference: string, hypothesis: string): ErrorRate | null {
  try {
    const {
      edits: _edits,
      reference: _reference,
      hypothesis: _hypothesis,
      ...rate
    } = alignCharacters(reference, hypothesis);
    return rate;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Sums over recordings. */
export interface TotalScore {
  readonly files: number;
  readonly duration: number;
  readonly words: ErrorRate;
  /** null if one of them has none. */
  readonly characters: ErrorRate | null;
}

export function totalOf(scores: readonly FileScore[]): TotalScore {
  const characters = scores.map((score) => score.characters);
  return {
    files: scores.length,
    duration: scores.reduce((sum, { transcript }) => sum + transcript.duration, 0),
    words: totalErrors(scores.map(({ words }) => words)),
    characters: characters.every((one) => one !== null) ? totalErrors(characters) : null,
  };
}

/** Totals by language, in alphabetical order. */
export function totalsByLanguage(scores: readonly FileScore[]): [language: string, total: TotalScore][] {
  const languages = [...new Set(scores.map(({ language }) => language))].sort();
  return languages.map((language) => [language, totalOf(scores.filter((score) => score.language === language))]);
}

/** One change, in normalised words: `reference` is empty in an insertion, `hypothesis` in a deletion. */
export interface Difference {
  readonly kind: Exclude<EditKind, "hit">;
  readonly reference: string;
  readonly hypothesis: string;
}

/** The changes of a text; neighbours of one kind are one change, with spaces between the words. */
export function differencesOf({ edits, reference, hypothesis }: AlignedErrors): Difference[] {
  return edits.flatMap(({ kind, reference: [r0, r1], hypothesis: [h0, h1] }) =>
    kind === "hit"
      ? []
      : [{ kind, reference: reference.slice(r0, r1).join(" "), hypothesis: hypothesis.slice(h0, h1).join(" ") }],
  );
}

/** Changes of single words that happened more than once, the most frequent first. */
export function frequentDifferences(scores: readonly FileScore[], most: number): (Difference & { count: number })[] {
  const counts = new Map<string, Difference & { count: number }>();
  for (const { words } of scores) {
    for (const {
      kind,
      reference: [r0, r1],
      hypothesis: [h0, h1],
    } of words.edits) {
      if (kind === "hit") continue;
      for (let i = 0; i < Math.max(r1 - r0, h1 - h0); i++) {
        const reference = kind === "insertion" ? "" : words.reference[r0 + i];
        const hypothesis = kind === "deletion" ? "" : words.hypothesis[h0 + i];
        const key = `${reference}\n${hypothesis}`;
        const known = counts.get(key) ?? { kind, reference, hypothesis, count: 0 };
        known.count++;
        counts.set(key, known);
      }
    }
  }
  return [...counts.values()]
    .filter(({ count }) => count > 1)
    .sort((a, b) => b.count - a.count)
    .slice(0, most);
}
