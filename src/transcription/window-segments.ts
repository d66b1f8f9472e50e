/**
 * Cuts a window's tokens into segments, and says where the next window begins (openai/whisper's `transcribe`, facts 2.3.7). Unlike
 * openai/whisper's, no segment reaches past what can be heard in the window.
 */
import { SAMPLE_RATE } from "../audio/constants.ts";
import { HOP_LENGTH } from "../features/index.ts";
import { TIME_PRECISION, type SpecialTokens } from "../tokenizer/index.ts";
import { roundToHundredths } from "./round-to-hundredths.ts";

/** Frames of a timestamp's step. */
const FRAMES_PER_STEP = 2;

/** Tokens between two timestamps. */
export interface TimedTokens {
  /** Seconds from the start of the recording. */
  readonly start: number;
  /** Seconds from the start of the recording. */
  readonly end: number;
  /** With the timestamps. */
  readonly tokens: readonly number[];
}

export interface WindowSegments {
  /** At least one. */
  readonly segments: readonly TimedTokens[];
  /** First frame of the next window. */
  readonly seek: number;
  /** Whether the model says that nobody speaks after the last timestamp. */
  readonly isSingleEnding: boolean;
  /** Whether timestamps show where segments end; if not, all tokens are one segment. */
  readonly isDivided: boolean;
}

/** Seconds of a frame. */
export function frameTime(frame: number): number {
  return (frame * HOP_LENGTH) / SAMPLE_RATE;
}

/**
 * Cuts the tokens where two timestamps follow each other. What comes after the last pair is unfinished: it is left out,
 * and the next window begins there. A single timestamp at the end says that nothing comes after it: the whole window is
 * done. Without a pair all is one segment, up to the last timestamp, and the window is done too.
 *
 * The model may see text end in the silence that pads a short window; its times are moved to before the end of the sound.
 *
 * @param tokens of the window, timestamps included
 * @param seek first frame of the window
 * @param size frames of the window that are sound
 */
export function cutWindow(
  tokens: readonly number[],
  seek: number,
  size: number,
  { timestampBegin }: Pick<SpecialTokens, "timestampBegin">,
): WindowSegments {
  const offset = frameTime(seek);
  const isTimestamp = (i: number): boolean => i >= 0 && tokens[i] >= timestampBegin;
  const stepsAt = (i: number): number => tokens[i] - timestampBegin;
  const n = tokens.length;
  const isSingleEnding = n >= 2 && !isTimestamp(n - 2) && isTimestamp(n - 1);

  const cuts: number[] = [];
  for (let i = 1; i < n; i++) if (isTimestamp(i - 1) && isTimestamp(i)) cuts.push(i);
  if (cuts.length === 0) {
    const last = tokens.findLastIndex((token) => token >= timestampBegin);
    // 0.00 alone says when the text starts.
    const isTimed = last >= 0 && stepsAt(last) > 0;
    const duration = isTimed ? stepsAt(last) * TIME_PRECISION : frameTime(size);
    const segments = keepWithin([{ start: offset, end: offset + duration, tokens }], offset, frameTime(seek + size));
    return { segments, seek: seek + size, isSingleEnding, isDivided: false };
  }
  const lastPair = cuts[cuts.length - 1];
  if (isSingleEnding) cuts.push(n);
  const segments = cuts.map((cut, k) => {
    const first = k === 0 ? 0 : cuts[k - 1];
    return {
      start: offset + stepsAt(first) * TIME_PRECISION,
      end: offset + stepsAt(cut - 1) * TIME_PRECISION,
      tokens: tokens.slice(first, cut),
    };
  });
  const moved = isSingleEnding ? size : stepsAt(lastPair - 1) * FRAMES_PER_STEP;
  return {
    segments: keepWithin(segments, offset, frameTime(seek + size)),
    seek: seek + moved,
    isSingleEnding,
    isDivided: true,
  };
}

/**
 * Moves times past `end` to before it: the last segment is cut there, and segments that begin past it share what is left.
 *
 * @param segments in order
 * @param start seconds at which the window starts
 * @param end seconds at which its sound ends
 */
function keepWithin(segments: readonly TimedTokens[], start: number, end: number): readonly TimedTokens[] {
  const times = segments.flatMap((segment) => [segment.start, segment.end]);
  const latest = Math.max(...times);
  if (latest <= end) return segments;
  // Later times keep their proportions in what is left after this one.
  const from = Math.max(start, ...times.filter((time) => time < end));
  const move = (time: number): number =>
    time <= from ? time : roundToHundredths(from + ((time - from) / (latest - from)) * (end - from));
  return segments.map((segment) => ({ ...segment, start: move(segment.start), end: move(segment.end) }));
}
