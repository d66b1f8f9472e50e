/** Ceilings of live connections: how many, how large their messages, how much of their audio waits. */

/** Connections at a time, of all clients and of one: each keeps the engine busy for as long as somebody speaks. */
const MAX_CONNECTIONS = 64;
const MAX_PER_CLIENT = 8;

/**
 * Largest message, in bytes: that of OpenAI's realtime API, 15 MiB of base64. Larger ones end the connection. A connection
 * holds one at most beside what follows, so that all of a client's take 128 MiB, and those of all clients 1 GiB.
 */
export const MAX_MESSAGE_BYTES = 15 * 2 ** 20;
/** Bytes of messages that may wait for their turn; then nothing more is read from the connection. Half a minute of samples. */
export const MAX_HELD_BYTES = 2 ** 20;
/** Milliseconds between questions whether the client of a connection that is not read is still there. */
export const PROBE_MS = 250;
/** Seconds of speech that may wait to be transcribed; then messages wait until there are fewer. */
export const MAX_QUEUED_SECONDS = 30;
/** Milliseconds without a message after which a connection is ended. */
export const IDLE_MS = 60_000;
/** Milliseconds that a client which was refused has to go: what it sends meanwhile is of no use, and takes memory. */
export const REFUSED_MS = 1000;
/** Milliseconds that a client has to take the last of its text, and to answer the end of its connection. */
export const CLOSING_MS = 10_000;
/** Unsent bytes at which a client that does not read is given up: hours of text. */
export const MAX_UNSENT_BYTES = 4 * 2 ** 20;

/** Counts live connections. */
export class ConnectionCounter {
  readonly #byClient = new Map<string, number>();
  #count = 0;

  /** @returns what gives the place back; null if there is none */
  enter(client: string): (() => void) | null {
    const own = this.#byClient.get(client) ?? 0;
    if (this.#count >= MAX_CONNECTIONS || own >= MAX_PER_CLIENT) return null;
    this.#count++;
    this.#byClient.set(client, own + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#count--;
      const others = (this.#byClient.get(client) ?? 1) - 1;
      if (others === 0) this.#byClient.delete(client);
      else this.#byClient.set(client, others);
    };
  }
}
