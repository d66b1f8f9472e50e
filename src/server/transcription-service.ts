/**
 * The service behind all protocols: models loaded and warmed, a bounded queue that is fair among clients, and jobs that share
 * each model's engine through a scheduler. What a URL leads to is downloaded while its job waits: a server that sends slowly keeps no
 * other job from running.
 */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { performance } from "node:perf_hooks";
import { downloadFile } from "../audio/download.ts";
import { hintFor, InputError, OptionError, quote, UnsupportedAudioError } from "../errors.ts";
import { isLocalModel, type DownloadProgress, type ModelDownload } from "../hub/index.ts";
import { windowFrames } from "../model/index.ts";
import { WhisperPipeline, type TranscribeOptions } from "../pipeline/index.ts";
import type { SchedulerCounters } from "../scheduling/index.ts";
import type { Transcript } from "../transcription/index.ts";
import type { ServerConfig } from "./config.ts";
import { RequestError } from "./errors.ts";
import { FairSlots, Turns } from "./fair-slots.ts";
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

/** One in so many places is kept for clients that have no job running: long ones of one client would else take all of them for hours. */
const RESERVED_PART = 8;

/** Below this a place to keep is too much. */
const MIN_TO_RESERVE = 3;

/** Downloads at once, of all clients and of one: they cost a connection and a file each. */
const MAX_DOWNLOADS = 64;
const MAX_DOWNLOADS_PER_CLIENT = 16;

/** Longest time without a byte, in ms. */
const SILENCE_MS = 30_000;

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
  /** What would have helped, where who runs the server can do something. */
  readonly hint?: string;
}

export interface ServiceObserver {
  readonly onJobEnd?: (report: JobReport) => void;
  readonly onModelLoaded?: (model: ServedModel, seconds: number) => void;
  /** Weights are about to be downloaded; and, now and then, how many bytes there are of a file. */
  readonly onDownload?: (download: ModelDownload) => void;
  readonly onDownloadProgress?: (progress: DownloadProgress) => void;
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

/** What comes of a job's URL. */
interface Fetch {
  /** Has ended, and has left no file but `file`. Never rejects. */
  done: Promise<void>;
  file: NamedFile | null;
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
  readonly #reserved: number;
  readonly #downloads = new FairSlots({ slots: MAX_DOWNLOADS, perClient: MAX_DOWNLOADS_PER_CLIENT });
  /** Before the videos' own places, of which there are few, and for which not more than a hundred may wait. */
  readonly #videoDownloads = new FairSlots({ slots: MAX_DOWNLOADS, perClient: MAX_DOWNLOADS_PER_CLIENT });
  /** Of each job with a URL that has not ended. */
  readonly #fetches = new Map<ServiceJob, Fetch>();
  readonly #turns = new Turns();
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
    this.#reserved = this.#maxRunning < MIN_TO_RESERVE ? 0 : Math.max(1, Math.floor(this.#maxRunning / RESERVED_PART));
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
          ...(observer?.onDownload !== undefined && { onDownload: observer.onDownload }),
          ...(observer?.onDownloadProgress !== undefined && { onProgress: observer.onDownloadProgress }),
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

  /** Jobs that wait, those of them whose recording is being downloaded, and those that run; views that live captions hold. */
  get load(): {
    readonly waiting: number;
    readonly downloading: number;
    readonly running: number;
    readonly live: number;
  } {
    return {
      waiting: this.#waiting.length,
      downloading: this.#downloads.used + this.#videoDownloads.used,
      running: this.#running.size,
      live: this.#leases.size,
    };
  }

  /** What each model's scheduler has done, by model. */
  get counters(): readonly { readonly model: string; readonly counters: SchedulerCounters }[] {
    return this.#loaded.map(({ id, pipeline }) => ({ model: id, counters: pipeline.scheduler.counters }));
  }

  assertRoom(client: string): void {
    if (!this.#isAccepting) throw new ShuttingDownError();
    const isOwn = (job: ServiceJob): boolean => job.request.client === client;
    const running = [...this.#running].filter(isOwn).length;
    const own = this.#waiting.filter(isOwn).length + running;
    if (own >= this.#config.maxPerClient) throw new QueueFullError("client", this.#retryAfter(1));
    // Jobs that will start at once do not wait.
    const free = Math.max(0, this.#maxRunning - this.#running.size - (running > 0 ? this.#reserved : 0));
    const excess = this.#waiting.length - free - this.#config.maxQueue;
    if (excess >= 0) throw new QueueFullError("server", this.#retryAfter(excess + 1));
  }

  submit(request: JobRequest): Job {
    const model = this.#model(request.model);
    if (request.audio.kind === "url") assertFetchable(request.audio.url);
    if (request.isResumed !== true) this.assertRoom(request.client);
    const job = new ServiceJob(request, model.id, (cancelled) => this.#dropIfWaiting(cancelled));
    this.#waiting.push(job);
    if (request.audio.kind === "url") this.#fetch(job, new URL(request.audio.url));
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

  /**
   * Orders those that wait, each client's first before any one's second, and tells them. Those whose recording is still to come are
   * behind all that could start.
   */
  #arrange(): void {
    const taken = new Map<string, number>();
    for (const { request } of this.#running) taken.set(request.client, (taken.get(request.client) ?? 0) + 1);
    const rounds = new Map<ServiceJob, number>();
    const isReady = (job: ServiceJob): boolean => this.#fileOf(job) !== null;
    // A client's own jobs keep their order, so that their rounds rise.
    for (const job of [...this.#waiting.filter(isReady), ...this.#waiting.filter((job) => !isReady(job))]) {
      const { client } = job.request;
      rounds.set(job, taken.get(client) ?? 0);
      taken.set(client, (taken.get(client) ?? 0) + 1);
    }
    const turnOf = ({ request }: ServiceJob): number => this.#turns.of(request.client);
    this.#waiting.sort(
      (a, b) =>
        Number(isReady(b)) - Number(isReady(a)) ||
        (rounds.get(a) ?? 0) - (rounds.get(b) ?? 0) ||
        turnOf(a) - turnOf(b) ||
        a.sequence - b.sequence,
    );
    this.#waiting.forEach((job, position) => job.place(position, this.#waiting.length));
  }

  /** In a turn of its own: who submits gets to subscribe first, and jobs that come together know of each other. */
  #scheduleStart(): void {
    if (this.#startScheduled) return;
    this.#startScheduled = true;
    setImmediate(() => {
      this.#startScheduled = false;
      for (;;) {
        // Each start changes whose turn it is.
        this.#arrange();
        const at = this.#waiting.findIndex((job) => this.#mayStart(job));
        if (at < 0) break;
        const [job] = this.#waiting.splice(at, 1);
        this.#turns.serve(job.request.client);
        void this.#run(job);
      }
      this.#turns.forget(this.#waiting.map(({ request }) => request.client));
    });
  }

  #mayStart(job: ServiceJob): boolean {
    if (this.#fileOf(job) === null) return false;
    const free = this.#maxRunning - this.#running.size;
    const isServed = [...this.#running].some(({ request }) => request.client === job.request.client);
    return free > (isServed ? this.#reserved : 0);
  }

  /** What a job reads; null while it is to come. */
  #fileOf(job: ServiceJob): NamedFile | null {
    const { audio } = job.request;
    return audio.kind === "file" ? audio : (this.#fetches.get(job)?.file ?? null);
  }

  /** Gets what a job's URL leads to; the job can start then, or has failed. */
  #fetch(job: ServiceJob, url: URL): void {
    let failure: unknown = null;
    const fetch: Fetch = { file: null, done: Promise.resolve() };
    this.#fetches.set(job, fetch);
    fetch.done = this.#download(job, url).then(
      (path) => void (fetch.file = { path, name: withoutPassword(url.href) }),
      (error: unknown) => void (failure = error),
    );
    void fetch.done.then(() => {
      const at = this.#waiting.indexOf(job);
      if (at < 0) return; // it was cancelled
      if (fetch.file !== null) return this.#scheduleStart();
      this.#waiting.splice(at, 1);
      const error = asError(readable(failure, null));
      void this.#end(job, performance.now(), () => job.fail(error), "failed", 0, keepersHint(error));
    });
  }

  /** @returns path of a file that is the caller's to remove */
  async #download(job: ServiceJob, url: URL): Promise<string> {
    if (isVideoPage(url)) return this.#downloadVideo(job, url);
    try {
      return await this.#downloadRecording(job, url);
    } catch (error) {
      if (!isWebPage(error)) throw error;
      return this.#downloadVideo(job, url, error);
    }
  }

  async #downloadRecording({ request, signal }: ServiceJob, url: URL): Promise<string> {
    const { maxUploadBytes, allowPrivateAddresses, downloadTimeout, minDownloadRate } = this.#config;
    const release = await this.#downloads.take(request.client, signal);
    try {
      const path = join(await this.#videos.readyFolder(), `download-${randomUUID()}`);
      await downloadFile(url, path, {
        signal,
        allowPrivateAddresses,
        proxyLookup: false,
        maxBytes: maxUploadBytes,
        timeoutMs: SILENCE_MS,
        totalTimeoutMs: downloadTimeout * 1000,
        minBytesPerSecond: minDownloadRate,
      });
      return path;
    } finally {
      release();
    }
  }

  /** @param pageError that it is a web page, where that is how it was found out */
  async #downloadVideo({ request, signal }: ServiceJob, { href }: URL, pageError?: Error): Promise<string> {
    const name = withoutPassword(href);
    const release = await this.#videoDownloads.take(request.client, signal);
    try {
      return await this.#videos.download(name, signal, request.client);
    } catch (error) {
      if (pageError === undefined) throw error;
      if (error instanceof UnknownSiteError) throw pageError;
      if (!(error instanceof YtDlpMissingError)) throw error;
      const hint = { server: `if there is a video on it, ${INSTALL_HINT}` };
      throw new UnsupportedAudioError(name, "it is a web page, not audio", { cause: error, hint });
    } finally {
      release();
    }
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
      else await this.#end(job, started, () => job.fail(asError(error)), "failed", 0, keepersHint(error));
    }
  }

  async #transcribe(job: ServiceJob): Promise<Transcript> {
    const { options } = job.request;
    const file = this.#fileOf(job) as NamedFile;
    const model = this.#model(job.model);
    try {
      const own = options.algorithm === "sequential" ? options : { ...options, batchSize: this.#batchSize(model) };
      const given: TranscribeOptions = {
        ...(own as TranscribeOptions),
        maxSeconds: this.#config.maxSeconds,
        signal: job.signal,
        onProgress: ({ processedSeconds, totalSeconds }) => job.progress(processedSeconds, totalSeconds),
        onSegment: (segment) => job.segment(segment),
      };
      const transcript = await model.pipeline.transcribe(file.path, given);
      const warnings = transcript.warnings.map((warning) => withoutPath(warning, file));
      return { ...transcript, warnings };
    } catch (error) {
      throw readable(error, file);
    }
  }

  /** Windows of one job that may be under way: those of all jobs together keep the engine busy, and no more memory is taken. */
  #batchSize({ pipeline }: LoadedModel): number {
    if (this.#config.batchSize !== undefined) return this.#config.batchSize;
    const jobs = this.#running.size + this.#waiting.filter((job) => this.#fileOf(job) !== null).length;
    return Math.max(1, Math.round(pipeline.engine.batchSize / Math.max(1, jobs)));
  }

  /** Frees what a job holds before anybody is told of its end. */
  async #end(
    job: ServiceJob,
    started: number,
    tell: () => void,
    status: JobReport["status"],
    audioSeconds = 0,
    hint?: string,
  ): Promise<void> {
    const { audio } = job.request;
    const fetch = this.#fetches.get(job);
    await fetch?.done;
    const path = audio.kind === "file" && audio.temporary ? audio.path : fetch?.file?.path;
    if (path !== undefined) await rm(path, { force: true }).catch(() => undefined);
    this.#fetches.delete(job);
    this.#running.delete(job);
    const seconds = (performance.now() - started) / 1000;
    if (status === "done") this.#jobSeconds += (seconds - this.#jobSeconds) / 8;
    const waitedSeconds = Math.max(0, (started - job.submittedAt) / 1000);
    tell();
    const report = { model: job.model, status, audioSeconds, seconds, waitedSeconds };
    this.#observer.onJobEnd?.(hint === undefined ? report : { ...report, hint });
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

/** What whoever runs the server could do about a failure. */
function keepersHint(error: unknown): string | undefined {
  return error instanceof InputError ? hintFor(error.hint, "server") : undefined;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/**
 * An error as the client may read it: with its own name of the file, no addresses of the inside, and no hints for callers of the
 * library.
 */
function readable(error: unknown, file: NamedFile | null): unknown {
  if (!(error instanceof InputError)) return error;
  if (file !== null && (error.cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT") {
    const message = `The server has lost ${quote(file.name)}: its file was removed`;
    return new RequestError(500, message, { code: "upload_lost", cause: error });
  }
  const reason = error.reason.replace(/its host is at \S+, an address/, "its host is at an address");
  const Class = error instanceof UnsupportedAudioError ? UnsupportedAudioError : InputError;
  return new Class(file?.name ?? error.input, withoutPath(reason, file), { cause: error, hint: error.hint });
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
