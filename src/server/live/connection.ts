/**
 * One WebSocket of live captions, whatever is spoken on it: messages in, JSON out, within the ceilings. A client that sends
 * faster than speech can be transcribed is slowed down by reading less from it.
 */
import type { WebSocket } from "ws";
import { IDLE_MS, MAX_MESSAGE_BYTES, MAX_QUEUED_SECONDS, MAX_UNSENT_BYTES } from "./limits.ts";

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

/** What is spoken on a connection. */
export interface Protocol {
  onText(text: string): void;
  onBinary(bytes: Uint8Array): void;
  /** The connection is gone: called once. */
  onClose(): void;
  /** Says why the connection is going to be closed. */
  refuse(message: string): void;
}

/** The open connection, as protocols see it. */
export class Connection {
  readonly #socket: WebSocket;
  readonly #idle: NodeJS.Timeout;
  #isReading = true;

  /** @param makeProtocol of the connection, which it may use at once */
  constructor(socket: WebSocket, makeProtocol: (connection: Connection) => Protocol) {
    this.#socket = socket;
    const protocol = makeProtocol(this);
    this.#idle = setTimeout(() => {
      protocol.refuse(`Nothing came for ${IDLE_MS / 1000} s`);
      this.close(CLOSE.policy, "idle");
    }, IDLE_MS).unref();
    socket.on("message", (data, isBinary) => {
      if (!this.isOpen) return;
      this.#idle.refresh();
      const bytes = Array.isArray(data) ? Buffer.concat(data) : data instanceof ArrayBuffer ? Buffer.from(data) : data;
      if (bytes.length > MAX_MESSAGE_BYTES) {
        protocol.refuse(`The message has ${bytes.length} bytes, expected at most ${MAX_MESSAGE_BYTES}`);
        this.close(CLOSE.tooBig, "message too big");
      } else if (isBinary) protocol.onBinary(bytes);
      else protocol.onText(bytes.toString("utf8"));
    });
    socket.on("close", () => {
      clearTimeout(this.#idle);
      protocol.onClose();
    });
    // Broken frames: the connection is closed by itself.
    socket.on("error", () => socket.terminate());
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
    this.#socket.resume();
    this.#socket.close(code, reason);
  }

  /** Reads on, or waits, by how much waits already. To be told whenever that has changed. */
  regulate(queuedSeconds: number): void {
    if (this.#isReading && queuedSeconds > MAX_QUEUED_SECONDS) {
      this.#isReading = false;
      this.#socket.pause();
    } else if (!this.#isReading && queuedSeconds < MAX_QUEUED_SECONDS / 2) {
      this.#isReading = true;
      this.#idle.refresh();
      this.#socket.resume();
    } else if (!this.#isReading) this.#idle.refresh();
  }
}
