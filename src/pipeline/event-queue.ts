/** Turns what a running job reports by callback into something to iterate over. */

export class EventQueue<T> {
  readonly #items: T[] = [];
  #wake: () => void = () => {};

  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  /**
   * Starts a job and gives the items that it pushes, until it ends. When the reader stops early, the job's signal is
   * aborted and its end is waited for.
   *
   * @param signal the caller's own, which ends the job as well
   * @throws whatever the job throws, after the items pushed before
   */
  async *drain(
    signal: AbortSignal | undefined,
    start: (signal: AbortSignal) => Promise<unknown>,
  ): AsyncGenerator<T, void, undefined> {
    const stopped = new AbortController();
    const both = signal === undefined ? stopped.signal : AbortSignal.any([signal, stopped.signal]);
    let ended = false;
    let failure: { readonly error: unknown } | null = null;
    const job = start(both)
      .catch((error: unknown) => {
        failure = { error };
      })
      .finally(() => {
        ended = true;
        this.#wake();
      });
    try {
      for (;;) {
        while (this.#items.length > 0) yield this.#items.shift() as T;
        if (ended) break;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      if (failure !== null) throw (failure as { readonly error: unknown }).error;
    } finally {
      stopped.abort();
      await job;
    }
  }
}
