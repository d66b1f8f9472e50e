/** One recording under way in a sequential transcription: its windows, one after the other, each where the last one ended. */
import { attachWords, findAlignment, speechEnd, type Heads } from "../alignment/index.ts";
import { decodeWindow, detectLanguage, type DecodingResult, type SearchOptions } from "../decoding/index.ts";
import type { AudioGap } from "../audio/index.ts";
import type { AudioState } from "../engine/engine.ts";
import type { LogMel } from "../features/index.ts";
import { alignmentHeads, windowFrames } from "../model/index.ts";
import { roundHalfEven } from "../tensor/index.ts";
import type { Progress, TranscriptionContext } from "./chunked-options.ts";
import { clipFrames, FRAMES_PER_SECOND } from "./clips.ts";
import { decodeWithFallback, isSilent } from "./fallback.ts";
import { outsideGaps, wordsOutsideGaps } from "./gaps.ts";
import { skipHallucinations } from "./hallucinations.ts";
import { PromptContext } from "./prompt-context.ts";
import type { ResolvedSequential } from "./sequential-options.ts";
import type { FailedAttempt, Segment, Transcript, Word } from "./transcript.ts";
import { cutWindow, frameTime, type TimedTokens } from "./window-segments.ts";

export interface RunEvents {
  readonly onSegment: (segment: Segment) => void;
  readonly onProgress: (progress: Progress) => void;
}

/** A part of the recording that the model hears at once, in frames. */
interface Window {
  readonly seek: number;
  /** Frames that are sound; the rest is padding. */
  readonly size: number;
  /** Code. */
  readonly language: string;
}

/** What a window was decoded to. */
interface DecodedWindow extends Window {
  readonly audio: AudioState;
  readonly result: DecodingResult;
  readonly failed: readonly FailedAttempt[];
}

interface WindowText {
  /** Null: none, and nothing of the window is kept. */
  readonly segments: readonly (TimedTokens & { readonly words?: readonly Word[] })[] | null;
  /** Where the next window begins. */
  readonly nextSeek: number;
}

/** A segment whose times, and those of its words, are at most `end`. */
function endBy<S extends TimedTokens & { readonly words: readonly Word[] }>(segment: S, end: number): S {
  const within = <T extends Word | S>(timed: T): T => ({
    ...timed,
    start: Math.min(timed.start, end),
    end: Math.min(timed.end, end),
  });
  return { ...within(segment), words: segment.words.map(within) };
}

export class SequentialRun {
  readonly #context: TranscriptionContext;
  readonly #options: ResolvedSequential;
  readonly #mel: LogMel;
  readonly #gaps: readonly AudioGap[];
  readonly #events: RunEvents;
  readonly #signal: AbortSignal | undefined;
  readonly #windowFrames: number;
  readonly #heads: Heads;
  readonly #prompt: PromptContext;
  readonly #segments: Segment[] = [];
  readonly #cut: number[] = [];
  /** The last window that was encoded. */
  #encoded: { readonly seek: number; readonly size: number; readonly audio: AudioState } | null = null;
  /** Attempts so far: no two draw the same samples. */
  #attempts = 0;
  /** Seconds at which the last word so far ended. */
  #lastSpeech = 0;
  #processedFrames = 0;

  constructor(
    context: TranscriptionContext,
    options: ResolvedSequential,
    { mel, gaps }: { readonly mel: LogMel; readonly gaps: readonly AudioGap[] },
    events: RunEvents,
    signal: AbortSignal | undefined,
  ) {
    const { dimensions } = context.engine;
    this.#context = context;
    this.#options = options;
    this.#mel = mel;
    this.#gaps = gaps;
    this.#events = events;
    this.#signal = signal;
    this.#windowFrames = windowFrames(dimensions);
    this.#heads = alignmentHeads(dimensions, context.generation.alignmentHeads ?? null);
    this.#prompt = new PromptContext({ ...options, limit: Math.floor(dimensions.nTextCtx / 2) - 1 });
  }

  /**
   * Transcribes it. Call it once.
   *
   * @param duration seconds of the recording
   * @throws the signal's reason once it is aborted, and the engine's errors
   */
  async transcribe(duration: number): Promise<Transcript> {
    try {
      const { contentFrames } = this.#mel;
      const { clips, warnings } = clipFrames(this.#options.clipTimes, contentFrames);
      const found = await this.#detectLanguage();
      for (const { start, end } of clips) {
        for (let seek = start; seek < end;) {
          this.#signal?.throwIfAborted();
          const size = Math.min(this.#windowFrames, end - seek);
          const nextSeek = await this.#transcribeWindow(seek, size, found.language);
          // A window always moves: what the model or a threshold says must not make it stay for ever.
          seek = nextSeek > seek ? nextSeek : seek + size;
          this.#report(Math.min(seek, contentFrames), duration);
        }
      }
      this.#events.onProgress({ processedSeconds: duration, totalSeconds: duration });
      return {
        text: this.#context.tokenizer.decode(this.#prompt.written),
        ...found,
        duration,
        segments: this.#segments,
        hasTimestamps: this.#options.decoding.timestamps,
        warnings: [...this.#options.warnings, ...warnings, ...this.#ownWarnings()],
      };
    } finally {
      this.#encoded?.audio.dispose();
    }
  }

  /** Of the first 30 s of the recording, wherever clips begin (facts 2.3.1). */
  async #detectLanguage(): Promise<Pick<Transcript, "language" | "languageProbability">> {
    const given = this.#options.decoding.language;
    if (given !== undefined) return { language: given, languageProbability: null };
    if (this.#mel.contentFrames === 0) return { language: "en", languageProbability: null };
    const { engine, tokenizer } = this.#context;
    const [detection] = await detectLanguage(engine, await this.#encode(0, this.#windowFrames), tokenizer);
    return { language: detection.language, languageProbability: detection.probability };
  }

  /** @returns where the next window begins */
  async #transcribeWindow(seek: number, size: number, ofRecording: string): Promise<number> {
    const audio = await this.#encode(seek, size);
    const language = this.#options.languagePerWindow ? await this.#languageOf(audio) : ofRecording;
    const window = { seek, size, language };
    const attempts = this.#options.searches.length;
    const { result, failed } = await decodeWithFallback(attempts, this.#options.thresholds, (attempt) =>
      this.#decode(audio, window, this.#options.searches[attempt]),
    );
    if (isSilent(result, this.#options.thresholds)) return seek + size;

    const cut = cutWindow(result.tokens, seek, size, this.#context.tokenizer.special);
    if (result.stop === "length" && !cut.isDivided) this.#cut.push(frameTime(seek));
    const decoded = { ...window, audio, result, failed };
    const text: WindowText =
      this.#options.words === null
        ? { segments: cut.segments, nextSeek: cut.seek }
        : await this.#addWords(decoded, cut.segments, cut.seek, cut.isSingleEnding);
    if (text.segments !== null) this.#add(decoded, text.segments);
    return text.nextSeek;
  }

  async #decode(audio: AudioState, { language }: Window, search: SearchOptions): Promise<DecodingResult> {
    this.#signal?.throwIfAborted();
    const { engine, tokenizer } = this.#context;
    const seed = ((search.seed ?? 0) + this.#attempts++) % Number.MAX_SAFE_INTEGER;
    const prompt = this.#prompt.prompt();
    return decodeWindow(engine, audio, 0, tokenizer, language, this.#options.decoding, { ...search, seed, prompt });
  }

  async #languageOf(audio: AudioState): Promise<string> {
    const [detection] = await detectLanguage(this.#context.engine, audio, this.#context.tokenizer);
    return detection.language;
  }

  /** Gives segments their words, which know better where the next window begins (facts 2.3.8, 2.3.9). */
  async #addWords(
    { seek, size, language, audio }: DecodedWindow,
    timed: readonly TimedTokens[],
    afterTimestamps: number,
    isSingleEnding: boolean,
  ): Promise<WindowText> {
    const { engine, tokenizer } = this.#context;
    const { eot } = tokenizer.special;
    const startSequence = tokenizer.sotSequence({ language, task: this.#options.decoding.task, timestamps: true });
    const textTokens = timed.flatMap(({ tokens }) => tokens.filter((token) => token < eot));
    const request = { window: 0, startSequence, textTokens, frames: size };
    const alignment = await findAlignment(engine, audio, request, this.#heads, tokenizer, language);
    const offset = frameTime(seek);
    const worded = attachWords(timed, alignment, {
      eot,
      timeOffset: offset,
      lastSpeech: this.#lastSpeech,
      ...this.#options.words,
    });
    // Its corrections may reach past the end of the sound.
    const segments = worded.map((segment) => endBy(segment, frameTime(seek + size)));

    let nextSeek = afterTimestamps;
    if (!isSingleEnding) {
      const spoken = speechEnd(segments);
      if (spoken !== null && spoken > offset) nextSeek = roundHalfEven(spoken * FRAMES_PER_SECOND);
    }
    const threshold = this.#options.hallucinationSilenceThreshold;
    const window = { seek, size, segments, nextSeek, isSingleEnding, lastSpeech: this.#lastSpeech };
    const { contentFrames } = this.#mel;
    const kept =
      threshold === null
        ? { segments, nextSeek }
        : skipHallucinations({ ...window, windowFrames: this.#windowFrames, contentFrames }, threshold);
    if (kept.segments !== null) this.#lastSpeech = speechEnd(kept.segments) ?? this.#lastSpeech;
    return kept;
  }

  /** Takes over what was found in a window. Segments without text or length are emptied, but stay (facts 2.3.10). */
  #add({ seek, result, failed, language }: DecodedWindow, segments: NonNullable<WindowText["segments"]>): void {
    const { tokenizer } = this.#context;
    const { temperature, avgLogprob, compressionRatio, noSpeechProb } = result;
    const written: number[] = [];
    for (const found of segments) {
      const { start, end, tokens } = outsideGaps(found, this.#gaps);
      const words =
        found.words && this.#gaps.length > 0 ? wordsOutsideGaps(found.words, { start, end }, this.#gaps) : found.words;
      const text = tokenizer.decode(tokens.filter((token) => token < tokenizer.special.eot));
      const isEmpty = start === end || text.trim() === "";
      const segment: Segment = {
        id: this.#segments.length,
        seek,
        start,
        end,
        text: isEmpty ? "" : text,
        tokens: isEmpty ? [] : tokens,
        temperature,
        ...(failed.length > 0 ? { fallback: failed } : {}),
        avgLogprob,
        compressionRatio,
        noSpeechProb,
        ...(this.#options.languagePerWindow ? { language } : {}),
        ...(isEmpty ? { words: [] } : words === undefined ? {} : { words }),
      };
      written.push(...segment.tokens);
      this.#segments.push(segment);
      this.#events.onSegment(segment);
    }
    this.#prompt.add(written, temperature);
  }

  /** The window's audio, which lives until the next one is asked for. */
  async #encode(seek: number, size: number): Promise<AudioState> {
    const known = this.#encoded;
    if (known !== null && known.seek === seek && known.size === size) return known.audio;
    known?.audio.dispose();
    this.#encoded = null;
    const { data, dims } = this.#mel.window(seek, size, this.#windowFrames);
    const audio = await this.#context.engine.encode({ data, dims: [1, ...dims] });
    this.#encoded = { seek, size, audio };
    return audio;
  }

  #report(frames: number, totalSeconds: number): void {
    // Clips may go back.
    this.#processedFrames = Math.max(this.#processedFrames, frames);
    const processedSeconds = Math.min(this.#processedFrames / FRAMES_PER_SECOND, totalSeconds);
    this.#events.onProgress({ processedSeconds, totalSeconds });
  }

  #ownWarnings(): string[] {
    if (this.#cut.length === 0) return [];
    const windows = this.#cut.length === 1 ? "the window" : `${this.#cut.length} windows, the first`;
    return [`Text was cut at the limit of tokens in ${windows} at ${this.#cut[0].toFixed(2)} s`];
  }
}
