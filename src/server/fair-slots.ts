/**
 * A bounded number of places that clients share fairly: a free one goes to the client that has fewest, and among those to the one
 * whose last turn is longest ago. Who waits longest says nothing: a client that came with a hundred would have waited longest a
 * hundred times.
 */

/** When each client was served last: the one whose turn is longest ago is next. */
export class Turns {
  readonly #last = new Map<string, number>();
  #count = 0;

  /** Rises; 0 for a client that has not been served. */
  of(client: string): number {
    return this.#last.get(client) ?? 0;
  }

  serve(client: string): void {
    this.#last.set(client, ++this.#count);
  }

  /**
   * Forgets clients that are not there, and who would be next if they came, too: others that come again and again would else get
   * past one who waits.
   */
  forget(waiting: Iterable<string>): void {
    const present = new Set(waiting);
    const least = Math.min(...[...present].map((client) => this.of(client)));
    for (const [client, turn] of this.#last) if (!present.has(client) && turn <= least) this.#last.delete(client);
  }
}

interface Waiting {
  readonly client: string;
  readonly go: () => void;
}

export class FairSlots {
  readonly #slots: number;
  readonly #perClient: number;
  /** Places by client. */
  readonly #taken = new Map<string, number>();
  readonly #turns = new Turns();
  readonly #waiting: Waiting[] = [];
  #used = 0;

  constructor(options: { readonly slots: number; readonly perClient: number }) {
    this.#slots = options.slots;
    this.#perClient = options.perClient;
  }

  get used(): number {
    return this.#used;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Waits for a place.
   *
   * @returns gives it back; safe to call twice
   * @throws the signal's reason
   */
  async take(client: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(one), 1);
        this.#turns.forget(this.#clients());
        reject(signal.reason as Error);
      };
      const go = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const one = { client, go };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(one);
      this.#fill();
    });
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#count(client, -1);
      this.#fill();
      this.#turns.forget(this.#clients());
    };
  }

  #fill(): void {
    while (this.#used < this.#slots) {
      const next = this.#waiting
        .filter(({ client }) => this.#of(client) < this.#perClient)
        .reduce<Waiting | null>((best, one) => (best === null || this.#isBefore(one, best) ? one : best), null);
      if (next === null) return;
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      this.#count(next.client, 1);
      this.#turns.serve(next.client);
      next.go();
    }
  }

  #isBefore({ client: a }: Waiting, { client: b }: Waiting): boolean {
    const fewer = this.#of(a) - this.#of(b);
    return fewer === 0 ? this.#turns.of(a) < this.#turns.of(b) : fewer < 0;
  }

  #clients(): string[] {
    return this.#waiting.map(({ client }) => client);
  }

  #of(client: string): number {
    return this.#taken.get(client) ?? 0;
  }

  #count(client: string, change: 1 | -1): void {
    this.#used += change;
    const taken = this.#of(client) + change;
    if (taken === 0) this.#taken.delete(client);
    else this.#taken.set(client, taken);
  }
}
