/**
 * Decodes windows as openai/whisper's DecodingTask does: prompt, search, ranking, scores.
 */
import type { AudioState, Engine } from "../engine/engine.ts";
import { AllowedPhrases } from "./allowed-phrases.ts";
import { beamSearch } from "./beam-search.ts";
import { greedyText } from "./greedy-text.ts";
import type { DecodingTokenizer, ResolvedDecoding } from "./options.ts";
import { initialTokens } from "./prompt.ts";
import { best } from "./ranking.ts";
import { decodingResult, type DecodingResult, type Hypothesis } from "./result.ts";
import { sampleTexts } from "./sampling.ts";
import { resolveSearch, sampleLengthOf, type ResolvedSearch, type SearchOptions } from "./search-options.ts";
import type { SearchOutcome, SearchTask } from "./search-task.ts";
import { tokenEntropy } from "./token-entropy.ts";

/** A window to be decoded. */
export interface WindowRequest {
  /** Index in the audio state. */
  readonly window: number;
  /** Code: given, or detected. */
  readonly language: string;
  /** Tokens of the text before it; default those of the search. */
  readonly prompt?: readonly number[] | undefined;
}

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
  const requests = [{ window, language: languageCode }];
  const [result] = await decodeWindows(engine, audio, requests, tokenizer, resolved, search);
  return result;
}

/**
 * Decodes several windows of an audio state by the same search. Beams of all of them are run together; samples go window by window.
 *
 * @param requests each for another window
 * @param onResult called with the index of each request and its result as soon as that is there
 * @returns one result a request, in order
 * @throws {OptionError} before the engine is asked anything, for search options out of range or against each other
 */
export async function decodeWindows(
  engine: Engine,
  audio: AudioState,
  requests: readonly WindowRequest[],
  tokenizer: DecodingTokenizer,
  resolved: ResolvedDecoding,
  search: SearchOptions = {},
  onResult?: (index: number, result: DecodingResult) => void,
): Promise<DecodingResult[]> {
  const { nTextCtx } = engine.dimensions;
  const { task, timestamps } = resolved;
  const how = resolveSearch(search, nTextCtx);
  const phrases = search.allowedPhrases === undefined ? null : AllowedPhrases.of(search.allowedPhrases, tokenizer);
  const sampleLength = sampleLengthOf(search, resolved, nTextCtx);
  const tasks = requests.map(({ window, language, prompt: before = search.prompt }): SearchTask => {
    const { tokens: prompt, sotIndex } = initialTokens(tokenizer, nTextCtx, {
      ...search,
      prompt: before,
      language,
      task,
      timestamps,
      sampleLength,
    });
    // The last token need not be read, so there is room for one more than the model can read (facts 2.4.10).
    const room = nTextCtx + 1 - prompt.length;
    const asked = resolved.maxLength < nTextCtx ? resolved.maxLength - (prompt.length - sotIndex) : room;
    return {
      engine,
      audio,
      window,
      prompt,
      sotIndex,
      noSpeech: tokenizer.special.noSpeech,
      rules: phrases?.permit(resolved.rules) ?? resolved.rules,
      phrases,
      maxTurns: Math.max(0, Math.min(sampleLength, asked, room)),
    };
  });
  const results: DecodingResult[] = [];
  await run(how, tasks, (i, { hypotheses, noSpeechProb }) => {
    const sound = hypotheses.filter((one) => isSound(one, search.entropyThreshold ?? null, tokenizer));
    results[i] = decodingResult(best(sound.length > 0 ? sound : hypotheses, how.lengthPenalty), {
      tokenizer,
      language: requests[i].language,
      task,
      noSpeechProb,
      temperature: how.temperature,
    });
    onResult?.(i, results[i]);
  });
  return results;
}

function isSound(hypothesis: Hypothesis, threshold: number | null, { special }: DecodingTokenizer): boolean {
  const entropy = threshold === null ? null : tokenEntropy(hypothesis, special);
  return entropy === null || entropy >= (threshold as number);
}

async function run(
  how: ResolvedSearch,
  tasks: readonly SearchTask[],
  onOutcome: (index: number, outcome: SearchOutcome) => void,
): Promise<void> {
  if (how.kind === "beams") {
    const options = { beamSize: how.rows, maxCandidates: how.maxCandidates };
    // Rows of one state begin with prompts of one length.
    for (const length of new Set(tasks.map(({ prompt }) => prompt.length))) {
      const alike = [...tasks.keys()].filter((i) => tasks[i].prompt.length === length);
      await beamSearch(
        alike.map((i) => tasks[i]),
        options,
        (i, outcome) => onOutcome(alike[i], outcome),
      );
    }
    return;
  }
  const each = tasks.map(async (task, i) => {
    const isGreedy = how.kind === "greedy" && task.phrases === null;
    onOutcome(i, await (isGreedy ? greedyText(task) : sampleTexts(task, how)));
  });
  await Promise.all(each);
}
