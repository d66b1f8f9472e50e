/**
 * An engine whose logits are a function of the tokens so far, for tests of searches: what the best text is can then be
 * worked out by hand. It keeps a record of what it was asked, and counts what is alive.
 */
import { checkRank, checkReorder, checkRequests, checkRows, checkStep } from "../../src/engine/checks.ts";
import type {
  AudioState,
  AudioWindowRef,
  DecoderRow,
  DecoderState,
  Engine,
  Generated,
  GenerateRequest,
  RankedTokens,
  RankRequest,
} from "../../src/engine/engine.ts";
import { applyTokenRules, argmax, logSumExp } from "../../src/engine/token-rules.ts";
import { rankRows } from "../../src/engine/token-scores.ts";
import type { ModelDimensions } from "../../src/model/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";
import { TOY_DIMENSIONS } from "./toy-model.ts";

/**
 * Logits of the next token by id; tokens that are left out are impossible.
 *
 * @param tokens all that were read: prompt and generated
 * @param window in the audio state
 */
export type LogitsFunction = (tokens: readonly number[], window: number) => Readonly<Record<number, number>>;

interface LogitsState extends DecoderState {
  readonly texts: number[][];
  readonly windows: readonly number[];
  length: number;
}

export class LogitsEngine implements Engine {
  readonly dimensions: ModelDimensions;
  readonly device = "logits";
  readonly dtype = "float32";
  readonly parallelism = 1;
  readonly batchSize = 8;
  /** Prompts of `generate` and `startDecoder`, in order; one for all rows of a start. */
  readonly prompts: (readonly number[])[] = [];
  readonly generates: GenerateRequest[] = [];
  /** Rows of each `startDecoder`. */
  readonly starts: number[] = [];
  /** Tokens of each `step`. */
  readonly steps: number[][] = [];
  readonly reorders: number[][] = [];
  /** Decoder states not yet disposed. */
  alive = 0;
  readonly #logits: LogitsFunction;

  constructor(logits: LogitsFunction, dimensions: Partial<ModelDimensions> = {}) {
    this.#logits = logits;
    this.dimensions = { ...TOY_DIMENSIONS, ...dimensions };
  }

  /** An audio state of some windows, without encoding anything. */
  audio(batch = 1): AudioState {
    return { batch, features: null, dispose: () => {} };
  }

  encode(mel: Tensor): Promise<AudioState> {
    return Promise.resolve(this.audio(mel.dims[0]));
  }

  /** The logits depend on the window's index in the view. */
  combine(windows: readonly AudioWindowRef[]): AudioState {
    return this.audio(windows.length);
  }

  /** Takes the likeliest token the rules leave, turn by turn. */
  async generate(audio: AudioState, requests: readonly GenerateRequest[]): Promise<Generated[]> {
    checkRequests(requests, audio.batch, this.dimensions);
    await nextTurn();
    return requests.map((request) => {
      const { window, prompt, sotIndex, noSpeech, rules, maxNewTokens } = request;
      this.generates.push(request);
      this.prompts.push(prompt);
      const tokens: number[] = [];
      const logprobs: number[] = [];
      let stop: "eot" | "length" = "length";
      while (tokens.length < maxNewTokens && stop === "length") {
        const logits = this.#row([...prompt, ...tokens], window);
        applyTokenRules(logits, tokens, rules);
        const token = argmax(logits);
        logprobs.push(logits[token] - logSumExp(logits));
        if (token === rules.eot) stop = "eot";
        else tokens.push(token);
      }
      const atSot = this.#row(prompt.slice(0, sotIndex + 1), window);
      return {
        tokens: Int32Array.from(tokens),
        tokenLogprobs: Float32Array.from(logprobs),
        noSpeechProb: Math.exp(atSot[noSpeech] - logSumExp(atSot)),
        stop,
      };
    });
  }

  async startDecoder(
    audio: AudioState,
    rows: readonly DecoderRow[],
    at: readonly number[] = [rows[0].prompt.length - 1],
  ): Promise<{ state: DecoderState; logits: Float32Array }> {
    checkRows(rows, at, audio.batch, this.dimensions);
    await nextTurn();
    this.starts.push(rows.length);
    this.prompts.push(rows[0].prompt);
    this.alive++;
    let isAlive = true;
    const state: LogitsState = {
      rows: rows.length,
      length: rows[0].prompt.length,
      texts: rows.map(({ prompt }) => [...prompt]),
      windows: rows.map(({ window }) => window),
      dispose: () => {
        if (isAlive) this.alive--;
        isAlive = false;
      },
    };
    const logits = rows.flatMap(({ prompt, window }) => at.map((i) => this.#row(prompt.slice(0, i + 1), window)));
    return { state, logits: joined(logits) };
  }

  async step(state: DecoderState, tokens: Int32Array): Promise<Float32Array> {
    const { texts, windows } = state as LogitsState;
    checkStep(tokens, texts.length, state.length, this.dimensions);
    await nextTurn();
    this.steps.push([...tokens]);
    (state as LogitsState).length++;
    texts.forEach((text, row) => text.push(tokens[row]));
    return joined(texts.map((text, row) => this.#row(text, windows[row])));
  }

  async stepRanked(state: DecoderState, request: RankRequest): Promise<RankedTokens> {
    checkRank(request, state.rows, state.length, this.dimensions);
    return rankRows(await this.step(state, request.tokens), request);
  }

  async reorder(state: DecoderState, from: Int32Array): Promise<void> {
    const { texts, windows } = state as LogitsState;
    checkReorder(from, texts.length, new Set(windows).size);
    await nextTurn();
    this.reorders.push([...from]);
    const before = texts.map((text) => [...text]);
    from.forEach((row, i) => (texts[i] = [...before[row]]));
  }

  attend(): Promise<never> {
    return Promise.reject(new Error("The logits engine has no attention"));
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  #row(tokens: readonly number[], window: number): Float32Array {
    const logits = new Float32Array(this.dimensions.nVocab).fill(-Infinity);
    for (const [id, value] of Object.entries(this.#logits(tokens, window))) logits[Number(id)] = value;
    return logits;
  }
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const logits = new Float32Array(rows.length * rows[0].length);
  rows.forEach((row, i) => logits.set(row, i * row.length));
  return logits;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Logits from probabilities written down text by text.
 *
 * @param texts by the tokens generated so far ("", "1", "1 2"): probabilities of the next ones, "1 .6 2 .4"; "." is endoftext.
 *   A text that is left out ends.
 * @param sot its id: what was generated begins after the start sequence of `startLength` tokens from there
 */
export function logitsOf(
  texts: Readonly<Record<string, string>>,
  { sot, eot, startLength, noSpeech }: { sot: number; eot: number; startLength: number; noSpeech: number },
): LogitsFunction {
  return (tokens) => {
    const sotIndex = tokens.lastIndexOf(sot);
    if (sotIndex === tokens.length - 1) return { [noSpeech]: Math.log(0.25), [eot]: Math.log(0.75) };
    const words = (texts[tokens.slice(sotIndex + startLength).join(" ")] ?? ". 1").split(" ");
    const logits: Record<number, number> = {};
    for (let i = 0; i < words.length; i += 2) {
      logits[words[i] === "." ? eot : Number(words[i])] = Math.log(Number(words[i + 1]));
    }
    return logits;
  };
}
