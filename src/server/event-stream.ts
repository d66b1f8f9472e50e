/** Server-sent events (WHATWG HTML, 9.2) as a stream that Fastify sends, so that hooks and headers apply as to any answer. */
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";

/** Proxies take a connection without a byte for dead after 30 to 60 s. */
const HEARTBEAT_MS = 15_000;

/** A client that reads nothing is given up when so much waits for it. */
const MAX_WAITING_BYTES = 16 << 20;

export interface ServerSentEvent {
  readonly event?: string;
  readonly id?: string;
  /** JSON, or any text without line ends. */
  readonly data: string;
}

export interface EventSink {
  send(event: ServerSentEvent): void;
  end(): void;
}

/**
 * Answers with a stream of events.
 *
 * @param open starts it; what it returns is called once when the stream ends, or the client leaves
 */
export function sendEvents(reply: FastifyReply, open: (sink: EventSink) => () => void): FastifyReply {
  let close = (): void => {};
  let isOpen = true;
  const heartbeat = setInterval(() => write(": still here\n\n"), HEARTBEAT_MS);
  const stream = new Readable({
    read: () => {},
    destroy: (error, callback) => {
      isOpen = false;
      clearInterval(heartbeat);
      close();
      callback(error);
    },
  });
  const write = (text: string): void => {
    if (!isOpen) return;
    stream.push(text);
    if (stream.readableLength > MAX_WAITING_BYTES) stream.destroy();
  };
  // Something at once, so that headers go out before the first event.
  write(": sotto\n\n");
  const closeSource = open({
    send: ({ event, id, data }) =>
      write(
        `${event === undefined ? "" : `event: ${event}\n`}${id === undefined ? "" : `id: ${id}\n`}data: ${data}\n\n`,
      ),
    end: () => {
      if (!isOpen) return;
      isOpen = false;
      stream.push(null);
    },
  });
  close = closeSource;
  if (stream.destroyed) closeSource();
  return reply
    .type("text/event-stream; charset=utf-8")
    .header("cache-control", "no-cache, no-transform")
    .header("x-accel-buffering", "no") // nginx would hold events back
    .send(stream);
}
