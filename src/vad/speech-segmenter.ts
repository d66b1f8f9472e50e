/**
 * Where speech begins and ends, from the probabilities of frames. The rules are those of faster-whisper's `get_speech_timestamps`
 * (release 1.2.1, facts 3.3.2), which are Silero's, as a state machine that gives each span as soon as nothing can change it.
 */
import { FRAME_SAMPLES, SAMPLES_PER_MS, SAMPLES_PER_SECOND } from "./constants.ts";
import { resolveVad, type VadOptions } from "./vad-options.ts";

/** A part of the stream that holds speech, in samples at 16 kHz. */
export interface SpeechSpan {
  /** First sample. */
  readonly start: number;
  /** The sample after the last. */
  readonly end: number;
}

/** Speech that is too long is cut at silence longer than this. */
const MIN_CUT_SILENCE_MS = 98;

/** Speech that has begun and not ended. Positions are in samples. */
interface OpenSpeech {
  readonly start: number;
  /** Where its span begins, once it is certain that it becomes one. */
  spanStart?: number;
  /** Where the silence began that may be its end. */
  silence?: number | undefined;
  /** Where it is cut if it gets too long: the begin of its last silence that is long enough for that. */
  cut?: number | undefined;
  /** Where speech went on after that silence. */
  resumed?: number | undefined;
}

/**
 * Turns the probabilities of one stream into spans of speech, piece by piece. Spans are in order and do not overlap. Memory is constant.
 *
 * @example
 * const segmenter = new SpeechSegmenter({ vadMinSilenceDurationMs: 500 });
 * for await (const samples of pieces) for (const span of segmenter.push(detector.push(samples))) console.log(span);
 * const rest = [...segmenter.push(detector.finish()), ...segmenter.finish(nSamples)];
 */
export class SpeechSegmenter {
  private readonly threshold: number;
  private readonly negThreshold: number;
  private readonly minSpeech: number;
  private readonly maxSpeech: number;
  private readonly minSilence: number;
  private readonly pad: number;
  private readonly minCutSilence = MIN_CUT_SILENCE_MS * SAMPLES_PER_MS;

  private frames = 0;
  private speech: OpenSpeech | undefined;
  /** The last span, whose end is not padded yet: the next may be near. */
  private pending: SpeechSpan | undefined;
  private spans: SpeechSpan[] = [];

  /** @throws {OptionError} for an option that does not exist, or a value out of range */
  constructor(options: VadOptions = {}) {
    const resolved = resolveVad(options);
    // Probabilities are float32, and so are the thresholds that NumPy compares them with.
    this.threshold = Math.fround(resolved.threshold);
    this.negThreshold = Math.fround(resolved.negThreshold);
    this.minSpeech = (SAMPLES_PER_SECOND * resolved.minSpeechDurationMs) / 1000;
    this.minSilence = (SAMPLES_PER_SECOND * resolved.minSilenceDurationMs) / 1000;
    this.pad = (SAMPLES_PER_SECOND * resolved.speechPadMs) / 1000;
    this.maxSpeech = SAMPLES_PER_SECOND * resolved.maxSpeechDurationS - FRAME_SAMPLES - 2 * this.pad;
  }

  /**
   * No span to come begins before this sample: audio before it is not needed any more by whoever cuts spans out of a stream.
   */
  get earliestStart(): number {
    return (
      this.pending?.start ??
      this.speech?.spanStart ??
      this.paddedStart(this.speech?.start ?? this.frames * FRAME_SAMPLES)
    );
  }

  /** Whether the last frame was within speech, or within silence that may yet be a pause. */
  get speaking(): boolean {
    return this.speech !== undefined;
  }

  /** Where the span of the speech that goes on begins; null where nobody speaks, or for less than is taken for speech so far. */
  get openStart(): number | null {
    return this.speech?.spanStart ?? null;
  }

  /**
   * @param probabilities of the next frames
   * @returns the spans that are final now and were not before
   */
  push(probabilities: ArrayLike<number>): SpeechSpan[] {
    for (let i = 0; i < probabilities.length; i++) {
      const at = this.frames * FRAME_SAMPLES;
      this.advance(probabilities[i], at);
      this.settle(at);
      this.frames++;
    }
    return this.takeSpans();
  }

  /**
   * Ends the speech that goes on at a sample, where other speech begins: for those who may not wait for its end.
   *
   * @param at sample within speech, not after the last frame
   * @returns the spans that are final now and were not before
   * @throws {RangeError} if nobody speaks, or that speech begins later
   */
  split(at: number): SpeechSpan[] {
    const { speech } = this;
    if (speech === undefined || at <= speech.start || at > this.frames * FRAME_SAMPLES) {
      throw new RangeError(`Cannot split speech at sample ${at}, where none goes on`);
    }
    this.close(speech, at);
    const silence = speech.silence === undefined ? undefined : Math.max(at, speech.silence);
    this.speech = { start: at, silence };
    this.settle(this.frames * FRAME_SAMPLES - FRAME_SAMPLES);
    return this.takeSpans();
  }

  /**
   * Ends the stream; the next push begins another.
   *
   * @param nSamples length of the stream: it ends within the last frame or with it
   * @returns the spans that were left
   * @throws {RangeError} if the frames pushed are not those of a stream of this length
   */
  finish(nSamples: number): SpeechSpan[] {
    const most = this.frames * FRAME_SAMPLES;
    const least = Math.max(0, most - FRAME_SAMPLES);
    if (!Number.isInteger(nSamples) || nSamples < least || nSamples > most) {
      throw new RangeError(
        `Cannot end a stream of ${this.frames} frames at ${nSamples} samples, expected from ${least} to ${most}`,
      );
    }
    if (this.speech !== undefined && nSamples - this.speech.start > this.minSpeech) this.close(this.speech, nSamples);
    if (this.pending !== undefined) this.release(Math.min(nSamples, this.pending.end + this.pad));
    this.speech = undefined;
    this.frames = 0;
    return this.takeSpans();
  }

  /** One frame, which begins at sample `at`. */
  private advance(probability: number, at: number): void {
    const isSpeech = probability >= this.threshold;
    if (this.speech === undefined) {
      if (isSpeech) this.speech = { start: at };
      return;
    }
    if (isSpeech && this.speech.silence !== undefined) {
      this.speech.silence = undefined;
      if (this.speech.cut !== undefined) this.speech.resumed ??= at;
    }
    if (at - this.speech.start > this.maxSpeech) {
      const { cut, resumed } = this.speech;
      this.close(this.speech, cut ?? at);
      if (resumed === undefined) return; // it is silent, or was cut within speech: the next frame may begin anew
      this.speech = { start: resumed };
    }
    if (probability < this.negThreshold) this.hearSilence(this.speech, at);
  }

  private hearSilence(speech: OpenSpeech, at: number): void {
    speech.silence ??= at;
    const silence = at - speech.silence;
    if (silence > this.minCutSilence) {
      speech.cut = speech.silence;
      speech.resumed = undefined;
    }
    if (silence < this.minSilence) return;
    if (speech.silence - speech.start > this.minSpeech) this.close(speech, speech.silence);
    else this.speech = undefined;
  }

  /** Makes a span of speech that ends at sample `end`. */
  private close(speech: OpenSpeech, end: number): void {
    this.pending = { start: this.certainStart(speech), end };
    this.speech = undefined;
  }

  /** Where the span of this speech begins; gives the span before it, if that was waiting, its end. */
  private certainStart(speech: OpenSpeech): number {
    if (speech.spanStart === undefined) {
      const gap = this.pending === undefined ? Infinity : speech.start - this.pending.end;
      const half = Math.floor(gap / 2);
      speech.spanStart = gap < 2 * this.pad ? speech.start - half : this.paddedStart(speech.start);
      if (this.pending !== undefined) this.release(this.pending.end + (gap < 2 * this.pad ? half : this.pad));
    }
    return speech.spanStart;
  }

  /** Decides what can be decided after the frame at `at`: the stream has at least `at` samples. */
  private settle(at: number): void {
    const { speech } = this;
    if (speech !== undefined && (speech.silence ?? at) - speech.start > this.minSpeech) this.certainStart(speech);
    if (this.pending === undefined) return;
    const { end } = this.pending;
    const nextStart = speech?.start ?? at + FRAME_SAMPLES;
    if (nextStart - end >= 2 * this.pad && end + this.pad <= at) this.release(end + this.pad);
  }

  private release(end: number): void {
    if (this.pending === undefined) return;
    this.spans.push({ start: this.pending.start, end: Math.trunc(end) });
    this.pending = undefined;
  }

  private paddedStart(start: number): number {
    return Math.trunc(Math.max(0, start - this.pad));
  }

  private takeSpans(): SpeechSpan[] {
    const { spans } = this;
    this.spans = [];
    return spans;
  }
}

/**
 * Spans of speech of a whole recording.
 *
 * @param probabilities of its frames of 512 samples, as a {@link VoiceActivityDetector} gives them
 * @param nSamples length of the recording: no span reaches beyond it
 * @returns in order, without overlap
 * @throws {RangeError} if the frames are not those of a recording of this length
 * @throws {OptionError} for an option that does not exist, or a value out of range
 */
export function speechSpans(
  probabilities: ArrayLike<number>,
  nSamples: number,
  options: VadOptions = {},
): SpeechSpan[] {
  const segmenter = new SpeechSegmenter(options);
  return [...segmenter.push(probabilities), ...segmenter.finish(nSamples)];
}
