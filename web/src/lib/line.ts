/**
 * The line to the server, which may drop and come back: how long to wait before the next try, and what the page says
 * meanwhile. It gives up only when its signal is aborted or the server answers with a failure that waiting does not mend.
 */

/** A failure that may mend itself. */
export interface Passing {
  /** Seconds after which the server wants to be asked again, where it said so. */
  readonly retryAfter?: number | undefined;
}

export interface Wait<E> {
  readonly error: E;
  /** Until the next try. */
  readonly seconds: number;
  readonly retryNow: () => void;
}

/** The longest wait that the page chooses, in seconds: whoever restarts a server does not wait longer for the page. */
const MAX_SECONDS = 30;
/** The longest that it waits because the server asked for it. */
const MAX_ASKED_SECONDS = 600;

/**
 * Seconds until the next try after `drops` failures in a row: 1, 2, 4 ... 30, a little less or more by chance so that
 * the pages of one server do not all come back at once. What the server asks for is the least.
 */
export function backOff(drops: number, retryAfter: number | undefined, random = Math.random()): number {
  const own = Math.min(MAX_SECONDS, 2 ** (drops - 1)) * (0.75 + random / 2);
  return Math.max(own, Math.min(MAX_ASKED_SECONDS, retryAfter ?? 0));
}

export class Line<E extends Passing> {
  private drops = 0;

  /**
   * @param isPassing whether waiting may help against a failure
   * @param onWait told of each wait, and null once the line is up again
   * @param signal ends all waiting
   */
  constructor(
    private readonly isPassing: (error: unknown) => error is E,
    private readonly onWait: (wait: Wait<E> | null) => void,
    private readonly signal: AbortSignal,
  ) {}

  /** The server answers. */
  up(): void {
    this.onWait(null);
  }

  /** It has something to say, so that the next drop is a first one. */
  alive(): void {
    this.drops = 0;
  }

  /**
   * Waits after a failure: for a time, until the browser is online again, or until a person will not wait any longer.
   *
   * @throws the error itself if waiting is of no use
   */
  async down(error: unknown): Promise<void> {
    const { signal } = this;
    if (signal.aborted || !this.isPassing(error)) throw error;
    const seconds = backOff(++this.drops, error.retryAfter);
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        removeEventListener("online", go);
        signal.removeEventListener("abort", abort);
        settle();
      };
      const go = (): void => end(resolve);
      const abort = (): void => end(() => reject(signal.reason as Error));
      const timer = setTimeout(go, seconds * 1000);
      addEventListener("online", go);
      signal.addEventListener("abort", abort);
      this.onWait({ error, seconds, retryNow: go });
    });
  }

  /** Tries until it succeeds, or fails for good. */
  async persist<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const value = await attempt();
        this.up();
        return value;
      } catch (error) {
        await this.down(error);
      }
    }
  }
}
