/**
 * Cuts a stream of samples into utterances: an utterance begins a while before a voice is heard, and ends when nobody has spoken for a while.
 * All of it is decided frame by frame of 32 ms, so how the samples are handed over changes nothing.
 */
import { SAMPLE_RATE } from "../audio/index.ts";
import {
  FRAME_SAMPLES,
  SpeechSegmenter,
  VoiceActivityDetector,
  type SileroVad,
  type VadOptions,
} from "../vad/index.ts";

/** What is taken for a voice: as in transcriptions of files. */
export type VoiceOptions = Pick<VadOptions, "vadThreshold" | "vadNegThreshold" | "vadMinSpeechDurationMs">;

export interface Endpointing {
  /** What is taken for a voice. */
  readonly voice: VoiceOptions;
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
  /** Samples of the utterance under way, and whether somebody speaks in them. */
  | { readonly type: "audio"; readonly samples: Float32Array; readonly hasSpeech: boolean }
  | { readonly type: "end"; readonly time: number };

/** Age of an utterance from which on the late silence ends it, in seconds. */
const LATE_SECONDS = 15;
/** Silence that ends a stretch of speech, which utterances are made of, in ms: as in transcriptions of files. */
const STRETCH_SILENCE_MS = 160;
/** An utterance begins with more of a voice than this, in ms, where nobody asked for something else: three frames may be a click. */
const MIN_SPEECH_MS = 96;

export class Endpointer {
  readonly #detector: VoiceActivityDetector;
  readonly #makeSegmenter: () => SpeechSegmenter;
  readonly #silenceSamples: number;
  readonly #lateSilenceSamples: number;
  readonly #prefixSamples: number;
  #segmenter: SpeechSegmenter;
  /** Number of the sample at which the segmenter began. */
  #segmenterFrom = 0;
  /** Samples not yet given away: what may become a prefix, then what is no whole frame yet. */
  #held: Float32Array = new Float32Array(0);
  /** Number of the first sample held. */
  #heldFrom = 0;
  /** Number of the first sample not yet looked at. */
  #at = 0;
  #speaking = false;
  /** Number of the sample after the last one with a voice. */
  #voiceEnd = 0;
  /** Whether somebody speaks in what is held of the utterance under way. */
  #hasSpeech = false;
  /** Number of the first sample of the utterance under way. */
  #start = 0;

  constructor(network: SileroVad, { voice, silenceSeconds, lateSilenceSeconds, prefixSeconds }: Endpointing) {
    const shortest = Math.min(silenceSeconds, lateSilenceSeconds) * 1000;
    this.#detector = new VoiceActivityDetector(network, { recovery: "immediate" });
    this.#makeSegmenter = () => stretches(voice, Math.min(STRETCH_SILENCE_MS, shortest));
    this.#segmenter = this.#makeSegmenter();
    this.#silenceSamples = silenceSeconds * SAMPLE_RATE;
    this.#lateSilenceSamples = lateSilenceSeconds * SAMPLE_RATE;
    this.#prefixSamples = Math.round(prefixSeconds * SAMPLE_RATE);
  }

  /** Takes the next samples, of any number; they are copied. */
  push(samples: Float32Array): EndpointerEvent[] {
    const held = new Float32Array(this.#held.length + samples.length);
    held.set(this.#held);
    held.set(samples, this.#held.length);
    this.#held = held;

    const events: EndpointerEvent[] = [];
    for (const probability of this.#detector.push(samples)) {
      const ended = this.#segmenter.push([probability]).at(-1);
      this.#at += FRAME_SAMPLES;
      if (!this.#speaking) this.#wait(events);
      if (this.#speaking) this.#listen(ended && this.#segmenterFrom + ended.end, events);
    }
    if (this.#speaking) this.#give(this.#at, events);
    else this.#drop(this.#segmenterFrom + this.#segmenter.earliestStart - this.#prefixSamples);
    return events;
  }

  /** Ends the utterance under way, if there is one, with all samples so far. */
  end(): EndpointerEvent[] {
    const events: EndpointerEvent[] = [];
    if (this.#speaking) {
      this.#startAnew();
      this.#finish(events);
    }
    return events;
  }

  /** Drops the utterance under way and what is kept for the next one. */
  clear(): void {
    this.#speaking = false;
    this.#startAnew();
    this.#drop(this.#at);
  }

  /** What was heard so far says nothing of what comes. */
  #startAnew(): void {
    this.#at = this.#heldFrom + this.#held.length;
    this.#detector.reset();
    this.#segmenter = this.#makeSegmenter();
    this.#segmenterFrom = this.#at;
  }

  #wait(events: EndpointerEvent[]): void {
    const { openStart } = this.#segmenter;
    if (openStart === null) return;
    const onset = this.#segmenterFrom + openStart;
    this.#speaking = true;
    this.#hasSpeech = true;
    this.#drop(onset - this.#prefixSamples);
    this.#start = this.#heldFrom;
    events.push({ type: "start", time: seconds(onset), audioStart: seconds(this.#start) });
  }

  /** @param ended number of the sample at which a stretch of speech has ended, as is known now */
  #listen(ended: number | undefined, events: EndpointerEvent[]): void {
    if (ended !== undefined) this.#voiceEnd = ended;
    if (this.#segmenter.openStart !== null) {
      this.#voiceEnd = this.#at;
      this.#hasSpeech = true;
    }
    // What may be a voice is waited for: it may have begun in time.
    if (!this.#segmenter.speaking && this.#at - this.#voiceEnd >= this.#silenceNeeded) this.#finish(events);
  }

  get #silenceNeeded(): number {
    const isLate = this.#voiceEnd - this.#start > LATE_SECONDS * SAMPLE_RATE;
    return isLate ? this.#lateSilenceSamples : this.#silenceSamples;
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
    events.push({ type: "audio", samples: this.#held.slice(0, count), hasSpeech: this.#hasSpeech });
    this.#hasSpeech = false;
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

/** Finds stretches of speech without the silence around them. */
export function stretches(
  { vadThreshold, vadNegThreshold, vadMinSpeechDurationMs = MIN_SPEECH_MS }: VoiceOptions,
  vadMinSilenceDurationMs = STRETCH_SILENCE_MS,
): SpeechSegmenter {
  const silence = { vadMinSilenceDurationMs, vadSpeechPadMs: 0 };
  return new SpeechSegmenter({ vadThreshold, vadNegThreshold, vadMinSpeechDurationMs, ...silence });
}

function seconds(samples: number): number {
  return samples / SAMPLE_RATE;
}
