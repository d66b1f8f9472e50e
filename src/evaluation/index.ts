/** evaluation/: how far a transcript is from what was said. Normalisers, alignment, error rates; pure and small. */

export { align, type AlignLimits, type Alignment, type Edit, type EditCounts, type EditKind } from "./align.ts";
export { normalizeEnglishNumbers } from "./english-numbers.ts";
export {
  alignCharacters,
  alignWords,
  characterErrorRate,
  totalErrors,
  wordErrorRate,
  type AlignedErrors,
  type ErrorRate,
  type ErrorRateOptions,
} from "./error-rates.ts";
export { normalizeBasic, type BasicNormalizerOptions } from "./normalize-basic.ts";
export { normalizeEnglish, normalizeEnglishSpelling } from "./normalize-english.ts";
export {
  characterNormalizerOf,
  normalizerFor,
  normalizerOf,
  NORMALIZERS,
  type Normalizer,
  type NormalizerName,
} from "./normalizer.ts";
