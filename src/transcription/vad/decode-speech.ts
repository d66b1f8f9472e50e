/**
 * The text of windows of speech. All are decoded together; then each alone where its text is not good enough, at the next temperature, and from
 * where its text ends or begins to repeat itself before the speech does.
 */
import { alignTokens, attachWords, wordTimes, type SegmentWord, type WordTiming } from "../../alignment/index.ts";
import { SAMPLE_RATE } from "../../audio/constants.ts";
import { decodeWindows, type DecodingResult } from "../../decoding/index.ts";
import type { AudioState, Engine } from "../../engine/engine.ts";
import { HOP_LENGTH, logMelWindow } from "../../features/index.ts";
import { alignmentHeads, windowFrames } from "../../model/index.ts";
import { tensor } from "../../tensor/index.ts";
import type { TranscriptionContext } from "../chunked-options.ts";
import type { FailedAttempt } from "../transcript.ts";
import { isSparse, withoutHoles } from "./holes.ts";
import { untilLoop } from "./loops.ts";
import type { ResolvedVadTranscription } from "./options.ts";
import { partOf, totalOf, windowTime, type Span, type SpeechWindow } from "./speech-window.ts";
import { longPauses, pausesWithin, splitAtPauses } from "./split-at-pauses.ts";
import { faultsOf, isNoSpeech, retry } from "./retry.ts";
import { inRecording, segmentsOf, uncovered, withRest, wordsInRecording, type TimedText } from "./window-text.ts";

/** A piece of text in the time of the recording, and how it was found. */
export interface FoundText extends TimedText {
  readonly words?: readonly SegmentWord[];
  readonly result: DecodingResult;
  readonly failed: readonly FailedAttempt[];
}

/** A window to be decoded. */
export interface SpeechRequest {
  readonly window: SpeechWindow;
  /** Code. */
  readonly language: string;
  /** Tokens that the model is told as the text before it. */
  readonly prompt: readonly number[];
}

/** What is known of a window in the end. */
export interface WindowText {
  /** In order. */
  readonly text: readonly FoundText[];
  /** Speech that no text was found for, in samples of the recording. */
  readonly uncovered: readonly Span[];
}

/** How often speech without text is decoded anew, at most: each time some of it finds its text, or it is given up. */
const MOST_ROUNDS = 8;
/** Samples of speech that must have found text for what is left to be decoded anew. */
const LEAST_PROGRESS = 0.5 * SAMPLE_RATE;

/** A request, or what is left of it. */
interface Part extends SpeechRequest {
  /** Index of the request. */
  readonly request: number;
}

/**
 * Decodes windows.
 *
 * @param audio the windows encoded, in order
 * @param onText called with the index of each request and its text, as soon as nothing more will be found
 */
export async function decodeSpeech(
  context: TranscriptionContext,
  requests: readonly SpeechRequest[],
  audio: AudioState,
  options: ResolvedVadTranscription,
  signal: AbortSignal | undefined,
  onText: (request: number, text: WindowText) => void,
): Promise<void> {
  const found: FoundText[][] = requests.map(() => []);
  let parts: Part[] = requests.map((request, i) => ({ ...request, request: i }));
  for (let round = 0; parts.length > 0; round++) {
    signal?.throwIfAborted();
    const windows = parts.map(({ window }) => window);
    const encoded = round === 0 ? audio : await encodeSpeech(context.engine, windows);
    const left: Part[] = [];
    const settle = (part: Part, text: readonly FoundText[]): void => {
      const all = found[part.request];
      all.push(...text);
      all.sort((a, b) => a.start - b.start);
      const rest = round + 1 < MOST_ROUNDS ? unread(part.window, text) : [];
      if (rest.length === 0) {
        const { speech } = requests[part.request].window;
        const text = withRest(all, speech);
        onText(part.request, { text, uncovered: uncovered(text, speech) });
        return;
      }
      const before = all.filter(({ end }) => end * SAMPLE_RATE <= rest[0].start + SAMPLE_RATE / 2);
      const prompt = before.flatMap(({ tokens }) => tokens.filter((token) => token < context.tokenizer.special.eot));
      left.push({
        ...part,
        window: partOf(part.window, rest, options.layout),
        prompt: [...requests[part.request].prompt, ...prompt],
      });
    };
    try {
      await new PartsDecoder(context, parts, encoded, options, signal, settle).run();
    } finally {
      if (round > 0) encoded.dispose();
    }
    parts = left;
  }
}

/** Speech of a window that has no text yet, if it is worth another attempt. */
function unread({ speech }: SpeechWindow, text: readonly FoundText[]): Span[] {
  const left = uncovered(text, speech);
  return totalOf(left) <= totalOf(speech) - LEAST_PROGRESS ? left : [];
}

/** Decodes parts once. */
class PartsDecoder {
  readonly #context: TranscriptionContext;
  readonly #parts: readonly Part[];
  readonly #audio: AudioState;
  readonly #options: ResolvedVadTranscription;
  readonly #signal: AbortSignal | undefined;
  readonly #settle: (part: Part, text: readonly FoundText[]) => void;
  /** What goes on beside the search of the others. */
  readonly #pending: Promise<void>[] = [];

  constructor(
    context: TranscriptionContext,
    parts: readonly Part[],
    audio: AudioState,
    options: ResolvedVadTranscription,
    signal: AbortSignal | undefined,
    settle: (part: Part, text: readonly FoundText[]) => void,
  ) {
    this.#context = context;
    this.#parts = parts;
    this.#audio = audio;
    this.#options = options;
    this.#signal = signal;
    this.#settle = settle;
  }

  async run(): Promise<void> {
    const { engine, tokenizer } = this.#context;
    const { decoding, searches } = this.#options;
    const requests = this.#parts.map(({ language, prompt }, window) => ({ window, language, prompt }));
    try {
      await decodeWindows(engine, this.#audio, requests, tokenizer, decoding, searches[0], (i, result) => {
        const pending = this.#finish(i, result);
        pending.catch(() => {}); // waited for below
        this.#pending.push(pending);
      });
    } finally {
      // The audio must outlive whoever reads it.
      await Promise.allSettled(this.#pending);
    }
    await Promise.all(this.#pending);
  }

  /** Makes text of the first result of a part, or of a better one. */
  async #finish(i: number, first: DecodingResult): Promise<void> {
    const { engine, tokenizer } = this.#context;
    const { decoding, searches, thresholds } = this.#options;
    const { window, language, prompt } = this.#parts[i];
    const seconds = totalOf(window.speech) / SAMPLE_RATE;
    const decode = async (attempt: number): Promise<DecodingResult> => {
      if (attempt === 0) return first;
      this.#signal?.throwIfAborted();
      const search = searches[attempt];
      // No two windows draw the same samples, whatever batch they are in.
      const seed = ((search.seed ?? 0) + window.pieces[0].start) % Number.MAX_SAFE_INTEGER;
      const request = { window: i, language, prompt: (search.temperature ?? 0) > 0.5 ? [] : prompt };
      const [result] = await decodeWindows(engine, this.#audio, [request], tokenizer, decoding, { ...search, seed });
      return result;
    };
    const { result, failed } = await retry(searches.length, (one) => faultsOf(one, thresholds, seconds), decode);
    const text = isNoSpeech(result, thresholds) ? [] : await this.#textOf(i, result, failed);
    this.#settle(this.#parts[i], text);
  }

  async #textOf(i: number, result: DecodingResult, failed: readonly FailedAttempt[]): Promise<FoundText[]> {
    const { special } = this.#context.tokenizer;
    const { window } = this.#parts[i];
    const { words: marks } = this.#options;
    let segments = segmentsOf(result.tokens, window.samples.length / SAMPLE_RATE, special);
    const text = segments.flatMap(({ tokens }) => tokens.filter((token) => token < special.eot));
    const kept = untilLoop(text);
    const pauses = longPauses(window);
    const speech = window.speech.map(({ start, end }) => ({
      start: windowTime(window.pieces, start),
      end: windowTime(window.pieces, end),
    }));
    const needsWords =
      marks !== null ||
      kept < text.length ||
      segments.some((one) => pausesWithin(one, pauses).length > 0 || isSparse(one, this.#decode(one.tokens), speech));
    if (!needsWords || text.length === 0) {
      return inRecording(segments, window).map((segment) => ({ ...segment, result, failed }));
    }
    const words = await this.#align(i, result, text);
    if (kept < text.length) segments = cutAfter(segments, words, kept, special.eot);
    const spoken = words.slice(0, wordsOf(words, kept));
    segments = withoutHoles(segments, spoken, speech, special.eot);
    segments = splitAtPauses(segments, spoken, pauses, speech, special.eot);
    if (marks === null) return inRecording(segments, window).map((segment) => ({ ...segment, result, failed }));
    const worded = attachWords(segments, spoken, { ...marks, eot: special.eot }).map((segment, k) => ({
      ...segment,
      tokens: segments[k].tokens,
    }));
    return inRecording(worded, window).map((segment) => ({
      ...segment,
      words: wordsInRecording(segment.words, window, segment),
      result,
      failed,
    }));
  }

  #decode(tokens: readonly number[]): string {
    const { tokenizer } = this.#context;
    return tokenizer.decode(tokens.filter((token) => token < tokenizer.special.eot));
  }

  /** Words of a part's text, in seconds of its window. */
  async #align(i: number, { language, task }: DecodingResult, textTokens: readonly number[]): Promise<WordTiming[]> {
    const { engine, tokenizer, generation } = this.#context;
    const { dimensions } = engine;
    const heads = alignmentHeads(dimensions, generation.alignmentHeads ?? null);
    const startSequence = tokenizer.sotSequence({ language, task, timestamps: true });
    const sound = Math.floor(this.#parts[i].window.samples.length / HOP_LENGTH);
    const request = { window: i, startSequence, textTokens, frames: Math.min(sound, windowFrames(dimensions)) };
    const [timings] = await alignTokens(engine, this.#audio, [request], heads, tokenizer.special);
    return wordTimes(timings, tokenizer, language);
  }
}

/** Number of words that so many tokens are, a word that is cut included. */
function wordsOf(words: readonly WordTiming[], tokens: number): number {
  let count = 0;
  for (let at = 0; at < tokens && count < words.length; count++) at += words[count].tokens.length;
  return count;
}

/** Keeps so many text tokens of segments; the last of them then ends with its last word. */
function cutAfter(
  segments: readonly TimedText[],
  words: readonly WordTiming[],
  kept: number,
  eot: number,
): TimedText[] {
  const left: TimedText[] = [];
  let room = kept;
  for (const segment of segments) {
    const size = segment.tokens.filter((token) => token < eot).length;
    if (size <= room) {
      left.push(segment);
      room -= size;
      continue;
    }
    if (room > 0) {
      const begin = segment.tokens.findIndex((token) => token < eot);
      const end = words[wordsOf(words, kept) - 1]?.end ?? segment.start;
      left.push({
        start: segment.start,
        end: Math.min(segment.end, Math.max(segment.start, end)),
        tokens: segment.tokens.slice(0, begin + room),
      });
    }
    break;
  }
  return left;
}

/** Encodes windows; the log-Mel of each is its own. */
export function encodeSpeech(
  engine: Engine,
  windows: readonly SpeechWindow[],
  onEncoded?: (windows: number) => void,
): Promise<AudioState> {
  if (engine.encodeSamples !== undefined) {
    return engine.encodeSamples(
      windows.map(({ samples }) => samples),
      { onEncoded },
    );
  }
  const { nMels } = engine.dimensions;
  const frames = windowFrames(engine.dimensions);
  const data = new Float32Array(windows.length * nMels * frames);
  for (const [i, { samples }] of windows.entries()) {
    data.set(logMelWindow(samples, nMels, frames).data, i * nMels * frames);
  }
  return engine.encode(tensor(data, [windows.length, nMels, frames]), { onEncoded });
}
