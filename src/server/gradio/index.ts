/**
 * The endpoint of Whisper JAX (facts 1.16) in Gradio's protocol, for its clients: @gradio/client, gradio_client and curl
 * (facts ecosystem 5.8). Routes lie at the root, as in Gradio 4, and below /gradio_api.
 */
import { randomInt } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { clientOf, ownerOf } from "../auth.ts";
import { errorAnswer, type ErrorAnswer } from "../errors.ts";
import { QueueFullError, type ServerContext } from "../service.ts";
import { Call, type CallContext } from "./call.ts";
import {
  API_PREFIX,
  ArgumentError,
  configDocument,
  ENDPOINTS,
  infoDocument,
  positional,
  type GradioEndpoint,
} from "./endpoints.ts";
import { EventStream } from "./event-stream.ts";
import { IssuedFiles } from "./issued-files.ts";
import type { Outcome } from "./messages.ts";
import { Sessions, type SessionSink } from "./sessions.ts";

/** Bodies are names and flags; the audio is uploaded before. */
const MAX_BODY_BYTES = 64 * 1024;
/** How often what is old is looked for, in ms. */
const EXPIRE_MS = 60_000;
/** Outcomes that wait to be fetched by `GET /call`, and for how long, in ms. */
const MAX_CALLS = 1000;
const CALL_KEEP_MS = 10 * 60_000;

const SESSION_HASH = z.string().min(1).max(100);
const DATA = z.array(z.unknown()).max(20);
const JOIN = z.object({ data: DATA.nullish(), fn_index: z.int().min(0).nullish(), session_hash: SESSION_HASH });
const CALL = z.object({ data: DATA.nullish() });
const NAMED = z.record(z.string(), z.unknown());
const CANCEL = z.object({ session_hash: SESSION_HASH, event_id: z.string().max(100) });
const STREAM_QUERY = z.object({ session_hash: SESSION_HASH });

/** A session belongs to its API key: clients choose the hash, and another's could be guessed. */
const sessionOf = (request: FastifyRequest, hash: string): string => `${ownerOf(request)} ${hash}`;

/** Adds the routes. */
export function gradio(app: FastifyInstance, server: ServerContext): void {
  const { uploads, config } = server;
  const context: CallContext = {
    ...server,
    files: new IssuedFiles({
      maxBytes: 4 * config.maxUploadBytes,
      remove: (path) => uploads.remove(path),
      now: () => performance.now(),
    }),
  };
  const sessions = new Sessions();
  interface StartedCall {
    readonly endpoint: string;
    /** Whose it is, and who alone gets its outcome. */
    readonly owner: string;
    readonly call: Call;
    endedAt: number | null;
  }
  const calls = new Map<string, StartedCall>();
  const appId = randomInt(2 ** 47);
  const expiry = setInterval(() => {
    void context.files.expire().catch((error: unknown) => app.log.warn(error));
    for (const [id, { endedAt }] of calls) {
      if (endedAt !== null && performance.now() - endedAt > CALL_KEEP_MS) calls.delete(id);
    }
  }, EXPIRE_MS).unref();
  app.addHook("preClose", (done) => {
    clearInterval(expiry);
    sessions.clear();
    for (const { call } of calls.values()) call.cancel();
    done();
  });
  app.addHook("onClose", () => context.files.clear());

  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, config.maxUploadBytes));
  // Gradio has a description of its own.
  const options = { bodyLimit: MAX_BODY_BYTES, schema: { hide: true } };

  app.get("/config", options, () => configDocument(appId));
  app.get(`${API_PREFIX}/config`, options, () => configDocument(appId));

  for (const prefix of ["", API_PREFIX]) {
    app.get(`${prefix}/info`, options, () => infoDocument());
    app.get(`${prefix}/app_id`, options, () => ({ app_id: appId }));
    app.get(`${prefix}/startup-events`, options, () => true);

    app.post(`${prefix}/upload`, { schema: { hide: true } }, async (request) => {
      const form = await uploads.receive(request);
      try {
        const issued: string[] = [];
        for (const file of form.files) {
          form.take(file);
          issued.push(await context.files.issue(file));
        }
        if (issued.length === 0) throw new ArgumentError('The form holds no file, expected at least one as "files"');
        return issued;
      } finally {
        await form.dispose();
      }
    });

    app.post(`${prefix}/queue/join`, options, (request) => {
      const { data, fn_index, session_hash } = parse(JOIN, request.body);
      const endpoint = ENDPOINTS[fn_index ?? 0];
      if (endpoint === undefined) throw new ArgumentError(`There is no function ${String(fn_index)}`);
      const session = sessionOf(request, session_hash);
      const call = Call.start(context, endpoint, data ?? [], clientOf(request), (message) =>
        sessions.send(session, call.id, message),
      );
      if (!sessions.open(session, call.id, () => call.cancel())) {
        call.cancel();
        throw new QueueFullError("server", 60);
      }
      return { event_id: call.id };
    });

    app.get(`${prefix}/queue/data`, options, (request, reply) => {
      const session = sessionOf(request, parse(STREAM_QUERY, request.query).session_hash);
      const stream = new EventStream(event({ msg: "heartbeat" }), () => sessions.disconnect(session, sink));
      const sink: SessionSink = { send: (message) => stream.write(event(message)), end: () => stream.end() };
      if (!sessions.connect(session, sink)) {
        const message = "The session is not known, or has ended";
        stream.write(event({ msg: "unexpected_error", message, session_not_found: true, success: false }));
        stream.end();
      }
      return stream.send(reply);
    });

    app.post(`${prefix}/cancel`, options, (request) => {
      const { session_hash, event_id } = parse(CANCEL, request.body);
      sessions.cancel(sessionOf(request, session_hash), event_id);
      return { success: true };
    });
    // What remains to be reset is reset when a call ends.
    app.post(`${prefix}/reset`, options, () => ({ success: true }));

    app.get(`${prefix}/heartbeat/:session_hash`, options, (_request, reply) => {
      const stream = new EventStream("data: ALIVE\n\n", () => undefined);
      stream.write("data: ALIVE\n\n");
      return stream.send(reply);
    });

    for (const endpoint of ENDPOINTS) {
      const { name } = endpoint;
      const begin = (request: FastifyRequest, data: readonly unknown[]): { event_id: string } => {
        if (calls.size >= MAX_CALLS) throw new QueueFullError("server", 60);
        const call = Call.start(context, endpoint, data, clientOf(request), () => undefined);
        const entry: StartedCall = { endpoint: name, owner: ownerOf(request), call, endedAt: null };
        calls.set(call.id, entry);
        void call.outcome.then(() => (entry.endedAt = performance.now()));
        return { event_id: call.id };
      };
      app.post(`${prefix}/call/${name}`, options, (request) => begin(request, parse(CALL, request.body).data ?? []));
      app.post(`${prefix}/call/v2/${name}`, options, (request) =>
        begin(request, positional(endpoint, parse(NAMED, request.body))),
      );
      app.get<{ Params: { id: string } }>(`${prefix}/call/${name}/:id`, options, (request, reply) => {
        const entry = calls.get(request.params.id);
        if (entry?.endpoint !== name || entry.owner !== ownerOf(request))
          return reply.code(404).send({ detail: "There is no such call" });
        let answered = false;
        const heartbeat = "event: heartbeat\ndata: null\n\n";
        const stream = new EventStream(heartbeat, () => {
          if (!answered) entry.call.cancel();
        });
        stream.write(heartbeat);
        void entry.call.outcome.then((outcome) => {
          answered = true;
          calls.delete(request.params.id);
          stream.write(outcomeEvent(outcome));
          stream.end();
        });
        return stream.send(reply);
      });
      for (const route of [`${prefix}/run/${name}`, `${prefix}/api/${name}`]) {
        app.post(route, options, (request, reply) => runNow(context, endpoint, request, reply));
      }
    }
  }
}

/** A call that is answered when it has ended, without the queue's events. */
async function runNow(
  context: CallContext,
  endpoint: GradioEndpoint,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<object> {
  const { data } = parse(CALL, request.body);
  const call = Call.start(context, endpoint, data ?? [], clientOf(request), () => undefined);
  const onClose = (): void => call.cancel();
  reply.raw.once("close", onClose);
  const outcome = await call.outcome;
  reply.raw.off("close", onClose);
  if (!outcome.ok) return reply.code(400).send({ error: outcome.error });
  const { seconds } = outcome;
  return { data: outcome.data, is_generating: false, duration: seconds, average_duration: seconds };
}

function event(message: object): string {
  return `data: ${JSON.stringify(message)}\n\n`;
}

function outcomeEvent(outcome: Outcome): string {
  return outcome.ok
    ? `event: complete\ndata: ${JSON.stringify(outcome.data)}\n\n`
    : `event: error\ndata: ${JSON.stringify({ error: outcome.error })}\n\n`;
}

function parse<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new InvalidBody(result.error.issues.map(({ path, message }) => ({ loc: path, msg: message, type: "value" })));
}

/** As FastAPI answers a body that does not fit. */
class InvalidBody extends Error {
  override readonly name = "InvalidBody";
  constructor(readonly detail: readonly object[]) {
    super("The request does not fit");
  }
}

/** Bodies and codes as Gradio has them: plain text for uploads, a "detail" for all else, 503 where anything is full. */
function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply, maxBytes: number): FastifyReply {
  if (error instanceof InvalidBody) return reply.code(422).send({ detail: error.detail });
  const isUpload = request.url.split("?")[0].endsWith("/upload");
  const answer = error instanceof ArgumentError ? { status: 400, message: error.message } : errorAnswer(error);
  if (answer.status >= 500 && !(error instanceof QueueFullError)) request.log.error(error);
  const { retryAfterSeconds = null } = answer as Partial<ErrorAnswer>;
  if (retryAfterSeconds !== null) void reply.header("retry-after", String(retryAfterSeconds));
  const status = error instanceof QueueFullError ? 503 : answer.status;
  const message = isUpload && status === 413 ? tooLarge(request, answer.message, maxBytes) : answer.message;
  if (isUpload) return reply.code(status).type("text/plain; charset=utf-8").send(message);
  return reply.code(status).send({ detail: message });
}

/** In the words of Whisper JAX (facts 1.16.8), where the client says how much it sends. */
function tooLarge(request: FastifyRequest, message: string, maxBytes: number): string {
  const megabytes = (bytes: number): number => bytes / 2 ** 20;
  const sent = Number(request.headers["content-length"] ?? NaN);
  if (Number.isNaN(sent)) return message;
  const limit = Number(megabytes(maxBytes).toFixed(2));
  return `File size exceeds file size limit. Got file of size ${megabytes(sent).toFixed(2)}MB for a limit of ${limit}MB.`;
}
