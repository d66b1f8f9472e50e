/**
 * sotto's own API: jobs that outlive their request. POST a file or a URL and get an id; status, events and the result in any
 * format are at that id, for as long as the server keeps it, over restarts too.
 */
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { diskReason, OptionError } from "../../errors.ts";
import {
  OUTPUT_FORMATS,
  segmentObject,
  transcriptObject,
  writeTranscript,
  type OutputFormat,
} from "../../outputs/index.ts";
import { clientOf, ownerOf } from "../auth.ts";
import { defaultCacheDir } from "../cache-dir.ts";
import type { ServerConfig } from "../config.ts";
import { RequestError } from "../errors.ts";
import { sendEvents } from "../event-stream.ts";
import { readForm } from "../forms.ts";
import { makeFolder } from "../../files/index.ts";
import type { JobAudio, JobEvent, ServerContext } from "../service.ts";
import { subtitleOptions } from "../subtitles.ts";
import type { UploadedForm } from "../uploads.ts";
import { JOB_FORM, keptJobOptions } from "./form.ts";
import { FINAL_NUMBER, failureOf, KeptJobs, type JobView, type NumberedEvent, type WholeJobView } from "./kept-jobs.ts";
import { openLibsqlStore } from "./libsql-store.ts";
import { MemoryStore, type JobPosition, type JobRecord, type JobStore } from "./store.ts";

/** How often what has ended long ago is forgotten, in ms. */
const TIDY_MS = 60_000;

/** Jobs of a page of the list. */
const PAGE = 20;
const MAX_PAGE = 100;

const TYPES: Readonly<Record<OutputFormat, string>> = {
  txt: "text/plain; charset=utf-8",
  vtt: "text/vtt; charset=utf-8",
  srt: "application/x-subrip; charset=utf-8",
  tsv: "text/tab-separated-values; charset=utf-8",
  json: "application/json; charset=utf-8",
  lrc: "text/plain; charset=utf-8",
  csv: "text/csv; charset=utf-8",
  "json-full": "application/json; charset=utf-8",
  ass: "text/x-ssa; charset=utf-8",
};

const PARAMS = z.object({ id: z.string().max(100) });
/** Where a page ends: the time and the id of its last job. */
const CURSOR = /^(\d{1,16})-([0-9a-f-]{36})$/;
const LIST = z.object({
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(PAGE).describe("jobs of a page"),
  after: z.string().regex(CURSOR, "expected the `next` of a page").optional().describe("`next` of the page before"),
});
const FORMAT = z.object({ format: z.enum(OUTPUT_FORMATS).optional().describe("default: the job's") });

/** Adds the routes, and goes on with the jobs that an earlier server has left. */
export async function jobs(app: FastifyInstance, context: ServerContext): Promise<void> {
  const { service, uploads, config } = context;
  const { store, folder } = await openStore(app, config);
  const kept = await KeptJobs.open({
    service,
    store,
    folder,
    ttlSeconds: config.jobTtl,
    onError: (error) => app.log.error({ err: error }, "job store failed"),
  });
  if (kept.size > 0) app.log.info({ jobs: kept.size }, "going on with jobs of an earlier server");
  const timer = setInterval(() => kept.tidy(), TIDY_MS).unref();
  app.addHook("onClose", (_app, done) => {
    clearInterval(timer);
    kept.close();
    done();
  });

  const tags = ["Jobs"];
  app.post(
    "/jobs",
    {
      schema: {
        tags,
        summary: "Transcribe a recording in the background",
        description: "Fields as a form with a file, or as JSON with a url. Answers at once with the job's id.",
        consumes: ["multipart/form-data", "application/json"],
        body: JOB_FORM,
      },
    },
    async (request, reply) => {
      const client = clientOf(request);
      service.assertRoom(client);
      const form = request.isMultipart() ? await uploads.receive(request) : jsonForm(request.body);
      try {
        const fields = readForm(form, JOB_FORM);
        const file = form.files.find(({ field }) => field === "file");
        const audio = audioOf(file, fields.url);
        const model = fields.model ?? service.models[0].id;
        if (!service.models.some(({ id }) => id === model)) {
          const names = service.models.map(({ id }) => id).join(", ");
          throw new OptionError("model", `Unknown model "${model.slice(0, 200)}", expected one of ${names}`);
        }
        const owner = ownerOf(request);
        const { format } = fields;
        const record = await kept.add({ audio, options: keptJobOptions(fields), format, owner, client, model });
        if (file !== undefined) form.take(file);
        const view = kept.view(owner, record.id);
        return await reply
          .status(202)
          .header("location", `/jobs/${record.id}`)
          .send(view === undefined ? { id: record.id } : describeWhole(view));
      } finally {
        await form.dispose();
      }
    },
  );

  app.get(
    "/jobs",
    {
      schema: {
        tags,
        summary: "List the jobs, the newest first",
        description:
          "Those of the request's API key; of a server without keys, all. `next` is null on the last page, else the value of " +
          "`after` that gives the next page. Jobs are as at /jobs/ID, but without their text.",
        querystring: LIST,
      },
    },
    (request) => {
      const { limit, after } = request.query as z.output<typeof LIST>;
      const page = kept.list({ owner: ownerOf(request), limit: limit + 1, after: positionOf(after) });
      const last = page.length > limit ? page[limit - 1].record : null;
      const next = last === null ? null : `${last.createdAt}-${last.id}`;
      return { jobs: page.slice(0, limit).map(describe), next };
    },
  );

  app.get("/jobs/:id", { schema: { tags, summary: "How far a job is", params: PARAMS } }, (request) =>
    describeWhole(found(kept, request)),
  );

  app.get(
    "/jobs/:id/events",
    {
      schema: {
        tags,
        summary: "A job's events as they happen",
        description:
          "Server-sent events: queued, started, progress, segment, done, failed, cancelled. After a cut the header " +
          "Last-Event-ID resumes; a started event that comes again makes segments before it void.",
        params: PARAMS,
      },
    },
    (request, reply) => {
      const { record } = found(kept, request);
      const last = Number(request.headers["last-event-id"] ?? NaN);
      // EventSource comes back after the end, until it is told that there is no more.
      if (last >= FINAL_NUMBER) return reply.status(204).send();
      return streamJob(reply, kept, record, Number.isFinite(last) ? last : -1);
    },
  );

  app.get(
    "/jobs/:id/result",
    { schema: { tags, summary: "What a job has given", params: PARAMS, querystring: FORMAT } },
    async (request, reply) => {
      const { record, status } = found(kept, request);
      if (status === "queued" || status === "running") {
        void reply.header("retry-after", "2");
        throw new RequestError(409, `The job is ${status}`, { code: "not_finished" });
      }
      if (record.failure !== null) {
        throw new RequestError(422, record.failure.message, { code: record.failure.code ?? "failed" });
      }
      if (record.transcript === null) throw new RequestError(410, "The job was cancelled", { code: "cancelled" });
      const { format = record.format } = request.query as z.output<typeof FORMAT>;
      const { task = "transcribe", algorithm = "vad" } = record.options;
      const details = { model: record.model, task };
      const text = writeTranscript(record.transcript, format, { ...subtitleOptions(algorithm), details });
      return reply.type(TYPES[format]).send(text);
    },
  );

  app.delete(
    "/jobs/:id",
    { schema: { tags, summary: "End a job and forget it", params: PARAMS } },
    async (request, reply) => {
      const { id } = request.params as z.output<typeof PARAMS>;
      if (!(await kept.remove(ownerOf(request), id))) throw notFound();
      return reply.status(204).send();
    },
  );
}

async function openStore(
  app: FastifyInstance,
  config: ServerConfig,
): Promise<{ store: JobStore; folder: string | null }> {
  // Servers of one machine have stores of their own.
  const folder = config.store ?? join(defaultCacheDir(), "jobs", String(config.port));
  try {
    const store = await openLibsqlStore(folder);
    if (store !== null) return { store, folder: await recordingsFolder(folder, store) };
    app.log.warn("libsql is not installed: jobs live in memory, and end with the server");
  } catch (error) {
    if (config.store !== undefined) throw error;
    app.log.warn({ err: error }, "the job store cannot be used: jobs live in memory, and end with the server");
  }
  return { store: new MemoryStore(), folder: null };
}

/** @throws {OptionError} if it cannot be made; the store is closed then */
async function recordingsFolder(parent: string, store: JobStore): Promise<string> {
  const folder = join(parent, "files");
  try {
    await makeFolder(folder, 0o700);
    await chmod(folder, 0o700).catch(() => undefined); // some file systems have no modes
    return folder;
  } catch (error) {
    store.close();
    throw new OptionError("store", `Cannot make the folder "${folder}" of the job store: ${diskReason(error)}`, {
      cause: error,
      hint: "name a folder that can be written with --store",
    });
  }
}

function audioOf(file: UploadedForm["files"][number] | undefined, url: string | undefined): JobAudio {
  if ((file === undefined) === (url === undefined)) {
    throw new RequestError(400, "Give either a file or a url", { param: "file", code: "missing_required_parameter" });
  }
  if (file === undefined) return { kind: "url", url: url as string };
  return { kind: "file", path: file.path, name: file.name, temporary: true };
}

/** A JSON object as if its fields were a form's. */
function jsonForm(body: unknown): UploadedForm {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new RequestError(400, "Cannot read the request: expected a form or a JSON object", { code: "invalid_body" });
  }
  const fields = Object.entries(body)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([name, value]) => [name, [String(value)]] as const);
  return { files: [], fields: new Map(fields), take: () => {}, dispose: () => Promise.resolve() };
}

function notFound(): RequestError {
  return new RequestError(404, "There is no such job", { code: "job_not_found" });
}

/** @throws {RequestError} 404 if it is not there, or somebody else's, which nobody is told */
function found(kept: KeptJobs, request: FastifyRequest): WholeJobView {
  const view = kept.view(ownerOf(request), (request.params as z.output<typeof PARAMS>).id);
  if (view === undefined) throw notFound();
  return view;
}

function positionOf(cursor: string | undefined): JobPosition | undefined {
  const [, createdAt, id] = CURSOR.exec(cursor ?? "") ?? [];
  return id === undefined ? undefined : { createdAt: Number(createdAt), id };
}

/** A job as clients read it in a list. */
function describe({ record, status, position, queueSize, processedSeconds, duration }: JobView): object {
  const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
  return {
    id: record.id,
    status,
    model: record.model,
    name: record.name,
    format: record.format,
    created_at: time(record.createdAt),
    finished_at: time(record.finishedAt),
    position,
    queue_size: queueSize,
    progress: { seconds: processedSeconds, duration },
    seconds: record.seconds,
    error: record.failure,
    language: record.language,
  };
}

/** A job as clients read it by its id. */
function describeWhole(view: WholeJobView): object {
  return { ...describe(view), text: view.record.transcript?.text.trim() ?? null };
}

function streamJob(reply: FastifyReply, kept: KeptJobs, { owner, id }: JobRecord, after: number): FastifyReply {
  return sendEvents(reply, (sink) => {
    const stop = kept.subscribe(owner, id, after, ({ number, event }: NumberedEvent) => {
      sink.send({ event: event.type, id: String(number), data: JSON.stringify(eventBody(event)) });
      if (event.type === "done" || event.type === "failed" || event.type === "cancelled") sink.end();
    });
    // It ended, and was read to the end, before.
    if (stop === undefined || isOver(kept.view(owner, id)?.record)) sink.end();
    return stop ?? (() => {});
  });
}

function isOver(record: JobRecord | undefined): boolean {
  return record === undefined || record.finishedAt !== null;
}

function eventBody(event: JobEvent): object {
  switch (event.type) {
    case "done":
      return { seconds: event.seconds, transcript: transcriptObject(event.transcript) };
    case "failed":
      return { error: failureOf(event.error) };
    case "segment":
      return segmentObject(event.segment);
    case "queued":
      return { position: event.position, size: event.size };
    case "progress":
      return { seconds: event.seconds, duration: event.duration };
    case "started":
    case "cancelled":
      return {};
  }
}
