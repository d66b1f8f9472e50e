/**
 * A running server: opens the port at once for /health alone, loads and warms the models, then answers everything; at the end
 * finishes what runs and refuses what is new.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import { pino, type DestinationStream } from "pino";
import { buildApp, pathOf } from "./app.ts";
import type { ServerConfig } from "./config.ts";
import { ServerMetrics } from "./metrics.ts";
import { PipelineService, type ServiceObserver } from "./transcription-service.ts";
import { Uploads } from "./uploads.ts";
import { VideoDownloads } from "./video-site.ts";

export interface ServerStartOptions {
  /** Where the log goes, a line of JSON an entry; default standard error. */
  readonly log?: DestinationStream | undefined;
  /** Ends the start. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the port is open, before the models are loaded. */
  readonly onListening?: ((url: string) => void) | undefined;
}

export interface RunningServer {
  /** Without a slash at its end. */
  readonly url: string;
  readonly port: number;
  readonly service: PipelineService;
  /** Refuses new requests, finishes those under way within the config's grace, and ends. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts a server.
 *
 * @throws what loading a model throws, and the system's error if the port cannot be had
 */
export async function startServer(config: ServerConfig, options: ServerStartOptions = {}): Promise<RunningServer> {
  const logger = createLogger(config, options.log);
  const metrics = new ServerMetrics();
  const server = createServer(loadingHandler);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await listen(server, config);
  const { port } = server.address() as AddressInfo;
  const host = config.host.includes(":") ? `[${config.host}]` : config.host;
  const url = `http://${host}:${port}`;
  logger.info({ url }, "listening; loading models");
  options.onListening?.(url);

  let service: PipelineService | null = null;
  let uploads: Uploads | null = null;
  let app: FastifyInstance | null = null;
  const end = async (): Promise<void> => {
    // New connections are refused; those that are open get answers.
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await service?.close();
    server.closeIdleConnections();
    const grace = setTimeout(() => sockets.forEach((socket) => socket.destroy()), CLOSE_GRACE_MS);
    await app?.close();
    await closed;
    clearTimeout(grace);
    await uploads?.close();
  };
  try {
    const files = await Uploads.open({ parent: config.uploadDir, maxBytes: config.maxUploadBytes });
    uploads = files;
    const videos = new VideoDownloads({ ...config, folder: () => files.readyFolder() });
    service = await PipelineService.load(config, {
      videos,
      signal: options.signal,
      observer: {
        onJobEnd: (report) => {
          metrics.job(report);
          logger.info({ job: report }, "job ended");
        },
        onModelLoaded: ({ id, device, dtype }, seconds) =>
          logger.info({ model: id, device, dtype, seconds }, "model ready"),
        ...downloadLog(logger),
      },
    });
    metrics.watch(service);
    app = await buildApp({ service, config, uploads, videos, metrics, logger, server });
  } catch (error) {
    await end().catch(() => undefined);
    sockets.forEach((socket) => socket.destroy());
    throw error;
  }
  logger.info({ url, models: service.models.map(({ id }) => id) }, "ready");
  let closing: Promise<void> | null = null;
  return { url, port, service, close: () => (closing ??= end()) };
}

/** Logs the size of a download before it starts, and then now and then how far it is. */
function downloadLog(logger: FastifyBaseLogger): Pick<ServiceObserver, "onDownload" | "onDownloadProgress"> {
  let last = 0;
  return {
    onDownload: ({ repository, bytes, cacheDir }) => {
      last = performance.now();
      logger.info({ model: repository, bytes, folder: cacheDir }, "downloading model");
    },
    onDownloadProgress: ({ file, loaded, total }) => {
      if (last === 0 || performance.now() - last < DOWNLOAD_LOG_MS) return;
      last = performance.now();
      logger.info({ file, loaded, total }, "downloading");
    },
  };
}

/** Between two entries about one download. */
const DOWNLOAD_LOG_MS = 10_000;

/** Longer than load balancers keep theirs (60 s), so that none sends a request into a connection that is being closed. */
const KEEP_ALIVE_MS = 72_000;

/** Answers that are on their way when all jobs have ended get so long. */
const CLOSE_GRACE_MS = 2000;

function listen(server: Server, { host, port }: ServerConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

/** Before the models are there. */
function loadingHandler(request: IncomingMessage, response: ServerResponse): void {
  const isHealth = pathOf({ url: request.url ?? "/" }) === "/health";
  const error = { message: "The models are being loaded", type: "server_error", param: null, code: "loading" };
  response.writeHead(503, { "content-type": "application/json; charset=utf-8", "retry-after": "2" });
  response.end(JSON.stringify(isHealth ? { status: "loading model" } : { error }));
  request.resume();
}

function createLogger(config: ServerConfig, destination: DestinationStream | undefined): FastifyBaseLogger {
  const options = {
    level: config.logLevel,
    serializers: {
      req: (request: { method: string; url: string; ip?: string }) => ({
        method: request.method,
        path: pathOf(request), // the query may hold a key
        address: request.ip,
      }),
      res: (response: { statusCode: number }) => ({ status: response.statusCode }),
    },
  };
  return pino(options, destination ?? pino.destination(2)) as FastifyBaseLogger;
}
