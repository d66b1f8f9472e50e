/**
 * An engine that answers from a script, for tests of decoding and transcription without a model. The nth window that it
 * encodes gets the nth answer. It takes a random number of turns of the event loop over everything, so that code which
 * depends on the order of answers fails, and it counts what is alive.
 */
import type {
  AttendRequest,
  Attention,
  AudioState,
  AudioWindowRef,
  DecoderRow,
  DecoderState,
  Engine,
  Generated,
  GenerateRequest,
} from "../../src/engine/engine.ts";
import type { DecodingTokenizer } from "../../src/decoding/index.ts";
import type { ModelDimensions } from "../../src/model/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";

export interface ScriptedWindow {
  /** What `generate` answers. */
  readonly tokens: readonly number[];
  /** Log-probability of each token and of endoftext; default -0.5. */
  readonly logprob?: number;
  /** Default 0. */
  readonly noSpeechProb?: number;
  readonly stop?: "eot" | "length";
  /** Code of the language that detection finds with probability 0.9; default "en". */
  readonly language?: string;
  /** What `generate` fails with. */
  readonly error?: Error;
  /** What decoding step by step gives the first, the second ... time, each token with a probability near 1. */
  readonly sampled?: readonly (readonly number[])[];
  /** What `attend` hears: seconds from the window's start at which each text token begins, and at which the last ends. */
  readonly spoken?: readonly number[];
  /** Probability of each text token that `attend` gives; default 0.9. */
  readonly tokenProb?: number;
}

interface ScriptedAudio extends AudioState {
  readonly windows: readonly ScriptedWindow[];
  /** How often each window was decoded step by step. */
  readonly samplings: number[];
}

interface ScriptedDecoder extends DecoderState {
  /** What each row is to give. */
  readonly texts: readonly (readonly number[])[];
  position: number;
}

export const SCRIPTED_DIMENSIONS: ModelDimensions = {
  nMels: 80,
  nAudioCtx: 1500,
  nAudioState: 64,
  nAudioHead: 1,
  nAudioLayer: 1,
  nVocab: 51865,
  nTextCtx: 448,
  nTextState: 64,
  nTextHead: 1,
  nTextLayer: 1,
};

export class ScriptedEngine implements Engine {
  readonly dimensions = SCRIPTED_DIMENSIONS;
  readonly device = "scripted";
  readonly dtype = "float32";
  readonly parallelism = 2;
  readonly batchSize = 16;
  /** Windows of each batch that was encoded. */
  readonly encoded: number[] = [];
  /** Every request, in the order of the calls. */
  readonly requests: GenerateRequest[] = [];
  /** Prompts of what was decoded step by step, in the order of the calls. */
  readonly prompts: (readonly number[])[] = [];
  /** How often detection ran. */
  detections = 0;
  /** Audio and decoder states not yet disposed, now and at most. */
  alive = 0;
  mostAlive = 0;
  /** Called with the log-Mel of each batch before it is encoded. */
  onEncode: ((mel: Tensor) => void) | undefined;
  readonly #script: readonly ScriptedWindow[];
  readonly #tokenizer: DecodingTokenizer;
  #next = 0;
  #random = 1;

  constructor(script: readonly ScriptedWindow[], tokenizer: DecodingTokenizer) {
    this.#script = script;
    this.#tokenizer = tokenizer;
  }

  async encode(mel: Tensor): Promise<ScriptedAudio> {
    const batch = mel.dims[0];
    this.onEncode?.(mel);
    this.encoded.push(batch);
    const first = this.#next;
    this.#next += batch;
    const windows = this.#script.slice(first, this.#next);
    if (windows.length < batch) throw new Error(`The script has no window ${this.#script.length}`);
    await this.#dawdle();
    return { batch, features: null, windows, samplings: windows.map(() => 0), ...this.#state() };
  }

  combine(parts: readonly AudioWindowRef[]): ScriptedAudio {
    const windows = parts.map(({ audio, window }) => (audio as ScriptedAudio).windows[window]);
    return { batch: parts.length, features: null, windows, samplings: windows.map(() => 0), dispose: () => {} };
  }

  async generate(audio: AudioState, requests: readonly GenerateRequest[]): Promise<Generated[]> {
    this.requests.push(...requests);
    await this.#dawdle();
    return requests.map(({ window }) => {
      const {
        tokens,
        logprob = -0.5,
        noSpeechProb = 0,
        stop = "eot",
        error,
      } = (audio as ScriptedAudio).windows[window];
      if (error !== undefined) throw error;
      return {
        tokens: Int32Array.from(tokens),
        tokenLogprobs: new Float32Array(tokens.length + (stop === "eot" ? 1 : 0)).fill(logprob),
        noSpeechProb,
        stop,
      };
    });
  }

  /**
   * Of startoftranscript alone: the logits of languages and of the no-speech token. Of a longer prompt: the start of the next
   * text of `sampled`, with the no-speech token's logits at the first position asked for.
   */
  async startDecoder(
    audio: AudioState,
    rows: readonly DecoderRow[],
    at?: readonly number[],
  ): Promise<{ state: DecoderState; logits: Float32Array }> {
    await this.#dawdle();
    const { windows, samplings } = audio as ScriptedAudio;
    const { nVocab } = this.dimensions;
    const { noSpeech } = this.#tokenizer.special;
    if (rows[0].prompt.length === 1) return this.#detect(windows, rows);
    this.prompts.push(rows[0].prompt);
    const { window } = rows[0];
    const { sampled = [], noSpeechProb = 0 } = windows[window];
    const text = sampled[samplings[window]++];
    if (text === undefined) throw new Error(`The script samples window ${window} ${sampled.length} times`);
    const texts = rows.map(() => text);
    const positions = at ?? [rows[0].prompt.length - 1];
    const logits = new Float32Array(rows.length * positions.length * nVocab).fill(-30);
    for (let row = 0; row < rows.length; row++) {
      const first = row * positions.length * nVocab;
      const rest = Math.log((1 - noSpeechProb) / (nVocab - 1));
      logits.fill(rest, first, first + nVocab);
      logits[first + noSpeech] = Math.log(noSpeechProb);
      logits.fill(-30, first + (positions.length - 1) * nVocab, first + positions.length * nVocab);
      logits[first + (positions.length - 1) * nVocab + this.#at(text, 0)] = 0;
    }
    const state: ScriptedDecoder = { rows: rows.length, length: 0, texts, position: 0, ...this.#state() };
    return { state, logits };
  }

  #at(text: readonly number[], position: number): number {
    return position < text.length ? text[position] : this.#tokenizer.special.eot;
  }

  #detect(
    windows: readonly ScriptedWindow[],
    rows: readonly DecoderRow[],
  ): { state: DecoderState; logits: Float32Array } {
    this.detections++;
    const { nVocab } = this.dimensions;
    const { languages, noSpeech } = this.#tokenizer.special;
    const logits = new Float32Array(rows.length * nVocab).fill(-100);
    for (const [row, { window }] of rows.entries()) {
      const { language = "en", noSpeechProb = 0 } = windows[window];
      for (const [code, id] of languages) {
        const probability = code === language ? 0.9 : 0.1 / (languages.size - 1);
        logits[row * nVocab + id] = Math.log(probability * (1 - noSpeechProb));
      }
      logits[row * nVocab + noSpeech] = Math.log(noSpeechProb);
    }
    return { state: { rows: rows.length, length: 1, ...this.#state() }, logits };
  }

  async step(state: DecoderState): Promise<Float32Array> {
    await this.#dawdle();
    const decoder = state as ScriptedDecoder;
    const { nVocab } = this.dimensions;
    decoder.position++;
    const logits = new Float32Array(decoder.rows * nVocab).fill(-30);
    for (const [row, text] of decoder.texts.entries()) logits[row * nVocab + this.#at(text, decoder.position)] = 0;
    return logits;
  }

  stepRanked(): Promise<never> {
    return Promise.reject(new Error("The scripted engine ranks no tokens"));
  }

  reorder(): Promise<void> {
    return Promise.reject(new Error("The scripted engine has no rows to reorder"));
  }

  /** One head, in which each token is heard from where the script says to where it says that the next one begins. */
  async attend(audio: AudioState, requests: readonly AttendRequest[]): Promise<Attention[]> {
    await this.#dawdle();
    return requests.map(({ window, tokens, from }) => {
      const { spoken = [], tokenProb = 0.9 } = (audio as ScriptedAudio).windows[window];
      const nText = tokens.length - from - 2;
      if (spoken.length !== nText + 1) throw new Error(`The script times ${spoken.length - 1} of ${nText} tokens`);
      const { nAudioCtx } = this.dimensions;
      const data = new Float32Array(tokens.length * nAudioCtx);
      const ends = [...spoken.slice(1), Infinity];
      for (const [i, start] of spoken.entries()) {
        for (let p = 0; p < nAudioCtx; p++) {
          if (p / 50 >= start - 1e-6 && p / 50 < ends[i] - 1e-6) data[(from + i) * nAudioCtx + p] = 10;
        }
      }
      return {
        scores: { data, dims: [1, tokens.length, nAudioCtx] },
        tokenProbs: new Float32Array(nText).fill(tokenProb),
      };
    });
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  #state(): { dispose(): void } {
    this.alive++;
    this.mostAlive = Math.max(this.mostAlive, this.alive);
    let isAlive = true;
    return {
      dispose: () => {
        if (isAlive) this.alive--;
        isAlive = false;
      },
    };
  }

  async #dawdle(): Promise<void> {
    this.#random = (this.#random * 16807) % 2147483647;
    for (let turns = this.#random % 5; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
  }
}
