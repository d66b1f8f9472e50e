/**
 * One utterance under way: its audio so far is transcribed again and again, and what two transcriptions agree on is committed.
 * Audio whose text is committed is dropped, so that the buffer stays short.
 *
 * After ufal/whisper_streaming's `OnlineASRProcessor` (facts ecosystem 6.1), with these differences: the end transcribes the
 * audio that came since the last step, where the original gives the last hypothesis as it is; and a buffer that finds no
 * completed segment to be cut at is cut at the last committed word before it outgrows the model's window.
 */
import { SAMPLE_RATE } from "../audio/index.ts";
import type { Word } from "../transcription/index.ts";
import { HypothesisBuffer } from "./hypothesis-buffer.ts";

/** Audio is cut at completed segments once there is more of it than this, in seconds. */
const TRIM_SECONDS = 15;
/**
 * More audio than this is cut anywhere, in seconds: with a step of at most 5 s more it still fits the model's window, which holds
 * 30.
 */
const MAX_SECONDS = 25;
/** Characters of committed text, of audio dropped already, that the model is told. */
const PROMPT_CHARACTERS = 200;

/** A transcription of some audio. */
export interface Hypothesis {
  /** Times in seconds from the start of the audio. */
  readonly words: readonly Word[];
  /** Where each segment ends, in seconds from the start of the audio. */
  readonly segmentEnds: readonly number[];
  /** Code. */
  readonly language: string;
}

/**
 * Transcribes audio.
 *
 * @param samples mono at 16 kHz
 * @param prompt text before the audio, empty if there is none
 * @param language code, undefined where it is to be detected
 */
export type TranscribeBuffer = (
  samples: Float32Array,
  prompt: string,
  language: string | undefined,
) => Promise<Hypothesis>;

export class Utterance {
  readonly #transcribe: TranscribeBuffer;
  readonly #hypotheses: HypothesisBuffer;
  readonly #start: number;
  #samples = new Float32Array(4 * SAMPLE_RATE);
  #length = 0;
  /** Seconds at which the buffer begins. */
  #offset: number;
  /** Samples since the last transcription. */
  #waiting = 0;
  readonly #words: Word[] = [];
  #language: string | undefined;
  #pinned = false;

  /**
   * @param start seconds at which its audio begins
   * @param language code, undefined where it is to be detected
   */
  constructor(transcribe: TranscribeBuffer, start: number, language: string | undefined) {
    this.#transcribe = transcribe;
    this.#hypotheses = new HypothesisBuffer(start);
    this.#start = start;
    this.#offset = start;
    this.#language = language;
    this.#pinned = language !== undefined;
  }

  /** Seconds at which its audio begins. */
  get start(): number {
    return this.#start;
  }

  /** Seconds at which its audio ends so far. */
  get end(): number {
    return this.#offset + this.#length / SAMPLE_RATE;
  }

  /** Seconds of audio that no transcription has heard. */
  get waitingSeconds(): number {
    return this.#waiting / SAMPLE_RATE;
  }

  /** All committed words. */
  get words(): readonly Word[] {
    return this.#words;
  }

  /** Text after the committed words that may still change. */
  get tentativeText(): string {
    return this.#hypotheses.tentative.map(({ word }) => word).join("");
  }

  /** Code of the language it was transcribed in; null if it never was. */
  get language(): string | null {
    return this.#language ?? null;
  }

  /** Adds samples; they are copied. */
  append(samples: Float32Array): void {
    const needed = this.#length + samples.length;
    if (needed > this.#samples.length) {
      const larger = new Float32Array(Math.max(needed, 2 * this.#samples.length));
      larger.set(this.#samples.subarray(0, this.#length));
      this.#samples = larger;
    }
    this.#samples.set(samples, this.#length);
    this.#length = needed;
    this.#waiting += samples.length;
  }

  /** Transcribes what there is. @returns words that are committed by that */
  async step(): Promise<readonly Word[]> {
    const { segmentEnds } = await this.#hear();
    const committed = this.#hypotheses.flush();
    this.#words.push(...committed);
    return [...committed, ...this.#trim(segmentEnds)];
  }

  /** Transcribes the rest and commits all of it. @returns words that are committed by that */
  async finish(): Promise<readonly Word[]> {
    const committed: Word[] = [];
    if (this.#waiting > 0) {
      await this.#hear();
      committed.push(...this.#hypotheses.flush());
    }
    committed.push(...this.#hypotheses.complete());
    this.#words.push(...committed);
    return committed;
  }

  async #hear(): Promise<Hypothesis> {
    const samples = this.#samples.slice(0, this.#length);
    this.#waiting = 0;
    const hypothesis = await this.#transcribe(samples, this.#prompt(), this.#pinned ? this.#language : undefined);
    const offset = this.#offset;
    this.#language = hypothesis.language;
    this.#hypotheses.insert(
      hypothesis.words.map((word) => ({ ...word, start: word.start + offset, end: word.end + offset })),
    );
    return hypothesis;
  }

  /** The last characters of the words whose audio is dropped, in whole words. */
  #prompt(): string {
    let last = Math.max(0, this.#words.length - 1);
    while (last > 0 && this.#words[last - 1].end > this.#offset) last--;
    let prompt = "";
    for (let i = last - 1; i >= 0 && prompt.length < PROMPT_CHARACTERS; i--) prompt = this.#words[i].word + prompt;
    return prompt;
  }

  /** Drops audio whose text is committed, if there is much of it. @returns words that had to be committed for that */
  #trim(segmentEnds: readonly number[]): readonly Word[] {
    // Once words are committed their language is settled.
    if (this.#words.length > 0) this.#pinned = true;
    if (!this.#exceeds(TRIM_SECONDS)) return [];
    const spoken = this.#words.length === 0 ? this.#start : this.#hypotheses.committedEnd;
    // The last segment may be unfinished.
    const completed = segmentEnds.slice(0, -1).map((end) => this.#offset + end);
    this.#cut(completed.findLast((end) => end <= spoken) ?? this.#offset);
    if (this.#exceeds(MAX_SECONDS)) this.#cut(spoken);
    if (!this.#exceeds(MAX_SECONDS)) return [];
    // Nothing was agreed on in all this time: better the last hypothesis than none.
    const rest = this.#hypotheses.complete();
    this.#words.push(...rest);
    this.#cut(Math.max(this.#hypotheses.committedEnd, this.end - TRIM_SECONDS));
    return rest;
  }

  #exceeds(seconds: number): boolean {
    return this.#length > seconds * SAMPLE_RATE;
  }

  #cut(time: number): void {
    const count = Math.min(this.#length, Math.round((time - this.#offset) * SAMPLE_RATE));
    if (count <= 0) return;
    this.#samples.copyWithin(0, count, this.#length);
    this.#length -= count;
    this.#offset += count / SAMPLE_RATE;
    this.#waiting = Math.min(this.#waiting, this.#length);
    this.#hypotheses.forget(this.#offset);
  }
}
