/**
 * How long a server is waited for: per silence, in all, and for how few bytes. Only waits for the server count, so that a reader
 * who takes time, as one that decodes meanwhile does, makes no server slow. The least rate is curl's `--speed-limit` and
 * `--speed-time`: a server that sends a byte now and then is never silent, and never done.
 */

/** `setTimeout` fires at once above this. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface TransferPatience {
  /** Longest time without a byte, in ms, and the time over which the rate is measured. */
  readonly timeoutMs: number;
  /** Longest time in all, in ms; Infinity: as long as it takes. */
  readonly totalTimeoutMs: number;
  /** Least bytes a second, over each `timeoutMs`; 0: any. */
  readonly minBytesPerSecond: number;
}

export class TransferLimits {
  readonly #patience: TransferPatience;
  #waitedMs = 0;
  #windowMs = 0;
  #windowBytes = 0;

  constructor(patience: TransferPatience) {
    this.#patience = patience;
  }

  /** How long the next bytes may be waited for, in ms. */
  get nextWaitMs(): number {
    const { timeoutMs, totalTimeoutMs } = this.#patience;
    return Math.max(0, Math.min(timeoutMs, totalTimeoutMs - this.#waitedMs, MAX_TIMER_MS));
  }

  /** Why a wait of `nextWaitMs` that brought nothing is the last one: completes the sentence "Cannot read "x": ...". */
  get impatience(): string {
    const { timeoutMs, totalTimeoutMs } = this.#patience;
    if (totalTimeoutMs - this.#waitedMs < timeoutMs) return tookTooLong(totalTimeoutMs);
    return `the server sent nothing for ${timeoutMs / 1000} s`;
  }

  /** Counts a wait for what comes before the content: a connection, headers. */
  connected(waitedMs: number): void {
    this.#waitedMs += waitedMs;
  }

  /**
   * Counts a wait, and the bytes that it has brought.
   *
   * @returns why the server is waited for no longer, or null
   */
  received(waitedMs: number, bytes: number): string | null {
    const { timeoutMs, totalTimeoutMs, minBytesPerSecond } = this.#patience;
    this.#waitedMs += waitedMs;
    this.#windowMs += waitedMs;
    this.#windowBytes += bytes;
    if (this.#waitedMs >= totalTimeoutMs) return tookTooLong(totalTimeoutMs);
    if (this.#windowMs < timeoutMs) return null;
    const seconds = this.#windowMs / 1000;
    const sent = this.#windowBytes;
    this.#windowMs = 0;
    this.#windowBytes = 0;
    if (sent >= minBytesPerSecond * seconds) return null;
    const time = `${Number(seconds.toFixed(1))} s`;
    return `the server sent ${sent} bytes in ${time}, expected at least ${minBytesPerSecond} a second`;
  }
}

function tookTooLong(totalTimeoutMs: number): string {
  return `the server took longer than ${totalTimeoutMs / 1000} s`;
}
