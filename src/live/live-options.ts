/** What a caller may ask of a live session, checked before any audio comes. */
import { resolveDecoding } from "../decoding/index.ts";
import { OptionError } from "../errors.ts";
import { assertOptions, number, oneOf, orNull, record, text, type OptionKind } from "../options/index.ts";
import { TASKS, type Task } from "../tokenizer/index.ts";
import type { TranscriptionContext } from "../transcription/index.ts";
import { VAD_OPTIONS, type SileroVad, type VadOptions } from "../vad/index.ts";
import type { Endpointing, VoiceOptions } from "./endpointer.ts";

/** What a live session needs of a model: speech is found in any case. */
export type LiveContext = TranscriptionContext & { readonly vad: SileroVad };

/** How utterances are found; each comes before the option of voice activity that means the same. */
export interface EndpointingOptions extends Partial<Omit<Endpointing, "voice">> {
  /** As `vadThreshold`. */
  readonly threshold?: number | undefined;
}

/**
 * Options of voice activity have the names that `transcribe` has, and are those of the text of an utterance too. `vadMinSilenceDurationMs`
 * is `endpointing.silenceSeconds` here, and `vadSpeechPadMs` `endpointing.prefixSeconds`: how an utterance is cut out of the stream.
 */
export interface LiveOptions extends Omit<VadOptions, "vadMaxSpeechDurationS"> {
  /** "transcribe" (default), or "translate": into English. */
  readonly task?: Task | undefined;
  /** Code, name or token: "de", "german". Detected in each utterance where it is missing. */
  readonly language?: string | undefined;
  /** Text that the model is told before each utterance: names, jargon. */
  readonly prompt?: string | undefined;
  /** How utterances are found; null: all audio is of one utterance until `endUtterance()`. */
  readonly endpointing?: EndpointingOptions | null | undefined;
  /** Least audio between two transcriptions, in seconds: less is quicker and costs more. Default 1. */
  readonly stepSeconds?: number | undefined;
}

const DEFAULT_SILENCE_SECONDS = 1.5;
const DEFAULT_LATE_SILENCE_SECONDS = 0.5;
const DEFAULT_PREFIX_SECONDS = 1;
/** Of each number its range. Prefix and silence are held or heard again and again: seconds of them help nobody. */
const RANGES: Readonly<Record<keyof EndpointingOptions, readonly [from: number, to: number]>> = {
  threshold: [0, 1],
  silenceSeconds: [0.1, 10],
  lateSilenceSeconds: [0.1, 10],
  prefixSeconds: [0, 5],
};
const ENDPOINTING_OPTIONS = Object.fromEntries(
  Object.entries(RANGES).map(([name, [from, to]]) => [name, number({ from, to })]),
);
const { vadMaxSpeechDurationS: _, ...VAD } = VAD_OPTIONS;
const LIVE_OPTIONS = {
  ...VAD,
  vadMinSilenceDurationMs: number({ from: 100, to: 10_000 }),
  vadSpeechPadMs: number({ from: 0, to: 5000 }),
  task: oneOf(TASKS),
  language: text,
  prompt: text,
  endpointing: orNull(record),
  stepSeconds: number({ from: 0.1, to: 5 }),
} as const satisfies Readonly<Record<keyof LiveOptions, OptionKind>>;
/** The model is told some 200 tokens; more text than this would only be read to be cut. */
const MAX_PROMPT_CHARACTERS = 4000;

/** Options after the check. */
export interface ResolvedLive {
  readonly task: Task;
  /** Code, undefined where it is to be detected. */
  readonly language: string | undefined;
  readonly prompt: string;
  readonly voice: VoiceOptions;
  readonly endpointing: Endpointing | null;
  readonly stepSeconds: number;
}

/** @throws {OptionError} for a name or value that does not exist, is out of range, or does not go with the model */
export function resolveLive({ tokenizer, engine }: LiveContext, options: LiveOptions): ResolvedLive {
  assertOptions("a live session", options, LIVE_OPTIONS);
  const { task, language } = resolveDecoding(tokenizer, engine.dimensions.nTextCtx, {
    task: options.task,
    language: options.language,
  });
  const { prompt = "", stepSeconds = 1 } = options;
  if (prompt.length > MAX_PROMPT_CHARACTERS) {
    throw new OptionError(
      "prompt",
      `The prompt has ${prompt.length} characters, expected at most ${MAX_PROMPT_CHARACTERS}`,
    );
  }
  const endpointing = givenEndpointing(options.endpointing);
  const { vadNegThreshold, vadMinSpeechDurationMs } = options;
  const vadThreshold = endpointing?.threshold ?? options.vadThreshold;
  const voice = { vadThreshold, vadNegThreshold, vadMinSpeechDurationMs };
  const turns = endpointing && { voice, ...resolveEndpointing(options, endpointing) };
  return { task, language, prompt, voice, endpointing: turns, stepSeconds };
}

function givenEndpointing(asked: EndpointingOptions | null | undefined): EndpointingOptions | null {
  if (asked === null) return null;
  if (asked !== undefined) assertOptions("endpointing", asked, ENDPOINTING_OPTIONS);
  return asked ?? {};
}

function resolveEndpointing(
  { vadMinSilenceDurationMs, vadSpeechPadMs }: LiveOptions,
  { silenceSeconds, lateSilenceSeconds, prefixSeconds }: EndpointingOptions,
): Omit<Endpointing, "voice"> {
  const silence = silenceSeconds ?? seconds(vadMinSilenceDurationMs);
  return {
    silenceSeconds: silence ?? DEFAULT_SILENCE_SECONDS,
    // Who says how long a pause is means all pauses.
    lateSilenceSeconds: lateSilenceSeconds ?? silence ?? DEFAULT_LATE_SILENCE_SECONDS,
    prefixSeconds: prefixSeconds ?? seconds(vadSpeechPadMs) ?? DEFAULT_PREFIX_SECONDS,
  };
}

function seconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : milliseconds / 1000;
}
