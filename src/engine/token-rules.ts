/**
 * Which tokens may come next: data, not code, so that every engine can carry it out on its device. This file is the plain
 * interpreter; engine/onnxruntime has one made of graph nodes, engine/native one in C++, and the contract suite holds them equal.
 *
 * The rules are openai/whisper's (decoding.py SuppressBlank, SuppressTokens, ApplyTimestampRules; facts 2.4.5-2.4.7).
 */

export interface TimestampRules {
  /** Id of notimestamps: never generated while the rules hold. */
  readonly noTimestamps: number;
  /** Largest first timestamp, as an index after 0.00 (50 = 1 s); `null` for no limit. */
  readonly maxInitialTimestampIndex: number | null;
}

export interface TokenRules {
  /** Id of endoftext: ends a row; text tokens are those below it. */
  readonly eot: number;
  /** Id of `<|0.00|>`; timestamps are this id and all above it. */
  readonly timestampBegin: number;
  /** Ids never generated. */
  readonly suppress: readonly number[];
  /** Ids not generated as the first token. */
  readonly suppressAtBegin: readonly number[];
  /** Timestamps come in pairs, in order, and first; `null` leaves them free (the prompt has notimestamps then). */
  readonly timestamps: TimestampRules | null;
}

/**
 * Sets the logits of forbidden tokens to -Infinity.
 *
 * @param logits [nVocab], changed in place
 * @param generated tokens after the prompt so far
 */
export function applyTokenRules(logits: Float32Array, generated: ArrayLike<number>, rules: TokenRules): void {
  if (generated.length === 0) for (const id of rules.suppressAtBegin) logits[id] = -Infinity;
  for (const id of rules.suppress) logits[id] = -Infinity;
  if (rules.timestamps !== null) applyTimestampRules(logits, generated, rules, rules.timestamps);
}

function applyTimestampRules(
  logits: Float32Array,
  generated: ArrayLike<number>,
  { eot, timestampBegin: begin }: TokenRules,
  { noTimestamps, maxInitialTimestampIndex }: TimestampRules,
): void {
  const n = generated.length;
  logits[noTimestamps] = -Infinity;

  const lastWasTimestamp = n >= 1 && generated[n - 1] >= begin;
  const penultimateWasTimestamp = n < 2 || generated[n - 2] >= begin;
  if (lastWasTimestamp) {
    if (penultimateWasTimestamp) logits.fill(-Infinity, begin);
    else logits.fill(-Infinity, 0, eot);
  }

  let lastTimestamp = -1;
  for (let i = n - 1; i >= 0 && lastTimestamp < 0; i--) if (generated[i] >= begin) lastTimestamp = generated[i];
  if (lastTimestamp >= 0) {
    // A segment may begin where the last one ended; a segment may not end where it began.
    const mayEqual = lastWasTimestamp && !penultimateWasTimestamp;
    logits.fill(-Infinity, begin, mayEqual ? lastTimestamp : lastTimestamp + 1);
  }

  if (n === 0) {
    logits.fill(-Infinity, 0, begin);
    if (maxInitialTimestampIndex !== null) logits.fill(-Infinity, begin + maxInitialTimestampIndex + 1);
  }

  // If the timestamps together are likelier than any one text token, it is a timestamp.
  if (logSumExp(logits, begin, logits.length) > max(logits, 0, begin)) logits.fill(-Infinity, 0, begin);
}

/** Largest of logits[from, to), -Infinity if there is none. */
export function max(logits: Float32Array, from: number, to: number): number {
  let largest = -Infinity;
  for (let i = from; i < to; i++) if (logits[i] > largest) largest = logits[i];
  return largest;
}

/** log(sum(exp(logits[from, to)))), -Infinity if all are. */
export function logSumExp(logits: Float32Array, from = 0, to = logits.length): number {
  const largest = max(logits, from, to);
  if (largest === -Infinity) return -Infinity;
  let sum = 0;
  for (let i = from; i < to; i++) sum += Math.exp(logits[i] - largest);
  return largest + Math.log(sum);
}

/** Index of the largest value; the first one wins a tie. */
export function argmax(logits: Float32Array, from = 0, to = logits.length): number {
  let best = from;
  for (let i = from + 1; i < to; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

/**
 * What the rules need to know of texts, for programs that do not read the texts themselves: int32 [texts, 4], of each how many tokens it has,
 * whether the last one and the one before are timestamps (where there is none before, it counts as one), and the last timestamp, -1 for none.
 */
export function packHistory(texts: readonly (readonly number[])[], { timestampBegin: begin }: TokenRules): Int32Array {
  return Int32Array.from(
    texts.flatMap((text) => [
      text.length,
      Number(text.length >= 1 && text[text.length - 1] >= begin),
      Number(text.length < 2 || text[text.length - 2] >= begin),
      text.findLast((id) => id >= begin) ?? -1,
    ]),
  );
}
