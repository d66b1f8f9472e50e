/** A server with the protocols of Gradio and live captions alone, on the bundled model and a port of its own. */
import type { AddressInfo } from "node:net";
import { buildApp } from "../../src/server/app.ts";
import { resolveConfig, type ServerOptions } from "../../src/server/config.ts";
import { gradio } from "../../src/server/gradio/index.ts";
import { live } from "../../src/server/live/index.ts";
import { ServerMetrics } from "../../src/server/metrics.ts";
import { PipelineService } from "../../src/server/transcription-service.ts";
import { Uploads } from "../../src/server/uploads.ts";
import { VideoDownloads } from "../../src/server/video-site.ts";

export interface TestServer {
  /** Without a slash at its end. */
  readonly url: string;
  readonly uploads: Uploads;
  readonly service: PipelineService;
  close(): Promise<void>;
}

/** Starts a server; close it. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const config = resolveConfig({ models: ["nano"], shutdownGrace: 0, ...options });
  const uploads = await Uploads.open({ maxBytes: config.maxUploadBytes });
  const videos = new VideoDownloads({ ...config, folder: uploads.folder });
  const service = await PipelineService.load(config, { videos });
  const app = await buildApp({
    ...{ service, config, uploads, videos },
    metrics: new ServerMetrics(),
    plugins: [gradio, live],
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    uploads,
    service,
    async close() {
      await app.close();
      await service.close();
      await uploads.close();
    },
  };
}
