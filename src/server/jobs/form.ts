/** What a job of the jobs API may ask for. */
import { z } from "zod";
import { OUTPUT_FORMATS } from "../../outputs/index.ts";
import { ALGORITHMS } from "../../pipeline/choices.ts";
import { languageCode, TASKS } from "../../tokenizer/index.ts";
import { booleanField, fileField, formSchema, numberField } from "../forms.ts";
import type { JobOptions } from "../service.ts";
import { wantsWords } from "../subtitles.ts";
import { VAD_FIELDS, vadOptions } from "../vad-fields.ts";

export const JOB_FORM = formSchema(
  z.object({
    file: fileField().optional().describe("recording in any common format; or give `url`"),
    url: z.string().max(4000).optional().describe("http or https; or give `file`"),
    model: z.string().max(1000).optional().describe("a served model; default the first"),
    task: z.enum(TASKS as ["transcribe", "translate"]).default("transcribe"),
    language: z.string().max(100).optional().describe("code or name; default: detect it"),
    algorithm: z
      .enum(ALGORITHMS)
      .optional()
      .describe("vad (default) finds speech first; chunked is Hugging Face's, sequential openai/whisper's"),
    format: z
      .enum(OUTPUT_FORMATS)
      .default("json")
      .describe("of the result, unless another is asked for there; srt, vtt and ass turn word_timestamps on"),
    word_timestamps: booleanField()
      .optional()
      .describe("words with times; default: whether `format` is one of subtitles, which are divided between words"),
    language_per_window: booleanField().default(false),
    prompt: z.string().optional(),
    temperature: numberField({ min: 0, max: 1 }).optional().describe("0: rises from 0 as far as the text needs it"),
    ...VAD_FIELDS,
  }),
);

export type JobForm = z.output<typeof JOB_FORM>;

/** @throws {OptionError} for a language that does not exist */
export function keptJobOptions(form: JobForm): JobOptions {
  const { prompt, temperature, algorithm = "vad", task } = form;
  const { word_timestamps: wordTimestamps = wantsWords(form.format, { algorithm, task }) } = form;
  return {
    algorithm,
    task,
    returnTimestamps: true,
    ...(form.language !== undefined && { language: languageCode(form.language) }),
    ...(wordTimestamps && { wordTimestamps }),
    ...(form.language_per_window && { languagePerWindow: true }),
    ...(prompt !== undefined && { initialPrompt: prompt }),
    ...(temperature !== undefined && temperature > 0 && { temperature }),
    ...vadOptions(form),
  } as JobOptions; // what an algorithm does not have fails the job, in words
}
