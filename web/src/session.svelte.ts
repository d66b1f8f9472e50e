/** One transcription from the choice of a recording to its text: sending, waiting, working, done, or why not. */

import {
  ApiError,
  deleteJob,
  followJob,
  type JobEvent,
  type JobOptions,
  type Segment,
  type Sent,
  splitHint,
  submitJob,
} from "./api.ts";
import { excerpt, OpenDocument } from "./document.svelte.ts";
import { spokenLanguages } from "./languages.ts";
import { bytes, clock } from "./lib/format.ts";
import { type Entry, type Failure, type History, randomId } from "./lib/history.ts";
import type { Wait } from "./lib/line.ts";
import { TabJob } from "./lib/tab-job.ts";

export type { Failure } from "./lib/history.ts";

export type Source =
  { readonly kind: "file" | "recording"; readonly file: File } | { readonly kind: "link"; readonly url: string };

export type Phase = "idle" | "sending" | "waiting" | "working" | "failed";

/** What the history says of a recording until the server has taken it. */
const NOT_SENT: Failure = { message: "This recording has not been sent", hint: "Try again to have it transcribed." };
const GONE: Failure = {
  message: "The server no longer knows this transcription",
  hint: "It may have been restarted, or have cleaned up. Start it again.",
};

export class Session {
  phase = $state<Phase>("idle");
  name = $state("");
  /** How much of the file has been sent; null before the first byte, and for a link. */
  sent = $state.raw<Sent | null>(null);
  /** Jobs before this one, while it waits. */
  ahead = $state<number | null>(null);
  seconds = $state(0);
  duration = $state<number | null>(null);
  segments = $state.raw<readonly Segment[]>([]);
  /** Set while the server does not answer, or asked to be left alone for a while. */
  wait = $state.raw<Wait<ApiError> | null>(null);
  failure = $state.raw<Failure | null>(null);
  /** Whether what failed is that the server wants a key. */
  needsKey = $state(false);
  document = $state.raw<OpenDocument | null>(null);
  /** The entry of the history that is being transcribed. */
  pending = $state.raw<Entry | null>(null);
  private retry = $state.raw<(() => Promise<void>) | null>(null);
  private abort: AbortController | null = null;
  private source: Source | null = null;
  private readonly tab = new TabJob();

  constructor(
    /** Null where the browser keeps nothing. */
    private readonly history: () => History | null,
    private readonly onHistoryChange: () => void,
    private readonly onUnauthorized: () => void,
  ) {}

  get isBusy(): boolean {
    return this.phase === "sending" || this.phase === "waiting" || this.phase === "working";
  }

  get canRetry(): boolean {
    return this.retry !== null;
  }

  /** 0 to 1; null while it cannot be told. */
  get progress(): number | null {
    if (this.wait !== null) return null;
    if (this.phase === "sending") return this.sent === null ? null : share(this.sent.loaded, this.sent.total);
    if (this.phase !== "working" || this.duration === null || this.duration === 0) return null;
    return share(this.seconds, this.duration);
  }

  /** What happens now, in a few words. */
  get status(): string {
    if (this.wait !== null) return this.phase === "sending" ? "Waiting for the server" : "Reconnecting";
    const { ahead, phase, progress, sent } = this;
    const percent = progress === null ? "" : `, ${Math.floor(progress * 100)} %`;
    switch (phase) {
      case "sending":
        return sent !== null && sent.loaded >= sent.total ? "Sent, waiting for the server" : `Sending${percent}`;
      case "waiting":
        if (ahead === null) return "Waiting for the server";
        return ahead === 0 ? "Next in the queue" : `In the queue, ${ahead} before you`;
      case "working":
        return `Transcribing${percent}`;
      case "idle":
      case "failed":
        return "";
    }
  }

  /** The figures behind the status: bytes, or seconds of the recording. */
  get figures(): string {
    if (this.phase === "sending" && this.sent !== null)
      return `${bytes(this.sent.loaded)} of ${bytes(this.sent.total)}`;
    if (this.phase !== "working" || (this.duration === null && this.seconds === 0)) return "";
    return this.duration === null ? `${clock(this.seconds)} done` : `${clock(this.seconds)} of ${clock(this.duration)}`;
  }

  /** @param previous what was kept of an attempt that failed, whose place this one takes */
  async start(source: Source, options: JobOptions, previous?: Entry): Promise<void> {
    this.reset();
    this.name = previous?.name ?? (source.kind === "link" ? linkName(source.url) : source.file.name);
    this.phase = "sending";
    this.source = source;
    const abort = new AbortController();
    this.abort = abort;
    let entry: Entry = {
      id: previous?.id ?? randomId(),
      name: this.name,
      kind: source.kind,
      createdAt: Date.now(),
      ...(source.kind === "link" && { url: source.url }),
      task: options.task,
      ...(options.model !== undefined && { model: options.model }),
      language: options.language ?? "",
      languageProbability: null,
      duration: 0,
      excerpt: "",
      warnings: [],
      options,
      audioBytes: previous?.audioBytes ?? 0,
    };
    this.retry = () => this.start(source, options, entry);
    const { signal } = abort;
    await this.run(abort, async () => {
      // What was said into the microphone exists nowhere else.
      if (source.kind === "recording") {
        this.pending = entry;
        entry = await this.keep({ ...entry, failure: NOT_SENT }, undefined, source.file);
        signal.throwIfAborted();
        this.pending = entry;
      }
      const job =
        source.kind === "link"
          ? ({ kind: "url", url: source.url } as const)
          : ({ kind: "file", file: source.file, name: source.file.name } as const);
      const jobId = await submitJob(job, options, {
        onSent: (sent) => (this.sent = sent),
        onWait: (wait) => (this.wait = wait),
        signal,
      });
      const { failure: _, ...taken } = entry;
      await this.follow({ ...taken, jobId }, source.kind === "link" ? null : source.file, signal);
    });
  }

  /** The entry that this tab followed before it was reloaded. */
  restore(): Promise<string | null> {
    return this.tab.restore();
  }

  /** Follows a job that the server has already. */
  async resume(entry: Entry): Promise<void> {
    this.reset();
    this.name = entry.name;
    this.phase = "waiting";
    const abort = new AbortController();
    this.abort = abort;
    this.retry = () => this.resume(entry);
    await this.run(abort, async () => {
      const audio = (await this.history()?.audio(entry.id)) ?? null;
      abort.signal.throwIfAborted();
      this.source = sourceOf(entry, audio);
      await this.follow(entry, audio, abort.signal);
    });
  }

  async tryAgain(): Promise<void> {
    await this.retry?.();
  }

  /** Opens what is in the history, as it is by now. */
  async open({ id }: Entry): Promise<void> {
    const history = this.history();
    const entry = await history?.entry(id);
    if (history === null || entry === undefined) return;
    if (this.pending?.id === id && this.phase !== "idle") return; // it is what the page shows
    if (entry.jobId !== undefined) return this.resume(entry);
    this.reset();
    const audio = (await history.audio(id)) ?? null;
    if (entry.failure !== undefined) {
      const source = sourceOf(entry, audio);
      const { options } = entry;
      if (source !== null && options !== undefined) this.retry = () => this.start(source, options, entry);
      this.name = entry.name;
      this.pending = entry;
      this.source = source;
      this.failure = entry.failure;
      this.phase = "failed";
      return;
    }
    const transcript = await history.transcript(id);
    if (transcript !== undefined) this.document = new OpenDocument(entry, transcript, audio);
  }

  /** Shows a transcript that was made elsewhere on the page, and keeps it. */
  async show(entry: Entry, segments: readonly Segment[], audio: Blob | null): Promise<void> {
    this.reset();
    const kept = await this.keep(entry, segments, audio);
    this.document = new OpenDocument(kept, { segments }, audio);
  }

  /**
   * Stops what is under way, here and on the server.
   *
   * @returns what it was made of, so that nothing is lost by it
   */
  cancel(): Source | null {
    const { pending, source } = this;
    this.reset();
    void (async () => {
      if (pending !== null) {
        await this.history()?.delete(pending.id);
        this.onHistoryChange();
      }
      if (pending?.jobId !== undefined) await deleteJob(pending.jobId).catch(() => undefined);
    })();
    return source;
  }

  /** Back to the start; a job that is under way goes on at the server. */
  reset(): void {
    this.abort?.abort();
    this.abort = null;
    this.tab.release();
    this.pending = null;
    this.source = null;
    this.retry = null;
    this.document?.close();
    this.document = null;
    this.phase = "idle";
    this.sent = null;
    this.ahead = null;
    this.seconds = 0;
    this.duration = null;
    this.segments = [];
    this.wait = null;
    this.failure = null;
    this.needsKey = false;
  }

  /** Keeps a person's changes. */
  async save(): Promise<void> {
    const { document } = this;
    if (document === null) return;
    document.entry = { ...document.entry, excerpt: excerpt(document.segments) };
    await this.history()?.put(document.entry, document.stored);
    this.onHistoryChange();
  }

  async rename(name: string): Promise<void> {
    if (this.document === null || name.trim() === "") return;
    this.document.entry = { ...this.document.entry, name: name.trim() };
    await this.save();
  }

  /** Writes down that a job has come to nothing; what was sent to it stays, so that it can be sent again. */
  async giveUp(entry: Entry, failure: Failure): Promise<void> {
    const history = this.history();
    // It may have been deleted, or its text have been fetched, by another tab.
    const now = await history?.entry(entry.id);
    if (history === null || now === undefined || now.jobId !== entry.jobId) return;
    const { jobId: _, ...rest } = now;
    await history.put({ ...rest, failure });
    this.onHistoryChange();
  }

  /** Writes down that the server does not know a job. */
  lose(entry: Entry): Promise<void> {
    return this.giveUp(entry, GONE);
  }

  private async run(abort: AbortController, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (abort.signal.aborted) return;
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    this.needsKey = error instanceof ApiError && error.status === 401;
    if (this.needsKey) this.onUnauthorized();
    const said = error instanceof Error ? error : new Error(String(error));
    this.failure = { message: said.message, hint: error instanceof ApiError ? error.hint : undefined };
    this.wait = null;
    this.phase = "failed";
  }

  private async follow(started: Entry, audio: File | Blob | null, signal: AbortSignal): Promise<void> {
    let entry = started;
    const id = entry.jobId ?? "";
    this.pending = entry;
    this.phase = "waiting";
    this.tab.claim(entry.id);
    this.retry = () => this.resume(entry);
    // Kept at once, so that a page that is closed and opened again finds its job.
    entry = await this.keep(entry, undefined, audio);
    signal.throwIfAborted();
    this.pending = entry;
    let end: JobEvent | undefined;
    const listen = (event: JobEvent): void => {
      end = event;
      this.take(event);
    };
    try {
      await followJob(id, listen, { onWait: (wait) => (this.wait = wait), signal });
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return this.lost(entry, signal);
      throw error;
    }
    signal.throwIfAborted();
    if (end?.type === "done") return this.finish(entry, end, audio);
    const failure: Failure =
      end?.type === "failed" ? splitHint(end.error.message) : { message: "The transcription was cancelled" };
    await this.endWith(entry, failure);
  }

  /** The server knows nothing of the job: another tab has fetched its text, or it is gone. */
  private async lost(entry: Entry, signal: AbortSignal): Promise<void> {
    const now = await this.history()?.entry(entry.id);
    signal.throwIfAborted();
    if (now !== undefined && now.jobId === undefined) {
      this.pending = null;
      await this.open(now);
    } else await this.endWith(entry, GONE);
  }

  /** The job has come to nothing: the same recording can be sent again, as a job of its own. */
  private async endWith(entry: Entry, failure: Failure): Promise<void> {
    const { source } = this;
    const { options } = entry;
    this.retry = source === null || options === undefined ? null : () => this.start(source, options, entry);
    this.tab.release();
    await this.giveUp(entry, failure);
    this.fail(new ApiError(failure.message, failure.hint, 422));
  }

  private take(event: JobEvent): void {
    switch (event.type) {
      case "queued":
        this.phase = "waiting";
        this.ahead = event.position;
        break;
      case "started":
        this.phase = "working";
        this.segments = [];
        this.seconds = 0;
        break;
      case "progress":
        this.phase = "working";
        this.seconds = event.seconds;
        this.duration = event.duration ?? this.duration;
        break;
      case "segment":
        this.phase = "working";
        this.segments = [...this.segments, event.segment];
        break;
      case "done":
      case "failed":
      case "cancelled":
        break;
    }
  }

  private async finish(entry: Entry, end: JobEvent & { type: "done" }, audio: Blob | null): Promise<void> {
    const { jobId, ...rest } = entry;
    const { segments, language, languageProbability, duration, warnings, coverage } = end.transcript;
    const languages = spokenLanguages(segments, language);
    const measured = coverage === undefined ? {} : { coverage };
    const heard = { language, languageProbability, languages, duration, warnings, ...measured };
    const kept = await this.keep({ ...rest, ...heard }, segments, audio);
    this.tab.release();
    this.document = new OpenDocument(kept, { segments }, audio);
    this.phase = "idle";
    this.retry = null;
    this.pending = null;
    // The text is the person's now: the server need not hold it. Not where the browser kept nothing.
    if (jobId !== undefined && this.history() !== null) await deleteJob(jobId).catch(() => undefined);
  }

  private async keep(entry: Entry, segments: readonly Segment[] | undefined, audio: Blob | null): Promise<Entry> {
    const history = this.history();
    if (history === null) return entry;
    let kept: Entry = segments === undefined ? entry : { ...entry, excerpt: excerpt(segments) };
    try {
      await history.put(kept, segments && { segments });
      if (audio !== null && kept.audioBytes === 0) kept = await history.putAudio(kept, audio);
    } catch {
      // Storage is full or broken: the transcript is still on the page, and can be downloaded.
    }
    this.onHistoryChange();
    return kept;
  }
}

function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, part / whole) : 0;
}

/** What an entry was made of; null where it is not kept. */
function sourceOf({ kind, name, url }: Entry, audio: Blob | null): Source | null {
  if (kind === "link") return url === undefined ? null : { kind, url };
  if (audio === null || kind === "live") return null;
  return { kind, file: audio instanceof File ? audio : new File([audio], name, { type: audio.type }) };
}

/** A link as a name: its last part, or its host. */
function linkName(link: string): string {
  try {
    const url = new URL(link);
    const last = decodeURIComponent(url.pathname.split("/").filter(Boolean).at(-1) ?? "");
    return last.includes(".") ? last : `${url.host}${url.pathname === "/" ? "" : url.pathname}`;
  } catch {
    return link;
  }
}
