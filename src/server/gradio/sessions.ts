/**
 * Sessions of Gradio's protocol: a client opens one event stream for all its calls, after the first of them, so messages wait
 * for it. Sessions and what waits in them are bounded, and end when nobody listens.
 */
import type { GradioMessage } from "./messages.ts";

/** Most sessions at a time; a client needs one. */
const MAX_SESSIONS = 10_000;
/** Messages that wait for a client that does not read; of progress, which is soon out of date, fewer are kept. */
const MAX_WAITING = 500;
/** How long calls go on for a client that has not connected yet, and for one whose connection broke, in ms. */
const CONNECT_MS = 60_000;
const RECONNECT_MS = 10_000;

/** Where messages of a session go. */
export interface SessionSink {
  send(message: object): void;
  /** Ends the stream. */
  end(): void;
}

interface Session {
  readonly waiting: object[];
  /** How each open call of the session is cancelled, by event id. */
  readonly calls: Map<string, () => void>;
  sink: SessionSink | null;
  timer: NodeJS.Timeout | null;
}

export class Sessions {
  readonly #sessions = new Map<string, Session>();

  /**
   * Opens a call in a session.
   *
   * @param cancel is called when nobody listens to the session any more
   * @returns false if there are too many sessions
   */
  open(hash: string, eventId: string, cancel: () => void): boolean {
    let session = this.#sessions.get(hash);
    if (session === undefined) {
      if (this.#sessions.size >= MAX_SESSIONS) return false;
      session = { waiting: [], calls: new Map(), sink: null, timer: null };
      this.#sessions.set(hash, session);
      this.#watch(hash, session, CONNECT_MS);
    }
    session.calls.set(eventId, cancel);
    return true;
  }

  /** Sends a message of a call; `process_completed` closes the call, and with the last one the stream. */
  send(hash: string, eventId: string, message: GradioMessage): void {
    const session = this.#sessions.get(hash);
    if (session === undefined || !session.calls.has(eventId)) return;
    if (message.msg === "process_completed") session.calls.delete(eventId);
    this.#give(session, { ...message, event_id: eventId });
    if (session.sink !== null && session.calls.size === 0) this.#close(hash, session);
  }

  /**
   * Connects a stream: it gets what has waited, and what comes. A second stream takes the place of the first.
   *
   * @returns false if there is no such session
   */
  connect(hash: string, sink: SessionSink): boolean {
    const session = this.#sessions.get(hash);
    if (session === undefined) return false;
    if (session.timer !== null) clearTimeout(session.timer);
    session.timer = null;
    session.sink?.end();
    session.sink = sink;
    for (const message of session.waiting.splice(0)) sink.send(message);
    if (session.calls.size === 0) this.#close(hash, session);
    return true;
  }

  /** The stream was closed by the client. */
  disconnect(hash: string, sink: SessionSink): void {
    const session = this.#sessions.get(hash);
    if (session === undefined || session.sink !== sink) return;
    session.sink = null;
    this.#watch(hash, session, RECONNECT_MS);
  }

  /** Cancels a call of a session; nothing happens to those of others. */
  cancel(hash: string, eventId: string): void {
    this.#sessions.get(hash)?.calls.get(eventId)?.();
  }

  /** Cancels all calls and ends all streams. */
  clear(): void {
    for (const [hash, session] of [...this.#sessions]) this.#drop(hash, session);
  }

  get size(): number {
    return this.#sessions.size;
  }

  #give(session: Session, message: object): void {
    if (session.sink !== null) {
      session.sink.send(message);
      return;
    }
    const isProgress = (one: object): boolean => "progress_data" in one || "rank" in one;
    const last = session.waiting.at(-1);
    // Of progress the last one says all.
    if (session.waiting.length >= MAX_WAITING / 2 && last !== undefined && isProgress(last) && isProgress(message)) {
      session.waiting.pop();
    }
    if (session.waiting.length < MAX_WAITING) session.waiting.push(message);
  }

  #watch(hash: string, session: Session, ms: number): void {
    session.timer = setTimeout(() => this.#drop(hash, session), ms).unref();
  }

  #close(hash: string, session: Session): void {
    session.sink?.send({ msg: "close_stream", event_id: null });
    session.sink?.end();
    this.#forget(hash, session);
  }

  #drop(hash: string, session: Session): void {
    this.#forget(hash, session);
    session.sink?.end();
    for (const cancel of [...session.calls.values()]) cancel();
  }

  #forget(hash: string, session: Session): void {
    if (session.timer !== null) clearTimeout(session.timer);
    this.#sessions.delete(hash);
  }
}
