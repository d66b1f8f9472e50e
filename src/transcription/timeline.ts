/**
 * Puts pieces of text in order on the time of the audio, whatever the model made up: starts never decrease, a piece ends
 * before the next one starts, and all lie within the audio (facts 6.5 F11, 9.5). One piece is held back until the next
 * one is known. Times that hold already are not touched.
 */
import type { Piece } from "./stitcher.ts";

export interface TimedPiece extends Piece {
  /** Seconds. */
  readonly start: number;
  /** Seconds; where no timestamp closed the piece, the end of the last window whose tokens went into it. */
  readonly end: number;
  /** Whether its end is known: the model closed it, or another piece follows. */
  readonly isClosed: boolean;
}

export class Timeline {
  #held: TimedPiece | null = null;

  /**
   * @param audioEnd seconds of audio known so far
   * @returns the piece whose times are settled now: none, or one
   */
  push(piece: Piece, audioEnd: number): TimedPiece[] {
    const within = (time: number): number => Math.min(Math.max(time, 0), audioEnd);
    const from = within(piece.start ?? piece.span[0]);
    const next = {
      ...piece,
      start: from,
      end: Math.max(from, within(piece.end ?? piece.span[1])),
      isClosed: piece.end !== null,
    };
    const held = this.#held;
    if (held === null) {
      this.#held = next;
      return [];
    }
    // Of two that overlap the later start is believed; if it is not later, the end.
    const border = next.start > held.start ? Math.min(held.end, next.start) : held.end;
    const start = Math.max(next.start, border);
    this.#held = { ...next, start, end: Math.max(next.end, start) };
    return [{ ...held, end: border, isClosed: true }];
  }

  /** @returns the piece held back: none, or one */
  finish(): TimedPiece[] {
    return this.#held === null ? [] : [this.#held];
  }
}
