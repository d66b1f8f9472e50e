/**
 * The core that all protocols of the server share: jobs over one engine a model, a bounded queue, events. Interfaces alone;
 * transcription-service.ts is the implementation, app.ts puts it behind HTTP.
 *
 * A protocol is a `ServerPlugin`: a function that adds its routes to the Fastify instance. It gets uploads from
 * `context.uploads`, hands them to `context.service` as jobs, and lets errors fly: app.ts turns them into answers without
 * stack traces (errors.ts). A protocol with error bodies of its own sets an error handler on an encapsulated instance.
 */
import type { FastifyInstance } from "fastify";
import type { Engine } from "../engine/engine.ts";
import type { TranscribeOptions } from "../pipeline/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import type { Segment, Transcript, TranscriptionContext } from "../transcription/index.ts";
import type { SileroVad } from "../vad/index.ts";
import type { ServerConfig } from "./config.ts";
import type { Uploads } from "./uploads.ts";
import type { VideoDownloads } from "./video-site.ts";

/** `queued` and `running` end in one of the others. */
export type JobStatus = "queued" | "running" | "done" | "failed" | "cancelled";

/** Where a job's audio is. */
export type JobAudio =
  | {
      readonly kind: "file";
      readonly path: string;
      /** The name that the user knows it by. */
      readonly name: string;
      /** Whether the file is removed when the job has ended, however it ended. */
      readonly temporary: boolean;
    }
  /** A recording, or a page of a site of videos. */
  | { readonly kind: "url"; readonly url: string };

/** What a job may ask of the pipeline; what belongs to the server is not the caller's to say. */
export type JobOptions = WithoutServerOptions<TranscribeOptions>;

type WithoutServerOptions<T> = T extends unknown
  ? Omit<
      T,
      | "signal"
      | "onProgress"
      | "onSegment"
      | "batchSize"
      | "allowPrivateAddresses"
      | "maxBytes"
      | "maxSeconds"
      | "timeoutMs"
      | "downloadTimeoutMs"
      | "minBytesPerSecond"
    >
  : never;

export interface JobRequest {
  /** Id of a served model; default the first. */
  readonly model?: string | undefined;
  readonly audio: JobAudio;
  readonly options: JobOptions;
  /** Who asks, for limits: an address, or an API key's name (`clientOf` in auth.ts). */
  readonly client: string;
  /** It was accepted before, by a server that has ended since: bounds do not apply. */
  readonly isResumed?: boolean;
}

export type JobEvent =
  /** `position` 0: next; `size`: jobs waiting in all. */
  | { readonly type: "queued"; readonly position: number; readonly size: number }
  | { readonly type: "started" }
  /** `seconds` of audio done; `duration` is null where the container does not say. */
  | { readonly type: "progress"; readonly seconds: number; readonly duration: number | null }
  /** In order; nothing can change it any more. */
  | { readonly type: "segment"; readonly segment: Segment }
  /** `seconds`: wall time since the job started. */
  | { readonly type: "done"; readonly transcript: Transcript; readonly seconds: number }
  | { readonly type: "failed"; readonly error: Error }
  | { readonly type: "cancelled" };

export interface Job {
  /** Unguessable. */
  readonly id: string;
  readonly model: string;
  readonly status: JobStatus;
  readonly createdAt: Date;
  /** Rejects with the job's error; with an AbortError if it was cancelled. Nobody has to wait for it. */
  readonly result: Promise<Transcript>;
  /**
   * Calls the listener with all events so far, at once, and with each later one. Of positions and progress only the last
   * ones are kept for late listeners.
   *
   * @returns stops it
   */
  subscribe(listener: (event: JobEvent) => void): () => void;
  /** Ends it if it has not ended. */
  cancel(): void;
}

/** A model that is served. */
export interface ServedModel {
  readonly id: string;
  readonly isMultilingual: boolean;
  readonly device: string;
  readonly dtype: string;
}

/** What live captions need: a view of the shared engine, and what decoding reads. */
export interface EngineLease extends TranscriptionContext {
  readonly model: ServedModel;
  /** Shares the model's engine with all jobs; calls wait for their turn, live ones before others. */
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly vad: SileroVad;
  /** Gives the view back: what waits is dropped, and states made through it are freed. Safe to call twice. */
  close(): void;
}

export interface TranscriptionService {
  /** At least one; the first is the default. */
  readonly models: readonly ServedModel[];
  /** False while shutting down. */
  readonly isAccepting: boolean;
  /**
   * To be asked before an upload is read: whether a job of the client would be accepted.
   *
   * @throws {QueueFullError} if the queue, or the client's part of it, is full
   * @throws {ShuttingDownError} if the server ends
   */
  assertRoom(client: string): void;
  /**
   * Accepts a job. Options that cannot be fail the job with an OptionError.
   *
   * @throws {QueueFullError} if the queue, or the client's part of it, is full; a temporary file is still the caller's then
   * @throws {OptionError} for a model that is not served, or a URL that is neither http nor https
   * @throws {ShuttingDownError} if the server ends
   */
  submit(request: JobRequest): Job;
  /** @throws {OptionError} if the model is not served */
  openEngine(model?: string): EngineLease;
  /** Refuses new jobs, lets running and waiting ones end, for the config's grace at most, and frees the engines. */
  close(): Promise<void>;
}

/** Too many jobs wait, of all clients (503) or of this one (429). */
export class QueueFullError extends Error {
  override readonly name = "QueueFullError";
  constructor(
    readonly scope: "server" | "client",
    readonly retryAfterSeconds: number,
  ) {
    super(
      scope === "server"
        ? "Cannot accept the request: the queue is full"
        : "Cannot accept the request: too many of your requests are waiting",
    );
  }
}

/** The server is ending and takes nothing new (503). */
export class ShuttingDownError extends Error {
  override readonly name = "ShuttingDownError";
  constructor() {
    super("Cannot accept the request: the server is shutting down");
  }
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** Of a route for POST that is answered while the server ends too, when others get 503. */
    readonly startsNothing?: boolean;
  }
}

/** What a protocol is given. */
export interface ServerContext {
  readonly service: TranscriptionService;
  readonly config: ServerConfig;
  readonly uploads: Uploads;
  /** Those of jobs with URLs too, so that all are bounded together. */
  readonly videos: VideoDownloads;
}

/**
 * A protocol: adds its routes. Paths are absolute. `app` is encapsulated: hooks and error handlers set on it concern this
 * protocol alone. Registered already on the root: multipart (through `uploads` only), websocket, CORS, helmet, rate limit,
 * API keys (as an onRequest hook).
 */
export type ServerPlugin = (app: FastifyInstance, context: ServerContext) => void | Promise<void>;
