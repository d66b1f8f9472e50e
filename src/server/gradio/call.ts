/** One call of a function: from its arguments to messages and an outcome. */
import { randomUUID } from "node:crypto";
import { OptionError, quote, withHint } from "../../errors.ts";
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
  warningMessage,
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
  #settle: (outcome: Outcome) => void = () => undefined;
  #ended = false;
  #job: Job | null = null;

  /**
   * Starts a call. Messages begin when `start` has returned; the last is `process_completed`.
   *
   * @param client who asks, for limits
   * Arguments that make no sense, and files that this server has not issued, end the call as an error.
   *
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
    try {
      call.#begin(context, endpoint, readArguments(endpoint, data), client);
    } catch (error) {
      // Clients show what a call has ended with, but not what refuses it (gradio_client: "400 Bad Request").
      if (!(error instanceof ArgumentError || error instanceof OptionError)) throw error;
      queueMicrotask(() => call.#end({ ok: false, error: publicMessage(error) }));
    }
    return call;
  }

  private constructor(onMessage: (message: GradioMessage) => void) {
    this.#onMessage = onMessage;
    this.outcome = new Promise((resolve) => (this.#settle = resolve));
  }

  /** Ends the call if it has not ended. */
  cancel(): void {
    this.#job?.cancel();
    this.#end({ ok: false, error: "Cancelled" });
  }

  #begin(context: CallContext, { source }: GradioEndpoint, asked: CallArguments, client: string): void {
    const { input } = asked;
    if (input === null) throw new ArgumentError(source === "video" ? NO_URL : NO_AUDIO);
    if (/^https?:\/\//i.test(input)) {
      const before = source === "video" ? [videoEmbed(input)] : [];
      this.#submit(context, asked, { kind: "url", url: input }, client, before);
    } else if (source === "video") {
      throw new ArgumentError(`Cannot read ${quote(input)}: expected an http or https URL`);
    } else this.#transcribeFile(context, asked, input, client);
  }

  #transcribeFile(context: CallContext, asked: CallArguments, input: string, client: string): void {
    const used = context.files.use(input);
    if (used === null) throw new ArgumentError(notUploaded(input, asked.isBare));
    const { path, name } = used.file;
    try {
      this.#submit(context, asked, { kind: "file", path, name, temporary: false }, client, []);
    } catch (error) {
      used.release();
      throw error;
    }
    void this.outcome.then(used.release);
  }

  #submit(
    { service }: CallContext,
    { task, returnTimestamps }: CallArguments,
    audio: JobAudio,
    client: string,
    before: readonly unknown[],
  ): void {
    // Times are always asked of the model, and shown where they are wanted (facts 1.16.5).
    const options = { algorithm: "vad", task, returnTimestamps: true } as const;
    const job = service.submit({ audio, options, client });
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
          // The functions give what Whisper JAX's give, so that there is no other place for them.
          for (const warning of event.transcript.warnings) this.#send(warningMessage(warning));
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

/** @param isBare given as text alone, as clients before gradio_client 1 uploaded by themselves, and Whisper JAX's README has it */
function notUploaded(input: string, isBare: boolean): string {
  if (!isBare)
    return `Cannot read ${quote(input)}: it was not uploaded to this server, or was removed since; upload it again`;
  const remedy = `wrap the path: handle_file(${JSON.stringify(input.slice(0, 200))}), which gradio_client and @gradio/client export, uploads it`;
  return withHint(`Cannot read ${quote(input)}: it was not uploaded to this server`, remedy);
}
