/** Text that turns in a circle: where it begins to repeat itself. */

/** So many repetitions of at least `tokens` tokens are a loop; people repeat a word more often than a sentence. */
const LOOPS: readonly { readonly period: number; readonly times: number }[] = [
  { period: 1, times: 10 },
  { period: 3, times: 5 },
  { period: 8, times: 3 },
];

/** Longest text that is looked for, in tokens. */
const MOST_PERIOD = 112;

/**
 * Where a text ends before it repeats itself for the rest of the window: after the first of the repetitions.
 *
 * @param tokens text alone, no timestamps
 * @returns number of tokens to keep; all of them where there is no loop
 */
export function untilLoop(tokens: readonly number[]): number {
  for (let end = 0; end < tokens.length; end++) {
    for (let period = 1; period <= MOST_PERIOD && end + period < tokens.length; period++) {
      const times = repetitions(tokens, end, period);
      const least = LOOPS.findLast((loop) => loop.period <= period)?.times ?? Infinity;
      // The last repetition may have been cut by the limit of tokens, or by another text.
      if (times >= least) return end + period;
    }
  }
  return tokens.length;
}

/** How often the tokens from `start` on come one after the other. */
function repetitions(tokens: readonly number[], start: number, period: number): number {
  let at = start + period;
  while (at < tokens.length && tokens[at] === tokens[at - period]) at++;
  return Math.floor((at - start) / period);
}
