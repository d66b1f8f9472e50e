/**
 * How the tokens of a window are searched for: greedily, by sampling, or by beams; and what comes before them. Names and
 * meaning are openai/whisper's DecodingOptions (facts 2.4.1); hotwords are faster-whisper's (facts 3.2.8), suppressNumerals
 * is WhisperX's (facts 4.3.5), and allowed phrases are what whisper.cpp calls guided mode.
 */
import { OptionError, quote } from "../errors.ts";
import { anyOf, assertOption, listOf, number, orNull, text, whole, type OptionKind } from "../options/index.ts";
import { roundHalfEven } from "../tensor/index.ts";
import { AllowedPhrases } from "./allowed-phrases.ts";
import type { DecodingTokenizer, ResolvedDecoding } from "./options.ts";
import { initialTokens } from "./prompt.ts";

/** Most rows of one window: each costs logits of 200 kB a token, and nobody gains by more than ten. */
const MAX_ROWS = 128;

/** Most candidates that patience may ask beam search to wait for. */
const MAX_PATIENCE = 100;

/** Above some hundreds every token is equally likely, and logits / temperature loses digits. */
const MAX_TEMPERATURE = 100;

export interface SearchOptions {
  /** 0 (default) takes the likeliest token; above it tokens are drawn from softmax(logits / temperature). */
  readonly temperature?: number | undefined;
  /** Beams of a beam search, whatever the temperature; null (default) for none. */
  readonly beamSize?: number | null | undefined;
  /** Samples that the best is taken of, at a temperature above 0; null (default) for one. */
  readonly bestOf?: number | null | undefined;
  /** A beam search ends when round(beamSize * patience) texts have ended; default 1. */
  readonly patience?: number | null | undefined;
  /** 0 to 1, Google NMT's alpha; null (default) ranks texts by mean log-probability of their tokens. */
  readonly lengthPenalty?: number | null | undefined;
  /**
   * Texts whose last 32 tokens have a lower entropy, in nats, repeat themselves and are taken only where there is no other (whisper.cpp's
   * rule, `tokenEntropy`); null (default) for none.
   */
  readonly entropyThreshold?: number | null | undefined;
  /** Tokens of the text before this window; the newest nTextCtx / 2 - 1 are kept. */
  readonly prompt?: readonly number[] | undefined;
  /** How this window begins: text or tokens, which are not part of the result. */
  readonly prefix?: readonly number[] | string | undefined;
  /** Whole number that the samples follow from: the same one gives the same text. Default 0. */
  readonly seed?: number | undefined;
  /** Words to expect: told to the model as if they came before the prompt. Not used beside a prefix. */
  readonly hotwords?: string | undefined;
  /** The window says one of these and nothing else. */
  readonly allowedPhrases?: readonly string[] | undefined;
  /** Most generated tokens. Default: that of the resolved options if it is below nTextCtx, else nTextCtx / 2. */
  readonly sampleLength?: number | undefined;
}

/** Values that each option takes, whatever the model. */
export const SEARCH_OPTIONS = {
  temperature: number({ from: 0, to: MAX_TEMPERATURE }),
  beamSize: orNull(whole(1, MAX_ROWS)),
  bestOf: orNull(whole(1, MAX_ROWS)),
  patience: orNull(number({ from: 0, to: MAX_PATIENCE })),
  lengthPenalty: orNull(number({ from: 0, to: 1 })),
  entropyThreshold: orNull(number(), "no threshold"),
  prompt: listOf(whole(0), "tokens"),
  prefix: anyOf(text, listOf(whole(0), "tokens")),
  seed: whole(0, Number.MAX_SAFE_INTEGER),
  hotwords: text,
  allowedPhrases: listOf(text, "phrases"),
  sampleLength: whole(1),
} as const satisfies Readonly<Record<keyof SearchOptions, OptionKind>>;

/** Search options after the check. */
export interface ResolvedSearch {
  readonly kind: "greedy" | "sampling" | "beams";
  /** Token sequences side by side. */
  readonly rows: number;
  readonly temperature: number;
  /** Finished texts that end a beam search. */
  readonly maxCandidates: number;
  readonly lengthPenalty: number | null;
  readonly seed: number;
}

/**
 * Checks the search options against each other (facts 2.4.2), without a model.
 *
 * @param nTextCtx longest sequence of the model
 * @throws {OptionError} for a value out of range, or options that exclude each other
 */
export function resolveSearch(search: SearchOptions, nTextCtx: number): ResolvedSearch {
  for (const [name, kind] of Object.entries(SEARCH_OPTIONS))
    assertOption(name, search[name as keyof SearchOptions], kind);
  assertOption("sampleLength", search.sampleLength, whole(1, nTextCtx));
  const { temperature = 0, seed = 0 } = search;
  const beamSize = search.beamSize ?? null;
  const bestOf = search.bestOf ?? null;
  const patience = search.patience ?? null;
  const lengthPenalty = search.lengthPenalty ?? null;

  if (beamSize !== null && bestOf !== null) {
    throw new OptionError("bestOf", "Cannot use bestOf together with beamSize", {
      hint: "bestOf is for samples, at a temperature above 0; beamSize is for beam search",
    });
  }
  if (bestOf !== null && temperature === 0) {
    throw new OptionError("bestOf", "Cannot use bestOf at temperature 0: every sample would be the same");
  }
  if (patience !== null && beamSize === null) {
    throw new OptionError("patience", "Cannot use patience without beamSize");
  }
  const maxCandidates = roundHalfEven((beamSize ?? 1) * (patience ?? 1));
  if (maxCandidates === 0) {
    throw new OptionError("patience", `Patience ${quote(patience)} of ${beamSize} beams waits for no text at all`);
  }
  return {
    kind: beamSize !== null ? "beams" : temperature > 0 ? "sampling" : "greedy",
    rows: beamSize ?? bestOf ?? 1,
    temperature,
    maxCandidates,
    lengthPenalty,
    seed,
  };
}

/**
 * Checks everything about a search that can be told without audio, so that nothing of it is refused after a recording was
 * read and encoded: what `resolveSearch` checks, the allowed phrases, and the room for what comes before a text.
 *
 * @param nTextCtx longest sequence of the model
 * @param search with the longest prompt that a window will have
 * @throws {OptionError} for all that `decodeWindow` would refuse
 */
export function assertSearch(
  tokenizer: DecodingTokenizer,
  nTextCtx: number,
  decoding: ResolvedDecoding,
  search: SearchOptions,
): void {
  resolveSearch(search, nTextCtx);
  if (search.allowedPhrases !== undefined) AllowedPhrases.of(search.allowedPhrases, tokenizer);
  const { task, timestamps, language = "en" } = decoding; // every language takes one token
  const sampleLength = sampleLengthOf(search, decoding, nTextCtx);
  initialTokens(tokenizer, nTextCtx, { ...search, task, timestamps, language, sampleLength });
}

/**
 * Most tokens that a window generates: options without a limit resolve to the whole context, where openai/whisper takes half
 * of it (facts 2.4.10).
 */
export function sampleLengthOf(
  search: Pick<SearchOptions, "sampleLength">,
  { sampleLength }: Pick<ResolvedDecoding, "sampleLength">,
  nTextCtx: number,
): number {
  return search.sampleLength ?? (sampleLength < nTextCtx ? sampleLength : Math.floor(nTextCtx / 2));
}

/**
 * The options for one temperature of a fallback ladder: samples have no beams and no patience, and temperature 0 has no
 * best of several (facts 2.3.4).
 */
export function searchAtTemperature(search: SearchOptions, temperature: number): SearchOptions {
  return temperature > 0
    ? { ...search, temperature, beamSize: null, patience: null }
    : { ...search, temperature, bestOf: null };
}

/**
 * Options that change nothing, and why: for warnings. What openai/whisper refuses is refused before (`resolveSearch`).
 *
 * @param asked by the caller
 * @param searches that are made of it: one, or one for each temperature
 * @returns `"beamSize" has no effect: ...`
 */
export function unusedSearchOptions(
  asked: SearchOptions,
  searches: readonly SearchOptions[],
  nTextCtx: number,
): string[] {
  const resolved = searches.map((search) => resolveSearch(search, nTextCtx));
  const searchesBeams = resolved.some(({ kind }) => kind === "beams");
  const draws = resolved.some(({ kind }) => kind === "sampling");
  const ranks = resolved.some(({ rows, maxCandidates }) => rows > 1 || maxCandidates > 1);
  const isGiven = (name: keyof SearchOptions): boolean => asked[name] !== undefined && asked[name] !== null;
  const unused: string[] = [];
  const warn = (name: keyof SearchOptions, isUnused: boolean, reason: string): void => {
    if (isGiven(name) && isUnused) unused.push(`"${name}" has no effect: ${reason}`);
  };
  const isFixed = resolved.every(({ kind, temperature }) => kind === "beams" && temperature > 0);
  warn("temperature", isFixed, "a beam search draws no samples");
  warn("beamSize", !searchesBeams, "beams are searched at temperature 0 only");
  warn("patience", !searchesBeams, "beams are searched at temperature 0 only");
  warn("bestOf", !draws, "samples are drawn at temperatures above 0 only");
  warn("seed", !draws, "samples are drawn at temperatures above 0 only");
  warn("lengthPenalty", !ranks, "there is one text to choose from; beamSize or bestOf gives more");
  warn("hotwords", (asked.prefix ?? "").length > 0, "the model is not told them beside a prefix");
  return unused;
}
