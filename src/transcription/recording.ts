/** One recording under way in a chunked transcription: where its windows come from, its language, and how it ends. */
import type { TokenTiming } from "../alignment/index.ts";
import { SAMPLE_RATE } from "../audio/constants.ts";
import type { AudioStream } from "../audio/index.ts";
import type { DecodingResult, DecodingTokenizer, LanguageDetection } from "../decoding/index.ts";
import type { Progress, ResolvedChunked } from "./chunked-options.ts";
import { TranscriptBuilder } from "./transcript-builder.ts";
import type { Segment, Transcript } from "./transcript.ts";
import { streamWindows, wholeWindow, type AudioWindow } from "./windows.ts";

/** Above this a window is taken for silent, and its language is not the recording's (openai/whisper's threshold). */
const NO_SPEECH_THRESHOLD = 0.6;

export interface RecordingEvents {
  readonly onSegment: (segment: Segment) => void;
  readonly onProgress: (progress: Progress) => void;
  readonly onSettled: (result: PromiseSettledResult<Transcript>) => void;
}

/** An opened stream, or what opens one when its turn comes. */
export type AudioSource = AudioStream | (() => Promise<AudioStream>);

/** The language that a window is decoded in. */
export interface WindowLanguage {
  readonly code: string;
  /** Whether it was detected in this window and is perhaps not the recording's. */
  readonly isOwn: boolean;
}

export class Recording {
  /** Set once it has succeeded or failed; whatever comes after changes nothing. */
  result: PromiseSettledResult<Transcript> | null = null;
  readonly #source: AudioSource;
  readonly #options: ResolvedChunked;
  readonly #events: RecordingEvents;
  readonly #builder: TranscriptBuilder;
  #audio: AudioStream | null = null;
  #duration = 0;
  /** What windows have text, and what windows are encoded, in seconds from the start. */
  #decodedSeconds = 0;
  #encodedSeconds = 0;
  /** What was detected in the first window with speech. */
  #detected: LanguageDetection | null = null;
  /** What was detected in the window that is least silent of those before. */
  #leastSilent: LanguageDetection | null = null;

  constructor(source: AudioSource, tokenizer: DecodingTokenizer, options: ResolvedChunked, events: RecordingEvents) {
    this.#source = source;
    this.#options = options;
    this.#events = events;
    this.#builder = new TranscriptBuilder(tokenizer, {
      returnTimestamps: options.returnTimestamps,
      returnLanguage: options.returnLanguage,
      words: options.words,
      gaps: () => this.#audio?.gaps ?? [],
      onSegment: events.onSegment,
    });
  }

  /**
   * Opens, reads and closes it. A fault while reading fails the recording and ends the windows, so that others go on; a
   * recording without samples succeeds at once.
   */
  async *windows(maxSamples: number, signal?: AbortSignal): AsyncGenerator<AudioWindow, void, undefined> {
    let count = 0;
    try {
      const audio = typeof this.#source === "function" ? await this.#source() : this.#source;
      this.#audio = audio;
      const { layout } = this.#options;
      const windows =
        layout === null ? wholeWindow(audio, audio.name, audio.stride, maxSamples) : streamWindows(audio, layout);
      for await (const window of windows) {
        count++;
        yield window;
        if (this.result !== null) return;
      }
    } catch (error) {
      this.fail(signal?.aborted ? signal.reason : error);
      return;
    } finally {
      await this.#audio?.close();
    }
    if (count === 0) this.#succeed();
  }

  /** Whether a window's language must be detected before it is decoded. */
  get needsDetection(): boolean {
    const { decoding, languagePerWindow } = this.#options;
    return decoding.language === undefined && (languagePerWindow || this.#detected === null);
  }

  /**
   * Language of the next window. The recording's language is that of its first window with speech; silent windows before
   * it are decoded in their own, so that no window waits for a later one and the batch size changes nothing.
   *
   * @param detection in this window, where `needsDetection` asked for one
   */
  languageOf(detection: LanguageDetection | undefined): WindowLanguage {
    const { decoding, languagePerWindow } = this.#options;
    if (decoding.language !== undefined) return { code: decoding.language, isOwn: false };
    if (this.#detected === null && detection !== undefined) {
      if (detection.noSpeechProb <= NO_SPEECH_THRESHOLD) this.#detected = detection;
      else if (this.#leastSilent === null || detection.noSpeechProb < this.#leastSilent.noSpeechProb) {
        this.#leastSilent = detection;
      }
    }
    const isOwn = languagePerWindow || this.#detected === null;
    const { language } = (isOwn ? detection : this.#detected) as LanguageDetection;
    return { code: language, isOwn };
  }

  /** A window more is encoded. */
  addEncoded(window: AudioWindow): void {
    if (this.result !== null) return;
    this.#encodedSeconds = Math.max(this.#encodedSeconds, endOf(window));
    this.#report(this.#audio?.durationHint ?? null);
  }

  /**
   * Takes the next decoded window; the last one ends the recording.
   *
   * @param timings of its text tokens, where words are wanted
   */
  add(
    window: AudioWindow,
    result: DecodingResult,
    hasOwnLanguage: boolean,
    timings: readonly TokenTiming[] | undefined,
  ): void {
    if (this.result !== null) return;
    this.#builder.add({ span: window, result, hasOwnLanguage, ...(timings === undefined ? {} : { timings }) });
    this.#duration = (window.start + window.length) / SAMPLE_RATE;
    this.#decodedSeconds = endOf(window);
    if (window.isLast) this.#succeed();
    else this.#report(this.#audio?.durationHint ?? null);
  }

  /** Ends it without a transcript. */
  fail(reason: unknown): void {
    this.#settle({ status: "rejected", reason });
  }

  #succeed(): void {
    const transcript = this.#builder.finish({
      ...this.#language(),
      duration: this.#duration,
      warnings: this.#warnings(),
    });
    this.#decodedSeconds = this.#duration;
    this.#report(this.#duration);
    this.#settle({ status: "fulfilled", value: transcript });
  }

  #settle(result: PromiseSettledResult<Transcript>): void {
    if (this.result !== null) return;
    this.result = result;
    this.#events.onSettled(result);
  }

  #report(totalSeconds: number | null): void {
    const processedSeconds = (this.#decodedSeconds + Math.max(this.#decodedSeconds, this.#encodedSeconds)) / 2;
    // A container may promise less than it holds.
    const total = totalSeconds === null ? null : Math.max(totalSeconds, processedSeconds);
    this.#events.onProgress({ processedSeconds, totalSeconds: total });
  }

  #language(): Pick<Transcript, "language" | "languageProbability"> {
    const given = this.#options.decoding.language;
    if (given !== undefined) return { language: given, languageProbability: null };
    const detection = this.#detected ?? this.#leastSilent;
    if (detection === null) return { language: "en", languageProbability: null };
    return { language: detection.language, languageProbability: detection.probability };
  }

  #warnings(): string[] {
    const warnings = [...(this.#audio?.warnings ?? []), ...this.#options.warnings];
    if (this.#options.layout !== null && this.#audio?.stride != null) {
      warnings.push("The stride of the input has no effect unless chunking is off (chunkLength 0)");
    }
    return warnings;
  }
}

/** Where the part of the recording ends that is the window's own, in seconds. */
function endOf({ start, length, right }: AudioWindow): number {
  return (start + length - right) / SAMPLE_RATE;
}
