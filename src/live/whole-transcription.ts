/**
 * The text of an utterance as a whole: what the vad algorithm gives for the same audio as a file. It is computed beside the hypotheses, window by
 * window as audio comes, so that an utterance may be of any length and little is left to do at its end.
 */
import { SAMPLE_RATE, type AudioStream } from "../audio/index.ts";
import type { Task } from "../tokenizer/index.ts";
import { transcribeVad, type Transcript, type VadTranscriptionOptions } from "../transcription/index.ts";
import type { VoiceOptions } from "./endpointer.ts";
import type { LiveContext } from "./live-options.ts";
import type { WholeText } from "./utterance.ts";

/** Samples that may wait to be read, before whoever appends should wait: more than are read ahead of the decoder. */
const MAX_WAITING_SAMPLES = 120 * SAMPLE_RATE;

/** How utterances are transcribed. */
export interface WholeOptions {
  readonly task: Task;
  readonly prompt: string;
  readonly voice: VoiceOptions;
}

export class WholeTranscription implements WholeText {
  readonly #audio = new SampleQueue();
  readonly #cancelled = new AbortController();
  readonly #transcript: Promise<Transcript>;

  /** @param language code, undefined where it is to be detected */
  constructor(context: LiveContext, { task, prompt, voice }: WholeOptions, language: string | undefined) {
    const options: VadTranscriptionOptions = {
      ...voice,
      task,
      language,
      ...(prompt !== "" && { initialPrompt: prompt }),
      wordTimestamps: true,
      // A window is decoded as soon as it is certain.
      batchSize: 1,
      signal: this.#cancelled.signal,
    };
    this.#transcript = transcribeVad(context, this.#audio, options);
    // Who finishes it is told; nobody may.
    this.#transcript.catch(() => undefined).finally(() => void this.#audio.close());
  }

  append(samples: Float32Array): void {
    this.#audio.append(samples);
  }

  ready(): Promise<void> {
    return this.#audio.drained();
  }

  finish(): Promise<Transcript> {
    this.#audio.end();
    return this.#transcript;
  }

  cancel(reason: Error): void {
    this.#cancelled.abort(reason);
    this.#audio.end();
  }
}

/** A stream of samples that somebody else appends. */
class SampleQueue implements AudioStream {
  readonly name = "live audio";
  readonly durationHint = null;
  readonly warnings: readonly string[] = [];
  readonly stride = null;
  readonly #pieces: Float32Array[] = [];
  #waiting = 0;
  #ended = false;
  #closed = false;
  /** Called when something has changed. */
  #wake: (() => void)[] = [];

  /** Adds samples; they are copied. */
  append(samples: Float32Array): void {
    if (this.#closed) return;
    this.#pieces.push(samples.slice());
    this.#waiting += samples.length;
    this.#changed();
  }

  /** No more samples come. */
  end(): void {
    this.#ended = true;
    this.#changed();
  }

  /** Nobody reads any more. */
  close(): Promise<void> {
    this.#closed = true;
    this.#pieces.length = 0;
    this.#changed();
    return Promise.resolve();
  }

  /** Done when not much waits to be read. */
  async drained(): Promise<void> {
    while (this.#waiting > MAX_WAITING_SAMPLES && !this.#closed) await this.#change();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Float32Array, void, undefined> {
    while (!this.#closed) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.#waiting -= piece.length;
        this.#changed();
        yield piece;
      } else if (this.#ended) return;
      else await this.#change();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const each of wake) each();
  }
}
