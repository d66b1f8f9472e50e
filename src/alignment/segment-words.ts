/**
 * Words of segments that were put together from windows aligned one by one: for algorithms whose windows overlap, where a
 * segment may have tokens of several.
 */
import { attachWords, type AttachOptions, type SegmentWord } from "./attach-words.ts";
import type { TokenTiming } from "./token-times.ts";
import { wordTimes } from "./word-times.ts";
import type { WordTokenizer } from "./words.ts";

/** A segment whose text tokens know when they are spoken; all times in seconds from the start of the recording. */
export interface TimedSegment {
  readonly start: number;
  readonly end: number;
  /** Of its text tokens, in order, and of no other tokens. */
  readonly timings: readonly TokenTiming[];
}

/**
 * Gives segments their words, and corrects times as `attachWords` does.
 *
 * @param segments in order; corrections are made with the median duration of the words of all that are given together
 * @param language of all of them: code, or undefined for a model that knows English alone
 * @param options `timeOffset` is 0 here
 */
export function wordsOfSegments<S extends TimedSegment>(
  segments: readonly S[],
  tokenizer: WordTokenizer,
  language: string | undefined,
  options: Omit<AttachOptions, "eot" | "timeOffset"> = {},
): (S & { readonly words: readonly SegmentWord[] })[] {
  const alignment = wordTimes(
    segments.flatMap(({ timings }) => timings),
    tokenizer,
    language,
  );
  const bare = segments.map(({ start, end, timings }) => ({ start, end, tokens: timings.map(({ token }) => token) }));
  const timed = attachWords(bare, alignment, { ...options, eot: tokenizer.special.eot });
  return segments.map((segment, i) => {
    const { start, end, words } = timed[i];
    return { ...segment, start, end, words };
  });
}
