/** One call of a function: from its arguments to messages and an outcome. */
import { randomUUID } from "node:crypto";
import type { Job, JobAudio, ServerContext } from "../service.ts";
import { publicMessage } from "./public-message.ts";
import { ArgumentError, readArguments, type CallArguments, type GradioEndpoint } from "./endpoints.ts";
import { gradioText } from "./format-text.ts";
import type { IssuedFiles } from "./issued-files.ts";
import {
  completedMessage,
  LOADING,
  PREPARING,
  progressMessage,
  TRANSCRIBING,
  type GradioMessage,
  type Outcome,
} from "./messages.ts";
import { videoEmbed } from "./video-embed.ts";

/** Facts 1.16.8. */
const NO_AUDIO = "No audio file submitted! Please upload an audio file before submitting your request.";
const NO_URL = "No URL submitted! Please paste the URL of a video before submitting your request.";

export interface CallContext extends ServerContext {
  readonly files: IssuedFiles;
}

export class Call {
  readonly id = randomUUID().replaceAll("-", "");
  readonly outcome: Promise<Outcome>;
  readonly #onMessage: (message: GradioMessage) => void;
  readonly #stopped = new AbortController();
  #settle: (outcome: Outcome) => void = () => undefined;
  #ended = false;
  #job: Job | null = null;

  /**
   * Starts a call. Messages begin when `start` has returned; the last is `process_completed`.
   *
   * @param client who asks, for limits
   * @throws {ArgumentError} for arguments that make no sense, and files that this server has not issued
   * @throws {QueueFullError} if the queue is full
   */
  static start(
    context: CallContext,
    endpoint: GradioEndpoint,
    data: readonly unknown[],
    client: string,
    onMessage: (message: GradioMessage) => void,
  ): Call {
    const call = new Call(onMessage);
    const asked = readArguments(endpoint, data);
    if (asked.input === null) {
      queueMicrotask(() => call.#end({ ok: false, error: endpoint.source === "video" ? NO_URL : NO_AUDIO }));
    } else if (endpoint.source === "video") {
      call.#transcribeVideo(context, asked, asked.input, client);
    } else call.#transcribeFile(context, asked, asked.input, client);
    return call;
  }

  private constructor(onMessage: (message: GradioMessage) => void) {
    this.#onMessage = onMessage;
    this.outcome = new Promise((resolve) => (this.#settle = resolve));
  }

  /** Ends the call if it has not ended. */
  cancel(): void {
    this.#stopped.abort(new Error("The call was cancelled"));
    this.#job?.cancel();
    this.#end({ ok: false, error: "Cancelled" });
  }

  #transcribeFile(context: CallContext, asked: CallArguments, input: string, client: string): void {
    if (/^https?:\/\//i.test(input)) {
      this.#submit(context, asked, { kind: "url", url: input }, client, []);
      return;
    }
    const used = context.files.use(input);
    if (used === null) {
      throw new ArgumentError("The file was not uploaded to this server, or was removed since: upload it again");
    }
    const { path, name } = used.file;
    try {
      this.#submit(context, asked, { kind: "file", path, name, temporary: false }, client, []);
    } catch (error) {
      used.release();
      throw error;
    }
    void this.outcome.then(used.release);
  }

  #transcribeVideo(context: CallContext, asked: CallArguments, url: string, client: string): void {
    const download = context.videos.download(url, this.#stopped.signal, client);
    queueMicrotask(() => this.#send({ msg: "process_starts", eta: null }));
    queueMicrotask(() => this.#send(progressMessage(LOADING)));
    download
      .then((path) => {
        const audio: JobAudio = { kind: "file", path, name: url, temporary: true };
        try {
          if (this.#ended) throw new Error("The call was cancelled");
          this.#submit(context, asked, audio, client, [videoEmbed(url)]);
        } catch (error) {
          void context.uploads.remove(path);
          throw error;
        }
      })
      .catch((error: unknown) => this.#end({ ok: false, error: publicMessage(error) }));
  }

  #submit(
    { service }: CallContext,
    { task, returnTimestamps }: CallArguments,
    audio: JobAudio,
    client: string,
    before: readonly unknown[],
  ): void {
    // Times are always asked of the model, and shown where they are wanted (facts 1.16.5).
    const job = service.submit({ audio, options: { task, returnTimestamps: true }, client });
    this.#job = job;
    let announced = false;
    // Not at once: the caller does not know this call yet.
    queueMicrotask(() =>
      job.subscribe((event) => {
        if (event.type === "queued") {
          const { position: rank, size: queue_size } = event;
          this.#send({ msg: "estimation", rank, queue_size, rank_eta: null });
        } else if (event.type === "started") {
          this.#send({ msg: "process_starts", eta: null });
          this.#send(progressMessage(LOADING));
          this.#send(progressMessage(PREPARING));
        } else if (event.type === "progress") {
          announced = true;
          this.#send(progressMessage(TRANSCRIBING, event.seconds, event.duration));
        } else if (event.type === "done") {
          if (!announced) this.#send(progressMessage(TRANSCRIBING));
          const text = gradioText(event.transcript, returnTimestamps);
          this.#end({ ok: true, data: [...before, text, event.seconds], seconds: event.seconds });
        } else if (event.type === "failed") this.#end({ ok: false, error: publicMessage(event.error) });
        else if (event.type === "cancelled") this.#end({ ok: false, error: "Cancelled" });
      }),
    );
  }

  #send(message: GradioMessage): void {
    if (!this.#ended) this.#onMessage(message);
  }

  #end(outcome: Outcome): void {
    if (this.#ended) return;
    this.#send(completedMessage(outcome));
    this.#ended = true;
    this.#settle(outcome);
  }
}
