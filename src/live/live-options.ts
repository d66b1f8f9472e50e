/** What a caller may ask of a live session, checked before any audio comes. */
import { resolveDecoding } from "../decoding/index.ts";
import { OptionError } from "../errors.ts";
import { assertOptions, number, oneOf, orNull, record, text, type OptionKind } from "../options/index.ts";
import { TASKS, type Task } from "../tokenizer/index.ts";
import type { TranscriptionContext } from "../transcription/index.ts";
import type { Endpointing } from "./endpointer.ts";

export interface LiveOptions {
  /** "transcribe" (default), or "translate": into English. */
  readonly task?: Task | undefined;
  /** Code, name or token: "de", "german". Detected in each utterance where it is missing. */
  readonly language?: string | undefined;
  /** Text that the model is told before each utterance: names, jargon. */
  readonly prompt?: string | undefined;
  /** How utterances are found; null: all audio is of one utterance until `endUtterance()`. */
  readonly endpointing?: Partial<Endpointing> | null | undefined;
  /** Least audio between two transcriptions, in seconds: less is quicker and costs more. Default 1. */
  readonly stepSeconds?: number | undefined;
}

const DEFAULT_ENDPOINTING: Endpointing = {
  threshold: 0.5,
  silenceSeconds: 1.5,
  lateSilenceSeconds: 0.5,
  prefixSeconds: 1,
};
/** Of each number its range. Prefix and silence are held or heard again and again: seconds of them help nobody. */
const RANGES: Readonly<Record<keyof Endpointing, readonly [from: number, to: number]>> = {
  threshold: [0, 1],
  silenceSeconds: [0.1, 10],
  lateSilenceSeconds: [0.1, 10],
  prefixSeconds: [0, 5],
};
const ENDPOINTING_OPTIONS = Object.fromEntries(
  Object.entries(RANGES).map(([name, [from, to]]) => [name, number({ from, to })]),
);
const LIVE_OPTIONS = {
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
  readonly endpointing: Endpointing | null;
  readonly stepSeconds: number;
}

/** @throws {OptionError} for a name or value that does not exist, is out of range, or does not go with the model */
export function resolveLive({ tokenizer, engine }: TranscriptionContext, options: LiveOptions): ResolvedLive {
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
  return { task, language, prompt, endpointing: resolveEndpointing(options.endpointing), stepSeconds };
}

function resolveEndpointing(asked: Partial<Endpointing> | null | undefined): Endpointing | null {
  if (asked === null) return null;
  if (asked !== undefined) assertOptions("endpointing", asked, ENDPOINTING_OPTIONS);
  const given = Object.entries(asked ?? {}).filter(([, value]) => value !== undefined);
  const values = Object.fromEntries(given) as Partial<Endpointing>;
  // Who says how long a pause is means all pauses.
  const { silenceSeconds: lateSilenceSeconds = DEFAULT_ENDPOINTING.lateSilenceSeconds } = values;
  return { ...DEFAULT_ENDPOINTING, lateSilenceSeconds, ...values };
}
