/** The fields of whisper.cpp's /inference, and what they ask of the pipeline. */
import { z } from "zod";
import { languageCode } from "../../tokenizer/index.ts";
import { booleanField, fileField, formSchema, numberField } from "../forms.ts";
import type { JobOptions } from "../service.ts";

/** Beams and samples above this fill the memory, and gain nothing. */
const MAX_ROWS = 16;

const flag = (): z.ZodDefault<z.ZodType<boolean, string>> => booleanField().default(false);
const count = (): z.ZodOptional<z.ZodType<number, string>> =>
  numberField({ min: -1, max: 1e9, whole: true }).optional();
const threshold = (): z.ZodOptional<z.ZodType<number, string>> => numberField({ min: -1000, max: 1000 }).optional();
const ignored = "accepted, without effect";

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
    offset_t: count().describe("milliseconds that are left out at the start"),
    duration: count().describe("milliseconds that are read; 0: all"),
    max_context: count().describe("0: windows know nothing of the text before them"),
    max_len: numberField({ min: 0, max: 10_000, whole: true }).default(0).describe("letters of a cue of srt and vtt"),
    best_of: count(),
    beam_size: count(),
    entropy_thold: threshold().describe("text that compresses better than this is decoded again"),
    logprob_thold: threshold(),
    no_speech_thold: threshold(),
    no_timestamps: flag(),
    token_timestamps: flag().describe("gives words with times"),
    no_language_probabilities: flag(),
    split_on_word: booleanField().optional().describe(ignored),
    word_thold: threshold().describe(ignored),
    audio_ctx: count().describe(ignored),
    offset_n: count().describe(ignored),
    debug_mode: booleanField().optional().describe(ignored),
    diarize: booleanField().optional().describe(ignored),
    tinydiarize: booleanField().optional().describe(ignored),
    suppress_non_speech: booleanField().optional().describe(ignored),
    suppress_nst: booleanField().optional().describe(ignored),
    vad: booleanField().optional().describe(ignored),
  }),
);

export type InferenceForm = z.output<typeof INFERENCE_FORM>;

/**
 * What a form asks of the pipeline: openai/whisper's algorithm, which whisper.cpp's is.
 *
 * @throws {OptionError} for a language that does not exist
 */
export function inferenceOptions(form: InferenceForm): JobOptions {
  const rows = (value: number | undefined): number | undefined =>
    value === undefined || value < 1 ? undefined : Math.min(value, MAX_ROWS);
  const [beamSize, bestOf] = [rows(form.beam_size), rows(form.best_of)];
  const detects = form.detect_language || form.language === "auto";
  const start = (form.offset_t ?? 0) / 1000;
  const length = (form.duration ?? 0) / 1000;
  const needsWords = form.token_timestamps || form.max_len > 0;
  // Cues have times in any case.
  const isTimed = form.response_format === "srt" || form.response_format === "vtt";
  return {
    algorithm: "sequential",
    task: form.translate ? "translate" : "transcribe",
    temperature: ladder(form.temperature, form.temperature_inc),
    ...(!detects && { language: languageCode(form.language) }),
    ...(form.prompt !== undefined && { initialPrompt: form.prompt }),
    ...(form.carry_initial_prompt && { carryInitialPrompt: true }),
    ...(form.max_context === 0 && { conditionOnPreviousText: false }),
    ...(beamSize !== undefined && beamSize > 1 && { beamSize }),
    ...(bestOf !== undefined && { bestOf }),
    ...(form.entropy_thold !== undefined && { compressionRatioThreshold: form.entropy_thold }),
    ...(form.logprob_thold !== undefined && { logprobThreshold: form.logprob_thold }),
    ...(form.no_speech_thold !== undefined && { noSpeechThreshold: form.no_speech_thold }),
    ...((start > 0 || length > 0) && { clipTimestamps: length > 0 ? [start, start + length] : [start] }),
    ...(needsWords ? { wordTimestamps: true } : form.no_timestamps && !isTimed && { withoutTimestamps: true }),
  };
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
