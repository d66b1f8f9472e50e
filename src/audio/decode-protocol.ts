/**
 * Messages between this process's main thread and its decoding thread. Every request gets exactly one reply, in order.
 */

import type { AudioGap } from "./audio-input.ts";

export type DecodeRequest =
  | {
      readonly type: "open";
      readonly id: number;
      readonly path: string;
      /** From 1; undefined for the best. */
      readonly audioTrack: number | undefined;
    }
  | { readonly type: "next"; readonly id: number }
  | { readonly type: "close"; readonly id: number };

export type DecodeReply =
  | { readonly type: "opened"; readonly id: number; readonly durationSeconds: number | null }
  | {
      readonly type: "piece";
      readonly id: number;
      /** Mono at 16 kHz; empty at the end. */
      readonly samples: Float32Array<ArrayBuffer>;
      readonly warnings: readonly string[];
      /** Gaps found since the piece before, in seconds from the start. */
      readonly gaps: readonly AudioGap[];
    }
  | { readonly type: "closed"; readonly id: number }
  /** The file cannot be decoded. */
  | { readonly type: "failed"; readonly id: number; readonly reason: string }
  /** node-av is not installed, or not for this platform. */
  | { readonly type: "unavailable"; readonly id: number; readonly reason: string };
