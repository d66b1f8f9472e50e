/** What Prometheus is told. Names follow its conventions: base units, _total for counters. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { JobReport, PipelineService } from "./transcription-service.ts";

const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800];

export class ServerMetrics {
  readonly registry = new Registry();
  readonly #requests: Histogram<"method" | "route" | "status">;
  readonly #jobs: Counter<"model" | "status">;
  readonly #audio: Counter<"model">;
  readonly #jobSeconds: Histogram<"model">;
  readonly #waitSeconds: Histogram<"model">;
  readonly #realTime: Histogram<"model">;

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#requests = new Histogram({
      name: "sotto_http_request_duration_seconds",
      help: "Requests by route and status, from the first byte to the last",
      labelNames: ["method", "route", "status"],
      buckets: SECONDS,
      registers,
    });
    this.#jobs = new Counter({
      name: "sotto_jobs_total",
      help: "Jobs that have ended",
      labelNames: ["model", "status"],
      registers,
    });
    this.#audio = new Counter({
      name: "sotto_audio_seconds_total",
      help: "Seconds of audio transcribed",
      labelNames: ["model"],
      registers,
    });
    this.#jobSeconds = new Histogram({
      name: "sotto_job_duration_seconds",
      help: "Wall time of finished jobs, without their wait",
      labelNames: ["model"],
      buckets: SECONDS,
      registers,
    });
    this.#waitSeconds = new Histogram({
      name: "sotto_job_wait_seconds",
      help: "How long jobs waited for their start",
      labelNames: ["model"],
      buckets: SECONDS,
      registers,
    });
    this.#realTime = new Histogram({
      name: "sotto_job_speed_ratio",
      help: "Seconds of audio for each second of a finished job",
      labelNames: ["model"],
      buckets: [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500],
      registers,
    });
  }

  /** Reads the service's state whenever it is asked for. */
  watch(service: PipelineService): void {
    const registers = [this.registry];
    const gauge = (name: string, help: string, read: () => number): void => {
      new Gauge({ name, help, registers, collect: (): void => current.set(read()) });
      const current = this.registry.getSingleMetric(name) as Gauge;
    };
    gauge("sotto_queue_length", "Jobs that wait", () => service.load.waiting);
    gauge(
      "sotto_downloads_running",
      "Recordings that are being downloaded for jobs that wait",
      () => service.load.downloading,
    );
    gauge("sotto_jobs_running", "Jobs that run", () => service.load.running);
    gauge("sotto_live_sessions", "Views of the engine held by live captions", () => service.load.live);
    const byModel = (
      name: string,
      help: string,
      read: (counters: PipelineService["counters"][number]["counters"]) => number,
    ): void => {
      new Gauge({
        name,
        help,
        labelNames: ["model"],
        registers,
        collect: (): void => {
          for (const { model, counters } of service.counters) current.set({ model }, read(counters));
        },
      });
      const current = this.registry.getSingleMetric(name) as Gauge<"model">;
    };
    byModel("sotto_windows_encoded", "Windows of 30 s that were encoded", ({ windows }) => windows);
    byModel("sotto_encode_calls", "Batches that they were encoded in", ({ encodeCalls }) => encodeCalls);
    byModel("sotto_rows_generated", "Windows that were decoded greedily", ({ rows }) => rows);
    byModel("sotto_generate_calls", "Batches that they were decoded in", ({ generateCalls }) => generateCalls);
    byModel("sotto_windows_waiting", "Windows that wait to be encoded", ({ waitingWindows }) => waitingWindows);
    byModel("sotto_rows_waiting", "Windows that wait to be decoded", ({ waitingRows }) => waitingRows);
  }

  request(method: string, route: string, status: number, seconds: number): void {
    this.#requests.observe({ method, route, status: String(status) }, seconds);
  }

  job({ model, status, audioSeconds, seconds, waitedSeconds }: JobReport): void {
    this.#jobs.inc({ model, status });
    this.#waitSeconds.observe({ model }, waitedSeconds);
    if (status !== "done") return;
    this.#audio.inc({ model }, audioSeconds);
    this.#jobSeconds.observe({ model }, seconds);
    if (seconds > 0) this.#realTime.observe({ model }, audioSeconds / seconds);
  }
}
