/** Greedy generation to its end, for engines that run it a few tokens at a time. */
import type { Generated, Generation, OnGenerated } from "./engine.ts";

/**
 * Tokens of each row between which other calls get their turn. More would make them wait longer than for a window to be encoded; fewer
 * would cost more for leaving and resuming the loop (onnxruntime: caches are copied).
 */
export const STEPS_PER_TURN = 24;

/**
 * Runs a generation to its end and disposes it.
 *
 * @param count how many rows it was started with
 * @returns one result a row, in order
 */
export async function runToEnd(generation: Generation, count: number, onGenerated?: OnGenerated): Promise<Generated[]> {
  const results = new Array<Generated>(count);
  try {
    while (generation.rows > 0) {
      for (const { index, generated } of await generation.advance(STEPS_PER_TURN)) {
        results[index] = generated;
        onGenerated?.(index, generated);
      }
    }
  } finally {
    generation.dispose();
  }
  return results;
}

/** Tells of rows that all ended at once. */
export function reportAll(results: Generated[], onGenerated: OnGenerated | undefined): Generated[] {
  if (onGenerated !== undefined) results.forEach((generated, index) => onGenerated(index, generated));
  return results;
}
