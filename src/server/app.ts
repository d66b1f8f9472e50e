/**
 * The server's Fastify application: what all protocols share, and the protocols. `server.ts` opens the port.
 *
 * Layers: headers, CORS, and the check of hosts and origins on everything; pages, health, metrics and documents without a key; the protocols
 * behind the rate limit and the check of keys, each a `ServerPlugin` (service.ts) in a scope of its own.
 */
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { Server } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import cors from "@fastify/cors";
import helmet from "@fastify/helmet";
import multipart from "@fastify/multipart";
import rateLimit from "@fastify/rate-limit";
import staticFiles from "@fastify/static";
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import websocket from "@fastify/websocket";
import {
  fastify,
  type FastifyBaseLogger,
  type FastifyHttpOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import type { WebSocket } from "ws";
import { keyCheck } from "./auth.ts";
import type { ServerConfig } from "./config.ts";
import { errorAnswer, errorBody, RequestError } from "./errors.ts";
import { isFormSchema } from "./forms.ts";
import { gradio } from "./gradio/index.ts";
import { hostCheck } from "./host-check.ts";
import { ICON } from "./icon.ts";
import { jobs } from "./jobs/index.ts";
import { live } from "./live/index.ts";
import { CLOSING_MS, MAX_MESSAGE_BYTES } from "./live/limits.ts";
import type { ServerMetrics } from "./metrics.ts";
import { openai } from "./openai/index.ts";
import { ShuttingDownError, type ServerContext, type ServerPlugin } from "./service.ts";
import { whisperCpp } from "./whisper-cpp/index.ts";

/** JSON bodies are names and flags; audio goes by multipart. */
const MAX_JSON_BYTES = 1 << 20;

/** What the page needs: itself, recordings that it holds, and the server. TLS is the proxy's, so nothing is upgraded. */
const CONTENT_SECURITY_POLICY = {
  useDefaults: false,
  directives: {
    "default-src": ["'self'"],
    "script-src": ["'self'", "'wasm-unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": ["'self'", "data:", "blob:"],
    // Recordings that were given as links are played from where they are.
    "media-src": ["'self'", "blob:", "https:", "http:"],
    "connect-src": ["'self'", "blob:", "ws:", "wss:"],
    "worker-src": ["'self'", "blob:"],
    "object-src": ["'none'"],
    "base-uri": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'self'"],
  },
};

export const PROTOCOLS: readonly ServerPlugin[] = [openai, whisperCpp, jobs, gradio, live];

export interface AppOptions extends ServerContext {
  readonly metrics: ServerMetrics;
  /** Protocols, in order. Default: all. */
  readonly plugins?: readonly ServerPlugin[];
  /** pino, or none. */
  readonly logger?: FastifyBaseLogger;
  /** For the application's handlers, which must not be called before this has been built; default a new one. */
  readonly server?: Server;
}

/** Builds the application; it is not listening, and `ready()` has been waited for. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { config, metrics, server } = options;
  const settings: FastifyHttpOptions<Server> = {
    ...(options.logger === undefined ? { logger: false } : { loggerInstance: options.logger }),
    ...(server !== undefined && {
      serverFactory: (handler) => server.on("request", handler),
    }),
    trustProxy: config.trustProxy,
    bodyLimit: MAX_JSON_BYTES,
    genReqId: () => randomUUID(),
    forceCloseConnections: "idle",
    // The router's own answers have no stack traces either, and our words.
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply as FastifyReply),
    routerOptions: { maxParamLength: 1000, ignoreTrailingSlash: true },
  };
  const app: FastifyInstance = fastify(settings);
  app.setValidatorCompiler((route) =>
    route.httpPart === "body" && isFormSchema(route.schema) ? () => true : validatorCompiler(route as never),
  );
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) =>
    answerError(
      new RequestError(404, `There is no ${request.method} ${pathOf(request)}`, { code: "not_found" }),
      request,
      reply,
    ),
  );
  app.addHook("onSend", (request, reply, _payload, done) => {
    void reply.header("x-request-id", request.id);
    done();
  });
  app.addHook("onResponse", (request, reply, done) => {
    // Unknown paths are one route: their names are the clients' to choose.
    metrics.request(request.method, request.routeOptions.url ?? "none", reply.statusCode, reply.elapsedTime / 1000);
    done();
  });

  await registerShared(app, config);
  registerOpen(app, options);
  await app.register(async (scope) => registerProtocols(scope, options));
  await registerPage(app, config);
  await app.ready();
  return app;
}

async function registerShared(app: FastifyInstance, config: ServerConfig): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: CONTENT_SECURITY_POLICY,
    strictTransportSecurity: false,
    // Pages of the origins that may ask may also play what they get.
    crossOriginResourcePolicy: { policy: config.corsOrigins.length > 0 ? "cross-origin" : "same-origin" },
  });
  if (config.corsOrigins.length > 0) {
    await app.register(cors, {
      origin: config.corsOrigins.includes("*") ? true : [...config.corsOrigins],
      methods: ["GET", "HEAD", "POST", "DELETE"],
      exposedHeaders: ["retry-after", "x-request-id"],
      maxAge: 86_400,
    });
  }
  if (config.rateLimit > 0) {
    await app.register(rateLimit, {
      global: false, // set on the protocols below
      max: config.rateLimit,
      timeWindow: 60_000,
      keyGenerator: (request) => request.ip,
      errorResponseBuilder: (_request, { after }) =>
        new RequestError(429, `Too many requests, try again in ${after}`, { code: "rate_limit_exceeded" }),
    });
  }
  await app.register(multipart, { throwFileSizeLimit: false });
  // Not written in place: the types of ws do not know its closeTimeout.
  const sockets = { maxPayload: MAX_MESSAGE_BYTES, closeTimeout: CLOSING_MS };
  await app.register(websocket, { options: sockets, errorHandler: answerSocketError });
  // After the hook of WebSockets, which ends the connections of those that are refused.
  const checkHost = hostCheck(config);
  app.addHook("onRequest", (request, _reply, done) => {
    try {
      checkHost(request);
      done();
    } catch (error) {
      done(error as Error);
    }
  });
  await app.register(swagger, {
    openapi: {
      info: {
        title: "sotto",
        version: version(),
        description:
          "Speech recognition with OpenAI's Whisper: OpenAI's, whisper.cpp's and Gradio's protocols, and jobs.",
        license: { name: "Apache-2.0" },
      },
      components: {
        securitySchemes: { key: { type: "http", scheme: "bearer", description: "where the server has API keys" } },
      },
      ...(config.apiKeys.length > 0 && { security: [{ key: [] }] }),
    },
    transform: (route) => jsonSchemaTransform(route as never),
  });
}

/** What needs no key. */
function registerOpen(app: FastifyInstance, { service, uploads, metrics }: AppOptions): void {
  const tags = ["Server"];
  app.get(
    "/health",
    { schema: { tags, summary: "Whether requests are accepted" }, logLevel: "warn" },
    (_request, reply) => {
      if (service.isAccepting && uploads.fault === null) return { status: "ok" };
      const status = service.isAccepting ? `uploads cannot be written: ${uploads.fault}` : "shutting down";
      return reply.status(503).header("retry-after", "5").send({ status });
    },
  );
  app.get(
    "/metrics",
    { schema: { tags, summary: "Figures for Prometheus" }, logLevel: "warn" },
    async (_request, reply) => reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  app.get("/openapi.json", { schema: { hide: true } }, () => app.swagger());
  void app.register(swaggerUi, { routePrefix: "/docs", staticCSP: true });
}

async function registerProtocols(scope: FastifyInstance, options: AppOptions): Promise<void> {
  const { service, config, uploads, videos } = options;
  // Before keys are looked at: requests with wrong ones count. Pages, what they are made of, and figures do not.
  if (config.rateLimit > 0) scope.addHook("onRequest", scope.rateLimit());
  const check = keyCheck(config.apiKeys);
  scope.addHook("onRequest", (request, _reply, done) => {
    try {
      check(request);
      done();
    } catch (error) {
      done(error as Error);
    }
  });
  // Before uploads are read, and before a WebSocket is one.
  scope.addHook("onRequest", ({ method, ws, routeOptions }, _reply, done) => {
    const isWork = ws || (method === "POST" && routeOptions.config.startsNothing !== true);
    if (isWork && !service.isAccepting) done(new ShuttingDownError());
    else done();
  });
  for (const plugin of options.plugins ?? PROTOCOLS) {
    await scope.register(async (own) => plugin(own, { service, config, uploads, videos }));
  }
}

/** The web page, where it has been built. */
async function registerPage(app: FastifyInstance, config: ServerConfig): Promise<void> {
  const root = config.staticDir ?? fileURLToPath(packageUrl("dist/web/"));
  if (!existsSync(join(root, "favicon.ico"))) {
    app.get("/favicon.ico", { schema: { hide: true }, logLevel: "warn" }, (_request, reply) =>
      reply.type("image/x-icon").header("cache-control", "public, max-age=86400").send(ICON),
    );
  }
  if (!existsSync(join(root, "index.html"))) {
    if (!app.hasRoute({ method: "GET", url: "/" }))
      app.get("/", { schema: { hide: true } }, (_request, reply) => reply.redirect("/docs"));
    return;
  }
  await app.register(staticFiles, { root, schemaHide: true, wildcard: false, dotfiles: "ignore" });
}

/** Tells the client, and the log what the client is not told. */
function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const answer = errorAnswer(error);
  if (answer.status >= 500) request.log.error({ err: error }, "request failed");
  else request.log.info({ status: answer.status, code: answer.code, reason: answer.message }, "request refused");
  if (answer.retryAfterSeconds !== null) void reply.header("retry-after", String(answer.retryAfterSeconds));
  if (answer.status === 401) void reply.header("www-authenticate", "Bearer");
  return reply.status(answer.status).type("application/json; charset=utf-8").send(errorBody(answer));
}

/** Broken frames and broken connections are the client's, and end by themselves (live/connection.ts); all else is a fault. */
function answerSocketError(error: Error, socket: WebSocket, request: FastifyRequest): void {
  const { code = "", syscall } = error as NodeJS.ErrnoException;
  if (code.startsWith("WS_ERR_") || syscall !== undefined) {
    request.log.info({ code, reason: error.message }, "live connection broken");
    return;
  }
  request.log.error({ err: error }, "live connection failed");
  socket.terminate();
}

/** Without the query, which may hold a key. */
export function pathOf(request: { readonly url: string }): string {
  return request.url.split("?")[0].slice(0, 200);
}

/** A path of the package, from the sources as from what is built of them. */
function packageUrl(path: string): URL {
  return new URL(`../../${path}`, import.meta.url);
}

function version(): string {
  return (JSON.parse(readFileSync(packageUrl("package.json"), "utf8")) as { version: string }).version;
}
