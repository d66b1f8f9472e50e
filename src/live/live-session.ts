/**
 * Live captions of one stream of audio: samples in, events out. Endpointing runs at once when samples come; transcribing follows
 * in its own time, and takes all that has come meanwhile in one step, so that a slow machine falls behind by less text, not
 * by more and more time.
 *
 * No clock is read: who waits for each `push` before the next gets the same events for the same samples, always.
 */
import { SAMPLE_RATE } from "../audio/index.ts";
import { assertUnitScale } from "../audio/unit-scale.ts";
import type { Word } from "../transcription/index.ts";
import { Endpointer, type EndpointerEvent } from "./endpointer.ts";
import type { LiveEvent } from "./events.ts";
import { resolveLive, type LiveContext, type LiveOptions } from "./live-options.ts";
import { ManualTurns } from "./manual-turns.ts";
import { bufferTranscriber } from "./transcribe-buffer.ts";
import { Utterance, type TranscribeBuffer, type WholeText } from "./utterance.ts";
import { WholeTranscription } from "./whole-transcription.ts";

/** Most audio taken in one step, in seconds: nothing is committed before two steps have heard it. */
const MAX_STEP_SECONDS = 5;
const MAX_STEP_SAMPLES = MAX_STEP_SECONDS * SAMPLE_RATE;

/** What is to be done, in order. */
type Task =
  | { readonly type: "start"; readonly utterance: number; readonly audioStart: number }
  | Audio
  | { readonly type: "end" };

type Audio = EndpointerEvent & { readonly type: "audio" };

/** The utterance that is transcribed. */
interface Current {
  readonly id: number;
  readonly text: Utterance;
  /** As last reported. */
  partial: string;
}

export class LiveSession {
  readonly #transcribe: TranscribeBuffer;
  /** Begins to transcribe an utterance as a whole. */
  readonly #begin: () => WholeText;
  readonly #language: string | undefined;
  readonly #stepSamples: number;
  readonly #turns: Endpointer | ManualTurns;
  readonly #onEvent: (event: LiveEvent) => void;
  readonly #stopped = new AbortController();
  readonly #tasks: Task[] = [];
  #queuedSamples = 0;
  /** The work on all tasks that there were when it began, and came meanwhile. */
  #work: Promise<void> = Promise.resolve();
  #isWorking = false;
  #utterances = 0;
  #current: Current | null = null;
  #speaking = false;
  #ended = false;

  /**
   * @param context of a model, as `WhisperPipeline` has it, or with the `vad` that `loadSileroVad()` gives; its engine may be shared with others
   * @param onEvent called with each event in order; it must not throw
   * @throws {OptionError} for options that do not exist, are out of range, or do not fit the model
   */
  constructor(context: LiveContext, options: LiveOptions, onEvent: (event: LiveEvent) => void) {
    const resolved = resolveLive(context, options);
    this.#transcribe = bufferTranscriber(context, resolved, this.#stopped.signal);
    this.#begin = () => new WholeTranscription(context, resolved, resolved.language);
    this.#language = resolved.language;
    this.#stepSamples = resolved.stepSeconds * SAMPLE_RATE;
    const { endpointing, voice } = resolved;
    this.#turns = endpointing === null ? new ManualTurns(context.vad, voice) : new Endpointer(context.vad, endpointing);
    this.#onEvent = onEvent;
  }

  /** Seconds of speech that wait to be transcribed. Whoever takes audio from outside must bound it. */
  get queuedSeconds(): number {
    return this.#queuedSamples / SAMPLE_RATE;
  }

  /** Whether an utterance is under way that `endUtterance` would end. */
  get isSpeaking(): boolean {
    return this.#speaking;
  }

  /**
   * Takes the next samples, of any number; they are copied. Events of endpointing come before this returns.
   *
   * @param samples mono at 16 kHz, in [-1, 1]
   * @returns done when all samples so far are transcribed
   * @throws {Error} after `end` or `close`; what the engine throws, after which the session is closed
   * @throws {RangeError} for integers as floats; the session goes on without them
   */
  async push(samples: Float32Array): Promise<void> {
    if (this.#ended) throw new Error("Cannot take more samples: the session has ended");
    assertUnitScale("Cannot take samples", samples);
    return this.#take(this.#turns.push(samples));
  }

  /** Ends the utterance under way, if there is one. @returns done when its `final` event has come */
  endUtterance(): Promise<void> {
    return this.#take(this.#turns.end());
  }

  /**
   * Drops the utterance under way without a `final` event. Only words that are not committed are lost to a reader: what was
   * committed stays.
   */
  clear(): void {
    this.#turns.clear();
    if (!this.#speaking) return;
    this.#speaking = false;
    const started = this.#tasks.findLastIndex(({ type }) => type === "start");
    const dropped = this.#tasks.splice(Math.max(0, started));
    for (const task of dropped) if (task.type === "audio") this.#queuedSamples -= task.samples.length;
    if (started >= 0) return;
    this.#current?.text.cancel(new Error("The utterance was cleared"));
    this.#current = null;
  }

  /** Ends the session, with all that was said. @returns done when the last event has come */
  end(): Promise<void> {
    this.#ended = true;
    return this.#take(this.#turns.end());
  }

  /** Ends the session at once; no event comes any more. */
  close(): void {
    this.#ended = true;
    const reason = new Error("The live session was closed");
    this.#stopped.abort(reason);
    this.#current?.text.cancel(reason);
    this.#tasks.length = 0;
    this.#queuedSamples = 0;
  }

  #take(events: readonly EndpointerEvent[]): Promise<void> {
    for (const event of events) {
      if (event.type === "start") {
        const utterance = this.#utterances++;
        this.#speaking = true;
        const { time, audioStart } = event;
        this.#tasks.push({ type: "start", utterance, audioStart });
        this.#onEvent({ type: "speechStart", utterance, time, audioStart });
      } else if (event.type === "audio") {
        this.#queuedSamples += event.samples.length;
        this.#tasks.push(event);
      } else {
        this.#speaking = false;
        this.#tasks.push({ type: "end" });
        this.#onEvent({ type: "speechEnd", utterance: this.#utterances - 1, time: event.time });
      }
    }
    if (!this.#isWorking) this.#work = this.#carryOut();
    return this.#work;
  }

  async #carryOut(): Promise<void> {
    this.#isWorking = true;
    try {
      for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
        if (task.type === "start") this.#start(task.utterance, task.audioStart);
        else if (task.type === "audio") await this.#hear(task);
        else await this.#finish();
      }
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      this.close();
      throw error;
    } finally {
      // At once, not in a later turn: what comes next must find that nobody works.
      this.#isWorking = false;
    }
  }

  #start(id: number, audioStart: number): void {
    const text = new Utterance(this.#transcribe, this.#begin(), audioStart, this.#language);
    this.#current = { id, text, partial: "" };
  }

  /** Takes samples and all that follow them, and transcribes if that is enough, unless the end will do it anyway. */
  async #hear(audio: Audio): Promise<void> {
    const current = this.#current;
    if (current === null) return;
    for (let next: Audio | null = audio; next !== null; next = this.#nextAudio()) {
      const { samples, hasSpeech } = next;
      this.#queuedSamples -= samples.length;
      for (let at = 0; at < samples.length;) {
        const room = Math.max(0, MAX_STEP_SAMPLES - Math.round(current.text.waitingSeconds * SAMPLE_RATE));
        const part = samples.subarray(at, at + room);
        current.text.append(part, hasSpeech);
        at += part.length;
        if (part.length === room) await this.#step(current);
        if (this.#current !== current) return;
      }
    }
    if (this.#current !== current || this.#tasks[0]?.type === "end") return;
    if (current.text.waitingSeconds * SAMPLE_RATE >= this.#stepSamples) await this.#step(current);
  }

  #nextAudio(): Audio | null {
    if (this.#tasks[0]?.type !== "audio") return null;
    return this.#tasks.shift() as Audio;
  }

  async #step(current: Current): Promise<void> {
    const words = await current.text.step();
    this.#report(current, words);
  }

  async #finish(): Promise<void> {
    const current = this.#current;
    if (current === null) return;
    const { id, text } = current;
    this.#report(current, await text.finish());
    this.#current = null;
    const { start, end, finalText, finalWords, language } = text;
    this.#emit({ type: "final", utterance: id, start, end, text: finalText, words: [...finalWords], language });
  }

  /** Reports what a step has changed. */
  #report(current: Current, words: readonly Word[]): void {
    // Cleared while the engine was at work.
    if (this.#current !== current) return;
    const { id, text } = current;
    if (words.length > 0) {
      this.#emit({ type: "commit", utterance: id, text: words.map(({ word }) => word).join(""), words });
    }
    const partial = text.tentativeText;
    if (partial === current.partial && words.length === 0) return;
    current.partial = partial;
    this.#emit({ type: "partial", utterance: id, text: partial });
  }

  #emit(event: LiveEvent): void {
    if (!this.#stopped.signal.aborted) this.#onEvent(event);
  }
}
