/**
 * Ids of the tokens that steer Whisper. They follow the text tokens in a fixed order, so the size of the vocabulary tells
 * them (facts 0.5, 0.6); a checkpoint's own files are believed first, since fine-tuned ones may have more tokens.
 */
import { CheckpointError, quote } from "../errors.ts";
import { LANGUAGES } from "./languages.ts";
import type { AddedToken } from "./vocabulary.ts";

/** Ids of the special tokens, under openai/whisper's names. Text tokens are those below `eot`. */
export interface SpecialTokens {
  /** endoftext; also pads. */
  readonly eot: number;
  /** startoftranscript */
  readonly sot: number;
  readonly translate: number;
  readonly transcribe: number;
  /** startoflm */
  readonly sotLm: number;
  /** startofprev: before the text of earlier windows. */
  readonly sotPrev: number;
  /** nospeech; "nocaptions" in older files. */
  readonly noSpeech: number;
  readonly noTimestamps: number;
  /** `<|0.00|>`; 1500 more follow, 0.02 s apart. */
  readonly timestampBegin: number;
  /** Code to id, in the order of the ids. English-only vocabularies have the ids too, and no use for them. */
  readonly languages: ReadonlyMap<string, number>;
}

/** Index of the last timestamp, `<|30.00|>`. */
export const LAST_TIMESTAMP = 1500;

/** Seconds from one timestamp to the next. */
export const TIME_PRECISION = 0.02;

/** Rows of the smallest token embedding: the English-only models'. */
const ENGLISH_VOCABULARY = 51864;

/**
 * Special tokens of an official vocabulary.
 *
 * @param nVocab 51864 English, 51865 multilingual, 51866 large-v3 and its descendants; larger ones, whose end was added to
 *   or padded, are taken for the last
 * @throws {RangeError} if `nVocab` is smaller than any Whisper vocabulary
 */
export function specialTokens(nVocab: number): SpecialTokens {
  if (!Number.isInteger(nVocab) || nVocab < ENGLISH_VOCABULARY) {
    throw new RangeError(`Cannot tell the special tokens of a vocabulary of ${nVocab}, expected 51864, 51865 or 51866`);
  }
  const eot = nVocab === ENGLISH_VOCABULARY ? 50256 : 50257;
  const codes = [...LANGUAGES.keys()].slice(0, nVocab <= 51865 ? 99 : 100);
  const sot = eot + 1;
  const afterLanguages = sot + 1 + codes.length;
  return {
    eot,
    sot,
    translate: afterLanguages,
    transcribe: afterLanguages + 1,
    sotLm: afterLanguages + 2,
    sotPrev: afterLanguages + 3,
    noSpeech: afterLanguages + 4,
    noTimestamps: afterLanguages + 5,
    timestampBegin: afterLanguages + 6,
    languages: new Map(codes.map((code, i) => [code, sot + 1 + i])),
  };
}

const NAMES: readonly (readonly [Exclude<keyof SpecialTokens, "languages" | "timestampBegin">, ...string[]])[] = [
  ["eot", "<|endoftext|>"],
  ["sot", "<|startoftranscript|>"],
  ["translate", "<|translate|>"],
  ["transcribe", "<|transcribe|>"],
  ["sotLm", "<|startoflm|>"],
  ["sotPrev", "<|startofprev|>"],
  ["noSpeech", "<|nospeech|>", "<|nocaptions|>"],
  ["noTimestamps", "<|notimestamps|>"],
];

/**
 * Special tokens as a checkpoint's files have them; those the files lack as the size of the vocabulary tells.
 *
 * @param added the tokens beside the text
 * @param idOf finds tokens that some exports keep among the text: endoftext
 * @param nVocab rows of the token embedding, where known
 * @throws {CheckpointError} if tokens are missing and cannot be told, or lie beyond `nVocab`
 */
export function findSpecialTokens(
  added: Iterable<AddedToken>,
  idOf: (token: string) => number | undefined,
  nVocab: number | undefined,
): SpecialTokens {
  const table = nVocab !== undefined && nVocab >= ENGLISH_VOCABULARY ? specialTokens(nVocab) : undefined;
  const tokens = [...added].sort((a, b) => a.id - b.id);
  const ids = new Map(tokens.map((token) => [token.content, token.id]));
  const problems: string[] = [];
  const found: Record<string, number> = {};
  for (const [field, ...names] of NAMES) {
    const id = names
      .map((name) => ids.get(name) ?? (field === "eot" ? idOf(name) : undefined))
      .find((x) => x !== undefined);
    if (id === undefined && table === undefined) problems.push(`the token ${quote(names[0])} is missing`);
    found[field] = id ?? table?.[field] ?? -1;
  }
  if (problems.length > 0) throw new CheckpointError("tokenizer.json", problems);

  const timestampBegin = ids.get("<|0.00|>") ?? found.noTimestamps + 1;
  const largest = Math.max(timestampBegin + LAST_TIMESTAMP, ...Object.values(found));
  if (nVocab !== undefined && largest >= nVocab) {
    throw new CheckpointError("tokenizer.json", [
      `special tokens go up to id ${largest}, expected less than the model's vocabulary of ${nVocab}`,
    ]);
  }

  const languages = new Map<string, number>();
  for (const { id, content } of tokens) {
    const code = /^<\|([a-z]{2,3})\|>$/.exec(content)?.[1];
    // A new language of a fine-tuned model may stand in line, or at the end of the vocabulary if Whisper has a name for it.
    const inLine = id > found.sot && id < found.translate;
    if (code !== undefined && (inLine || LANGUAGES.has(code))) languages.set(code, id);
  }
  const known = found as unknown as Omit<SpecialTokens, "languages" | "timestampBegin">;
  return {
    ...known,
    timestampBegin,
    languages: languages.size > 0 || table === undefined ? languages : table.languages,
  };
}

/** The token of a time: "<|1.00|>" for index 50. */
export function timestampToken(index: number): string {
  return `<|${(index * TIME_PRECISION).toFixed(2)}|>`;
}
