/** What a job of the jobs API may ask for. */
import { z } from "zod";
import { ALGORITHMS } from "../../pipeline/choices.ts";
import { languageCode, TASKS } from "../../tokenizer/index.ts";
import { booleanField, fileField, formSchema, numberField } from "../forms.ts";
import type { JobOptions } from "../service.ts";
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
    word_timestamps: booleanField().default(false),
    language_per_window: booleanField().default(false),
    prompt: z.string().optional(),
    temperature: numberField({ min: 0, max: 1 }).optional().describe("0: rises from 0 as far as the text needs it"),
    ...VAD_FIELDS,
  }),
);

export type JobForm = z.output<typeof JOB_FORM>;

/** @throws {OptionError} for a language that does not exist */
export function keptJobOptions(form: JobForm): JobOptions {
  const { prompt, temperature, algorithm = "vad" } = form;
  return {
    algorithm,
    task: form.task,
    returnTimestamps: true,
    ...(form.language !== undefined && { language: languageCode(form.language) }),
    ...(form.word_timestamps && { wordTimestamps: true }),
    ...(form.language_per_window && { languagePerWindow: true }),
    ...(prompt !== undefined && { initialPrompt: prompt }),
    ...(temperature !== undefined && temperature > 0 && { temperature }),
    ...vadOptions(form),
  } as JobOptions; // what an algorithm does not have fails the job, in words
}
