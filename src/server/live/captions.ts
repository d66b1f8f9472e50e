/**
 * Live captions in sotto's own protocol, `/live`: the first message says what is wanted, binary messages are audio, and events
 * come as JSON. docs/live.md describes it for those who write clients.
 */
import { z } from "zod";
import { InputError, OptionError } from "../../errors.ts";
import { eventObject, LiveSession, OpusStream, PCM_FORMATS, PcmDecoder, type LiveOptions } from "../../live/index.ts";
import { TASKS } from "../../tokenizer/index.ts";
import { ShuttingDownError, type EngineLease, type TranscriptionService } from "../service.ts";
import { CLOSE, type Connection, type Protocol } from "./connection.ts";
import { inPieces } from "./pieces.ts";

/** Most bytes of audio in a message: half a minute of samples. Opus takes time to decode: seconds of it are some kB. */
const MAX_AUDIO_BYTES = 2 ** 20;
const MAX_OPUS_BYTES = 2 ** 16;

const START = z.strictObject({
  type: z.literal("start").optional(),
  model: z.string().optional(),
  language: z.string().nullish(),
  task: z.enum(TASKS).optional(),
  prompt: z.string().optional(),
  /** `opus`: in an Ogg or WebM container, as browsers record it. */
  format: z.enum([...PCM_FORMATS, "opus"]).default("pcm16"),
  /** Hz; of opus it is known. */
  sample_rate: z.int().min(8000).max(48000).default(16000),
  endpointing: z
    .strictObject({
      threshold: z.number().optional(),
      silence_seconds: z.number().optional(),
      late_silence_seconds: z.number().optional(),
      prefix_seconds: z.number().optional(),
    })
    .nullish(),
  step_seconds: z.number().optional(),
  vad_threshold: z.number().optional(),
  vad_neg_threshold: z.number().nullish(),
  vad_min_speech_duration_ms: z.number().optional(),
  vad_min_silence_duration_ms: z.number().optional(),
  vad_speech_pad_ms: z.number().optional(),
});
const CONTROL = z.object({ type: z.enum(["end", "end_utterance", "clear", "ping"]) });

/** Audio as it comes -> samples. */
interface Decoder {
  push(bytes: Uint8Array): Float32Array;
  flush(): Float32Array;
  close?(): void;
}

export class Captions implements Protocol {
  readonly #connection: Connection;
  readonly #service: TranscriptionService;
  #lease: EngineLease | null = null;
  #session: LiveSession | null = null;
  #decoder: Decoder | null = null;
  #ending = false;

  constructor(connection: Connection, service: TranscriptionService) {
    this.#connection = connection;
    this.#service = service;
  }

  onText(text: string): Promise<void> | undefined {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      this.#fail("A text message is not valid JSON", CLOSE.unsupported);
      return undefined;
    }
    if (this.#session === null) {
      const start = START.safeParse(message);
      // Opus takes a moment to be loaded.
      if (start.success) return this.#start(start.data);
      this.#fail(`The first message does not fit: ${z.prettifyError(start.error)}`, CLOSE.policy);
      return undefined;
    }
    const control = CONTROL.safeParse(message);
    if (!control.success) this.#fail(`The message does not fit: ${z.prettifyError(control.error)}`, CLOSE.policy);
    else if (control.data.type === "end") this.#end();
    else if (control.data.type === "end_utterance") this.#endUtterance(this.#session);
    else if (control.data.type === "clear") this.#session.clear();
    else this.#connection.send({ type: "pong" });
    return undefined;
  }

  onBinary(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#session === null || this.#decoder === null) {
      this.#fail("Audio came before the first message, which must say what is wanted", CLOSE.policy);
      return undefined;
    }
    if (this.#ending) return undefined;
    const most = this.#decoder instanceof OpusStream ? MAX_OPUS_BYTES : MAX_AUDIO_BYTES;
    if (bytes.length > most) {
      this.#fail(`The message has ${bytes.length} bytes, expected at most ${most}`, CLOSE.tooBig);
      return undefined;
    }
    return inPieces(bytes, (piece) => {
      if (this.#ending || this.#decoder === null || !this.#connection.isOpen) return;
      try {
        this.#push(this.#decoder.push(piece));
      } catch (error) {
        this.#failWith(error);
      }
    });
  }

  onClose(): void {
    this.#session?.close();
    this.#lease?.close();
    this.#decoder?.close?.();
    this.#session = null;
    this.#ending = true;
  }

  refuse(message: string): void {
    this.#connection.send({
      type: "error",
      error: { message, type: "invalid_request_error", param: null, code: null },
    });
  }

  async #start(asked: z.output<typeof START>): Promise<void> {
    try {
      const { format, sample_rate, model } = asked;
      const decoder = format === "opus" ? await OpusStream.open() : new PcmDecoder(format, sample_rate);
      if (!this.#connection.isOpen) return decoder instanceof OpusStream ? decoder.close() : undefined;
      this.#decoder = decoder;
      const lease = this.#service.openEngine(model);
      this.#lease = lease;
      this.#session = new LiveSession(lease, liveOptions(asked), (event) => this.#connection.send(eventObject(event)));
      this.#connection.send({ type: "ready", model: lease.model.id, format, sample_rate });
    } catch (error) {
      this.#failWith(error);
    }
  }

  #push(samples: Float32Array): void {
    if (samples.length > 0 && this.#session !== null) this.#run(this.#session.push(samples));
  }

  #endUtterance(session: LiveSession): void {
    // Opus has nothing to give before its stream ends.
    if (this.#decoder instanceof PcmDecoder) this.#push(this.#decoder.flush());
    this.#run(session.endUtterance());
  }

  #end(): void {
    if (this.#ending || this.#session === null || this.#decoder === null) return;
    try {
      this.#push(this.#decoder.flush());
    } catch (error) {
      this.#failWith(error);
      return;
    }
    this.#ending = true;
    const ended = this.#session.end();
    this.#run(ended);
    ended.then(
      () => {
        this.#connection.send({ type: "end" });
        this.#connection.close(CLOSE.normal, "end");
      },
      () => undefined,
    );
  }

  #run(work: Promise<void>): void {
    const session = this.#session;
    if (session === null) return;
    this.#connection.regulate(session.queuedSeconds);
    work.then(
      () => this.#connection.regulate(session.queuedSeconds),
      (error: unknown) => this.#failWith(error),
    );
  }

  #failWith(error: unknown): void {
    if (error instanceof OptionError) this.#fail(error.message, CLOSE.policy);
    else if (error instanceof InputError) this.#fail(error.messageFor("client"), CLOSE.policy);
    else if (!this.#service.isAccepting) this.#fail(new ShuttingDownError().message, CLOSE.goingAway);
    else this.#fail("Transcribing failed, by a fault of the server", CLOSE.internal);
  }

  #fail(message: string, code: number): void {
    this.refuse(message);
    // A close frame has room for 123 bytes.
    this.#connection.close(
      code,
      Buffer.from(message.split("\n")[0])
        .subarray(0, 100)
        .toString("latin1")
        .replace(/[^ -~]/g, "?"),
    );
  }
}

function liveOptions({ language, task, prompt, endpointing, ...asked }: z.output<typeof START>): LiveOptions {
  return {
    task,
    prompt,
    stepSeconds: asked.step_seconds,
    vadThreshold: asked.vad_threshold,
    vadNegThreshold: asked.vad_neg_threshold,
    vadMinSpeechDurationMs: asked.vad_min_speech_duration_ms,
    vadMinSilenceDurationMs: asked.vad_min_silence_duration_ms,
    vadSpeechPadMs: asked.vad_speech_pad_ms,
    ...(typeof language === "string" && language !== "" && { language }),
    ...(endpointing === null && { endpointing: null }),
    ...(endpointing && {
      endpointing: withoutUndefined({
        threshold: endpointing.threshold,
        silenceSeconds: endpointing.silence_seconds,
        lateSilenceSeconds: endpointing.late_silence_seconds,
        prefixSeconds: endpointing.prefix_seconds,
      }),
    }),
  };
}

function withoutUndefined(numbers: Record<string, number | undefined>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(numbers).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}
