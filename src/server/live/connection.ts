/**
 * One WebSocket of live captions, whatever is spoken on it: messages in, JSON out, within the ceilings. A client that sends
 * faster than speech can be transcribed is slowed down: its messages wait, and when too much of them does, nothing more is read from it.
 *
 * A connection that is not read does not say that its client has gone. So messages are read on for as long as they fit in memory, to
 * find the close frame behind them, and beyond that pings find out whether anybody is there.
 */
import type { WebSocket } from "ws";
import { IDLE_MS, MAX_HELD_BYTES, MAX_QUEUED_SECONDS, MAX_UNSENT_BYTES, PROBE_MS, REFUSED_MS } from "./limits.ts";

/** Codes of RFC 6455, section 7.4. */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  unsupported: 1003,
  policy: 1008,
  tooBig: 1009,
  internal: 1011,
  busy: 1013,
};

/** What is spoken on a connection. A message that takes its time is waited for, before the next one. */
export interface Protocol {
  onText(text: string): Promise<void> | undefined;
  onBinary(bytes: Uint8Array): Promise<void> | undefined;
  /** The connection is gone, or has been closed for a reason: called once. */
  onClose(): void;
  /** Says why the connection is going to be closed. */
  refuse(message: string): void;
}

/** The open connection, as protocols see it. */
export class Connection {
  readonly #socket: WebSocket;
  readonly #idle: NodeJS.Timeout;
  readonly #protocol: Protocol;
  /** Messages that wait for their turn. */
  readonly #inbox: { readonly bytes: Buffer; readonly isBinary: boolean }[] = [];
  /** Of the inbox, and of the message that is waited for. */
  #heldBytes = 0;
  #probe: NodeJS.Timeout | undefined;
  #isBusy = false;
  #isBehind = false;
  #isReading = true;
  #hasLeft = false;

  /** @param makeProtocol of the connection, which it may use at once */
  constructor(socket: WebSocket, makeProtocol: (connection: Connection) => Protocol) {
    this.#socket = socket;
    const protocol = makeProtocol(this);
    this.#protocol = protocol;
    this.#idle = setTimeout(() => {
      protocol.refuse(`Nothing came for ${IDLE_MS / 1000} s`);
      this.close(CLOSE.policy, "idle");
    }, IDLE_MS).unref();
    socket.on("message", (data, isBinary) => {
      if (!this.isOpen) return;
      this.#idle.refresh();
      const bytes = Array.isArray(data) ? Buffer.concat(data) : data instanceof ArrayBuffer ? Buffer.from(data) : data;
      this.#inbox.push({ bytes, isBinary });
      this.#heldBytes += bytes.length;
      this.#handle();
      this.#readOrWait();
    });
    socket.on("close", () => {
      clearTimeout(this.#idle);
      clearInterval(this.#probe);
      this.#leave();
    });
    // Broken frames, and messages above the ceiling, which app.ts sets: the client is told by the close code.
    socket.on("error", () => this.#endSoon());
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  send(message: object): void {
    if (!this.isOpen) return;
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) this.#socket.terminate();
    else this.#socket.send(JSON.stringify(message));
  }

  close(code: number, reason: string): void {
    // A paused socket would never see the client's answer.
    this.#read(true);
    this.#socket.close(code, reason);
    if (code === CLOSE.normal) return;
    this.#endSoon();
    this.#leave();
  }

  /** Nothing more will come of it: the engine is free before the client has answered. */
  #leave(): void {
    this.#inbox.length = 0;
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#protocol.onClose();
  }

  #endSoon(): void {
    const timer = setTimeout(() => this.#socket.terminate(), REFUSED_MS).unref();
    this.#socket.once("close", () => clearTimeout(timer));
  }

  /** Takes the next messages, or lets them wait, by how much waits already. To be told whenever that has changed. */
  regulate(queuedSeconds: number): void {
    const wasBehind = this.#isBehind;
    if (queuedSeconds > MAX_QUEUED_SECONDS) this.#isBehind = true;
    else if (queuedSeconds < MAX_QUEUED_SECONDS / 2) this.#isBehind = false;
    if (wasBehind) this.#handle();
    this.#readOrWait();
  }

  #handle(): void {
    while (!this.#isBusy && !this.#isBehind && this.isOpen) {
      const next = this.#inbox.shift();
      if (next === undefined) return;
      const { bytes, isBinary } = next;
      const work = isBinary ? this.#protocol.onBinary(bytes) : this.#protocol.onText(bytes.toString("utf8"));
      if (work === undefined) {
        this.#heldBytes -= bytes.length;
        continue;
      }
      this.#isBusy = true;
      void work
        .catch(() => this.close(CLOSE.internal, "failed"))
        .then(() => {
          this.#isBusy = false;
          this.#heldBytes -= bytes.length;
          this.#handle();
          this.#readOrWait();
        });
    }
  }

  #readOrWait(): void {
    if (!this.isOpen) return;
    // Time in which nothing is taken is no silence of the client's.
    if (this.#isBusy || this.#isBehind || !this.#isReading) this.#idle.refresh();
    this.#read(this.#heldBytes <= MAX_HELD_BYTES);
  }

  #read(reads: boolean): void {
    if (reads === this.#isReading) return;
    this.#isReading = reads;
    clearInterval(this.#probe);
    if (reads) return this.#socket.resume();
    this.#socket.pause();
    // To a client that has gone it fails, which closes the connection.
    this.#probe = setInterval(() => this.#socket.ping(), PROBE_MS).unref();
  }
}
