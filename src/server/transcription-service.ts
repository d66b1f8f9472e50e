/**
 * The service behind all protocols: models loaded and warmed, a bounded queue that is fair among clients, and jobs that share
 * each model's engine through a scheduler.
 */
import { rm } from "node:fs/promises";
import { basename } from "node:path";
import { performance } from "node:perf_hooks";
import { InputError, OptionError, quote, UnsupportedAudioError } from "../errors.ts";
import { isLocalModel } from "../hub/index.ts";
import { windowFrames } from "../model/index.ts";
import { WhisperPipeline, type TranscribeOptions } from "../pipeline/index.ts";
import type { SchedulerCounters } from "../scheduling/index.ts";
import type { Transcript } from "../transcription/index.ts";
import type { ServerConfig } from "./config.ts";
import { ServiceJob } from "./job.ts";
import {
  QueueFullError,
  ShuttingDownError,
  type EngineLease,
  type Job,
  type JobRequest,
  type ServedModel,
  type TranscriptionService,
} from "./service.ts";
import { INSTALL_HINT, isVideoPage, UnknownSiteError, YtDlpMissingError, type VideoDownloads } from "./video-site.ts";

/** More jobs at once gain nothing, and each has a decoder of its file and batches of its own. */
const MAX_RUNNING_DEFAULT = 64;

/** Captions are worth nothing late. */
const LIVE_PRIORITY = 8;

/** Of a job that nobody has timed yet, for Retry-After. */
const FIRST_GUESS_SECONDS = 5;

const MAX_RETRY_AFTER_SECONDS = 600;

/** What an observer is told of a job that has ended. */
export interface JobReport {
  readonly model: string;
  readonly status: "done" | "failed" | "cancelled";
  /** Of audio; 0 unless it is done. */
  readonly audioSeconds: number;
  /** From start to end, and from submission to start. */
  readonly seconds: number;
  readonly waitedSeconds: number;
}

export interface ServiceObserver {
  readonly onJobEnd?: (report: JobReport) => void;
  readonly onModelLoaded?: (model: ServedModel, seconds: number) => void;
}

export interface ServiceOptions {
  /** Of the server, which other protocols use too. */
  readonly videos: VideoDownloads;
  readonly observer?: ServiceObserver;
  /** Ends the loading. */
  readonly signal?: AbortSignal | undefined;
}

/** A file, and what the client calls it. */
interface NamedFile {
  readonly path: string;
  readonly name: string;
}

interface LoadedModel extends ServedModel {
  readonly pipeline: WhisperPipeline;
}

export class PipelineService implements TranscriptionService {
  readonly models: readonly ServedModel[];
  readonly #loaded: readonly LoadedModel[];
  readonly #config: ServerConfig;
  readonly #videos: VideoDownloads;
  readonly #observer: ServiceObserver;
  readonly #maxRunning: number;
  readonly #waiting: ServiceJob[] = [];
  readonly #running = new Set<ServiceJob>();
  readonly #leases = new Set<EngineLease>();
  /** Mean of the last jobs' seconds, for Retry-After. */
  #jobSeconds = FIRST_GUESS_SECONDS;
  #isAccepting = true;
  #startScheduled = false;
  #onIdle: (() => void) | null = null;
  #closed: Promise<void> | null = null;

  private constructor(
    loaded: readonly LoadedModel[],
    config: ServerConfig,
    { videos, observer = {} }: Pick<ServiceOptions, "videos" | "observer">,
  ) {
    this.#loaded = loaded;
    this.models = loaded.map(({ id, isMultilingual, device, dtype }) => ({ id, isMultilingual, device, dtype }));
    this.#config = config;
    this.#videos = videos;
    this.#observer = observer;
    // Jobs of one window each fill a batch.
    this.#maxRunning = config.maxRunning ?? Math.min(loaded[0].pipeline.engine.batchSize, MAX_RUNNING_DEFAULT);
  }

  /**
   * Loads the models and runs each once, so that the first request is no slower than the second.
   *
   * @throws {HubError} {CheckpointError} {EngineUnavailableError} {OptionError} as the pipeline does
   */
  static async load(config: ServerConfig, options: ServiceOptions): Promise<PipelineService> {
    const { observer, signal } = options;
    const loaded: LoadedModel[] = [];
    try {
      for (const name of config.models) {
        const started = performance.now();
        const pipeline = await WhisperPipeline.fromPretrained(name, {
          device: config.device,
          dtype: config.dtype,
          offline: config.offline,
          ...(config.threads > 0 && { threads: config.threads }),
          ...(config.modelDir !== undefined && !(await isLocalModel(name)) && { cacheDir: config.modelDir }),
          ...(signal !== undefined && { signal }),
        });
        const model = {
          id: modelId(
            name,
            loaded.map(({ id }) => id),
          ),
          isMultilingual: pipeline.tokenizer.multilingual,
          device: pipeline.device,
          dtype: pipeline.dtype,
          pipeline,
        };
        loaded.push(model);
        await warm(pipeline);
        observer?.onModelLoaded?.(model, (performance.now() - started) / 1000);
      }
    } catch (error) {
      await Promise.allSettled(loaded.map(({ pipeline }) => pipeline.dispose()));
      throw error;
    }
    return new PipelineService(loaded, config, options);
  }

  get isAccepting(): boolean {
    return this.#isAccepting;
  }

  /** Jobs that wait, and that run. */
  get load(): { readonly waiting: number; readonly running: number; readonly live: number } {
    return { waiting: this.#waiting.length, running: this.#running.size, live: this.#leases.size };
  }

  /** What each model's scheduler has done, by model. */
  get counters(): readonly { readonly model: string; readonly counters: SchedulerCounters }[] {
    return this.#loaded.map(({ id, pipeline }) => ({ model: id, counters: pipeline.scheduler.counters }));
  }

  assertRoom(client: string): void {
    if (!this.#isAccepting) throw new ShuttingDownError();
    const isOwn = (job: ServiceJob): boolean => job.request.client === client;
    const own = this.#waiting.filter(isOwn).length + [...this.#running].filter(isOwn).length;
    if (own >= this.#config.maxPerClient) throw new QueueFullError("client", this.#retryAfter(1));
    // Jobs that will start at once do not wait.
    const free = Math.max(0, this.#maxRunning - this.#running.size);
    const excess = this.#waiting.length - free - this.#config.maxQueue;
    if (excess >= 0) throw new QueueFullError("server", this.#retryAfter(excess + 1));
  }

  submit(request: JobRequest): Job {
    const model = this.#model(request.model);
    if (request.audio.kind === "url") assertFetchable(request.audio.url);
    if (request.isResumed !== true) this.assertRoom(request.client);
    const job = new ServiceJob(request, model.id, (cancelled) => this.#dropIfWaiting(cancelled));
    this.#waiting.push(job);
    this.#arrange();
    this.#scheduleStart();
    return job;
  }

  openEngine(name?: string): EngineLease {
    if (!this.#isAccepting) throw new ShuttingDownError();
    const model = this.#model(name);
    const engine = model.pipeline.scheduler.client({ priority: LIVE_PRIORITY });
    const lease: EngineLease = {
      ...model.pipeline.context,
      tokenizer: model.pipeline.tokenizer,
      engine,
      model,
      close: () => {
        this.#leases.delete(lease);
        void engine.dispose();
      },
    };
    this.#leases.add(lease);
    return lease;
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#isAccepting = false;
    if (this.#waiting.length + this.#running.size > 0) {
      const idle = new Promise<void>((resolve) => (this.#onIdle = resolve));
      const timer = setTimeout(() => this.#cancelAll(), this.#config.shutdownGrace * 1000);
      await idle;
      clearTimeout(timer);
    }
    for (const lease of [...this.#leases]) lease.close();
    for (const { pipeline } of this.#loaded) await pipeline.dispose();
  }

  #cancelAll(): void {
    for (const job of [...this.#waiting, ...this.#running]) job.cancel();
  }

  /** @throws {OptionError} if it is not served */
  #model(name: string | undefined): LoadedModel {
    const model = name === undefined ? this.#loaded[0] : this.#loaded.find(({ id }) => id === name);
    if (model !== undefined) return model;
    const names = this.#loaded.map(({ id }) => id).join(", ");
    throw new OptionError("model", `Unknown model ${quote(name)}, expected one of ${names}`);
  }

  /** @param ahead jobs that must end first */
  #retryAfter(ahead: number): number {
    const seconds = Math.ceil((ahead * this.#jobSeconds) / this.#maxRunning);
    return Math.min(MAX_RETRY_AFTER_SECONDS, Math.max(1, seconds));
  }

  /** Orders those that wait, each client's first before any one's second, and tells them. */
  #arrange(): void {
    const turn = new Map<string, number>();
    for (const { request } of this.#running) turn.set(request.client, (turn.get(request.client) ?? 0) + 1);
    const turns = new Map<ServiceJob, number>();
    // A client's own jobs keep their order, so that their turns rise.
    for (const job of this.#waiting) {
      const { client } = job.request;
      turns.set(job, turn.get(client) ?? 0);
      turn.set(client, (turn.get(client) ?? 0) + 1);
    }
    this.#waiting.sort((a, b) => (turns.get(a) ?? 0) - (turns.get(b) ?? 0) || a.sequence - b.sequence);
    this.#waiting.forEach((job, position) => job.place(position, this.#waiting.length));
  }

  /** In a turn of its own: who submits gets to subscribe first, and jobs that come together know of each other. */
  #scheduleStart(): void {
    if (this.#startScheduled) return;
    this.#startScheduled = true;
    setImmediate(() => {
      this.#startScheduled = false;
      while (this.#running.size < this.#maxRunning && this.#waiting.length > 0) {
        void this.#run(this.#waiting.shift() as ServiceJob);
      }
      this.#arrange();
    });
  }

  #dropIfWaiting(job: ServiceJob): void {
    const at = this.#waiting.indexOf(job);
    if (at < 0) return; // it runs, and ends by its signal
    this.#waiting.splice(at, 1);
    void this.#end(job, performance.now(), () => job.drop(), "cancelled");
  }

  async #run(job: ServiceJob): Promise<void> {
    this.#running.add(job);
    const started = performance.now();
    job.start();
    try {
      const transcript = await this.#transcribe(job);
      const seconds = (performance.now() - started) / 1000;
      await this.#end(job, started, () => job.succeed(transcript, seconds), "done", transcript.duration);
    } catch (error) {
      if (job.signal.aborted) await this.#end(job, started, () => job.drop(), "cancelled");
      else
        await this.#end(
          job,
          started,
          () => job.fail(error instanceof Error ? error : new Error(String(error))),
          "failed",
        );
    }
  }

  async #transcribe(job: ServiceJob): Promise<Transcript> {
    const { audio } = job.request;
    if (audio.kind === "file") return this.#read(job, audio);
    const url = new URL(audio.url);
    if (isVideoPage(url)) return this.#readVideo(job, url);
    try {
      return await this.#read(job, url);
    } catch (error) {
      if (!isWebPage(error)) throw error;
      return this.#readVideo(job, url, error);
    }
  }

  /** @param pageError that it is a web page, where that is how it was found out */
  async #readVideo(job: ServiceJob, { href }: URL, pageError?: Error): Promise<Transcript> {
    const name = withoutPassword(href);
    let path: string;
    try {
      path = await this.#videos.download(name, job.signal);
    } catch (error) {
      if (pageError === undefined) throw error;
      if (error instanceof UnknownSiteError) throw pageError;
      if (!(error instanceof YtDlpMissingError)) throw error;
      const hint = `if there is a video on it, ${INSTALL_HINT}`;
      throw new UnsupportedAudioError(name, "it is a web page, not audio", { cause: error, hint });
    }
    try {
      return await this.#read(job, { path, name });
    } finally {
      await rm(path, { force: true });
    }
  }

  async #read(job: ServiceJob, input: URL | NamedFile): Promise<Transcript> {
    const { options } = job.request;
    const file = input instanceof URL ? null : input;
    const model = this.#model(job.model);
    try {
      const own = options.algorithm === "sequential" ? options : { ...options, batchSize: this.#batchSize(model) };
      const given: TranscribeOptions = {
        ...(own as TranscribeOptions),
        maxBytes: this.#config.maxUploadBytes,
        maxSeconds: this.#config.maxSeconds,
        allowPrivateAddresses: this.#config.allowPrivateAddresses,
        signal: job.signal,
        onProgress: ({ processedSeconds, totalSeconds }) => job.progress(processedSeconds, totalSeconds),
        onSegment: (segment) => job.segment(segment),
      };
      const source = input instanceof URL ? input : input.path;
      const transcript = await model.pipeline.transcribe(source, given);
      const warnings = transcript.warnings.map((warning) => withoutPath(warning, file));
      return { ...transcript, warnings };
    } catch (error) {
      throw readable(error, file);
    }
  }

  /** Windows of one job that may be under way: those of all jobs together keep the engine busy, and no more memory is taken. */
  #batchSize({ pipeline }: LoadedModel): number {
    if (this.#config.batchSize !== undefined) return this.#config.batchSize;
    const jobs = this.#running.size + this.#waiting.length;
    return Math.max(1, Math.round(pipeline.engine.batchSize / Math.max(1, jobs)));
  }

  /** Frees what a job holds before anybody is told of its end. */
  async #end(
    job: ServiceJob,
    started: number,
    tell: () => void,
    status: JobReport["status"],
    audioSeconds = 0,
  ): Promise<void> {
    const { audio } = job.request;
    if (audio.kind === "file" && audio.temporary) await rm(audio.path, { force: true }).catch(() => undefined);
    this.#running.delete(job);
    const seconds = (performance.now() - started) / 1000;
    if (status === "done") this.#jobSeconds += (seconds - this.#jobSeconds) / 8;
    const waitedSeconds = Math.max(0, (Date.now() - job.createdAt.getTime()) / 1000 - seconds);
    tell();
    this.#observer.onJobEnd?.({ model: job.model, status, audioSeconds, seconds, waitedSeconds });
    this.#scheduleStart();
    if (this.#running.size + this.#waiting.length === 0) this.#onIdle?.();
  }
}

/** @throws {OptionError} unless it is an http or https URL: others would name files of the server */
export function assertFetchable(url: string): void {
  const protocol = URL.canParse(url) ? new URL(url).protocol : "";
  if (protocol !== "http:" && protocol !== "https:") {
    throw new OptionError("url", `Cannot read ${quote(url)}: expected an http or https URL`);
  }
}

/** What a model is asked for by: its name; of a folder, the folder's. */
function modelId(name: string, taken: readonly string[]): string {
  const isFolder = /^[./~\\]|^[a-z]:[\\/]/i.test(name) || name.split("/").length > 2;
  const id = isFolder ? basename(name) : name;
  return taken.includes(id) ? name : id;
}

/** Runs all that a request runs: one window alone, several together, detection, some tokens. */
async function warm({ engine }: WhisperPipeline): Promise<void> {
  const { nMels } = engine.dimensions;
  const frames = windowFrames(engine.dimensions);
  for (const batch of new Set([1, engine.parallelism])) {
    const audio = await engine.encode({ data: new Float32Array(batch * nMels * frames), dims: [batch, nMels, frames] });
    const rows = Array.from({ length: batch }, (_, window) => ({ window, prompt: [0] }));
    const { state } = await engine.startDecoder(audio, rows);
    await engine.step(state, new Int32Array(batch));
    state.dispose();
    audio.dispose();
  }
}

/** An error as the client may read it: with its own name of the file, and no addresses of the inside. */
function readable(error: unknown, file: NamedFile | null): unknown {
  if (!(error instanceof InputError)) return error;
  const prefix = `Cannot read "${error.input}": `;
  const reason = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
  const plain = reason
    .replace(/its host is at \S+, an address/, "its host is at an address")
    .replace(/\nHint: pass allowPrivateAddresses.*/s, "");
  const Class = error instanceof UnsupportedAudioError ? UnsupportedAudioError : InputError;
  return new Class(file?.name ?? error.input, withoutPath(plain, file), { cause: error });
}

/** Whether a URL gave a page instead of a recording (src/audio/sniff.ts). */
function isWebPage(error: unknown): error is UnsupportedAudioError {
  return error instanceof UnsupportedAudioError && error.message.includes("it is a web page");
}

function withoutPath(text: string, file: NamedFile | null): string {
  return file === null ? text : text.replaceAll(file.path, file.name);
}

/** A URL that may be shown. */
export function withoutPassword(text: string): string {
  const url = new URL(text);
  url.username = "";
  url.password = "";
  return url.href;
}
