/** One transcription from the choice of a recording to its text: sending, waiting, working, done, or why not. */

import {
  ApiError,
  deleteJob,
  followJob,
  type JobEvent,
  type JobOptions,
  type Segment,
  splitHint,
  submitJob,
} from "./api.ts";
import { excerpt, OpenDocument } from "./document.svelte.ts";
import { type Entry, type History, randomId } from "./lib/history.ts";

export type Source =
  { readonly kind: "file" | "recording"; readonly file: File } | { readonly kind: "link"; readonly url: string };

export type Phase = "idle" | "sending" | "waiting" | "working" | "failed";

export interface Failure {
  readonly message: string;
  readonly hint: string | undefined;
}

export class Session {
  phase = $state<Phase>("idle");
  name = $state("");
  /** Share of the file that has been sent. */
  sent = $state(0);
  /** Jobs before this one, while it waits. */
  ahead = $state<number | null>(null);
  seconds = $state(0);
  duration = $state<number | null>(null);
  segments = $state.raw<readonly Segment[]>([]);
  failure = $state.raw<Failure | null>(null);
  document = $state.raw<OpenDocument | null>(null);
  private abort: AbortController | null = null;
  private jobId: string | null = null;
  private pending: Entry | null = null;
  private retry: { source: Source; options: JobOptions } | null = null;

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
    if (this.phase === "sending") return this.sent;
    if (this.phase !== "working" || this.duration === null || this.duration === 0) return null;
    return Math.min(1, this.seconds / this.duration);
  }

  async start(source: Source, options: JobOptions): Promise<void> {
    this.reset();
    this.retry = { source, options };
    this.name = source.kind === "link" ? linkName(source.url) : source.file.name;
    this.phase = "sending";
    const abort = new AbortController();
    this.abort = abort;
    const audio = source.kind === "link" ? null : source.file;
    await this.run(abort, async () => {
      const job =
        source.kind === "link"
          ? ({ kind: "url", url: source.url } as const)
          : ({ kind: "file", file: source.file, name: source.file.name } as const);
      const id = await submitJob(job, options, { onSent: (share) => (this.sent = share), signal: abort.signal });
      const entry: Entry = {
        id: randomId(),
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
        jobId: id,
        audioBytes: 0,
      };
      await this.follow(entry, audio, abort.signal);
    });
  }

  /** Goes on with a transcription that a closed page left behind. */
  async resume(entry: Entry): Promise<void> {
    this.reset();
    this.name = entry.name;
    const abort = new AbortController();
    this.abort = abort;
    await this.run(abort, async () => {
      const audio = await this.history()?.audio(entry.id);
      await this.follow(entry, audio ?? null, abort.signal);
    });
  }

  async tryAgain(): Promise<void> {
    if (this.retry !== null) await this.start(this.retry.source, this.retry.options);
  }

  /** Opens what is in the history. */
  async open(entry: Entry): Promise<void> {
    if (entry.jobId !== undefined) return this.resume(entry);
    this.reset();
    const history = this.history();
    const transcript = await history?.transcript(entry.id);
    if (transcript === undefined) return;
    this.document = new OpenDocument(entry, transcript, (await history?.audio(entry.id)) ?? null);
  }

  /** Shows a transcript that was made elsewhere on the page, and keeps it. */
  async show(entry: Entry, segments: readonly Segment[], audio: Blob | null): Promise<void> {
    this.reset();
    const kept = await this.keep(entry, segments, audio);
    this.document = new OpenDocument(kept, { segments }, audio);
  }

  /** Stops what is under way, here and on the server. */
  async cancel(): Promise<void> {
    const { jobId, pending } = this;
    this.reset();
    if (pending !== null) {
      await this.history()?.delete(pending.id);
      this.onHistoryChange();
    }
    if (jobId !== null) await deleteJob(jobId).catch(() => undefined);
  }

  /** Back to the start; a job that is under way goes on at the server. */
  reset(): void {
    this.abort?.abort();
    this.abort = null;
    this.jobId = null;
    this.pending = null;
    this.retry = null;
    this.document?.close();
    this.document = null;
    this.phase = "idle";
    this.sent = 0;
    this.ahead = null;
    this.seconds = 0;
    this.duration = null;
    this.segments = [];
    this.failure = null;
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

  private async run(abort: AbortController, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (abort.signal.aborted) return;
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    if (error instanceof ApiError && error.status === 401) this.onUnauthorized();
    const said = error instanceof Error ? error : new Error(String(error));
    this.failure = { message: said.message, hint: error instanceof ApiError ? error.hint : undefined };
    this.phase = "failed";
  }

  private async follow(entry: Entry, audio: File | Blob | null, signal: AbortSignal): Promise<void> {
    const id = entry.jobId ?? "";
    this.jobId = id;
    this.pending = entry;
    this.phase = "waiting";
    // Kept at once, so that a page that is closed and opened again finds its job.
    if (audio === null || entry.audioBytes > 0) await this.history()?.put(entry);
    else this.pending = entry = await this.keep(entry, undefined, audio);
    this.onHistoryChange();
    let end: JobEvent | undefined;
    const listen = (event: JobEvent): void => {
      end = event;
      this.take(event);
    };
    try {
      await followJob(id, listen, signal);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        await this.forget(entry);
        throw new ApiError(
          "The server no longer knows this transcription",
          "It may have been restarted or have cleaned up. Start it again.",
          404,
        );
      }
      throw error;
    }
    signal.throwIfAborted();
    if (end?.type === "done") await this.finish(entry, end, audio);
    else {
      await this.forget(entry);
      if (end?.type === "failed") {
        const { message, hint } = splitHint(end.error.message);
        throw new ApiError(message, hint, 422);
      }
      throw new ApiError("The transcription was cancelled", undefined, 0);
    }
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
    const { segments, language, languageProbability, duration, warnings } = end.transcript;
    const kept = await this.keep({ ...rest, language, languageProbability, duration, warnings }, segments, audio);
    this.document = new OpenDocument(kept, { segments }, audio);
    this.phase = "idle";
    this.retry = null;
    this.pending = null;
    this.jobId = null;
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

  private async forget(entry: Entry): Promise<void> {
    await this.history()?.delete(entry.id);
    this.onHistoryChange();
  }
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
