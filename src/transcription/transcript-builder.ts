/** Builds the transcript of one recording from its windows, in order: stitches them, times the pieces, makes segments. */
import { compressionRatio, type DecodingResult, type DecodingTokenizer } from "../decoding/index.ts";
import { SAMPLE_RATE } from "../audio/constants.ts";
import type { AudioGap } from "../audio/index.ts";
import type { TokenTiming } from "../alignment/index.ts";
import { outsideGaps, wordsOutsideGaps } from "./gaps.ts";
import { PieceWords, type WordOptions } from "./piece-words.ts";
import { createStitcher, type Piece, type Stitcher } from "./stitcher.ts";
import { Timeline, type TimedPiece } from "./timeline.ts";
import type { Segment, Transcript, TranscriptChunk } from "./transcript.ts";
import type { WindowSpan } from "./windows.ts";

export interface TranscriptBuilderOptions {
  readonly returnTimestamps: boolean;
  readonly returnLanguage: boolean;
  /** Null where no words are wanted. */
  readonly words?: WordOptions | null;
  /** Where the audio has gaps, as far as it was read. */
  readonly gaps?: () => readonly AudioGap[];
  /** Called for each segment as soon as nothing can change it. */
  readonly onSegment?: ((segment: Segment) => void) | undefined;
}

/** A decoded window of the recording. */
export interface BuilderWindow {
  readonly span: WindowSpan;
  readonly result: DecodingResult;
  /** Whether its language is its own and perhaps not the recording's. */
  readonly hasOwnLanguage: boolean;
  /** Where words are wanted, when each of its text tokens is spoken, in seconds from the start of the recording. */
  readonly timings?: readonly TokenTiming[];
}

type WindowScores = Pick<DecodingResult, "avgLogprob" | "noSpeechProb" | "temperature"> & { hasOwnLanguage: boolean };

export class TranscriptBuilder {
  readonly #tokenizer: DecodingTokenizer;
  readonly #options: TranscriptBuilderOptions;
  readonly #stitcher: Stitcher;
  readonly #timeline = new Timeline();
  readonly #words: PieceWords | null;
  readonly #scores: WindowScores[] = [];
  readonly #segments: Segment[] = [];
  readonly #chunks: TranscriptChunk[] = [];
  /** Without timestamps: pieces of one language so far, which make one segment. */
  #joined: Piece | null = null;
  #audioEnd = 0;
  #cut: number[] = [];

  constructor(tokenizer: DecodingTokenizer, options: TranscriptBuilderOptions) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#words = options.words == null ? null : new PieceWords(tokenizer, options.words);
    this.#stitcher = createStitcher(tokenizer.special, options.returnTimestamps);
  }

  /** Adds the next window. */
  add({ span, result, hasOwnLanguage, timings }: BuilderWindow): void {
    const { avgLogprob, noSpeechProb, temperature } = result;
    this.#scores.push({ avgLogprob, noSpeechProb, temperature, hasOwnLanguage });
    this.#words?.add(timings ?? []);
    this.#audioEnd = (span.start + span.length) / SAMPLE_RATE;
    if (result.stop === "length") this.#cut.push(span.start / SAMPLE_RATE);
    const stride = [span.length / SAMPLE_RATE, span.left / SAMPLE_RATE, span.right / SAMPLE_RATE] as const;
    this.#take(this.#stitcher.push({ tokens: result.tokens, stride, language: result.language }));
  }

  /** Makes the transcript of what was added. Call it once. */
  finish(about: Pick<Transcript, "language" | "languageProbability" | "duration" | "warnings">): Transcript {
    this.#take(this.#stitcher.finish());
    if (this.#joined !== null) for (const piece of this.#timeline.push(this.#joined, this.#audioEnd)) this.#emit(piece);
    for (const piece of this.#timeline.finish()) this.#emit(piece);
    const { returnTimestamps, returnLanguage } = this.#options;
    return {
      text: this.#segments.map((segment) => segment.text).join(""),
      ...about,
      segments: this.#segments,
      hasTimestamps: returnTimestamps,
      ...(returnTimestamps || returnLanguage ? { chunks: this.#chunks } : {}),
      warnings: [...about.warnings, ...this.#ownWarnings()],
    };
  }

  #take(pieces: readonly Piece[]): void {
    for (const piece of pieces) {
      if (piece.tokens.length === 0) continue;
      const ready = this.#options.returnTimestamps ? piece : this.#join(piece);
      if (ready !== null) for (const timed of this.#timeline.push(ready, this.#audioEnd)) this.#emit(timed);
    }
  }

  /** Timestamps that nobody asked for end pieces all the same (facts 1.12.4); joins those again. */
  #join(piece: Piece): Piece | null {
    const untimed = { ...piece, start: null, end: null };
    const joined = this.#joined;
    if (joined === null || joined.language !== piece.language) {
      this.#joined = untimed;
      return joined;
    }
    this.#joined = {
      ...joined,
      tokens: [...joined.tokens, ...piece.tokens],
      sources: [...joined.sources, ...piece.sources],
      span: [joined.span[0], piece.span[1]],
    };
    return null;
  }

  #emit(piece: TimedPiece): void {
    const worded = this.#words?.timed(piece, this.#audioEnd);
    const text = this.#tokenizer.decode(piece.tokens);
    const { hasOwnLanguage, ...scores } = this.#scores[piece.window];
    const gaps = this.#options.gaps?.() ?? [];
    const { start, end, tokens, language } = outsideGaps<TimedPiece>(worded ?? piece, gaps);
    const segment: Segment = {
      id: this.#segments.length,
      start,
      end,
      text,
      tokens,
      ...scores,
      compressionRatio: compressionRatio(text),
      ...(hasOwnLanguage && language !== null ? { language } : {}),
      ...(worded === undefined ? {} : { words: wordsOutsideGaps(worded.words, { start, end }, gaps) }),
    };
    this.#segments.push(segment);
    this.#chunks.push({
      timestamp: [start, piece.isClosed ? end : null],
      text,
      ...(this.#options.returnLanguage && language !== null ? { language } : {}),
    });
    this.#options.onSegment?.(segment);
  }

  #ownWarnings(): string[] {
    const warnings: string[] = [];
    if (this.#cut.length > 0) {
      const windows = this.#cut.length === 1 ? "the window" : `${this.#cut.length} windows, the first`;
      warnings.push(`Text was cut at the limit of tokens in ${windows} at ${this.#cut[0].toFixed(2)} s`);
    }
    if (this.#options.returnTimestamps && this.#chunks.at(-1)?.timestamp[1] === null) {
      warnings.push("The model gave no end time to the last segment, which ends with the audio instead");
    }
    return warnings;
  }
}
