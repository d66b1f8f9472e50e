/**
 * Server-sent events as Gradio's clients read them: gradio_client takes every line for an error that is not `data:`, so the
 * comments that the server's other streams begin and stay alive with must not be here.
 */
import { PassThrough } from "node:stream";
import type { FastifyReply } from "fastify";

/** Proxies close connections that are silent for a minute or less. */
const HEARTBEAT_MS = 15_000;
/** A client that reads this much too slowly is gone, or means harm, in bytes. */
const MAX_UNREAD = 4 * 2 ** 20;

export class EventStream {
  readonly #stream = new PassThrough();
  readonly #heartbeat: NodeJS.Timeout;

  /**
   * @param heartbeat what is sent when nothing else is
   * @param onClose called when the client is gone, or after `end`
   */
  constructor(heartbeat: string, onClose: () => void) {
    this.#heartbeat = setInterval(() => this.write(heartbeat), HEARTBEAT_MS).unref();
    this.#stream.on("close", () => {
      clearInterval(this.#heartbeat);
      onClose();
    });
    // A client that breaks off is no error.
    this.#stream.on("error", () => undefined);
  }

  /** Answers with the stream. */
  send(reply: FastifyReply): FastifyReply {
    return reply
      .header("content-type", "text/event-stream; charset=utf-8")
      .header("cache-control", "no-cache, no-transform")
      .header("x-accel-buffering", "no")
      .send(this.#stream);
  }

  /** @param text one event or more, with their empty lines */
  write(text: string): void {
    if (this.#stream.writableEnded || this.#stream.destroyed) return;
    if (this.#stream.writableLength + this.#stream.readableLength > MAX_UNREAD) this.#stream.destroy();
    else this.#stream.write(text);
  }

  end(): void {
    this.#stream.end();
  }
}
