/**
 * The common face of the two outside decoders, node-av in a thread and the ffmpeg program.
 */

import type { AudioGap } from "./audio-input.ts";
import type { WarningList } from "./warnings.ts";

/** An open recording. */
export interface OpenDecoder {
  /** By the container; `null` where it does not say. */
  readonly durationSeconds: number | null;
  /** Mono pieces at 16 kHz, once, in order. Leaving early closes. */
  pieces(): AsyncGenerator<Float32Array>;
  /** Frees what it holds; may be called twice, and before the pieces are read. */
  close(): Promise<void>;
}

export interface DecoderOptions {
  /** For messages: the path may be a temporary one. */
  readonly name: string;
  readonly signal: AbortSignal | undefined;
  readonly warnings: WarningList;
  /** Takes the gaps, each before the piece in which it begins. */
  readonly gaps: AudioGap[];
  /** Which audio track, from 1; undefined for the best, with a warning if there are others. */
  readonly audioTrack: number | undefined;
}

/** Opens a regular file. Throws a DecoderUnavailable if the decoder is not here, a DecodeFailure if it cannot read the file. */
export type Decoder = (path: string, options: DecoderOptions) => Promise<OpenDecoder>;

/** This decoder is not installed. */
export class DecoderUnavailable extends Error {
  override readonly name = "DecoderUnavailable";
}

/** The decoder makes nothing of the file; the message completes "Cannot read "x": ...". */
export class DecodeFailure extends Error {
  override readonly name = "DecodeFailure";
}
