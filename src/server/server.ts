/**
 * A running server: opens the port at once (entrance.ts), loads and warms the models, then answers everything; at the end
 * finishes what runs and refuses what is new.
 */
import type { AddressInfo } from "node:net";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import { pino, type DestinationStream } from "pino";
import { buildApp, pathOf } from "./app.ts";
import type { ServerConfig } from "./config.ts";
import { Entrance } from "./entrance.ts";
import { ServerMetrics } from "./metrics.ts";
import type { ServerPlugin } from "./service.ts";
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
  /** Protocols, in order. Default: all. */
  readonly plugins?: readonly ServerPlugin[] | undefined;
}

export interface RunningServer {
  /** Without a slash at its end. */
  readonly url: string;
  readonly port: number;
  readonly service: PipelineService;
  /**
   * Refuses new work, finishes what is under way within the config's grace, and ends. Safe to call twice.
   *
   * @param options.after until this has resolved the port stays open, so that load balancers see the 503 of /health
   */
  close(options?: { readonly after?: Promise<unknown> }): Promise<void>;
}

/**
 * Starts a server.
 *
 * @throws what loading a model throws, and the system's error if the port cannot be had
 */
export async function startServer(config: ServerConfig, options: ServerStartOptions = {}): Promise<RunningServer> {
  const logger = createLogger(config, options.log);
  const metrics = new ServerMetrics();
  const entrance = new Entrance();
  const { server } = entrance;
  await entrance.listen(config);
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
    const grace = setTimeout(() => entrance.destroyConnections(), CLOSE_GRACE_MS);
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
    const context = { service, config, uploads, videos, metrics, logger };
    app = await buildApp({ ...context, server: entrance.inner, ...(options.plugins && { plugins: options.plugins }) });
    entrance.open();
  } catch (error) {
    await end().catch(() => undefined);
    entrance.destroyConnections();
    throw error;
  }
  logger.info({ url, models: service.models.map(({ id }) => id) }, "ready");
  const ready = service;
  const drain = async (after: Promise<unknown> | undefined): Promise<void> => {
    ready.refuseNew();
    logger.info("refusing new work");
    await after;
    await end();
  };
  let closing: Promise<void> | null = null;
  return { url, port, service, close: ({ after } = {}) => (closing ??= drain(after)) };
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

/** Answers that are on their way when all jobs have ended get so long. */
const CLOSE_GRACE_MS = 2000;

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
