/** What the decoder reads before its first own token: context, start sequence, prefix (openai/whisper `_get_initial_tokens`). */
import { OptionError } from "../errors.ts";
import type { Task } from "../tokenizer/index.ts";
import type { DecodingTokenizer } from "./options.ts";
import type { SearchOptions } from "./search-options.ts";

export interface InitialTokens {
  readonly tokens: readonly number[];
  /** Index of startoftranscript: 0 without a context. */
  readonly sotIndex: number;
}

export interface PromptOptions extends Pick<SearchOptions, "prompt" | "prefix" | "hotwords"> {
  /** Code. */
  readonly language: string;
  readonly task: Task;
  readonly timestamps: boolean;
  /** Most tokens that will be generated. */
  readonly sampleLength: number;
}

/**
 * [startofprev hotwords context] start sequence [prefix].
 *
 * The context is the newest nTextCtx / 2 - 1 tokens of the prompt (facts 2.4.3); hotwords keep their oldest, and the prompt
 * has what they leave, where faster-whisper gives both the full length and then finds no room (facts 3.2.8). A prefix is
 * cut to its newest nTextCtx / 2 - sampleLength tokens, where that is more than 0; at the default length of nTextCtx / 2 it
 * is not cut, as in openai/whisper.
 *
 * @throws {OptionError} if all this leaves no room for a token
 */
export function initialTokens(tokenizer: DecodingTokenizer, nTextCtx: number, options: PromptOptions): InitialTokens {
  const { language, task, timestamps, prompt = [], sampleLength } = options;
  const half = Math.floor(nTextCtx / 2);

  const hasPrefix = options.prefix !== undefined && options.prefix.length > 0;
  const prefix = newest(hasPrefix ? tokensOf(tokenizer, options.prefix) : [], half - sampleLength, "keep all");

  const hotwords = hasPrefix || !options.hotwords?.trim() ? [] : tokensOf(tokenizer, options.hotwords);
  const before = hotwords.slice(0, half - 1);
  before.push(...newest(prompt, half - 1 - before.length));
  const context = before.length === 0 ? [] : [tokenizer.special.sotPrev, ...before];

  const tokens = [...context, ...tokenizer.sotSequence({ language, task, timestamps }), ...prefix];
  if (tokens.length > nTextCtx) {
    throw new OptionError(
      "prefix",
      `Cannot decode after ${tokens.length} tokens of prompt and prefix: the model has room for ${nTextCtx}`,
      { hint: `shorten the prefix; up to ${half - 1} tokens of the text before a window stand beside it` },
    );
  }
  return { tokens, sotIndex: context.length };
}

function tokensOf(tokenizer: DecodingTokenizer, text: string | readonly number[] | undefined): readonly number[] {
  return typeof text === "string" ? tokenizer.encode(` ${text.trim()}`) : (text ?? []);
}

function newest(tokens: readonly number[], count: number, ifNone?: "keep all"): readonly number[] {
  if (count <= 0) return ifNone === undefined ? [] : tokens;
  return tokens.slice(-count);
}
