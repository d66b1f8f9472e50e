/**
 * whisper.cpp's server (facts ecosystem 1.4): `POST /inference` with its fields, and `POST /load`. Errors have the bodies that its
 * code means to send. `GET /health` is the server's own, which answers alike.
 *
 * srt and vtt have a cue for each segment, which is what clients of whisper.cpp take a cue for, unless `max_len` says otherwise; `coverage`
 * of verbose_json is sotto's own. Fields that have no effect here are named in the answer: `warnings` of the JSON formats, the header `warning` of all.
 *
 * Different on purpose: the language is detected unless it is given (whisper.cpp takes "en"), requests run side by side, and
 * text is sent as plain text, not as HTML.
 */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { coverageObject, toSrt, toVtt } from "../../outputs/index.ts";
import { languageName } from "../../tokenizer/index.ts";
import type { Transcript } from "../../transcription/index.ts";
import { clientOf, ownerOf } from "../auth.ts";
import { resultFor } from "../connection.ts";
import { errorAnswer } from "../errors.ts";
import { fileField, formSchema, readForm } from "../forms.ts";
import type { ServerContext } from "../service.ts";
import { sendWarnings, unknownFields } from "../no-effect.ts";
import { INFERENCE_FORM, inferenceOptions, withoutEffect, type InferenceForm } from "./form.ts";

const LOAD_FORM = formSchema(z.object({ model: z.string().max(1000).optional(), file: fileField().optional() }));

/** Adds the routes. */
export function whisperCpp(app: FastifyInstance, { service, uploads }: ServerContext): void {
  /** The model that each API key has chosen; of a server without keys, that all have. */
  const loaded = new Map<string, string>();

  app.setErrorHandler((error, request, reply) => {
    const answer = errorAnswer(error);
    if (answer.status >= 500) request.log.error({ err: error }, "request failed");
    if (answer.retryAfterSeconds !== null) void reply.header("retry-after", String(answer.retryAfterSeconds));
    const message = answer.status === 500 ? "failed to process audio" : answer.message;
    return reply.status(answer.status).type("application/json; charset=utf-8").send({ error: message });
  });

  app.post(
    "/inference",
    {
      schema: {
        tags: ["whisper.cpp"],
        summary: "Transcribe a recording",
        consumes: ["multipart/form-data"],
        body: INFERENCE_FORM,
      },
    },
    async (request, reply) => {
      const client = clientOf(request);
      service.assertRoom(client);
      const upload = await uploads.receive(request);
      try {
        const file = upload.files.find(({ field }) => field === "file");
        if (file === undefined) return await reply.status(400).send({ error: "no 'file' field in the request" });
        const form = readForm(upload, INFERENCE_FORM);
        const ignored = [...withoutEffect(form), ...unknownFields(upload, INFERENCE_FORM)];
        const options = inferenceOptions(form);
        const { path, name } = file;
        const audio = { kind: "file", path, name, temporary: true } as const;
        const job = service.submit({ model: loaded.get(ownerOf(request)), client, options, audio });
        upload.take(file);
        const transcript = await resultFor(reply, job);
        const warnings = [...ignored, ...transcript.warnings];
        sendWarnings(reply, warnings);
        const { type, body } = inferenceAnswer(transcript, form, warnings);
        return await reply.type(type).send(body);
      } finally {
        await upload.dispose();
      }
    },
  );

  app.post(
    "/load",
    {
      schema: {
        tags: ["whisper.cpp"],
        summary: "Choose the served model that /inference uses",
        consumes: ["multipart/form-data"],
        body: LOAD_FORM,
      },
    },
    async (request, reply) => {
      const upload = await uploads.receive(request);
      await upload.dispose();
      const { model } = readForm(upload, LOAD_FORM);
      if (model === undefined) return reply.status(400).send({ error: "no 'model' field in the request" });
      // Paths of the server are nothing that a client may name.
      if (!service.models.some(({ id }) => id === model)) return reply.status(400).send({ error: "model not found!" });
      loaded.set(ownerOf(request), model);
      return reply.type("text/plain; charset=utf-8").send("Load was successful!");
    },
  );
}

/** Segments, each on a line, as whisper.cpp joins them. */
function lines({ segments }: Transcript): string {
  return segments.map(({ text }) => `${text}\n`).join("");
}

function inferenceAnswer(
  transcript: Transcript,
  form: InferenceForm,
  warnings: readonly string[],
): { type: string; body: string | object } {
  const warned = warnings.length > 0 && { warnings };
  const cues = form.max_len > 0 ? { maxLineWidth: form.max_len, maxLineCount: 1 } : { readable: false };
  switch (form.response_format) {
    case "json":
      return { type: "application/json; charset=utf-8", body: { text: lines(transcript), ...warned } };
    case "text":
      return { type: "text/plain; charset=utf-8", body: lines(transcript) };
    case "srt":
      return { type: "application/x-subrip; charset=utf-8", body: toSrt(transcript, cues) };
    case "vtt":
      return { type: "text/vtt; charset=utf-8", body: toVtt(transcript, cues) };
    case "verbose_json":
      return { type: "application/json; charset=utf-8", body: { ...verbose(transcript, form), ...warned } };
  }
}

function verbose(transcript: Transcript, form: InferenceForm): object {
  const { language, languageProbability } = transcript;
  const name = languageName(language);
  return {
    task: form.translate ? "translate" : "transcribe",
    language: name,
    duration: transcript.duration,
    text: lines(transcript),
    ...(!form.no_language_probabilities && {
      detected_language: name,
      ...(languageProbability !== null && {
        detected_language_probability: languageProbability,
        language_probabilities: { [language]: languageProbability },
      }),
    }),
    segments: transcript.segments.map((segment) => ({
      id: segment.id,
      text: segment.text,
      ...(!form.no_timestamps && { start: segment.start, end: segment.end }),
      tokens: segment.tokens,
      ...(segment.words !== undefined && {
        words: segment.words.map(({ word, start, end, probability }) => ({ word, start, end, t_dtw: -1, probability })),
      }),
      temperature: segment.temperature,
      avg_logprob: segment.avgLogprob,
      no_speech_prob: segment.noSpeechProb,
    })),
    ...(transcript.coverage !== undefined && { coverage: coverageObject(transcript.coverage) }),
  };
}
