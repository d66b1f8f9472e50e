/**
 * An engine that answers from a script, for tests of decoding and transcription without a model. The nth window that it
 * encodes gets the nth answer. It takes a random number of turns of the event loop over everything, so that code which
 * depends on the order of answers fails, and it counts what is alive.
 */
import type {
  AudioState,
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
}

interface ScriptedAudio extends AudioState {
  readonly windows: readonly ScriptedWindow[];
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
  /** Windows of each batch that was encoded. */
  readonly encoded: number[] = [];
  /** Every request, in the order of the calls. */
  readonly requests: GenerateRequest[] = [];
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
    return { batch, features: null, windows, ...this.#state() };
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

  /** Logits after startoftranscript alone: of languages and of the no-speech token. */
  async startDecoder(
    audio: AudioState,
    rows: readonly DecoderRow[],
  ): Promise<{ state: DecoderState; logits: Float32Array }> {
    await this.#dawdle();
    this.detections++;
    const { nVocab } = this.dimensions;
    const { languages, noSpeech } = this.#tokenizer.special;
    const logits = new Float32Array(rows.length * nVocab).fill(-100);
    for (const [row, { window }] of rows.entries()) {
      const { language = "en", noSpeechProb = 0 } = (audio as ScriptedAudio).windows[window];
      for (const [code, id] of languages) {
        const probability = code === language ? 0.9 : 0.1 / (languages.size - 1);
        logits[row * nVocab + id] = Math.log(probability * (1 - noSpeechProb));
      }
      logits[row * nVocab + noSpeech] = Math.log(noSpeechProb);
    }
    return { state: { rows: rows.length, length: 1, ...this.#state() }, logits };
  }

  step(): Promise<Float32Array> {
    return Promise.reject(new Error("The scripted engine has no steps"));
  }

  reorder(): Promise<void> {
    return Promise.reject(new Error("The scripted engine has no rows to reorder"));
  }

  attend(): Promise<never> {
    return Promise.reject(new Error("The script has no attention"));
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
