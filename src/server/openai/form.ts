/** The fields of OpenAI's audio requests, and what they ask of the pipeline. */
import { z } from "zod";
import { ALGORITHMS } from "../../pipeline/choices.ts";
import { languageCode, type Task } from "../../tokenizer/index.ts";
import { RequestError } from "../errors.ts";
import { booleanField, fileField, formSchema, numberField, repeatable } from "../forms.ts";
import type { JobOptions } from "../service.ts";
import { wantsWords } from "../subtitles.ts";
import { VAD_FIELDS, vadOptions } from "../vad-fields.ts";

export const RESPONSE_FORMATS = ["json", "text", "srt", "verbose_json", "vtt"] as const;
export type ResponseFormat = (typeof RESPONSE_FORMATS)[number];

const COMMON = {
  file: fileField().describe("recording in any common format, also a video"),
  model: z.string().max(1000).optional().describe('a served model; "whisper-1" and the like mean the default one'),
  prompt: z.string().optional().describe("text that the model is told as if it stood before the recording"),
  response_format: z.enum(RESPONSE_FORMATS).default("json"),
  temperature: numberField({ min: 0, max: 1 })
    .optional()
    .describe("not of algorithm chunked; 0: rises from 0 as far as the text needs it"),
  algorithm: z
    .enum(ALGORITHMS)
    .optional()
    .describe(
      "sotto's own field: vad (default) finds speech first; chunked is Hugging Face's, sequential openai/whisper's",
    ),
  ...VAD_FIELDS,
};

export const TRANSCRIPTION_FORM = formSchema(
  z.object({
    ...COMMON,
    language: z.string().max(100).optional().describe("code or name; default: detect it"),
    stream: booleanField().optional().describe("server-sent events: text as soon as it is there"),
    timestamp_granularities: repeatable(z.enum(["segment", "word"]))
      .optional()
      .describe("of verbose_json; also as timestamp_granularities[]"),
    include: repeatable(z.string()).optional(),
    chunking_strategy: z
      .string()
      .optional()
      .describe(
        '"auto", or {"type": "server_vad", "threshold", "prefix_padding_ms", "silence_duration_ms"} of algorithm vad',
      ),
  }),
);

export const TRANSLATION_FORM = formSchema(z.object(COMMON));

/** A form of either kind. */
export type AudioForm = z.output<typeof TRANSLATION_FORM> & Partial<z.output<typeof TRANSCRIPTION_FORM>>;

/**
 * What a form asks of the pipeline.
 *
 * @throws {RequestError} 400 for what this server cannot do
 * @throws {OptionError} for a language that does not exist
 */
export function jobOptions(form: AudioForm, task: Task): JobOptions {
  const { prompt, temperature, timestamp_granularities: granularities } = form;
  if (granularities !== undefined && form.response_format !== "verbose_json") {
    throw unsupported("timestamp_granularities", "it needs response_format verbose_json");
  }
  if (form.include !== undefined) throw unsupported("include", "log-probabilities of tokens are not given");
  if (form.stream === true && form.response_format !== "json" && form.response_format !== "text") {
    throw unsupported("stream", `it gives text, not ${form.response_format}`);
  }
  const { algorithm = "vad" } = form;
  const needsWords = granularities?.includes("word") === true || wantsWords(form.response_format, { algorithm, task });
  const common = {
    task,
    ...(form.language !== undefined && { language: languageCode(form.language) }),
    ...(needsWords && { wordTimestamps: true }),
  };
  if (algorithm === "chunked") {
    if (prompt !== undefined) throw unsupported("prompt", "algorithm chunked takes none");
    if (temperature !== undefined)
      throw unsupported("temperature", "algorithm chunked knows none but 0, without a ladder");
    return { ...common, algorithm, returnTimestamps: true };
  }
  return {
    ...common,
    algorithm,
    ...(prompt !== undefined && { initialPrompt: prompt }),
    // 0 stands for the ladder: taken literally, windows that need another try would lose their text.
    ...(temperature !== undefined && temperature > 0 && { temperature }),
    ...vadOptions(form),
  } as JobOptions; // what an algorithm does not have fails the job, in words
}

function unsupported(param: string, reason: string): RequestError {
  return new RequestError(400, `Cannot use "${param}" here: ${reason}`, { param, code: "unsupported_parameter" });
}
