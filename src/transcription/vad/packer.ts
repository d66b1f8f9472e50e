/**
 * Which spans of speech share a window. Windows end in pauses, rather in a long one than in a short one and rather full than half empty; memory and
 * delay are bounded, as no more than one window is looked ahead.
 */
import { SAMPLE_RATE } from "../../audio/constants.ts";
import { lengthOf, piecesOf, type Margins, type Span } from "./speech-window.ts";

export interface PackerLayout extends Margins {
  /** Most samples of a window. */
  readonly window: number;
  /** Samples of a pause that no window reaches across: Infinity where all of a recording is alike. */
  readonly separation: number;
}

/**
 * What it costs, in windows, that one ends in no pause at all. Measured with base on recordings in ten languages: 0.6 gives the lowest error rate
 * of 0.6, 1.2 and 2.
 */
const COST_OF_CUT = 0.6;
/** Samples of a pause for which that cost has fallen to 1 / e. */
const PAUSE_SCALE = 0.4 * SAMPLE_RATE;

const ANYWHERE: Span = { start: -Infinity, end: Infinity };

/**
 * How many of the spans make the first window.
 *
 * @param spans in order, at least one, each of which fits a window with its margins
 * @param isEnd whether no more will come
 * @returns null if that cannot be told before more have come
 */
export function firstWindow(spans: readonly Span[], layout: PackerLayout, isEnd: boolean): number | null {
  const filled = (count: number): number => lengthOf(piecesOf(spans.slice(0, count), layout, ANYWHERE));
  const pauseAfter = (count: number): number => spans[count].start - spans[count - 1].end;
  let most = 1;
  while (most < spans.length && pauseAfter(most) < layout.separation && filled(most + 1) <= layout.window) most++;
  if (most === spans.length) return isEnd ? most : null;
  if (pauseAfter(most) >= layout.separation) return most;
  let [best, least] = [most, Infinity];
  for (let count = most; count >= 1; count--) {
    const cost = 1 - filled(count) / layout.window + COST_OF_CUT * Math.exp(-pauseAfter(count) / PAUSE_SCALE);
    if (cost < least) [best, least] = [count, cost];
  }
  return best;
}
