/** Long messages of audio, taken so that they hold nobody up. */
import { setImmediate } from "node:timers/promises";

/** A second of samples: decoding them and listening for a voice takes some 10 ms. */
const PIECE_BYTES = 2 ** 15;

/**
 * Hands bytes over in pieces, with a turn for everybody else between them. One piece is handed over at once.
 *
 * @returns done when all are; undefined if they are already
 */
export function inPieces(bytes: Uint8Array, take: (piece: Uint8Array) => void): Promise<void> | undefined {
  if (bytes.length > PIECE_BYTES) return handOver(bytes, take);
  take(bytes);
  return undefined;
}

async function handOver(bytes: Uint8Array, take: (piece: Uint8Array) => void): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    take(bytes.subarray(at, at + PIECE_BYTES));
    await setImmediate();
  }
}
