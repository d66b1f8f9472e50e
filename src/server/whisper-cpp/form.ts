/** The fields of whisper.cpp's /inference, and what they ask of the pipeline. */
import { z } from "zod";
import { languageCode } from "../../tokenizer/index.ts";
import type { VadTranscriptionOptions } from "../../transcription/index.ts";
import { booleanField, fileField, formSchema, numberField } from "../forms.ts";
import type { SequentialTranscribeOptions } from "../../pipeline/index.ts";
import type { JobOptions } from "../service.ts";

/** Beams and samples above this fill the memory, and gain nothing (whisper.cpp itself refuses more than 8). */
const MAX_ROWS = 16;
/** whisper.cpp's thresholds where a request says nothing. */
const ENTROPY_THRESHOLD = 2.4;
/** Above a minute nothing would ever end. */
const MAX_VAD_MS = 60_000;
/** A quarter of a window. */
const MAX_VAD_PAD_MS = 7500;

const flag = (): z.ZodDefault<z.ZodType<boolean, string>> => booleanField().default(false);
const count = (min: number, max: number): z.ZodOptional<z.ZodType<number, string>> =>
  numberField({ min, max, whole: true }).optional();
const milliseconds = (): z.ZodOptional<z.ZodType<number, string>> => count(0, 1e9);
const rows = (): z.ZodOptional<z.ZodType<number, string>> => count(-1, MAX_ROWS);
const threshold = (): z.ZodOptional<z.ZodType<number, string>> => numberField({ min: -1000, max: 1000 }).optional();
const ignored = "without effect, which the answer says";

export const INFERENCE_FORM = formSchema(
  z.object({
    file: fileField().describe("recording in any common format"),
    response_format: z.enum(["json", "text", "srt", "verbose_json", "vtt"]).default("json"),
    language: z.string().max(100).default("auto").describe('code or name; "auto": detect it'),
    detect_language: flag(),
    translate: flag(),
    prompt: z.string().optional(),
    carry_initial_prompt: flag(),
    temperature: numberField({ min: 0, max: 1 }).default(0),
    temperature_inc: numberField({ min: 0, max: 1 }).default(0.2).describe("step of the ladder; 0: one attempt"),
    offset_t: milliseconds().describe("milliseconds that are left out at the start"),
    duration: milliseconds().describe("milliseconds that are read; 0: all"),
    max_context: count(-1, 1e6).describe(
      "0: windows know nothing of the text before them; any other number: all that fits",
    ),
    max_len: numberField({ min: 0, max: 10_000, whole: true })
      .default(0)
      .describe("characters of a cue of srt and vtt; 0: a cue is a segment"),
    best_of: rows().describe("samples at temperatures above 0"),
    beam_size: rows().describe("beams at temperature 0; -1, 0 or 1: greedy"),
    entropy_thold: threshold().describe(
      `text whose last 32 tokens have a lower entropy is decoded again; default ${ENTROPY_THRESHOLD}`,
    ),
    logprob_thold: threshold().describe("text whose mean log-probability is lower is decoded again; default -1"),
    no_speech_thold: threshold().describe("above it unsure text is silence; default 0.6"),
    no_timestamps: flag(),
    token_timestamps: flag().describe("gives words with times"),
    no_language_probabilities: flag(),
    suppress_nst: booleanField()
      .optional()
      .describe("whether symbols that are no speech are never written; default: as the checkpoint says"),
    suppress_non_speech: booleanField().optional().describe("the same"),
    split_on_word: booleanField().optional().describe("false has no effect: cues are cut between words"),
    word_thold: threshold().describe(ignored),
    audio_ctx: count(0, 1500).describe(`above 0 ${ignored}`),
    offset_n: count(0, 1e9).describe(ignored),
    debug_mode: booleanField().optional().describe(ignored),
    diarize: booleanField().optional().describe(ignored),
    tinydiarize: booleanField().optional().describe(ignored),
    vad: booleanField()
      .optional()
      .describe("whether only speech is heard (algorithm vad, else sequential); default: unless another field forbids"),
    vad_threshold: numberField({ min: 0, max: 1 }).optional().describe("probability at which speech begins"),
    vad_min_speech_duration_ms: count(0, MAX_VAD_MS).describe("speech that is shorter is ignored"),
    vad_min_silence_duration_ms: count(0, MAX_VAD_MS).describe("silence that ends speech"),
    vad_max_speech_duration_s: numberField({ min: 0 }).optional().describe(ignored),
    vad_speech_pad_ms: count(0, MAX_VAD_PAD_MS).describe("silence that a window keeps before and after its speech"),
    vad_samples_overlap: numberField({ min: 0, max: 30 }).optional().describe(ignored),
  }),
);

export type InferenceForm = z.output<typeof INFERENCE_FORM>;

/** A warning for each field that asks for what this server does not do. */
export function withoutEffect(form: InferenceForm): string[] {
  const warnings: string[] = [];
  const warn = (name: keyof InferenceForm, isAsked: boolean, reason: string): void => {
    if (isAsked) warnings.push(`"${name}" has no effect: ${reason}`);
  };
  warn("max_context", form.max_context !== undefined && form.max_context > 0, "windows know all that fits, or nothing");
  warn("split_on_word", form.split_on_word === false && form.max_len > 0, "cues are cut between words alone");
  warn("word_thold", form.word_thold !== undefined, "times of words come from attention, not from probabilities");
  warn("audio_ctx", (form.audio_ctx ?? 0) > 0, "the model always hears its whole window");
  warn("offset_n", (form.offset_n ?? 0) > 0, "segments are counted from 0");
  warn("debug_mode", form.debug_mode === true, "there is none");
  warn("diarize", form.diarize === true, "speakers are not told apart");
  warn("tinydiarize", form.tinydiarize === true, "speakers are not told apart");
  const sequential = hearsAll(form);
  warn("vad", form.vad === true && sequential !== null, `${sequential ?? ""} needs all of the recording`);
  for (const name of VAD_FIELDS) {
    warn(name, form[name] !== undefined && sequential !== null, `${sequential ?? ""} has all of the recording heard`);
  }
  warn("vad_max_speech_duration_s", form.vad_max_speech_duration_s !== undefined, "windows end in pauses, or are full");
  warn("vad_samples_overlap", form.vad_samples_overlap !== undefined, "windows do not overlap");
  warn("carry_initial_prompt", form.carry_initial_prompt && form.prompt === undefined, "there is no prompt");
  warn("no_timestamps", form.no_timestamps && needsWords(form), "token_timestamps and max_len need times");
  return warnings;
}

const VAD_FIELDS = [
  "vad_threshold",
  "vad_min_speech_duration_ms",
  "vad_min_silence_duration_ms",
  "vad_speech_pad_ms",
] as const;

/** What a form has that only openai/whisper's algorithm does, which hears all of a recording; null where the vad algorithm will do. */
function hearsAll(form: InferenceForm): string | null {
  if (form.vad === false) return "vad=false";
  if ((form.offset_t ?? 0) > 0) return "offset_t";
  if ((form.duration ?? 0) > 0) return "duration";
  if (form.carry_initial_prompt && form.prompt !== undefined) return "carry_initial_prompt";
  return null;
}

function needsWords({ token_timestamps, max_len }: InferenceForm): boolean {
  return token_timestamps || max_len > 0;
}

/**
 * What a form asks of the pipeline: the vad algorithm, unless it has what only openai/whisper's does, which whisper.cpp's is.
 *
 * @throws {OptionError} for a language that does not exist
 */
export function inferenceOptions(form: InferenceForm): JobOptions {
  const { best_of: bestOf = 0 } = form;
  const suppresses = form.suppress_nst ?? form.suppress_non_speech;
  const detects = form.detect_language || form.language === "auto";
  const common = {
    task: form.translate ? "translate" : "transcribe",
    temperature: ladder(form.temperature, form.temperature_inc),
    ...(!detects && { language: languageCode(form.language) }),
    ...(form.prompt !== undefined && { initialPrompt: form.prompt }),
    ...(bestOf > 0 && { bestOf }),
    ...(suppresses !== undefined && { suppressTokens: suppresses ? "-1" : "" }),
    ...(form.logprob_thold !== undefined && { logprobThreshold: form.logprob_thold }),
    ...(form.no_speech_thold !== undefined && { noSpeechThreshold: form.no_speech_thold }),
  } as const;
  return hearsAll(form) === null ? { ...common, ...vadOptions(form) } : { ...common, ...sequentialOptions(form) };
}

/** Beams are the algorithm's own, unless the form says how many. */
function vadOptions(form: InferenceForm): VadTranscriptionOptions & { algorithm: "vad" } {
  const { beam_size: beamSize } = form;
  return {
    algorithm: "vad",
    ...(beamSize !== undefined && { beamSize: beamSize > 1 ? beamSize : null }),
    ...(form.entropy_thold !== undefined && { entropyThreshold: form.entropy_thold }),
    ...(form.vad_threshold !== undefined && { vadThreshold: form.vad_threshold }),
    ...(form.vad_min_speech_duration_ms !== undefined && { vadMinSpeechDurationMs: form.vad_min_speech_duration_ms }),
    ...(form.vad_min_silence_duration_ms !== undefined && {
      vadMinSilenceDurationMs: form.vad_min_silence_duration_ms,
    }),
    ...(form.vad_speech_pad_ms !== undefined && { vadSpeechPadMs: form.vad_speech_pad_ms }),
    ...(needsWords(form) && { wordTimestamps: true }),
  };
}

function sequentialOptions(form: InferenceForm): SequentialTranscribeOptions {
  const { beam_size: beamSize = 0 } = form;
  const start = (form.offset_t ?? 0) / 1000;
  const length = (form.duration ?? 0) / 1000;
  return {
    algorithm: "sequential",
    ...(form.carry_initial_prompt && form.prompt !== undefined && { carryInitialPrompt: true }),
    ...(form.max_context === 0 && { conditionOnPreviousText: false }),
    ...(beamSize > 1 && { beamSize }),
    // whisper.cpp looks at entropy in place of compression.
    compressionRatioThreshold: null,
    entropyThreshold: form.entropy_thold ?? ENTROPY_THRESHOLD,
    ...((start > 0 || length > 0) && { clipTimestamps: length > 0 ? [start, start + length] : [start] }),
    ...(needsWords(form)
      ? { wordTimestamps: true }
      : form.no_timestamps && !isSubtitle(form) && { withoutTimestamps: true }),
  };
}

/** Cues have times in any case. */
function isSubtitle({ response_format: format }: InferenceForm): boolean {
  return format === "srt" || format === "vtt";
}

/** Temperatures from the first to 1, as whisper.cpp's fallback takes them. */
function ladder(first: number, step: number): number[] {
  const temperatures = [first];
  // Rounded, as sums of 0.2 are not what they look like.
  for (let i = 1; step > 0.01; i++) {
    const next = Math.round((first + i * step) * 1e6) / 1e6;
    if (next > 1) break;
    temperatures.push(next);
  }
  return temperatures;
}
