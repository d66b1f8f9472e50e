/** Word times: when each word of a text that is already known is spoken. */
export { attachWords, speechEnd, type AttachOptions, type SegmentWord, type WordlessSegment } from "./attach-words.ts";
export { dtw, type WarpingPath } from "./dtw.ts";
export { medianFilter } from "./median-filter.ts";
export { APPEND_PUNCTUATIONS, mergePunctuation, PREPEND_PUNCTUATIONS } from "./merge-punctuation.ts";
export { wordsOfSegments, type TimedSegment } from "./segment-words.ts";
export {
  alignTokens,
  tokenTimes,
  type AligningEngine,
  type AlignRequest,
  type AlignTokens,
  type Heads,
  type TokenTiming,
} from "./token-times.ts";
export { findAlignment, wordTimes, type WordTiming } from "./word-times.ts";
export { splitToWords, type WordTokenizer, type WordTokens } from "./words.ts";
