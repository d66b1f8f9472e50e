/** A WebSocket client for tests of live captions: messages in order, and how the connection ended. */
import { once } from "node:events";
import { WebSocket, type ClientOptions } from "ws";

export interface LiveMessage {
  readonly type: string;
  readonly [field: string]: unknown;
}

export class LiveClient {
  readonly socket: WebSocket;
  readonly #messages: LiveMessage[] = [];
  #wake: () => void = () => undefined;
  /** Once it is closed. */
  closeCode: number | null = null;

  static async connect(url: string, options: ClientOptions & { protocols?: string[] } = {}): Promise<LiveClient> {
    const client = new LiveClient(new WebSocket(url, options.protocols ?? [], options));
    await once(client.socket, "open");
    return client;
  }

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer) => {
      this.#messages.push(JSON.parse(data.toString("utf8")) as LiveMessage);
      this.#wake();
    });
    socket.on("close", (code) => {
      this.closeCode = code;
      this.#wake();
    });
    socket.on("error", () => undefined);
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.send(bytes);
  }

  /** The next message. @throws {Error} if the connection is closed before */
  async next(): Promise<LiveMessage> {
    while (this.#messages.length === 0) {
      if (this.closeCode !== null) throw new Error(`The connection was closed with code ${this.closeCode}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#messages.shift() as LiveMessage;
  }

  /** Messages up to one of this type, that included. */
  async until(type: string): Promise<LiveMessage[]> {
    const messages: LiveMessage[] = [];
    for (;;) {
      messages.push(await this.next());
      if (messages.at(-1)?.type === type) return messages;
    }
  }

  /** All messages until the connection is closed. */
  async rest(): Promise<LiveMessage[]> {
    while (this.closeCode === null) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#messages.splice(0);
  }
}

/** Samples as 16-bit little-endian bytes. */
export function pcm16(samples: Float32Array): Buffer {
  const bytes = Buffer.alloc(2 * samples.length);
  samples.forEach((sample, i) =>
    bytes.writeInt16LE(Math.max(-32768, Math.min(32767, Math.round(sample * 32768))), 2 * i),
  );
  return bytes;
}
