export { compressionRatio } from "./compression-ratio.ts";
export { decodeWindow, decodeWindows, type WindowRequest } from "./decode-window.ts";
export { decode, decodeGreedy } from "./greedy.ts";
export { detectLanguage, type LanguageDetection } from "./language.ts";
export {
  resolveDecoding,
  DECODING_OPTIONS,
  decodingWarnings,
  resolveLanguage,
  tokenRules,
  type DecodingDefaults,
  type DecodingOptions,
  type DecodingTokenizer,
  type ResolvedDecoding,
} from "./options.ts";
export type { DecodingResult } from "./result.ts";
export { noSpeechProbability } from "./scores.ts";
export { tokenEntropy } from "./token-entropy.ts";
export {
  assertSearch,
  resolveSearch,
  searchAtTemperature,
  SEARCH_OPTIONS,
  unusedSearchOptions,
  type SearchOptions,
} from "./search-options.ts";
