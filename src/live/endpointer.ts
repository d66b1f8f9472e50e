/**
 * Cuts a stream of samples into utterances: an utterance begins a while before a voice is heard, and ends when it has been
 * silent for a while. All of it is decided frame by frame of 20 ms, so how the samples are handed over changes nothing.
 */
import { SAMPLE_RATE } from "../audio/index.ts";
import { FRAME_SAMPLES, VoiceActivityDetector } from "./voice-activity.ts";

export interface Endpointing {
  /** How much a voice must stand out, 0 (hardly) to 1 (10 dB in the mean of all bands). Default 0.5. */
  readonly threshold: number;
  /**
   * Silence that ends an utterance, in seconds. Default 1.5: speakers pause for a second and more within a sentence, and a text cut
   * there reads as two. Turn-taking wants less (OpenAI's realtime API has 0.5), files more (faster-whisper has 2).
   */
  readonly silenceSeconds: number;
  /**
   * The same for an utterance that lasts for more than 15 s, which should end before the model can no longer hear all of it at once. Default
   * 0.5, or `silenceSeconds` where that is given.
   */
  readonly lateSilenceSeconds: number;
  /** Audio before the voice that belongs to the utterance, in seconds. Default 1 (facts ecosystem 6.1). */
  readonly prefixSeconds: number;
}

/** What happens in the stream, in order. Times are seconds since its beginning. */
export type EndpointerEvent =
  | { readonly type: "start"; readonly time: number; readonly audioStart: number }
  /** Samples of the utterance under way. */
  | { readonly type: "audio"; readonly samples: Float32Array }
  | { readonly type: "end"; readonly time: number };

/** Age of an utterance from which on the late silence ends it, in seconds. */
const LATE_SECONDS = 15;
/** Mean dB at threshold 1. */
const FULL_SCALE_DB = 10;
/** A voice under way may fade to this part of the threshold. */
const RELEASE = 0.6;
/** Of the last ONSET_FRAMES frames, so many must stand out for an utterance to begin: no click is a voice. */
const ONSET_FRAMES = 6;
const ONSET_COUNT = 4;

export class Endpointer {
  readonly #detector = new VoiceActivityDetector();
  readonly #onDb: number;
  readonly #silenceFrames: number;
  readonly #lateSilenceFrames: number;
  readonly #prefixSamples: number;
  /** Samples not yet given away: what may become a prefix, then what is no whole frame yet. */
  #held: Float32Array = new Float32Array(0);
  /** Number of the first sample held. */
  #heldFrom = 0;
  /** Number of the first sample not yet looked at. */
  #at = 0;
  #speaking = false;
  /** Number of the sample after the last frame with a voice. */
  #voiceEnd = 0;
  #silentFrames = 0;
  /** Number of the first sample of the utterance under way. */
  #start = 0;
  /** Whether each of the last frames stood out, newest last. */
  #recent: boolean[] = [];

  constructor({ threshold, silenceSeconds, lateSilenceSeconds, prefixSeconds }: Endpointing) {
    this.#onDb = threshold * FULL_SCALE_DB;
    this.#silenceFrames = frames(silenceSeconds);
    this.#lateSilenceFrames = frames(lateSilenceSeconds);
    this.#prefixSamples = Math.round(prefixSeconds * SAMPLE_RATE);
  }

  /** Takes the next samples, of any number; they are copied. */
  push(samples: Float32Array): EndpointerEvent[] {
    const held = new Float32Array(this.#held.length + samples.length);
    held.set(this.#held);
    held.set(samples, this.#held.length);
    this.#held = held;

    const events: EndpointerEvent[] = [];
    for (; this.#at + FRAME_SAMPLES <= this.#heldFrom + this.#held.length;) {
      const offset = this.#at - this.#heldFrom;
      const score = this.#detector.score(this.#held.subarray(offset, offset + FRAME_SAMPLES));
      this.#at += FRAME_SAMPLES;
      if (this.#speaking) this.#listen(score, events);
      else this.#wait(score, events);
    }
    if (this.#speaking) this.#give(this.#at, events);
    else this.#drop(this.#at - this.#prefixSamples - ONSET_FRAMES * FRAME_SAMPLES);
    return events;
  }

  /** Ends the utterance under way, if there is one, with all samples so far. */
  end(): EndpointerEvent[] {
    const events: EndpointerEvent[] = [];
    if (this.#speaking) {
      this.#at = this.#heldFrom + this.#held.length;
      this.#voiceEnd = Math.min(this.#at, this.#voiceEnd);
      this.#finish(events);
    }
    return events;
  }

  /** Drops the utterance under way and what is kept for the next one. */
  clear(): void {
    this.#speaking = false;
    this.#recent = [];
    this.#drop(this.#at);
  }

  #wait(score: number, events: EndpointerEvent[]): void {
    this.#recent.push(score > this.#onDb);
    if (this.#recent.length > ONSET_FRAMES) this.#recent.shift();
    if (this.#recent.filter(Boolean).length < ONSET_COUNT) return;
    const onset = this.#at - (this.#recent.length - this.#recent.indexOf(true)) * FRAME_SAMPLES;
    this.#speaking = true;
    this.#recent = [];
    this.#voiceEnd = this.#at;
    this.#silentFrames = 0;
    this.#drop(onset - this.#prefixSamples);
    this.#start = this.#heldFrom;
    events.push({ type: "start", time: seconds(onset), audioStart: seconds(this.#heldFrom) });
  }

  #listen(score: number, events: EndpointerEvent[]): void {
    if (score > this.#onDb * RELEASE) {
      this.#voiceEnd = this.#at;
      this.#silentFrames = 0;
    } else if (++this.#silentFrames >= this.#silenceNeeded) this.#finish(events);
  }

  get #silenceNeeded(): number {
    const isLate = this.#voiceEnd - this.#start > LATE_SECONDS * SAMPLE_RATE;
    return isLate ? this.#lateSilenceFrames : this.#silenceFrames;
  }

  #finish(events: EndpointerEvent[]): void {
    this.#give(this.#at, events);
    this.#speaking = false;
    events.push({ type: "end", time: seconds(this.#voiceEnd) });
  }

  /** Gives the samples up to this one away. */
  #give(to: number, events: EndpointerEvent[]): void {
    const count = to - this.#heldFrom;
    if (count <= 0) return;
    events.push({ type: "audio", samples: this.#held.slice(0, count) });
    this.#drop(to);
  }

  /** Forgets the samples before this one. */
  #drop(to: number): void {
    const count = Math.min(to - this.#heldFrom, this.#held.length);
    if (count <= 0) return;
    this.#held = this.#held.slice(count);
    this.#heldFrom += count;
  }
}

/** The same without listening: all samples are of one utterance until somebody says that it ends. */
export class ManualTurns {
  #received = 0;
  #speaking = false;

  push(samples: Float32Array): EndpointerEvent[] {
    if (samples.length === 0) return [];
    const events: EndpointerEvent[] = [];
    if (!this.#speaking) {
      const time = seconds(this.#received);
      events.push({ type: "start", time, audioStart: time });
      this.#speaking = true;
    }
    this.#received += samples.length;
    events.push({ type: "audio", samples: samples.slice() });
    return events;
  }

  end(): EndpointerEvent[] {
    if (!this.#speaking) return [];
    this.#speaking = false;
    return [{ type: "end", time: seconds(this.#received) }];
  }

  clear(): void {
    this.#speaking = false;
  }
}

function frames(duration: number): number {
  return Math.max(1, Math.round((duration * SAMPLE_RATE) / FRAME_SAMPLES));
}

function seconds(samples: number): number {
  return samples / SAMPLE_RATE;
}
