/** Reads the timestamps of a window: which text they open and close. */
import { TIME_PRECISION } from "../tokenizer/index.ts";
import { roundToHundredths } from "./round-to-hundredths.ts";
import type { DecodedWindow, Piece, StitchTokens } from "./stitcher.ts";

/** Text between two timestamps of a window. */
export interface Sentence extends Piece {
  readonly tokens: readonly number[];
  /** Whether a later window, which hears more of what comes after, should have its say. */
  readonly isOpen: boolean;
}

/** Where a window lies, in seconds from the start of the recording. */
export interface WindowTimes {
  readonly start: number;
  readonly end: number;
  /** Until here the window before has heard everything. */
  readonly leftEnd: number;
  /** From here on the window after hears everything. */
  readonly rightStart: number;
}

/**
 * The sentences of a window, in order, times from the start of the recording.
 *
 * A timestamp after text closes it, any other opens what follows. Those sentences are open that end where the next window
 * hears better, have no end, or are closed by the window's very last timestamp, which the model may have put there because
 * the audio ends (facts 1.12.3); and all after the first of them.
 *
 * @param window its number
 * @param language code of the language at its start
 * @param firstSource text tokens of the windows before
 */
export function readSentences(
  tokens: DecodedWindow["tokens"],
  times: WindowTimes,
  window: number,
  language: string | null,
  special: StitchTokens,
  firstSource: number,
): Sentence[] {
  const { eot, timestampBegin, languages } = special;
  const codes = new Map([...languages].map(([code, id]) => [id, code]));
  const span = [times.leftEnd, times.end] as const;
  let lastTimestamp = -1;
  for (let i = 0; i < tokens.length; i++) if (tokens[i] >= timestampBegin) lastTimestamp = i;

  const sentences: Sentence[] = [];
  let text: number[] = [];
  let source = firstSource;
  let start: number | null = null;
  let code = language;
  let isOpen = false;
  const endSentence = (end: number | null, isLast: boolean): void => {
    isOpen ||= isLast || end === null || end >= times.rightStart;
    const sources = text.map((_, i) => source + i);
    source += text.length;
    sentences.push({ start, end, tokens: text, sources, language: code, window, span, isOpen });
    text = [];
    start = end;
  };
  for (let i = 0; i < tokens.length; i++) {
    const id = tokens[i];
    if (id < eot) text.push(id);
    else if (id < timestampBegin) code = codes.get(id) ?? code;
    else {
      const time = roundToHundredths((id - timestampBegin) * TIME_PRECISION + times.start);
      if (text.length > 0) endSentence(time, i === lastTimestamp);
      else start = time;
    }
  }
  if (text.length > 0) endSentence(null, true);
  return sentences;
}
