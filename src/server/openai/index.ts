/**
 * OpenAI's audio API (facts ecosystem 5.1): transcriptions, translations, models, in the shapes that the `openai` clients read.
 *
 * Recordings go through the vad algorithm, unless sotto's own field `algorithm` chooses another. Fields that have no effect are
 * named in the answer: `warnings` of the JSON formats and of the stream's last event, the header `warning` of all formats.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { clientOf } from "../auth.ts";
import { resultFor } from "../connection.ts";
import { RequestError } from "../errors.ts";
import { fileOf, readForm } from "../forms.ts";
import { sendWarnings, unknownFields } from "../no-effect.ts";
import type { ServedModel, ServerContext, TranscriptionService } from "../service.ts";
import { readChunkingStrategy } from "./chunking-strategy.ts";
import { TRANSCRIPTION_FORM, TRANSLATION_FORM, jobOptions, type AudioForm } from "./form.ts";
import { answerOf, CONTENT_TYPES, modelObject } from "./responses.ts";
import { streamTranscript } from "./stream.ts";

/** OpenAI's names for what is always the default model here, so that programs run unchanged. */
const ALIASES = /^(whisper-1|gpt-4o(-mini)?-transcribe(-[\w-]+)?)$/;

const CHUNKING_HAS_NO_EFFECT = '"chunking_strategy" has no effect: only algorithm "vad" detects voices';

/** Adds the routes. */
export function openai(app: FastifyInstance, context: ServerContext): void {
  const { service } = context;
  const started = Math.floor(Date.now() / 1000);

  const answer = async (request: FastifyRequest, reply: FastifyReply, task: "transcribe" | "translate") => {
    const client = clientOf(request);
    service.assertRoom(client);
    const upload = await context.uploads.receive(request);
    try {
      const schema = task === "transcribe" ? TRANSCRIPTION_FORM : TRANSLATION_FORM;
      const form: AudioForm = readForm(upload, schema);
      const file = fileOf(upload);
      const model = findModel(service, form.model).id;
      const asked = jobOptions(form, task);
      const chunking = readChunkingStrategy(upload.fields) ?? {};
      const isIgnored = asked.algorithm !== "vad" && Object.keys(chunking).length > 0;
      const options = asked.algorithm === "vad" ? { ...asked, ...chunking } : asked;
      const ignored = [...(isIgnored ? [CHUNKING_HAS_NO_EFFECT] : []), ...unknownFields(upload, schema)];
      const { path, name } = file;
      const job = service.submit({ model, client, options, audio: { kind: "file", path, name, temporary: true } });
      upload.take(file);
      if (form.stream === true) return await streamTranscript(reply, job, ignored);
      const transcript = await resultFor(reply, job);
      const format = form.response_format;
      const warnings = [...ignored, ...transcript.warnings];
      sendWarnings(reply, warnings);
      const answer = answerOf(transcript, format, task, form);
      const isObject = typeof answer === "object" && warnings.length > 0;
      return await reply.type(CONTENT_TYPES[format]).send(isObject ? { ...answer, warnings } : answer);
    } finally {
      await upload.dispose();
    }
  };

  app.post(
    "/v1/audio/transcriptions",
    {
      schema: {
        tags: ["OpenAI"],
        summary: "Transcribe a recording",
        description: "OpenAI's API: the `openai` clients work with this server's address as their base URL.",
        consumes: ["multipart/form-data"],
        body: TRANSCRIPTION_FORM,
      },
    },
    (request, reply) => answer(request, reply, "transcribe"),
  );
  app.post(
    "/v1/audio/translations",
    {
      schema: {
        tags: ["OpenAI"],
        summary: "Translate a recording into English",
        consumes: ["multipart/form-data"],
        body: TRANSLATION_FORM,
      },
    },
    (request, reply) => answer(request, reply, "translate"),
  );
  app.get("/v1/models", { schema: { tags: ["OpenAI"], summary: "List the models that are served" } }, () => ({
    object: "list",
    data: service.models.map((model) => modelObject(model, started)),
  }));
  // Ids of the hub have a slash.
  app.get(
    "/v1/models/*",
    {
      schema: {
        tags: ["OpenAI"],
        summary: "Describe a model",
        params: z.object({ "*": z.string().max(1000) }),
      },
    },
    (request) => {
      const id = (request.params as { "*": string })["*"];
      return { ...modelObject(findModel(service, id), started), id };
    },
  );
}

/** @throws {RequestError} 404 if it is not served */
function findModel(service: TranscriptionService, id: string | undefined): ServedModel {
  const found = service.models.find((model) => model.id === id);
  if (found !== undefined) return found;
  if (id === undefined || ALIASES.test(id)) return service.models[0];
  const names = service.models.map((model) => model.id).join(", ");
  throw new RequestError(404, `The model "${id.slice(0, 200)}" does not exist, this server has ${names}`, {
    param: "model",
    code: "model_not_found",
  });
}
