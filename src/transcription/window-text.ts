/** The text of a window of speech: its segments in the recording's time, held to where somebody speaks, and what of the speech has none. */
import { SAMPLE_RATE } from "../audio/constants.ts";
import { TIME_PRECISION, type SpecialTokens } from "../tokenizer/index.ts";
import { recordingTime, without, type Span, type SpeechWindow } from "./speech-window.ts";

/** Text between two times of the recording, in seconds. */
export interface TimedText {
  readonly start: number;
  readonly end: number;
  /** With the timestamps. */
  readonly tokens: readonly number[];
}

/** A segment whose end lies so little after the beginning of speech, or its beginning so little before the end of it, does not mean that speech. */
const TOLERANCE = 0.25 * SAMPLE_RATE;

/** Shorter speech without text is a breath, or the end of a word. */
const LEAST_UNCOVERED = 0.7 * SAMPLE_RATE;

/** Seconds by which the model's times miss the beginning and the end of speech. */
const SLACK = 0.3 * SAMPLE_RATE;

/**
 * Cuts tokens into segments at pairs of timestamps. Text that the model did not end goes on to the end of the window.
 *
 * @returns times in seconds of the window
 */
export function segmentsOf(
  tokens: readonly number[],
  windowSeconds: number,
  { timestampBegin }: Pick<SpecialTokens, "timestampBegin">,
): TimedText[] {
  const segments: TimedText[] = [];
  let start = 0;
  let open: number[] = [];
  let hasText = false;
  const close = (end: number): void => {
    if (hasText) segments.push({ start, end: Math.max(start, Math.min(end, windowSeconds)), tokens: open });
    [open, hasText] = [[], false];
  };
  for (const token of tokens) {
    if (token < timestampBegin) {
      open.push(token);
      hasText = true;
      continue;
    }
    const time = Math.min((token - timestampBegin) * TIME_PRECISION, windowSeconds);
    if (hasText) {
      open.push(token);
      close(time);
    }
    if (!hasText) {
      start = time;
      open = [token];
    }
  }
  close(windowSeconds);
  return segments;
}

/** Times of the recording, beginning and ending with speech. */
export function inRecording(segments: readonly TimedText[], window: SpeechWindow): TimedText[] {
  let last = 0;
  return segments.map((segment) => {
    const placed = onSpeech(
      {
        start: Math.max(last, recordingTime(window.pieces, segment.start, false) * SAMPLE_RATE),
        end: recordingTime(window.pieces, segment.end, true) * SAMPLE_RATE,
      },
      window.speech,
    );
    const start = Math.max(last, placed.start);
    const end = Math.max(start, placed.end);
    last = end;
    return { ...segment, start: start / SAMPLE_RATE, end: end / SAMPLE_RATE };
  });
}

/** Moves a beginning that lies in a pause to the speech after it, and an end to the speech before it. */
function onSpeech({ start, end }: Span, speech: readonly Span[]): Span {
  const first = speech.find((span) => span.end > start + TOLERANCE);
  const last = speech.findLast((span) => span.start < end - TOLERANCE);
  if (first === undefined || last === undefined || first.start > last.start)
    return { start, end: Math.max(start, end) };
  const begin = Math.max(start, first.start);
  return { start: begin, end: Math.max(begin, Math.min(end, last.end)) };
}

/** Speech of the window that lies in no segment, in samples of the recording. */
export function uncovered(segments: readonly TimedText[], speech: readonly Span[]): Span[] {
  const covered = segments.map(({ start, end }) => ({
    start: start * SAMPLE_RATE - SLACK,
    end: end * SAMPLE_RATE + SLACK,
  }));
  return without(speech, covered).filter(({ start, end }) => end - start >= LEAST_UNCOVERED);
}
