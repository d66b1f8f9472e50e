/** From samples to windows of speech, on a stream: detects where somebody speaks, and cuts the windows out of the recording. */
import { SAMPLE_RATE } from "../audio/constants.ts";
import { firstWindow, type PackerLayout } from "./speech-packer.ts";
import { piecesOf, lengthOf, type Span, type SpeechWindow } from "./speech-window.ts";

/** Tells how probable it is that somebody speaks; of vad/. */
export interface SpeechDetector {
  /** Probabilities of the frames that are complete now. */
  push(samples: Float32Array): Float32Array;
  /** Those of the frames that are left. */
  finish(): Float32Array;
}

/** Samples of a detector's frame. */
const FRAME = 512;

export interface SpeechThresholds {
  /** Probability at which speech begins. */
  readonly begin: number;
  /** Probability below which it ends. */
  readonly end: number;
  /** Samples of silence that end it. */
  readonly silence: number;
  /** Samples below which it is none. */
  readonly least: number;
}

export class SpeechWindows {
  readonly #detector: SpeechDetector;
  readonly #thresholds: SpeechThresholds;
  readonly #layout: PackerLayout;
  /** Speech that is over, and not yet in a window. */
  #spans: Span[] = [];
  /** All speech so far. */
  readonly speech: Span[] = [];
  /** Probabilities of frames from `#firstFrame`. */
  #probabilities: number[] = [];
  #firstFrame = 0;
  #openSince: number | null = null;
  #quietSince: number | null = null;
  #pieces: Float32Array[] = [];
  #bufferStart = 0;
  #length = 0;
  /** Where the speech of the last window ended. */
  #given = 0;

  constructor(detector: SpeechDetector, thresholds: SpeechThresholds, layout: PackerLayout) {
    this.#detector = detector;
    this.#thresholds = thresholds;
    this.#layout = layout;
  }

  /** Samples so far. */
  get length(): number {
    return this.#length;
  }

  push(samples: Float32Array): SpeechWindow[] {
    this.#pieces.push(samples.slice());
    this.#length += samples.length;
    this.#addFrames(this.#detector.push(samples));
    return this.#windows(false);
  }

  finish(): SpeechWindow[] {
    this.#addFrames(this.#detector.finish());
    if (this.#openSince !== null) this.#close(this.#length);
    return this.#windows(true);
  }

  #addFrames(probabilities: Float32Array): void {
    const { begin, end, silence } = this.#thresholds;
    for (const probability of probabilities) {
      const at = (this.#firstFrame + this.#probabilities.length) * FRAME;
      this.#probabilities.push(probability);
      if (probability >= begin) {
        this.#openSince ??= at;
        this.#quietSince = null;
      } else if (this.#openSince !== null && probability < end) {
        this.#quietSince ??= at;
        if (at + FRAME - this.#quietSince >= silence) this.#close(this.#quietSince);
      }
      if (this.#openSince !== null && at + FRAME - this.#openSince > this.#longest) this.#cut(at + FRAME);
    }
  }

  /** Most samples of speech in one window. */
  get #longest(): number {
    return this.#layout.window - 2 * this.#layout.edge;
  }

  #close(end: number): void {
    const start = this.#openSince as number;
    [this.#openSince, this.#quietSince] = [null, null];
    if (end - start >= this.#thresholds.least) this.#add({ start, end });
  }

  #add(span: Span): void {
    this.#spans.push(span);
    this.speech.push(span);
  }

  /** Ends speech that has filled a window where a voice is least probable, in the later half of it. */
  #cut(end: number): void {
    const start = this.#openSince as number;
    const from = Math.ceil((start + (end - start) / 2) / FRAME) - this.#firstFrame;
    let [at, least] = [from, Infinity];
    for (let i = from; i < this.#probabilities.length - 1; i++) {
      const near = this.#probabilities.slice(Math.max(0, i - 2), i + 3);
      const mean = near.reduce((sum, one) => sum + one, 0) / near.length;
      if (mean <= least) [at, least] = [i, mean];
    }
    const cut = (this.#firstFrame + at) * FRAME + FRAME / 2;
    this.#add({ start, end: cut });
    this.#openSince = cut;
  }

  #windows(isEnd: boolean): SpeechWindow[] {
    const windows: SpeechWindow[] = [];
    while (this.#spans.length > 0) {
      const count = firstWindow(this.#spans, this.#layout, isEnd);
      if (count === null) break;
      const speech = this.#spans.splice(0, count);
      const next = this.#spans[0]?.start ?? this.#openSince ?? this.#length;
      windows.push(this.#cutOut(speech, next));
    }
    this.#forget();
    return windows;
  }

  /** @param next sample at which the speech of the next window begins */
  #cutOut(speech: Span[], next: number): SpeechWindow {
    const last = speech[speech.length - 1];
    const within = {
      start: Math.max(this.#bufferStart, Math.ceil((this.#given + speech[0].start) / 2)),
      end: Math.min(this.#length, Math.max(last.end, Math.floor((last.end + next) / 2))),
    };
    const pieces = piecesOf(speech, this.#layout, within);
    const samples = new Float32Array(lengthOf(pieces));
    for (const { start, end, at } of pieces) this.#read(start, samples.subarray(at, at + end - start));
    this.#given = last.end;
    return { samples, pieces, speech };
  }

  #read(from: number, into: Float32Array): void {
    let at = this.#bufferStart;
    for (const piece of this.#pieces) {
      const begin = Math.max(from, at);
      const end = Math.min(from + into.length, at + piece.length);
      if (begin < end) into.set(piece.subarray(begin - at, end - at), begin - from);
      at += piece.length;
    }
  }

  /** Lets go of samples and probabilities that no window can need. */
  #forget(): void {
    const needed = this.#spans[0]?.start ?? this.#openSince ?? this.#length;
    const keep = Math.max(0, needed - this.#layout.edge - SAMPLE_RATE);
    while (this.#pieces.length > 0 && this.#bufferStart + this.#pieces[0].length <= keep) {
      this.#bufferStart += (this.#pieces.shift() as Float32Array).length;
    }
    const known = this.#firstFrame + this.#probabilities.length;
    const firstFrame = Math.min(known, Math.floor((this.#openSince ?? Infinity) / FRAME));
    this.#probabilities = this.#probabilities.slice(firstFrame - this.#firstFrame);
    this.#firstFrame = firstFrame;
  }
}
