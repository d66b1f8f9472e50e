/** Tokens, languages and tasks. */
export { LANGUAGE_ALIASES, LANGUAGES, languageCode, languageName, languageToken } from "./languages.ts";
export { specialTokens, TIME_PRECISION, timestampToken, type SpecialTokens } from "./special-tokens.ts";
export { TASKS, type Task } from "./task.ts";
export { Tokenizer, type DecodeOptions, type DecodeStream, type SotSequenceOptions } from "./tokenizer.ts";
export type { TokenizerFiles } from "./vocabulary.ts";
