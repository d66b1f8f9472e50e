/** JSON with whisper.cpp's names and layout, tokens included, for programs written for it. */

import type { Segment, Transcript, Word } from "../transcription/index.ts";
import { segmentTimes } from "./cues.ts";
import { formatTimestamp, toCentiseconds, toMilliseconds } from "./format-timestamp.ts";

/** What a transcript does not say about itself. */
export interface RunDetails {
  /** Name of the model. */
  readonly model?: string | undefined;
  /** Its sizes. */
  readonly dimensions?: ModelSizes | undefined;
  /** Number format it was computed in. */
  readonly dtype?: string | undefined;
  readonly task?: "transcribe" | "translate" | undefined;
  /** Text of tokens, special ones and timestamps as the vocabulary writes them; U+FFFD for part of a character. */
  readonly decode?: ((tokens: readonly number[]) => string) | undefined;
}

/** Sizes of a model, under openai/whisper's names. */
export interface ModelSizes {
  readonly nMels: number;
  readonly nAudioCtx: number;
  readonly nAudioState: number;
  readonly nAudioHead: number;
  readonly nAudioLayer: number;
  readonly nVocab: number;
  readonly nTextCtx: number;
  readonly nTextState: number;
  readonly nTextHead: number;
  readonly nTextLayer: number;
}

interface TokenObject {
  readonly text: string;
  readonly timestamps?: object;
  readonly offsets?: object;
  readonly id: number;
  readonly p?: number;
  readonly t_dtw: number;
}

/** ggml's numbers of the formats: GGML_FTYPE_ALL_F32, GGML_FTYPE_MOSTLY_F16, GGML_FTYPE_MOSTLY_Q8_0. */
const FTYPES: Readonly<Record<string, number>> = { float32: 0, float16: 1, int8: 7 };

/** Tokens that one character may lie across: it has at most four bytes. */
const MAX_TOKENS_OF_CHARACTER = 4;

/**
 * A transcript as whisper-cli's full JSON, indented with tabs: `systeminfo`, `model`, `params`, `result`, `transcription`.
 * What is not known is left out: sections without `details`, `tokens` without `details.decode`.
 *
 * Tokens whose bytes make one character are one entry, with the id of the first. A token has its word's times and
 * probability (sotto times words, whisper.cpp times tokens); `t_dtw` is the start of a word, in hundredths of a second, at its first token,
 * and -1 elsewhere. Unlike whisper-cli's file this one always is JSON: control characters are escaped.
 *
 * @throws {RangeError} if a time is negative or not finite
 * @see whisper.cpp examples/cli/cli.cpp `output_json` (facts 4b.4, 4b.7c)
 */
export function toJsonFull(transcript: Transcript, details: RunDetails = {}): string {
  const { language } = transcript;
  const { model, task, decode } = details;
  const file = {
    systeminfo: "sotto",
    ...(details.dimensions && { model: modelObject(details.dimensions, details) }),
    ...((model !== undefined || task !== undefined) && {
      params: { ...(model !== undefined && { model }), language, translate: task === "translate" },
    }),
    result: { language },
    transcription: transcript.segments.map((segment) => ({
      ...timesObject(segmentTimes(segment, transcript.duration)),
      text: segment.text,
      ...(decode && { tokens: tokenObjects(segment, decode, transcript.duration) }),
      ...(segment.speaker !== undefined && { speaker: segment.speaker }),
    })),
  };
  return `${JSON.stringify(file, null, "\t")}\n`;
}

function modelObject(sizes: ModelSizes, { model, dtype }: RunDetails): object {
  return {
    ...(model !== undefined && { type: model }),
    multilingual: sizes.nVocab >= 51865,
    vocab: sizes.nVocab,
    audio: { ctx: sizes.nAudioCtx, state: sizes.nAudioState, head: sizes.nAudioHead, layer: sizes.nAudioLayer },
    text: { ctx: sizes.nTextCtx, state: sizes.nTextState, head: sizes.nTextHead, layer: sizes.nTextLayer },
    mels: sizes.nMels,
    ...(dtype !== undefined && dtype in FTYPES && { ftype: FTYPES[dtype] }),
  };
}

function timesObject({ start, end }: { start: number; end: number }): { timestamps: object; offsets: object } {
  const format = { alwaysIncludeHours: true, decimalMarker: "," } as const;
  return {
    timestamps: { from: formatTimestamp(start, format), to: formatTimestamp(end, format) },
    offsets: { from: toMilliseconds(start), to: toMilliseconds(end) },
  };
}

function tokenObjects(
  { tokens, words = [] }: Segment,
  decode: (tokens: readonly number[]) => string,
  duration: number,
): TokenObject[] {
  const wordAt = locateWords(words);
  const spoken = words.map(({ word }) => word).join("");
  let position = 0;
  return wholeCharacters(tokens, decode).map(({ id, text }) => {
    // Timestamps and special tokens are not in the words.
    const word = text !== "" && spoken.startsWith(text, position) ? wordAt(position) : undefined;
    if (word === undefined) return { text, id, t_dtw: -1 };
    const isFirst = position === word.position;
    position += text.length;
    const { start, probability } = word.word;
    const times = timesObject(segmentTimes(word.word, duration));
    return { text, ...times, id, p: probability, t_dtw: isFirst ? toCentiseconds(start) : -1 };
  });
}

/** Finds the word at a place in the joined words; places are asked for in order. */
function locateWords(words: readonly Word[]): (at: number) => { word: Word; position: number } | undefined {
  let index = 0;
  let position = 0;
  return (at) => {
    while (index < words.length && position + words[index].word.length <= at) position += words[index++].word.length;
    return index < words.length ? { word: words[index], position } : undefined;
  };
}

function wholeCharacters(
  tokens: readonly number[],
  decode: (tokens: readonly number[]) => string,
): { id: number; text: string }[] {
  const groups: { id: number; text: string }[] = [];
  for (let at = 0; at < tokens.length;) {
    let length = 1;
    let text = decode([tokens[at]]);
    while (text.endsWith("\ufffd") && length < MAX_TOKENS_OF_CHARACTER && at + length < tokens.length) {
      text = decode(tokens.slice(at, at + ++length));
    }
    groups.push({ id: tokens[at], text });
    at += length;
  }
  return groups;
}
