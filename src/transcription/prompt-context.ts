/** What the model is told at each window: the text so far (openai/whisper's `transcribe`, facts 2.3.3, 2.3.11, 2.3.12). */

/** A text decoded at a higher temperature is not passed on (facts 2.3.11). */
const MAX_TEMPERATURE = 0.5;

export interface PromptContextOptions {
  /** Tokens of the prompt that stands before the recording. */
  readonly initialPrompt: readonly number[];
  /** Whether it is told at every window. */
  readonly carryInitialPrompt: boolean;
  readonly conditionOnPreviousText: boolean;
  /** Most tokens that the model is told: nTextCtx / 2 - 1. */
  readonly limit: number;
}

export class PromptContext {
  readonly #options: PromptContextOptions;
  /** The initial prompt and all that was written since. */
  readonly #tokens: number[];
  #resetAt = 0;

  constructor(options: PromptContextOptions) {
    this.#options = options;
    this.#tokens = [...options.initialPrompt];
  }

  /**
   * What the next window is told, `limit` tokens at most.
   *
   * An initial prompt that is carried comes before the newest tokens, as many as fit beside it. (Where none fit,
   * openai/whisper tells all tokens and so loses the prompt: `[-0:]`.)
   */
  prompt(): readonly number[] {
    const { initialPrompt, carryInitialPrompt, limit } = this.#options;
    if (!carryInitialPrompt) return newest(this.#tokens.slice(this.#resetAt), limit);
    const carried = newest(initialPrompt, limit);
    const text = this.#tokens.slice(Math.max(initialPrompt.length, this.#resetAt));
    return [...carried, ...newest(text, limit - carried.length)];
  }

  /**
   * Takes what was written in a window.
   *
   * @param tokens with timestamps
   * @param temperature that it was decoded at
   */
  add(tokens: readonly number[], temperature: number): void {
    for (const token of tokens) this.#tokens.push(token);
    if (!this.#options.conditionOnPreviousText || temperature > MAX_TEMPERATURE) this.#resetAt = this.#tokens.length;
  }

  /** All that was written, without the initial prompt. */
  get written(): readonly number[] {
    return this.#tokens.slice(this.#options.initialPrompt.length);
  }
}

function newest(tokens: readonly number[], count: number): readonly number[] {
  return count > 0 ? tokens.slice(-count) : [];
}
