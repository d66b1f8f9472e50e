/**
 * One WebSocket of live captions, whatever is spoken on it: messages in, JSON out, within the ceilings. A client that sends
 * faster than speech can be transcribed is slowed down by reading less from it.
 */
import type { WebSocket } from "ws";
import { IDLE_MS, MAX_QUEUED_SECONDS, MAX_UNSENT_BYTES, REFUSED_MS } from "./limits.ts";

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
  /** The connection is gone: called once. */
  onClose(): void;
  /** Says why the connection is going to be closed. */
  refuse(message: string): void;
}

/** The open connection, as protocols see it. */
export class Connection {
  readonly #socket: WebSocket;
  readonly #idle: NodeJS.Timeout;
  readonly #protocol: Protocol;
  /** Messages that came while one was waited for: the last ones before the connection stood still. */
  readonly #inbox: { readonly bytes: Buffer; readonly isBinary: boolean }[] = [];
  #isBusy = false;
  #isBehind = false;
  #isReading = true;

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
      if (!this.#isBusy) this.#handle();
    });
    socket.on("close", () => {
      clearTimeout(this.#idle);
      this.#inbox.length = 0;
      protocol.onClose();
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
    this.#isReading = true;
    this.#socket.resume();
    this.#socket.close(code, reason);
    if (code !== CLOSE.normal) this.#endSoon();
  }

  #endSoon(): void {
    const timer = setTimeout(() => this.#socket.terminate(), REFUSED_MS).unref();
    this.#socket.once("close", () => clearTimeout(timer));
  }

  /** Reads on, or waits, by how much waits already. To be told whenever that has changed. */
  regulate(queuedSeconds: number): void {
    if (queuedSeconds > MAX_QUEUED_SECONDS) this.#isBehind = true;
    else if (queuedSeconds < MAX_QUEUED_SECONDS / 2) this.#isBehind = false;
    this.#readOrWait();
  }

  #handle(): void {
    for (let next = this.#inbox.shift(); next !== undefined && this.isOpen; next = this.#inbox.shift()) {
      const { bytes, isBinary } = next;
      const work = isBinary ? this.#protocol.onBinary(bytes) : this.#protocol.onText(bytes.toString("utf8"));
      if (work === undefined) continue;
      this.#isBusy = true;
      this.#readOrWait();
      void work
        .catch(() => this.close(CLOSE.internal, "failed"))
        .then(() => {
          this.#isBusy = false;
          this.#handle();
          this.#readOrWait();
        });
      return;
    }
  }

  #readOrWait(): void {
    if (!this.isOpen) return;
    const reads = !this.#isBusy && !this.#isBehind;
    // Time in which nothing is read is no silence of the client's.
    if (!this.#isReading) this.#idle.refresh();
    if (reads === this.#isReading) return;
    this.#isReading = reads;
    if (reads) this.#socket.resume();
    else this.#socket.pause();
  }
}
