/**
 * The last step of reading: pieces of whatever size a decoder gives -> pieces of 1 to 30 s, without NaN, from -1 to 1, within the ceiling.
 */

import { InputError } from "../errors.ts";
import { replaceNonFinite } from "./channels.ts";
import { SAMPLE_RATE } from "./constants.ts";
import { concatenate } from "./resample.ts";
import { UnitScale } from "./unit-scale.ts";
import type { WarningList } from "./warnings.ts";

const MIN_PIECE = SAMPLE_RATE;
const MAX_PIECE = 30 * SAMPLE_RATE;

export interface PieceLimits {
  readonly name: string;
  readonly maxSeconds: number;
  readonly signal: AbortSignal | undefined;
  readonly warnings: WarningList;
}

/**
 * @param source mono samples at 16 kHz in pieces of any size, empty ones included
 * @yields pieces of 1 to 30 s, the last one possibly shorter; arrays may be views of the source's
 * @throws {InputError} when more than `maxSeconds` have come, or samples go far beyond 1 after they did not
 */
export async function* regularPieces(
  source: AsyncIterable<Float32Array>,
  limits: PieceLimits,
): AsyncGenerator<Float32Array> {
  const { signal, warnings } = limits;
  const ceiling = limits.maxSeconds * SAMPLE_RATE;
  let total = 0;
  const scale = new UnitScale(limits.name, warnings);
  let held: Float32Array[] = [];
  let length = 0;
  signal?.throwIfAborted();
  for await (const raw of source) {
    signal?.throwIfAborted();
    total += raw.length;
    if (total > ceiling) {
      throw new InputError(limits.name, `it is longer than the ceiling of ${limits.maxSeconds} s`, {
        hint: { library: "raise maxSeconds", server: "raise maxSeconds (--max_seconds)" },
      });
    }
    const { samples, replaced } = replaceNonFinite(raw);
    warnings.addReplaced(replaced);
    held.push(samples);
    length += samples.length;
    if (length < MIN_PIECE) continue;
    const whole = held.length === 1 ? samples : concatenate(held);
    held = [];
    length = 0;
    for (let at = 0; at < whole.length; at += MAX_PIECE) {
      const piece = whole.subarray(at, at + MAX_PIECE);
      if (piece.length < MIN_PIECE) {
        held = [piece];
        length = piece.length;
      } else {
        signal?.throwIfAborted();
        yield* scale.push(piece);
      }
    }
  }
  signal?.throwIfAborted();
  if (length > 0) yield* scale.push(concatenate(held));
  yield* scale.finish();
}
