/** Rows that worker threads generate side by side: each worker those whose windows it keeps. */
import { finiteGenerated } from "../checks.ts";
import type { Engine, Generated, GenerateRequest, Generation } from "../engine.ts";
import type { EngineWorker } from "./engine-worker.ts";

interface Part {
  readonly worker: EngineWorker;
  /** Of its rows, among all. */
  readonly indices: readonly number[];
  readonly generation: number;
  /** Rows not yet ended, by their index in the part. */
  readonly running: Set<number>;
}

export class OnnxGeneration implements Generation {
  readonly #where: Pick<Engine, "device" | "dtype">;
  readonly #parts: readonly Part[];
  /** What starting failed with; the next call has its words. */
  readonly #started: Promise<unknown>;
  #isDisposed = false;

  /**
   * @param where the engine, for what is said of numbers that are none
   * @param parts of each worker: its requests, whose windows are handles of the worker, and their indices among all
   */
  constructor(
    where: Pick<Engine, "device" | "dtype">,
    parts: readonly {
      readonly worker: EngineWorker;
      readonly indices: readonly number[];
      readonly requests: GenerateRequest[];
    }[],
  ) {
    this.#where = where;
    this.#parts = parts.map(({ worker, indices }) => ({
      worker,
      indices,
      generation: worker.newHandle(),
      running: new Set(indices.keys()),
    }));
    this.#started = Promise.all(
      this.#parts.map(({ worker, generation }, i) =>
        worker.call("startGeneration", { generation, requests: parts[i].requests }),
      ),
    );
    this.#started.catch(() => {});
  }

  get rows(): number {
    return this.#parts.reduce((rows, { running }) => rows + running.size, 0);
  }

  async advance(steps: number): Promise<{ index: number; generated: Generated }[]> {
    const [ended] = await Promise.all([
      Promise.all(
        this.#parts.map(async ({ worker, indices, generation, running }) => {
          if (running.size === 0) return [];
          const rows = await worker.call("advance", { generation, steps });
          // Those that are missing were cancelled meanwhile.
          return rows.flatMap((row) => (running.delete(row.index) ? [{ ...row, index: indices[row.index] }] : []));
        }),
      ),
      this.#started,
    ]);
    const rows = ended.flat();
    finiteGenerated(
      this.#where,
      rows.map(({ generated }) => generated),
    );
    return rows;
  }

  cancel(index: number): void {
    for (const { worker, indices, generation, running } of this.#parts) {
      const own = indices.indexOf(index);
      if (own < 0 || !running.delete(own)) continue;
      worker.call("cancel", { generation, index: own }).catch(() => {}); // an ended worker has freed it
    }
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    for (const { worker, generation, running } of this.#parts) {
      running.clear();
      worker.call("release", { windows: [], decoders: [generation] }).catch(() => {}); // an ended worker has freed it
    }
  }
}
