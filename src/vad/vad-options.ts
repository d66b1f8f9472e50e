/** How probabilities of speech become spans: names after faster-whisper's `VadOptions`, with its defaults (facts 3.3.1). */
import { assertOptions, number, orNull, type OptionKind } from "../options/index.ts";

export interface VadOptions {
  /** A frame of at least this probability begins speech. Default 0.5. */
  readonly vadThreshold?: number | undefined;
  /** Within speech, a frame below this probability is silence. Default 0.15 less than `vadThreshold`, at least 0.01. */
  readonly vadNegThreshold?: number | null | undefined;
  /** Speech that is not longer than this is dropped. Default 0 milliseconds. */
  readonly vadMinSpeechDurationMs?: number | undefined;
  /**
   * Speech that lasts longer is cut: where its last silence of more than 98 ms began, else where the limit is reached. It includes the
   * padding. Default null: no limit.
   */
  readonly vadMaxSpeechDurationS?: number | null | undefined;
  /** Speech ends once silence lasts this long. Default 2000 milliseconds. */
  readonly vadMinSilenceDurationMs?: number | undefined;
  /** Spans begin so much before and end so much after speech; a gap that is too short for it is halved. Default 400 milliseconds. */
  readonly vadSpeechPadMs?: number | undefined;
}

/** All options, and the values that each takes. */
export const VAD_OPTIONS = {
  vadThreshold: number({ from: 0, to: 1 }),
  vadNegThreshold: orNull(number({ from: 0, to: 1 }), "the default"),
  vadMinSpeechDurationMs: number({ from: 0 }),
  vadMaxSpeechDurationS: orNull(number({ above: 0 }), "no limit"),
  vadMinSilenceDurationMs: number({ from: 0 }),
  vadSpeechPadMs: number({ from: 0 }),
} as const satisfies Readonly<Record<keyof VadOptions, OptionKind>>;

export interface ResolvedVad {
  readonly threshold: number;
  readonly negThreshold: number;
  readonly minSpeechDurationMs: number;
  /** Infinity for no limit. */
  readonly maxSpeechDurationS: number;
  readonly minSilenceDurationMs: number;
  readonly speechPadMs: number;
}

/**
 * Checks the options and fills in what is missing.
 *
 * @throws {OptionError} for an option that does not exist, or a value out of range
 */
export function resolveVad(options: VadOptions = {}): ResolvedVad {
  assertOptions("voice activity detection", options, VAD_OPTIONS);
  const threshold = options.vadThreshold ?? 0.5;
  return {
    threshold,
    negThreshold: options.vadNegThreshold ?? Math.max(threshold - 0.15, 0.01),
    minSpeechDurationMs: options.vadMinSpeechDurationMs ?? 0,
    maxSpeechDurationS: options.vadMaxSpeechDurationS ?? Infinity,
    minSilenceDurationMs: options.vadMinSilenceDurationMs ?? 2000,
    speechPadMs: options.vadSpeechPadMs ?? 400,
  };
}
