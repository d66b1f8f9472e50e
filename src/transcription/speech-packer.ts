/**
 * Speech in windows: where each begins and ends. Windows end in pauses, rather in a long one than in a short one and rather full than half
 * empty; speech that goes on for longer than a window is cut where a voice is least probable.
 */
import { lengthOf, piecesOf, type Margins, type Span } from "./speech-window.ts";

export interface PackerLayout extends Margins {
  /** Most samples of a window. */
  readonly window: number;
}

/** What a window costs, in windows, that ends in no pause at all; the cost falls with the length of the pause. */
const T = JSON.parse(process.env.SOTTO_VAD ?? "{}") as Record<string, number>;
const COST_OF_CUT = T.cut ?? 0.6;
/** Samples of a pause after which that cost has fallen to a third. */
const PAUSE_SCALE = 16_000 * (T.scale ?? 0.4);

/** Whether spans fit one window, whatever silence lies beside them. */
function fits(spans: readonly Span[], layout: PackerLayout): boolean {
  return lengthOf(piecesOf(spans, layout, { start: -Infinity, end: Infinity })) <= layout.window;
}

/**
 * How many of the spans make the first window.
 *
 * @param spans in order, at least one, each of which fits a window
 * @param isEnd whether no more will come
 * @returns null if that is not known before more have come
 */
export function firstWindow(spans: readonly Span[], layout: PackerLayout, isEnd: boolean): number | null {
  let most = 1;
  while (most < spans.length && fits(spans.slice(0, most + 1), layout)) most++;
  if (most === spans.length) return isEnd ? most : null;
  let [best, least] = [most, Infinity];
  for (let count = most; count >= 1; count--) {
    const filled = lengthOf(piecesOf(spans.slice(0, count), layout, { start: -Infinity, end: Infinity }));
    const pause = spans[count].start - spans[count - 1].end;
    const cost = 1 - filled / layout.window + COST_OF_CUT * Math.exp(-pause / PAUSE_SCALE);
    if (cost < least) [best, least] = [count, cost];
  }
  return best;
}
