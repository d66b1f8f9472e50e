/**
 * OpenAI's realtime API for transcription sessions (facts ecosystem 5.2), on the core of live captions. Voice sessions, that
 * answer, are refused.
 *
 * Where a turn's end is found by the server or told by the client, its text comes after `input_audio_buffer.committed`, as
 * OpenAI's does, in one delta; a session with `delay` gets deltas while somebody speaks, and the transcript of the turn as a whole may
 * differ from them.
 */
import { randomUUID } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { SAMPLE_RATE } from "../../audio/index.ts";
import { OptionError } from "../../errors.ts";
import { LiveSession, PcmDecoder, type LiveEvent } from "../../live/index.ts";
import { ShuttingDownError, type EngineLease, type TranscriptionService } from "../service.ts";
import { CLOSE, type Connection, type Protocol } from "./connection.ts";
import { inPieces } from "./pieces.ts";
import {
  BETA_UPDATE,
  betaDocument,
  DEFAULT_SETTINGS,
  fromBeta,
  liveOptions,
  servedModel,
  SESSION_UPDATE,
  sessionDocument,
  updated,
  wireFormat,
  type RealtimeSettings,
} from "./realtime-session.ts";

const EVENT = z.looseObject({ type: z.string(), event_id: z.string().max(512).nullish() });
const APPEND = z.object({ audio: z.string() });
const UPDATE = z.object({ session: SESSION_UPDATE });
const UPDATE_BETA = z.object({ session: BETA_UPDATE });
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
/** Less audio is no turn, in seconds. */
const MIN_COMMIT_SECONDS = 0.1;

/** A turn of the conversation: one utterance. */
interface Item {
  readonly id: string;
  isCommitted: boolean;
  hasText: boolean;
}

/** A live session with the audio that it began at. */
interface Stream {
  readonly session: LiveSession;
  readonly lease: EngineLease;
  readonly decoder: PcmDecoder;
  readonly settings: RealtimeSettings;
  /** Seconds of audio before it. */
  readonly offset: number;
  readonly items: Map<number, Item>;
}

/** A message of the client that cannot be met; the connection stays. */
class RefusedEvent extends Error {
  override readonly name = "RefusedEvent";
  constructor(
    message: string,
    readonly code: string,
    readonly param: string | null = null,
  ) {
    super(message);
  }
}

export class RealtimeTranscription implements Protocol {
  readonly #connection: Connection;
  readonly #service: TranscriptionService;
  readonly #id = `sess_${identifier()}`;
  readonly #isBeta: boolean;
  #settings: RealtimeSettings = DEFAULT_SETTINGS;
  #stream: Stream | null = null;
  /** Those whose settings were replaced, until their last text has come. */
  readonly #retired = new Set<Stream>();
  /** Seconds of audio so far. */
  #received = 0;
  /** Seconds of audio since the last commit or clear, where turns are the client's. */
  #uncommitted = 0;
  #lastItem: string | null = null;

  constructor(connection: Connection, service: TranscriptionService, { headers, query }: FastifyRequest) {
    this.#connection = connection;
    this.#service = service;
    const protocols = headers["sec-websocket-protocol"] ?? "";
    this.#isBeta = headers["openai-beta"] !== undefined || protocols.includes("openai-beta");
    const { model } = query as { readonly model?: unknown };
    if (typeof model === "string") this.#settings = { ...DEFAULT_SETTINGS, transcription: { model } };
    this.#announce(this.#isBeta ? "transcription_session.created" : "session.created", this.#isBeta);
  }

  onText(text: string): Promise<void> | undefined {
    let eventId: string | null = null;
    try {
      let message: unknown;
      try {
        message = JSON.parse(text);
      } catch {
        throw new RefusedEvent("The message is not valid JSON", "invalid_json");
      }
      const event = parse(EVENT, message);
      eventId = event.event_id ?? null;
      return this.#handle(event.type, message);
    } catch (error) {
      this.#answer(error, eventId);
      return undefined;
    }
  }

  onBinary(): undefined {
    this.#answer(new RefusedEvent("Binary messages are not understood: append audio in base64", "invalid_event"), null);
  }

  onClose(): void {
    for (const stream of [...this.#retired, this.#stream]) {
      stream?.session.close();
      stream?.lease.close();
    }
    this.#retired.clear();
    this.#stream = null;
  }

  refuse(message: string): void {
    this.#answer(new RefusedEvent(message, "session_ended"), null);
  }

  #handle(type: string, message: unknown): Promise<void> | undefined {
    switch (type) {
      case "session.update":
        this.#update(updated(this.#settings, parse(UPDATE, message).session));
        this.#announce("session.updated", false);
        break;
      case "transcription_session.update":
        this.#update(updated(this.#settings, fromBeta(parse(UPDATE_BETA, message).session)));
        this.#announce("transcription_session.updated", true);
        break;
      case "input_audio_buffer.append":
        return this.#append(parse(APPEND, message).audio);
      case "input_audio_buffer.commit":
        this.#commit();
        break;
      case "input_audio_buffer.clear":
        this.#clear();
        this.#send({ type: "input_audio_buffer.cleared" });
        break;
      default:
        throw new RefusedEvent(`A transcription session has no event "${type.slice(0, 80)}"`, "invalid_value", "type");
    }
    return undefined;
  }

  #update(settings: RealtimeSettings): void {
    const before = this.#stream;
    // Made at once, so that a language or model that does not exist is refused now, and nothing changed.
    this.#stream = this.#open(settings);
    this.#settings = settings;
    if (before !== null) this.#retire(before);
  }

  #open(settings: RealtimeSettings): Stream {
    const { format, rate } = wireFormat(settings);
    const lease = this.#service.openEngine(servedModel(settings.transcription.model));
    try {
      const session = new LiveSession(lease, liveOptions(settings), (event) => this.#report(stream, event));
      const decoder = new PcmDecoder(format, rate);
      const stream: Stream = { session, lease, decoder, settings, offset: this.#received, items: new Map() };
      return stream;
    } catch (error) {
      lease.close();
      throw error;
    }
  }

  /** Lets a session say what is left. */
  #retire(stream: Stream): void {
    this.#retired.add(stream);
    this.#flush(stream);
    this.#run(stream, stream.session.end(), () => {
      this.#retired.delete(stream);
      stream.lease.close();
    });
  }

  #append(audio: string): Promise<void> | undefined {
    if (!BASE64.test(audio)) throw new RefusedEvent("The audio is not valid base64", "invalid_value", "audio");
    const stream = (this.#stream ??= this.#open(this.#settings));
    return inPieces(Buffer.from(audio, "base64"), (piece) => {
      if (this.#stream !== stream) return; // it has failed meanwhile
      this.#push(stream, stream.decoder.push(piece));
    });
  }

  #commit(): void {
    const stream = this.#stream;
    const isManual = this.#settings.turnDetection === null;
    if (stream === null || !stream.session.isSpeaking || (isManual && this.#uncommitted < MIN_COMMIT_SECONDS)) {
      const ms = stream?.session.isSpeaking === true ? this.#uncommitted * 1000 : 0;
      throw new RefusedEvent(
        `Error committing input audio buffer: buffer too small. Expected at least ${MIN_COMMIT_SECONDS * 1000}ms of ` +
          `audio, but buffer only has ${ms.toFixed(2)}ms of audio.`,
        "input_audio_buffer_commit_empty",
      );
    }
    this.#flush(stream);
    this.#run(stream, stream.session.endUtterance());
  }

  /** The turn's last samples, which resampling holds back. */
  #flush(stream: Stream): void {
    this.#push(stream, stream.decoder.flush());
  }

  #push(stream: Stream, samples: Float32Array): void {
    const seconds = samples.length / SAMPLE_RATE;
    this.#received += seconds;
    this.#uncommitted += seconds;
    if (samples.length > 0) this.#run(stream, stream.session.push(samples));
  }

  #clear(): void {
    this.#uncommitted = 0;
    if (this.#stream === null) return;
    const { session, items, decoder } = this.#stream;
    decoder.flush();
    session.clear();
    for (const [utterance, { isCommitted }] of items) if (!isCommitted) items.delete(utterance);
  }

  #run(stream: Stream, work: Promise<void>, whenDone: () => void = () => undefined): void {
    const regulate = (): void => this.#connection.regulate(stream.session.queuedSeconds);
    regulate();
    work.then(
      () => {
        regulate();
        whenDone();
      },
      (error: unknown) => {
        this.#fail(stream, error);
        whenDone();
      },
    );
  }

  #report(stream: Stream, event: LiveEvent): void {
    const { turnDetection, transcription } = stream.settings;
    const ms = (seconds: number): number => Math.round((stream.offset + seconds) * 1000);
    if (event.type === "speechStart") {
      const item: Item = { id: `item_${identifier()}`, isCommitted: false, hasText: false };
      stream.items.set(event.utterance, item);
      if (turnDetection === null) return;
      const audio_start_ms = ms(event.audioStart);
      this.#send({ type: "input_audio_buffer.speech_started", audio_start_ms, item_id: item.id });
      return;
    }
    const item = stream.items.get(event.utterance);
    if (item === undefined) return;
    if (event.type === "speechEnd") {
      if (turnDetection !== null) {
        this.#send({ type: "input_audio_buffer.speech_stopped", audio_end_ms: ms(event.time), item_id: item.id });
      }
      this.#uncommitted = 0;
      this.#commitItem(item);
    } else if (event.type === "commit" && typeof transcription.delay === "string") {
      const delta = item.hasText ? event.text : event.text.trimStart();
      item.hasText = true;
      this.#delta(item, delta);
    } else if (event.type === "final") {
      stream.items.delete(event.utterance);
      if (typeof transcription.delay !== "string" && event.text !== "") this.#delta(item, event.text);
      const seconds = Math.round((event.end - event.start) * 1000) / 1000;
      this.#send({
        type: "conversation.item.input_audio_transcription.completed",
        item_id: item.id,
        content_index: 0,
        transcript: event.text,
        usage: { type: "duration", seconds },
      });
    }
  }

  #commitItem(item: Item): void {
    const previous_item_id = this.#lastItem;
    this.#lastItem = item.id;
    item.isCommitted = true;
    this.#send({ type: "input_audio_buffer.committed", item_id: item.id, previous_item_id });
    const shown = {
      id: item.id,
      object: "realtime.item",
      type: "message",
      status: "completed",
      role: "user",
      content: [{ type: "input_audio", transcript: null }],
    };
    if (this.#isBeta) this.#send({ type: "conversation.item.created", previous_item_id, item: shown });
    else {
      this.#send({ type: "conversation.item.added", previous_item_id, item: shown });
      this.#send({ type: "conversation.item.done", previous_item_id, item: shown });
    }
  }

  #delta(item: Item, delta: string): void {
    const type = "conversation.item.input_audio_transcription.delta";
    this.#send({ type, item_id: item.id, content_index: 0, delta });
  }

  /** The engine has failed: all turns under way are lost. */
  #fail(stream: Stream, _error: unknown): void {
    const error = {
      type: "server_error",
      code: "transcription_failed",
      message: "The audio could not be transcribed",
      param: null,
    };
    for (const { id } of stream.items.values()) {
      this.#send({ type: "conversation.item.input_audio_transcription.failed", item_id: id, content_index: 0, error });
    }
    stream.items.clear();
    stream.lease.close();
    if (this.#stream === stream) this.#stream = null;
  }

  #answer(error: unknown, eventId: string | null): void {
    let [type, code, message, param] = ["invalid_request_error", "invalid_value", "", null as string | null];
    if (error instanceof RefusedEvent) [code, message, param] = [error.code, error.message, error.param];
    else if (error instanceof OptionError) [message, param] = [error.message, error.option];
    else if (error instanceof ShuttingDownError) {
      [type, code, message] = ["server_error", "shutting_down", error.message];
      this.#connection.close(CLOSE.goingAway, "shutting down");
    } else [type, code, message] = ["server_error", "server_error", "The server had an error"];
    this.#send({ type: "error", error: { type, code, message, param, event_id: eventId } });
  }

  #announce(type: string, isBeta: boolean): void {
    const document = isBeta ? betaDocument : sessionDocument;
    this.#send({ type, session: document(this.#id, this.#settings) });
  }

  #send(event: { readonly type: string; readonly [field: string]: unknown }): void {
    this.#connection.send({ ...event, event_id: `event_${identifier()}` });
  }
}

function identifier(): string {
  return randomUUID().replaceAll("-", "").slice(0, 21);
}

function parse<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [{ path, message }] = result.error.issues;
  throw new RefusedEvent(`Invalid value at "${path.join(".")}": ${message}`, "invalid_value", path.join("."));
}
