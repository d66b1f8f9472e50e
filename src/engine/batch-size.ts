/** How many windows the engines of the processor decode together. */
import type { ModelDimensions } from "../model/index.ts";

/** Rows for each window that is computed side by side: enough for a decoder step to be worth its reading of the weights. */
const ROWS_PER_LANE = 8;

/** What a batch's cross-attention caches may take: 116 windows of base, 8 of large. */
const CACHE_BYTES = 1 << 30;

/**
 * Keeps the engine busy within the memory for caches, of which one byte a number is the least.
 *
 * @param lanes windows that are computed side by side
 */
export function processorBatchSize({ nTextLayer, nTextState, nAudioCtx }: ModelDimensions, lanes: number): number {
  const fitting = Math.floor(CACHE_BYTES / (2 * nTextLayer * nTextState * nAudioCtx));
  return Math.min(ROWS_PER_LANE * lanes, Math.max(lanes, fitting));
}
