/** One recording under way in a vad transcription: where its windows come from, its language, and what becomes of their text. */
import { SAMPLE_RATE } from "../../audio/constants.ts";
import type { AudioStream } from "../../audio/index.ts";
import { compressionRatio, type DecodingTokenizer } from "../../decoding/index.ts";
import type { SileroVad } from "../../vad/index.ts";
import type { AudioSource, RecordingEvents } from "../recording.ts";
import type { Segment, TimeSpan, Transcript } from "../transcript.ts";
import type { FoundText, WindowText } from "./decode-speech.ts";
import { CHINESE, chineseScript, type ChineseScript } from "./chinese-script.ts";
import { EVIDENCE_WINDOWS, likeliestLanguage, nextLanguage, type LanguageEvidence } from "./language.ts";
import type { ResolvedVadTranscription } from "./options.ts";
import { totalOf, type Span, type SpeechWindow } from "./speech-window.ts";
import { SpeechWindows } from "./speech-windows.ts";

/** Tokens of text that show the model a script. */
const SCRIPT_PROMPT = 100;

/** A window of a recording. */
export interface RecordingWindow {
  readonly window: SpeechWindow;
  /** Whether its language is judged together with that of the window before: both are of one batch. */
  readonly joinsPrevious: boolean;
}

export class VadRecording {
  /** Set once it has succeeded or failed; whatever comes after changes nothing. */
  result: PromiseSettledResult<Transcript> | null = null;
  readonly #source: AudioSource;
  readonly #network: SileroVad;
  readonly #tokenizer: DecodingTokenizer;
  readonly #options: ResolvedVadTranscription;
  readonly #events: RecordingEvents;
  readonly #segments: Segment[] = [];
  readonly #uncovered: Span[] = [];
  /** Windows whose text was cut at the limit of tokens, in seconds. */
  readonly #cut: number[] = [];
  #audio: AudioStream | null = null;
  #language: { readonly language: string; readonly probability: number | null } | null;
  /** Of the last window, where they may change. */
  #current: string | null = null;
  #script: { readonly script: ChineseScript; readonly tokens: readonly number[] } | null = null;
  #speechSamples = 0;
  #windows = 0;
  #delivered = 0;
  /** Samples, once all are read. */
  #length: number | null = null;
  #encodedSeconds = 0;
  #decodedSeconds = 0;

  constructor(
    source: AudioSource,
    network: SileroVad,
    tokenizer: DecodingTokenizer,
    options: ResolvedVadTranscription,
    events: RecordingEvents,
  ) {
    this.#source = source;
    this.#network = network;
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#events = events;
    const { language } = options.decoding;
    this.#language = language === undefined ? null : { language, probability: null };
  }

  /**
   * Opens, reads and closes it. A fault while reading fails the recording and ends the windows, so that others go on; a
   * recording without speech succeeds at once.
   */
  async *windows(signal?: AbortSignal): AsyncGenerator<RecordingWindow, void, undefined> {
    try {
      const audio = typeof this.#source === "function" ? await this.#source() : this.#source;
      this.#audio = audio;
      const { vad, layout } = this.#options;
      const windows = new SpeechWindows(this.#network, vad, layout);
      for await (const samples of audio) {
        for (const window of windows.push(samples)) yield this.#window(window);
        if (this.result !== null) return;
      }
      for (const window of windows.finish()) yield this.#window(window);
      this.#length = windows.length;
      this.#speechSamples = windows.speechSamples;
    } catch (error) {
      this.fail(signal?.aborted ? signal.reason : error);
      return;
    } finally {
      await this.#audio?.close();
    }
    this.#succeedIfDone();
  }

  #window(window: SpeechWindow): RecordingWindow {
    const index = this.#windows++;
    return { window, joinsPrevious: this.#language === null && index > 0 && index < EVIDENCE_WINDOWS };
  }

  /** Whether the languages of windows must be detected before they are decoded. */
  get needsDetection(): boolean {
    return this.#language === null || this.#options.languagePerWindow;
  }

  /**
   * Languages of the next windows.
   *
   * @param evidence of each, where `needsDetection` asked for it
   */
  languagesOf(windows: number, evidence: readonly LanguageEvidence[]): string[] {
    if (this.#language === null) {
      this.#language = likeliestLanguage(evidence.slice(0, EVIDENCE_WINDOWS));
      this.#current = this.#language.language;
    }
    const { language } = this.#language;
    if (!this.#options.languagePerWindow) return new Array<string>(windows).fill(language);
    return evidence.map(({ detection }) => (this.#current = nextLanguage(this.#current ?? language, detection)));
  }

  /**
   * What a window's text should be told so that it is written as those before it: Chinese in another script than the first window that has one.
   *
   * @param text of the next window; called once for each, in order
   * @returns tokens of text in the recording's script; null where the text may stay as it is
   */
  promptForScript(language: string, text: readonly FoundText[]): readonly number[] | null {
    if (!CHINESE.has(language)) return null;
    const { eot } = this.#tokenizer.special;
    const tokens = text.flatMap((found) => found.tokens.filter((token) => token < eot));
    const script = chineseScript(this.#tokenizer.decode(tokens));
    if (script === null) return null;
    this.#script ??= { script, tokens: tokens.slice(0, SCRIPT_PROMPT) };
    return this.#script.script === script ? null : this.#script.tokens;
  }

  /** A window more is encoded. */
  addEncoded(window: SpeechWindow): void {
    if (this.result !== null) return;
    this.#encodedSeconds = Math.max(this.#encodedSeconds, endOf(window));
    this.#report(this.#audio?.durationHint ?? null);
  }

  /** Takes the text of the next window; the last one ends the recording. */
  add(window: SpeechWindow, language: string, { text, uncovered }: WindowText): void {
    if (this.result !== null) return;
    for (const found of text) this.#addText(found, language);
    if (text.some(({ result }) => result.stop === "length")) this.#cut.push(window.pieces[0].start / SAMPLE_RATE);
    this.#uncovered.push(...uncovered);
    this.#delivered++;
    this.#decodedSeconds = Math.max(this.#decodedSeconds, endOf(window));
    if (!this.#succeedIfDone()) this.#report(this.#audio?.durationHint ?? null);
  }

  #addText({ start, end, tokens, words, result, failed }: FoundText, language: string): void {
    const text = this.#tokenizer.decode(tokens.filter((token) => token < this.#tokenizer.special.eot));
    if (text.trim() === "") return;
    const last = this.#segments.at(-1)?.end ?? 0;
    const segment: Segment = {
      id: this.#segments.length,
      start: Math.max(last, start),
      end: Math.max(last, end),
      text,
      tokens,
      temperature: result.temperature,
      ...(failed.length > 0 ? { fallback: failed } : {}),
      avgLogprob: result.avgLogprob,
      compressionRatio: compressionRatio(text),
      noSpeechProb: result.noSpeechProb,
      ...(this.#options.languagePerWindow ? { language } : {}),
      ...(words === undefined ? {} : { words }),
    };
    this.#segments.push(segment);
    this.#events.onSegment(segment);
  }

  /** Ends it without a transcript. */
  fail(reason: unknown): void {
    this.#settle({ status: "rejected", reason });
  }

  #succeedIfDone(): boolean {
    if (this.#length === null || this.#delivered < this.#windows || this.result !== null) return false;
    const duration = this.#length / SAMPLE_RATE;
    [this.#encodedSeconds, this.#decodedSeconds] = [duration, duration];
    this.#report(duration);
    const untranscribed = this.#uncovered.map(seconds);
    const speech = this.#speechSamples / SAMPLE_RATE;
    this.#settle({
      status: "fulfilled",
      value: {
        text: this.#segments.map(({ text }) => text).join(""),
        language: this.#language?.language ?? "en",
        languageProbability: this.#language?.probability ?? null,
        duration,
        segments: this.#segments,
        hasTimestamps: true,
        coverage: {
          speechSeconds: speech,
          transcribedSeconds: speech - totalOf(this.#uncovered) / SAMPLE_RATE,
          untranscribed,
        },
        warnings: [...(this.#audio?.warnings ?? []), ...this.#options.warnings, ...this.#ownWarnings(untranscribed)],
      },
    });
    return true;
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

  #ownWarnings(untranscribed: readonly TimeSpan[]): string[] {
    const warnings: string[] = [];
    if (this.#cut.length > 0) {
      const windows = this.#cut.length === 1 ? "the window" : `${this.#cut.length} windows, the first`;
      warnings.push(`Text was cut at the limit of tokens in ${windows} at ${this.#cut[0].toFixed(2)} s`);
    }
    if (untranscribed.length > 0) {
      const lost = untranscribed.reduce((sum, { start, end }) => sum + end - start, 0);
      const places = untranscribed.length === 1 ? "" : `in ${untranscribed.length} places, the first `;
      warnings.push(
        `No text was found for ${lost.toFixed(1)} s of speech, ${places}at ${untranscribed[0].start.toFixed(2)} s`,
      );
    }
    return warnings;
  }
}

function seconds({ start, end }: Span): TimeSpan {
  return { start: start / SAMPLE_RATE, end: end / SAMPLE_RATE };
}

function endOf({ pieces }: SpeechWindow): number {
  return pieces[pieces.length - 1].end / SAMPLE_RATE;
}
