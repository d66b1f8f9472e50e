/**
 * Decodes one window as openai/whisper's DecodingTask does: prompt, search, ranking, scores. The sequential algorithm calls it
 * for each window and temperature.
 */
import type { AudioState, Engine } from "../engine/engine.ts";
import { AllowedPhrases } from "./allowed-phrases.ts";
import { beamSearch } from "./beam-search.ts";
import { greedyText } from "./greedy-text.ts";
import type { DecodingTokenizer, ResolvedDecoding } from "./options.ts";
import { initialTokens } from "./prompt.ts";
import { best } from "./ranking.ts";
import { decodingResult, type DecodingResult } from "./result.ts";
import { sampleTexts } from "./sampling.ts";
import { resolveSearch, sampleLengthOf, type ResolvedSearch, type SearchOptions } from "./search-options.ts";
import type { SearchOutcome, SearchTask } from "./search-task.ts";
import { tokenEntropy } from "./token-entropy.ts";

/**
 * Decodes one window.
 *
 * @param window index in the audio state
 * @param languageCode given, or detected
 * @param resolved task, rules and limits
 * @throws {OptionError} before the engine is asked anything, for search options out of range or against each other
 */
export async function decodeWindow(
  engine: Engine,
  audio: AudioState,
  window: number,
  tokenizer: DecodingTokenizer,
  languageCode: string,
  resolved: ResolvedDecoding,
  search: SearchOptions = {},
): Promise<DecodingResult> {
  const { nTextCtx } = engine.dimensions;
  const { task, timestamps } = resolved;
  const how = resolveSearch(search, nTextCtx);
  const phrases = search.allowedPhrases === undefined ? null : AllowedPhrases.of(search.allowedPhrases, tokenizer);
  const sampleLength = sampleLengthOf(search, resolved, nTextCtx);
  const { tokens: prompt, sotIndex } = initialTokens(tokenizer, nTextCtx, {
    ...search,
    language: languageCode,
    task,
    timestamps,
    sampleLength,
  });
  // The last token need not be read, so there is room for one more than the model can read (facts 2.4.10).
  const room = nTextCtx + 1 - prompt.length;
  const asked = resolved.maxLength < nTextCtx ? resolved.maxLength - (prompt.length - sotIndex) : room;
  const { hypotheses, noSpeechProb } = await run(how, {
    engine,
    audio,
    window,
    prompt,
    sotIndex,
    noSpeech: tokenizer.special.noSpeech,
    rules: phrases?.permit(resolved.rules) ?? resolved.rules,
    phrases,
    maxTurns: Math.max(0, Math.min(sampleLength, asked, room)),
  });
  const { entropyThreshold = null } = search;
  const sound = hypotheses.filter((one) => {
    const entropy = entropyThreshold === null ? null : tokenEntropy(one, tokenizer.special);
    return entropy === null || entropy >= (entropyThreshold as number);
  });
  return decodingResult(best(sound.length > 0 ? sound : hypotheses, how.lengthPenalty), {
    tokenizer,
    language: languageCode,
    task,
    noSpeechProb,
    temperature: how.temperature,
  });
}

function run(how: ResolvedSearch, task: SearchTask): Promise<SearchOutcome> {
  if (how.kind === "beams") return beamSearch(task, { beamSize: how.rows, maxCandidates: how.maxCandidates });
  if (how.kind === "greedy" && task.phrases === null) return greedyText(task);
  return sampleTexts(task, how);
}
