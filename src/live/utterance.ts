/**
 * One utterance under way: its audio so far is transcribed again and again, and what two transcriptions agree on is committed.
 * What is transcribed begins after audio whose text is committed, so that it stays short. At the end, an utterance that fits the
 * model's window is transcribed as a whole, and that is its text.
 *
 * After ufal/whisper_streaming's `OnlineASRProcessor` (facts ecosystem 6.1), with these differences: the end transcribes all
 * of the audio, where the original gives the last hypothesis as it is; and a buffer that finds no completed segment to be cut
 * at is cut at the last committed word before it outgrows the model's window.
 */
import { SAMPLE_RATE } from "../audio/index.ts";
import type { Word } from "../transcription/index.ts";
import { HypothesisBuffer } from "./hypothesis-buffer.ts";
import { SampleBuffer } from "./sample-buffer.ts";

/** Audio under transcription is cut at completed segments once there is more of it than this, in seconds. */
const TRIM_SECONDS = 15;
/**
 * More audio than this is cut anywhere, in seconds: with a step of at most 5 s more it still fits the model's window, which holds
 * 30.
 */
const MAX_SECONDS = 25;
/** An utterance of no more than this is transcribed as a whole at its end, in seconds: what the model hears at once. */
const WHOLE_SECONDS = 30;
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
  /** All audio of an utterance that may be transcribed as a whole; of a longer one what is still to be transcribed. */
  readonly #samples = new SampleBuffer(4 * SAMPLE_RATE);
  #isWhole = true;
  /** Samples at the start of the buffer whose text is committed. */
  #settled = 0;
  /** Seconds at which the audio after those begins. */
  #offset: number;
  /** Samples since the last transcription. */
  #waiting = 0;
  readonly #words: Word[] = [];
  /** The last hypothesis as it was, in seconds since the session began. */
  #heard: readonly Word[] = [];
  /** Whether it was of all the audio, in the language that was asked for or detected in all of it. */
  #heardWhole = false;
  readonly #asked: string | undefined;
  #language: string | undefined;

  /**
   * @param start seconds at which its audio begins
   * @param language code, undefined where it is to be detected
   */
  constructor(transcribe: TranscribeBuffer, start: number, language: string | undefined) {
    this.#transcribe = transcribe;
    this.#hypotheses = new HypothesisBuffer(start);
    this.#start = start;
    this.#offset = start;
    this.#asked = language;
    this.#language = language;
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

  /**
   * After `finish`: what was said. Of an utterance that was transcribed as a whole these are the words of that, otherwise the
   * committed ones.
   */
  get finalWords(): readonly Word[] {
    return this.#isWhole ? this.#heard : this.#words;
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
    this.#samples.append(samples);
    this.#waiting += samples.length;
    this.#heardWhole = false;
    if (this.#samples.length <= WHOLE_SECONDS * SAMPLE_RATE) return;
    this.#isWhole = false;
    this.#samples.drop(this.#settled);
    this.#settled = 0;
  }

  /** Transcribes what there is. @returns words that are committed by that */
  async step(): Promise<readonly Word[]> {
    const { segmentEnds } = await this.#hear();
    const committed = this.#hypotheses.flush();
    this.#words.push(...committed);
    return [...committed, ...this.#trim(segmentEnds)];
  }

  /** Transcribes the rest, or the whole, and commits all of it. @returns words that are committed by that */
  async finish(): Promise<readonly Word[]> {
    const committed: Word[] = [];
    const isNew = this.#isWhole ? this.#samples.length > 0 && !this.#heardWhole : this.#waiting > 0;
    if (isNew) {
      if (this.#isWhole) await this.#hearWhole();
      else await this.#hear();
      if (!this.#isContinued) committed.push(...this.#hypotheses.flush());
    }
    if (this.#isContinued) committed.push(...this.#hypotheses.append(this.#heard.slice(this.#words.length)));
    else committed.push(...this.#hypotheses.complete());
    this.#words.push(...committed);
    return committed;
  }

  /** Samples that are not settled. */
  get #length(): number {
    return this.#samples.length - this.#settled;
  }

  /** Whether the utterance, heard as a whole, begins with what is committed. */
  get #isContinued(): boolean {
    return this.#isWhole && this.#words.every(({ word }, i) => word === this.#heard[i]?.word);
  }

  async #hear(): Promise<Hypothesis> {
    // Once words are committed their language is settled.
    const language = this.#words.length > 0 ? this.#language : this.#asked;
    const samples = this.#samples.from(this.#settled);
    const hypothesis = await this.#take(samples, this.#offset, this.#prompt(), language);
    this.#heardWhole = this.#offset === this.#start && language === this.#asked;
    return hypothesis;
  }

  async #hearWhole(): Promise<void> {
    await this.#take(this.#samples.from(0), this.#start, "", this.#asked);
    this.#heardWhole = true;
  }

  async #take(
    samples: Float32Array,
    offset: number,
    prompt: string,
    language: string | undefined,
  ): Promise<Hypothesis> {
    this.#waiting = 0;
    const hypothesis = await this.#transcribe(samples, prompt, language);
    this.#language = hypothesis.language;
    this.#heard = hypothesis.words.map((word) => ({ ...word, start: word.start + offset, end: word.end + offset }));
    this.#hypotheses.insert(this.#heard);
    return hypothesis;
  }

  /** The last characters of the words whose audio is settled, in whole words. */
  #prompt(): string {
    let last = Math.max(0, this.#words.length - 1);
    while (last > 0 && this.#words[last - 1].end > this.#offset) last--;
    let prompt = "";
    for (let i = last - 1; i >= 0 && prompt.length < PROMPT_CHARACTERS; i--) prompt = this.#words[i].word + prompt;
    return prompt;
  }

  /** Settles audio whose text is committed, if there is much of it. @returns words that had to be committed for that */
  #trim(segmentEnds: readonly number[]): readonly Word[] {
    if (!this.#exceeds(TRIM_SECONDS)) return [];
    const spoken = this.#words.length === 0 ? this.#start : this.#hypotheses.committedEnd;
    // The last segment may be unfinished.
    const completed = segmentEnds.slice(0, -1).map((end) => this.#offset + end);
    this.#settle(completed.findLast((end) => end <= spoken) ?? this.#offset);
    if (this.#exceeds(MAX_SECONDS)) this.#settle(spoken);
    if (!this.#exceeds(MAX_SECONDS)) return [];
    // Nothing was agreed on in all this time: better the last hypothesis than none.
    const rest = this.#hypotheses.complete();
    this.#words.push(...rest);
    this.#settle(Math.max(this.#hypotheses.committedEnd, this.end - TRIM_SECONDS));
    return rest;
  }

  #exceeds(seconds: number): boolean {
    return this.#length > seconds * SAMPLE_RATE;
  }

  #settle(time: number): void {
    const count = Math.min(this.#length, Math.round((time - this.#offset) * SAMPLE_RATE));
    if (count <= 0) return;
    this.#offset += count / SAMPLE_RATE;
    if (this.#isWhole) this.#settled += count;
    else this.#samples.drop(count);
    this.#waiting = Math.min(this.#waiting, this.#length);
    this.#hypotheses.forget(this.#offset);
  }
}
