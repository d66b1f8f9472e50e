export { compressionRatio } from "./compression-ratio.ts";
export { decode, decodeGreedy, type DecodingResult } from "./greedy.ts";
export { detectLanguage, type LanguageDetection } from "./language.ts";
export {
  resolveDecoding,
  resolveLanguage,
  tokenRules,
  type DecodingDefaults,
  type DecodingOptions,
  type DecodingTokenizer,
  type ResolvedDecoding,
} from "./options.ts";
export { averageLogprob, noSpeechProbability } from "./scores.ts";
export { roundHalfEven } from "./round-half-even.ts";
