/** What a search found in a window, and what callers are told of it. */
import type { Generated } from "../engine/engine.ts";
import type { Task } from "../tokenizer/index.ts";
import { compressionRatio } from "./compression-ratio.ts";
import type { DecodingTokenizer } from "./options.ts";
import { tokenEntropy } from "./token-entropy.ts";

/** One decoded window. */
export interface DecodingResult {
  /** Generated ids, timestamps included, without prompt and without endoftext. */
  readonly tokens: readonly number[];
  /** Stripped text of the tokens, without timestamps. */
  readonly text: string;
  /** Code: given, or detected. */
  readonly language: string;
  readonly task: Task;
  /** Mean log-probability of the tokens, endoftext included. */
  readonly avgLogprob: number;
  /** Probability that the window holds no speech. */
  readonly noSpeechProb: number;
  /** Of the text; above 2.4 it probably repeats itself. */
  readonly compressionRatio: number;
  /** Of the last 32 tokens, in nats; null for no more than 32. Below 2.4 whisper.cpp takes them for a repetition. */
  readonly entropy: number | null;
  /** 0: greedy. */
  readonly temperature: number;
  /** Whether the model ended the text, or the limit cut it. */
  readonly stop: "eot" | "length";
}

/** A token sequence that a search came to, without prompt and without endoftext. */
export interface Hypothesis {
  readonly tokens: readonly number[];
  /** Of the tokens, and of endoftext where it was generated; after the rules, not scaled by temperature (facts 2.4.8). */
  readonly sumLogprob: number;
  readonly stop: "eot" | "length";
}

export function hypothesisOf({ tokens, tokenLogprobs, stop }: Generated): Hypothesis {
  let sumLogprob = 0;
  for (const logprob of tokenLogprobs) sumLogprob += logprob;
  return { tokens: Array.from(tokens), sumLogprob, stop };
}

/**
 * Adds text and scores to what a search found. The mean log-probability divides by one more than the tokens, for endoftext,
 * even where the text was cut before it came (facts 2.4.8, 8.9).
 */
export function decodingResult(
  { tokens, sumLogprob, stop }: Hypothesis,
  about: {
    readonly tokenizer: Pick<DecodingTokenizer, "decode" | "special">;
    readonly language: string;
    readonly task: Task;
    readonly noSpeechProb: number;
    readonly temperature: number;
  },
): DecodingResult {
  const text = about.tokenizer.decode(tokens).trim();
  return {
    tokens,
    text,
    language: about.language,
    task: about.task,
    avgLogprob: sumLogprob / (tokens.length + 1),
    noSpeechProb: about.noSpeechProb,
    compressionRatio: compressionRatio(text),
    entropy: tokenEntropy({ tokens, stop }, about.tokenizer.special),
    temperature: about.temperature,
    stop,
  };
}
