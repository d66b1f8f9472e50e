/**
 * One utterance under way: its audio so far is transcribed again and again, and what two transcriptions agree on is committed.
 * What is transcribed begins after audio whose text is committed, so that it stays short. Beside that the utterance is transcribed as a whole, and
 * that is its text in the end.
 *
 * After ufal/whisper_streaming's `OnlineASRProcessor` (facts ecosystem 6.1), with these differences: the end gives the text of
 * all of the audio, where the original gives the last hypothesis as it is; silence is not transcribed; and a buffer that finds no completed
 * segment to be cut at is cut at the last committed word before it outgrows the model's window.
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
/** Transcriptions that hear nothing but silence more than the one before: one, which may agree with that. */
const MAX_SILENT_STEPS = 1;
/** Silence before new speech that stays, in seconds. */
const LEAD_SECONDS = 1;
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

/** What the whole of an utterance says, in the shape of a `Transcript`. */
export interface WholeResult {
  readonly text: string;
  /** In seconds from the start of its audio. */
  readonly segments: readonly { readonly words?: readonly Word[] }[];
  /** Code. */
  readonly language: string;
}

/** The transcription of a whole utterance, whose audio comes in pieces. */
export interface WholeText {
  /** Adds samples; they are copied. */
  append(samples: Float32Array): void;
  /** Done when it has not fallen far behind what was appended. */
  ready(): Promise<void>;
  /** The text of all that was appended. */
  finish(): Promise<WholeResult>;
  /** Gives it up: `finish` then throws the reason. */
  cancel(reason: Error): void;
}

export class Utterance {
  readonly #transcribe: TranscribeBuffer;
  readonly #whole: WholeText;
  readonly #hypotheses: HypothesisBuffer;
  readonly #start: number;
  /** Audio whose text is not committed yet. */
  readonly #samples = new SampleBuffer(4 * SAMPLE_RATE);
  /** Seconds at which that begins. */
  #offset: number;
  /** Samples since the last step. */
  #waiting = 0;
  /** Whether somebody speaks in them. */
  #speaks = false;
  /** Steps since somebody last spoke; before anybody has, as if there had been enough of them. */
  #silentSteps = MAX_SILENT_STEPS;
  readonly #words: Word[] = [];
  #finalWords: readonly Word[] = [];
  #finalText = "";
  readonly #asked: string | undefined;
  #language: string | undefined;

  /**
   * @param whole of this utterance: it gets the same audio
   * @param start seconds at which its audio begins
   * @param language code, undefined where it is to be detected
   */
  constructor(transcribe: TranscribeBuffer, whole: WholeText, start: number, language: string | undefined) {
    this.#transcribe = transcribe;
    this.#whole = whole;
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
    return this.#offset + this.#samples.length / SAMPLE_RATE;
  }

  /** Seconds of audio since the last step. */
  get waitingSeconds(): number {
    return this.#waiting / SAMPLE_RATE;
  }

  /** All committed words. */
  get words(): readonly Word[] {
    return this.#words;
  }

  /** After `finish`: what was said, in seconds since the session began. */
  get finalWords(): readonly Word[] {
    return this.#finalWords;
  }

  /** After `finish`: its text, without spaces around it. */
  get finalText(): string {
    return this.#finalText;
  }

  /** Text after the committed words that may still change. */
  get tentativeText(): string {
    return this.#hypotheses.tentative.map(({ word }) => word).join("");
  }

  /** Code of the language it was transcribed in; null if nothing was understood. */
  get language(): string | null {
    return this.#language ?? null;
  }

  /**
   * Adds samples; they are copied.
   *
   * @param hasSpeech whether somebody speaks in them
   */
  append(samples: Float32Array, hasSpeech: boolean): void {
    this.#samples.append(samples);
    this.#whole.append(samples);
    this.#waiting += samples.length;
    if (hasSpeech) this.#speaks = true;
  }

  /** Transcribes what there is, unless nobody has spoken for a while. @returns words that are committed by that */
  async step(): Promise<readonly Word[]> {
    await this.#whole.ready();
    this.#waiting = 0;
    this.#silentSteps = this.#speaks ? 0 : this.#silentSteps + 1;
    this.#speaks = false;
    if (this.#silentSteps > MAX_SILENT_STEPS) return this.#skip();
    const { segmentEnds } = await this.#hear();
    const committed = this.#hypotheses.flush();
    this.#words.push(...committed);
    return [...committed, ...this.#trim(segmentEnds)];
  }

  /** Transcribes the whole, and commits what it has beyond the committed words. @returns words that are committed by that */
  async finish(): Promise<readonly Word[]> {
    const { text, segments, language } = await this.#whole.finish();
    const words = segments.flatMap((segment) => segment.words ?? []);
    this.#finalWords = words.map((word) => ({ ...word, start: word.start + this.#start, end: word.end + this.#start }));
    this.#finalText = text.trim();
    this.#language = segments.length > 0 ? language : undefined;
    const rest = this.#isContinued
      ? this.#hypotheses.append(this.#finalWords.slice(this.#words.length))
      : this.#commitFinal();
    this.#words.push(...rest);
    return rest;
  }

  /** Gives it up, while it is under way. */
  cancel(reason: Error): void {
    this.#whole.cancel(reason);
  }

  /** Whether the whole begins with what is committed. */
  get #isContinued(): boolean {
    return this.#words.every(({ word }, i) => word === this.#finalWords[i]?.word);
  }

  /** Commits the words of the whole that lie after the committed ones, as they cannot be taken back. */
  #commitFinal(): Word[] {
    this.#hypotheses.insert(this.#finalWords);
    return [...this.#hypotheses.flush(), ...this.#hypotheses.complete()];
  }

  async #hear(): Promise<Hypothesis> {
    // Once words are committed their language is settled.
    const language = this.#words.length > 0 ? this.#language : this.#asked;
    const offset = this.#offset;
    const hypothesis = await this.#transcribe(this.#samples.from(0), this.#prompt(), language);
    this.#language = hypothesis.language;
    const words = hypothesis.words.map((word) => ({ ...word, start: word.start + offset, end: word.end + offset }));
    this.#hypotheses.insert(words);
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

  /** Drops silence that nothing more will be heard in, if there is much of it. @returns words that had to be committed for that */
  #skip(): readonly Word[] {
    if (!this.#exceeds(TRIM_SECONDS)) return [];
    const rest = this.#hypotheses.complete();
    this.#words.push(...rest);
    this.#drop(this.end - LEAD_SECONDS);
    return rest;
  }

  /** Drops audio whose text is committed, if there is much of it. @returns words that had to be committed for that */
  #trim(segmentEnds: readonly number[]): readonly Word[] {
    if (!this.#exceeds(TRIM_SECONDS)) return [];
    const spoken = this.#words.length === 0 ? this.#start : this.#hypotheses.committedEnd;
    // The last segment may be unfinished.
    const completed = segmentEnds.slice(0, -1).map((end) => this.#offset + end);
    this.#drop(completed.findLast((end) => end <= spoken) ?? this.#offset);
    if (this.#exceeds(MAX_SECONDS)) this.#drop(spoken);
    if (!this.#exceeds(MAX_SECONDS)) return [];
    // Nothing was agreed on in all this time: better the last hypothesis than none.
    const rest = this.#hypotheses.complete();
    this.#words.push(...rest);
    this.#drop(Math.max(this.#hypotheses.committedEnd, this.end - TRIM_SECONDS));
    return rest;
  }

  #exceeds(seconds: number): boolean {
    return this.#samples.length > seconds * SAMPLE_RATE;
  }

  /** Drops audio before this time. */
  #drop(time: number): void {
    const count = Math.min(this.#samples.length, Math.round((time - this.#offset) * SAMPLE_RATE));
    if (count <= 0) return;
    this.#offset += count / SAMPLE_RATE;
    this.#samples.drop(count);
    this.#hypotheses.forget(this.#offset);
  }
}
