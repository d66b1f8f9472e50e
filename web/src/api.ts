/**
 * All that the page says to the server: models, jobs (upload, events, delete) and the socket of live captions. Nothing
 * else in the page knows an address or the shape of an answer.
 */

import type { Coverage, Segment, Transcript } from "../../src/transcription/transcript.ts";
import { parseEventStream } from "./lib/event-stream.ts";
import { Line, type Passing, type Wait } from "./lib/line.ts";
import { watchStream } from "./lib/watched-stream.ts";

export type { Coverage, Segment, Transcript, Word } from "../../src/transcription/transcript.ts";

export type Task = "transcribe" | "translate";

export type Algorithm = "vad" | "chunked" | "sequential";

export interface Model {
  readonly id: string;
  readonly isMultilingual: boolean;
}

export interface JobOptions {
  readonly model?: string | undefined;
  readonly task: Task;
  /** Code; undefined to let the model hear which it is. */
  readonly language?: string | undefined;
  /** Whether every word gets its time. */
  readonly hasWordTimes: boolean;
  /** `vad`, the server's default, finds speech first; `sequential` is openai/whisper's, `chunked` Hugging Face's. */
  readonly algorithm?: Algorithm | undefined;
  /** Names and terms that the recording has; `chunked` takes none. */
  readonly prompt?: string | undefined;
  /** Whether each window's language is detected by itself. */
  readonly languagePerWindow?: boolean | undefined;
}

export type JobSource =
  | { readonly kind: "file"; readonly file: Blob; readonly name: string }
  | { readonly kind: "url"; readonly url: string };

export type JobEvent =
  | { readonly type: "queued"; readonly position: number; readonly size: number }
  /** Seen again if the job had to begin anew: segments before it are void. */
  | { readonly type: "started" }
  | { readonly type: "progress"; readonly seconds: number; readonly duration: number | null }
  | { readonly type: "segment"; readonly segment: Segment }
  | { readonly type: "done"; readonly transcript: Transcript; readonly seconds: number }
  | { readonly type: "failed"; readonly error: { readonly message: string } }
  | { readonly type: "cancelled" };

/** Statuses of a server that is busy, starts or stops, and of a proxy that does not reach it. */
const PASSING: ReadonlySet<number> = new Set([0, 429, 502, 503, 504]);
/** Those of a server that has not taken the request: it can be sent again without being done twice. */
const NOT_TAKEN: ReadonlySet<number> = new Set([429, 503]);

/** What went wrong, in words for the person at the page, and what can be done about it. */
export class ApiError extends Error implements Passing {
  override readonly name = "ApiError";
  constructor(
    message: string,
    readonly hint: string | undefined,
    /** Of the answer; 0 where there was none. */
    readonly status: number,
    readonly retryAfter?: number | undefined,
  ) {
    super(message);
  }
}

/** Told of each wait before the next try, and null once the server answers again. */
export type OnWait = (wait: Wait<ApiError> | null) => void;

function isPassing(error: unknown): error is ApiError {
  return error instanceof ApiError && PASSING.has(error.status);
}

function isNotTaken(error: unknown): error is ApiError {
  return error instanceof ApiError && NOT_TAKEN.has(error.status);
}

/** Splits a message of the server at the line that says what to do. */
export function splitHint(text: string): { message: string; hint: string | undefined } {
  const [message, ...rest] = text.split(/\n\s*Hint:\s*/);
  const hint = rest.join(" ").trim();
  return { message: message.trim(), hint: hint === "" ? undefined : `${hint[0].toUpperCase()}${hint.slice(1)}` };
}

const KEY = "sotto.key";

/** The server's API key, where it wants one. */
export const apiKey = {
  get: (): string => localStorage.getItem(KEY) ?? "",
  set: (value: string): void => (value === "" ? localStorage.removeItem(KEY) : localStorage.setItem(KEY, value)),
};

function authorization(): Record<string, string> {
  const key = apiKey.get();
  return key === "" ? {} : { authorization: `Bearer ${key}` };
}

function address(path: string): URL {
  return new URL(path, document.baseURI);
}

const UNREACHABLE = new ApiError(
  "The server does not answer",
  "Check that it is still running and that you are online, then try again.",
  0,
);

/** The header Retry-After, seconds or a date, in seconds from now. */
function retrySeconds(header: string | null): number | undefined {
  if (header === null || header.trim() === "") return undefined;
  const seconds = Number(header);
  const wait = Number.isFinite(seconds) ? seconds : (Date.parse(header) - Date.now()) / 1000;
  return wait > 0 ? wait : undefined;
}

/** An answer that is not a success as an error in words. */
function failure(status: number, body: string, retryAfter: string | null): ApiError {
  let said: { message: string; hint: string | undefined } | undefined;
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown } | string };
    const text = typeof error === "string" ? error : error?.message;
    if (typeof text === "string") said = splitHint(text);
  } catch {
    // Not the server's own words: a proxy's page, or nothing.
  }
  const seconds = retrySeconds(retryAfter);
  const later =
    seconds !== undefined ? `Try again in ${seconds <= 1 ? "a second" : `${Math.ceil(seconds)} seconds`}.` : undefined;
  switch (status) {
    case 401:
    case 403:
      return new ApiError(said?.message ?? "The server asks for a key", "Enter the API key of this server.", status);
    case 413:
      return new ApiError(
        said?.message ?? "The file is larger than this server takes",
        said?.hint ?? "Cut it in parts, or send only its audio track.",
        status,
      );
    case 429:
    case 503:
      return new ApiError(
        said?.message ?? "The server is busy",
        later ?? said?.hint ?? "Wait a little, then try again.",
        status,
        seconds,
      );
    default:
      return new ApiError(
        said?.message ?? `The server answered with status ${status}`,
        said?.hint ?? (status >= 500 ? "Try again; if it stays so, look at the server's log." : undefined),
        status,
      );
  }
}

async function request(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address(path), { ...init, headers: { ...authorization(), ...init.headers } });
  } catch (error) {
    if (init.signal?.aborted === true) throw error;
    throw UNREACHABLE;
  }
  if (!response.ok)
    throw failure(response.status, await response.text().catch(() => ""), response.headers.get("retry-after"));
  return response;
}

/** The models that the server has loaded; the first is its default. Waits for a server that does not answer yet. */
export async function listModels(onWait: OnWait, signal: AbortSignal): Promise<Model[]> {
  const line = new Line(isPassing, onWait, signal);
  const response = await line.persist(() => request("v1/models", { signal }));
  const { data } = (await response.json()) as {
    data: { id: string; is_multilingual?: boolean }[];
  };
  return data.map(({ id, is_multilingual }) => ({ id, isMultilingual: is_multilingual ?? !id.endsWith(".en") }));
}

/** Bytes of an upload: those that were sent, and all. */
export interface Sent {
  readonly loaded: number;
  readonly total: number;
}

/**
 * Hands a recording or a link to the server. Where the server is busy, or has only just been started, it is asked again
 * until it takes the job.
 *
 * @param onSent told how much has been sent
 * @returns the id of the job
 * @throws {ApiError}
 */
export function submitJob(
  source: JobSource,
  options: JobOptions,
  { onSent, onWait, signal }: { onSent: (sent: Sent) => void; onWait: OnWait; signal: AbortSignal },
): Promise<string> {
  const form = new FormData();
  // Fields before the file: the server reads the form as it arrives.
  if (options.model !== undefined) form.append("model", options.model);
  form.append("task", options.task);
  if (options.language !== undefined) form.append("language", options.language);
  form.append("word_timestamps", String(options.hasWordTimes));
  if (options.algorithm !== undefined && options.algorithm !== "vad") form.append("algorithm", options.algorithm);
  if (options.prompt !== undefined) form.append("prompt", options.prompt);
  if (options.languagePerWindow === true) form.append("language_per_window", "true");
  if (source.kind === "url") form.append("url", source.url);
  else form.append("file", source.file, source.name);
  return new Line(isNotTaken, onWait, signal).persist(async () => {
    const body = await upload("jobs", form, onSent, signal);
    return (JSON.parse(body) as { id: string }).id;
  });
}

/** Posts a form, and says how much of it has been sent, which fetch() cannot. */
function upload(path: string, form: FormData, onSent: (sent: Sent) => void, signal: AbortSignal): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    signal.throwIfAborted();
    const xhr = new XMLHttpRequest();
    const abort = (): void => xhr.abort();
    xhr.open("POST", address(path));
    for (const [name, value] of Object.entries(authorization())) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded, total }) => onSent({ loaded, total });
    xhr.onload = () => {
      if (xhr.status >= 200 && xhr.status < 300) resolve(xhr.responseText);
      else reject(failure(xhr.status, xhr.responseText, xhr.getResponseHeader("retry-after")));
    };
    xhr.onerror = () => reject(UNREACHABLE);
    xhr.onabort = () => reject(new DOMException("Cancelled", "AbortError"));
    xhr.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    xhr.send(form);
  });
}

/** Milliseconds without a byte after which a job's events are asked for again: the server sends one every 15 s. */
const SILENCE_MS = 45_000;

/**
 * Follows a job to its end, over dropped connections and restarts of the server, for as long as that takes. After a drop
 * only what is new is told, unless the server has begun the job anew: then everything is, from "started" on.
 *
 * @throws {ApiError} if the job is not known (any more), or the server refuses to tell
 */
export async function followJob(
  id: string,
  onEvent: (event: JobEvent) => void,
  { onWait, signal }: { onWait: OnWait; signal: AbortSignal },
): Promise<void> {
  const line = new Line(isPassing, onWait, signal);
  let last = "";
  for (;;) {
    try {
      const { body } = await request(`jobs/${encodeURIComponent(id)}/events`, {
        headers: { accept: "text/event-stream", ...(last !== "" && { "last-event-id": last }) },
        signal,
      });
      if (body === null) throw UNREACHABLE;
      line.up();
      for await (const { event, data, id: number } of parseEventStream(watchStream(body, SILENCE_MS, UNREACHABLE))) {
        line.alive();
        last = number;
        const parsed = readJobEvent(event, data);
        if (parsed === undefined) continue;
        onEvent(parsed);
        if (parsed.type === "done" || parsed.type === "failed" || parsed.type === "cancelled") return;
      }
      signal.throwIfAborted();
      throw UNREACHABLE; // it ended before the job did
    } catch (error) {
      await line.down(error);
    }
  }
}

/** A job that may be followed by nobody. */
export interface JobView {
  readonly status: "queued" | "running" | "done" | "failed" | "cancelled";
  readonly position: number | null;
  readonly progress: { readonly seconds: number | null; readonly duration: number | null };
  readonly error: { readonly message: string } | null;
}

/** @throws {ApiError} 404 if the server does not know it (any more) */
export async function readJob(id: string, signal: AbortSignal): Promise<JobView> {
  return (await (await request(`jobs/${encodeURIComponent(id)}`, { signal })).json()) as JobView;
}

/** A segment as it comes over the wire (docs/schemas/job-events.json). */
type WireSegment = Pick<Segment, "id" | "start" | "end" | "text" | "tokens" | "temperature" | "language" | "words"> & {
  readonly avg_logprob: number;
  readonly compression_ratio: number;
  readonly no_speech_prob: number;
};

interface WireTranscript extends Pick<Transcript, "text" | "language" | "duration" | "warnings"> {
  readonly language_probability: number | null;
  readonly segments: readonly WireSegment[];
  readonly coverage?: {
    readonly speech_seconds: number;
    readonly transcribed_seconds: number;
    readonly untranscribed: Coverage["untranscribed"];
  };
}

function readSegment(wire: WireSegment): Segment {
  const { avg_logprob: avgLogprob, compression_ratio: compressionRatio, no_speech_prob: noSpeechProb, ...same } = wire;
  return { ...same, avgLogprob, compressionRatio, noSpeechProb };
}

function readCoverage(wire: NonNullable<WireTranscript["coverage"]>): Coverage {
  const { speech_seconds: speechSeconds, transcribed_seconds: transcribedSeconds, untranscribed } = wire;
  return { speechSeconds, transcribedSeconds, untranscribed };
}

function readTranscript(wire: WireTranscript): Transcript {
  const { language_probability: languageProbability, segments, coverage, ...same } = wire;
  return {
    ...same,
    languageProbability,
    segments: segments.map(readSegment),
    ...(coverage !== undefined && { coverage: readCoverage(coverage) }),
  };
}

/** An event by its name and its JSON; undefined for one that this page does not know. */
function readJobEvent(type: string, data: string): JobEvent | undefined {
  const body = JSON.parse(data) as object;
  switch (type) {
    case "segment":
      return { type, segment: readSegment(body as WireSegment) };
    case "done": {
      const { seconds, transcript } = body as { seconds: number; transcript: WireTranscript };
      return { type, seconds, transcript: readTranscript(transcript) };
    }
    case "queued":
    case "started":
    case "progress":
    case "failed":
    case "cancelled":
      return { ...body, type } as JobEvent;
    default:
      return undefined;
  }
}

/** Stops a job and has the server forget it. A job that it does not know is none to stop. */
export async function deleteJob(id: string): Promise<void> {
  try {
    await request(`jobs/${encodeURIComponent(id)}`, { method: "DELETE", keepalive: true });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
}

/** A word goes by either name. */
interface WireWord {
  readonly text?: string;
  readonly word?: string;
  readonly start: number;
  readonly end: number;
}

export interface LiveWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export type LiveEvent =
  | { readonly type: "ready" }
  | { readonly type: "speech_start" }
  | { readonly type: "speech_end" }
  | { readonly type: "partial"; readonly text: string }
  | { readonly type: "commit"; readonly text: string; readonly words: readonly LiveWord[] }
  /** The utterance as a whole, in place of its commits. `language`: a code; null if nothing was understood. */
  | {
      readonly type: "final";
      readonly text?: string;
      readonly words?: readonly LiveWord[];
      readonly language?: string | null;
    }
  | { readonly type: "error"; readonly message: string };

/** A line to the server's live captions: samples in, events out. */
export class LiveSocket {
  private readonly socket: WebSocket;
  /** Samples from before the line was open. */
  private waiting: ArrayBuffer[] = [];

  constructor(
    start: { language?: string | undefined; task: Task; model?: string | undefined },
    onEvent: (event: LiveEvent) => void,
    onClose: (error: ApiError | undefined) => void,
  ) {
    const url = address("live");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const key = apiKey.get();
    if (key !== "") url.searchParams.set("api_key", key);
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    let opened = false;
    this.socket.onopen = () => {
      opened = true;
      this.socket.send(JSON.stringify({ type: "start", ...start }));
      for (const samples of this.waiting) this.socket.send(samples);
      this.waiting = [];
    };
    this.socket.onmessage = ({ data }) => {
      if (typeof data !== "string") return;
      const event = JSON.parse(data) as LiveEvent & { error?: { message?: string } };
      if (event.type === "error") {
        onEvent({ type: "error", message: event.error?.message ?? event.message ?? "The server gave up" });
      } else if (event.type === "commit") {
        onEvent({
          ...event,
          words: event.words.map((word: WireWord) => ({ ...word, text: word.text ?? word.word ?? "" })),
        });
      } else onEvent(event);
    };
    this.socket.onclose = ({ code, reason }) => {
      if (code === 1000 || code === 1005) onClose(undefined);
      else if (code === 1006)
        onClose(
          opened
            ? new ApiError(
                "The line to the server dropped",
                "Press Resume to continue; the captions so far are kept.",
                0,
              )
            : UNREACHABLE,
        );
      else {
        const { message, hint } = splitHint(reason === "" ? `The server ended the captions (code ${code})` : reason);
        onClose(new ApiError(message, hint ?? (code === 1013 ? "Wait a little, then try again." : undefined), code));
      }
    };
  }

  /** Samples: 16-bit, mono, 16 kHz. */
  send(samples: ArrayBuffer): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(samples);
    else if (this.socket.readyState === WebSocket.CONNECTING) this.waiting.push(samples);
  }

  /** No more samples: the server says what is left and closes. */
  end(): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type: "end" }));
    else this.socket.close();
  }

  close(): void {
    this.socket.close();
  }
}
