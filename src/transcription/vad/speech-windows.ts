/**
 * From samples to windows of speech, on a stream: finds where somebody speaks, and cuts windows out of the recording. Memory is bounded: no more is
 * kept than a window and what may belong to the next one.
 */
import { SAMPLE_RATE } from "../../audio/constants.ts";
import {
  FRAME_SAMPLES,
  SpeechSegmenter,
  VoiceActivityDetector,
  type SileroVad,
  type VadOptions,
} from "../../vad/index.ts";
import { Leveller } from "./leveller.ts";
import { firstWindow, type PackerLayout } from "./packer.ts";
import { lengthOf, piecesOf, type Span, type SpeechWindow } from "./speech-window.ts";

/** Frames beside one over which its probability is averaged before speech is cut there: 0.16 s, about a syllable. */
const CUT_NEIGHBOURS = 2;

export class SpeechWindows {
  readonly #leveller = new Leveller();
  readonly #detector: VoiceActivityDetector;
  readonly #segmenter: SpeechSegmenter;
  readonly #layout: PackerLayout;
  /** Most samples of speech in one window. */
  readonly #longest: number;
  /** Speech that is over, and not yet in a window. */
  #spans: Span[] = [];
  /** Probabilities from frame `#firstFrame`. */
  #probabilities: number[] = [];
  #firstFrame = 0;
  #kept: Float32Array[] = [];
  /** Sample that `#kept` begins with. */
  #keptFrom = 0;
  #length = 0;
  #speechSamples = 0;
  /** Where the speech of the last window ended. */
  #given = 0;

  constructor(network: SileroVad, options: VadOptions, layout: PackerLayout) {
    this.#detector = new VoiceActivityDetector(network, { recovery: "delayed" });
    // Margins are the windows' business: what is found is speech alone.
    this.#segmenter = new SpeechSegmenter({ ...options, vadSpeechPadMs: 0, vadMaxSpeechDurationS: null });
    this.#layout = layout;
    this.#longest = layout.window - 2 * layout.edge;
  }

  /** Samples so far. */
  get length(): number {
    return this.#length;
  }

  /** Samples of speech so far, as far as it is over. */
  get speechSamples(): number {
    return this.#speechSamples;
  }

  /** @returns the windows that are certain now */
  push(samples: Float32Array): SpeechWindow[] {
    this.#kept.push(samples.slice());
    this.#length += samples.length;
    this.#add(this.#detector.push(this.#leveller.push(samples)));
    return this.#windows(false);
  }

  /** Ends the recording. */
  finish(): SpeechWindow[] {
    this.#add(this.#detector.push(this.#leveller.finish()));
    this.#add(this.#detector.finish());
    this.#take(this.#segmenter.finish(this.#length));
    return this.#windows(true);
  }

  #add(probabilities: Float32Array): void {
    for (const probability of probabilities) {
      this.#probabilities.push(probability);
      this.#take(this.#segmenter.push([probability]));
      const heard = (this.#firstFrame + this.#probabilities.length) * FRAME_SAMPLES;
      if (this.#segmenter.speaking && heard - this.#segmenter.earliestStart > this.#longest) {
        this.#take(this.#segmenter.split(this.#leastProbable(this.#segmenter.earliestStart, heard)));
      }
    }
  }

  #take(spans: readonly Span[]): void {
    this.#spans.push(...spans);
    for (const { start, end } of spans) this.#speechSamples += end - start;
  }

  /** Where a voice is least probable in the later half of some speech: the last such place. */
  #leastProbable(start: number, end: number): number {
    const from = Math.ceil((start + end) / 2 / FRAME_SAMPLES) - this.#firstFrame;
    let [place, least] = [from, Infinity];
    for (let i = from; i < this.#probabilities.length - CUT_NEIGHBOURS; i++) {
      let sum = 0;
      for (let k = -CUT_NEIGHBOURS; k <= CUT_NEIGHBOURS; k++) sum += this.#probabilities[i + k];
      if (sum <= least) [place, least] = [i, sum];
    }
    return (this.#firstFrame + place) * FRAME_SAMPLES + FRAME_SAMPLES / 2;
  }

  #windows(isEnd: boolean): SpeechWindow[] {
    const windows: SpeechWindow[] = [];
    while (this.#spans.length > 0) {
      const count = firstWindow(this.#spans, this.#layout, isEnd);
      if (count === null) break;
      windows.push(this.#cutOut(this.#spans.splice(0, count)));
    }
    this.#forget();
    return windows;
  }

  /** Where speech begins that is in no window yet, or may begin. */
  get #next(): number {
    return this.#spans[0]?.start ?? Math.min(this.#segmenter.earliestStart, this.#length);
  }

  #cutOut(speech: readonly Span[]): SpeechWindow {
    const last = speech[speech.length - 1];
    // A pause that is shorter than both margins is shared.
    const within = {
      start: Math.max(this.#keptFrom, Math.ceil((this.#given + speech[0].start) / 2)),
      end: Math.max(last.end, Math.floor((last.end + this.#next) / 2)),
    };
    const pieces = piecesOf(speech, this.#layout, within);
    const samples = new Float32Array(lengthOf(pieces));
    for (const { start, end, at } of pieces) this.#read(start, samples.subarray(at, at + end - start));
    this.#given = last.end;
    return { samples, pieces, speech };
  }

  #read(from: number, into: Float32Array): void {
    let at = this.#keptFrom;
    for (const samples of this.#kept) {
      const begin = Math.max(from, at);
      const end = Math.min(from + into.length, at + samples.length);
      if (begin < end) into.set(samples.subarray(begin - at, end - at), begin - from);
      at += samples.length;
    }
  }

  /** Lets go of what no window can need any more. */
  #forget(): void {
    const needed = this.#next - this.#layout.edge - SAMPLE_RATE;
    while (this.#kept.length > 0 && this.#keptFrom + this.#kept[0].length <= needed) {
      this.#keptFrom += (this.#kept.shift() as Float32Array).length;
    }
    const frames = this.#firstFrame + this.#probabilities.length;
    const first = this.#segmenter.speaking ? Math.floor(this.#segmenter.earliestStart / FRAME_SAMPLES) : frames;
    if (first <= this.#firstFrame + CUT_NEIGHBOURS) return;
    this.#probabilities = this.#probabilities.slice(first - CUT_NEIGHBOURS - this.#firstFrame);
    this.#firstFrame = first - CUT_NEIGHBOURS;
  }
}
