/** Transcripts made by hand, for tests of what is done with them. */
import type { Segment, Transcript, Word } from "../../src/transcription/index.ts";

/** A segment; `end` is null where the model never closed it. */
export function segment(start: number, end: number | null, text: string, more: Partial<Segment> = {}): Segment {
  const figures = { temperature: 0, avgLogprob: -0.5, compressionRatio: 1, noSpeechProb: 0 };
  return { id: 0, start, end: end as number, text, tokens: [], ...figures, ...more };
}

/** A segment of words, from times in order: `[" a", 0.5, 1]`. */
export function worded(...items: readonly (readonly [word: string, start: number, end: number])[]): Segment {
  const words = items.map(([word, start, end]): Word => ({ word, start, end, probability: 0.5 }));
  const text = words.map(({ word }) => word).join("");
  return segment(words[0]?.start ?? 0, words.at(-1)?.end ?? 0, text, { words });
}

export function transcript(segments: readonly Segment[], duration = 60): Transcript {
  const text = segments.map((one) => one.text).join("");
  return { text, language: "en", languageProbability: null, duration, segments, warnings: [] };
}

/** The transcript of facts 6.7. */
export const HELLO = transcript([
  worded([" Hello", 0, 0.5], [" there,", 0.5, 0.9], [" my", 1, 1.2], [" friend.", 1.2, 2.5]),
  worded([" How", 7, 7.3], [" are", 7.3, 7.5], [" you?", 7.5, 8.04]),
]);
