/** Rows under way in an engine that generates a few tokens at a time: whose they are, and what they keep alive. */
import type { Engine, Generated, Generation } from "../engine/engine.ts";
import type { Account, GenerateCall, RowUnderWay } from "./account.ts";

/** A request that is to become a row. */
export interface RowGrant {
  readonly call: GenerateCall;
  /** Of the request in the call. */
  readonly index: number;
}

/** A row of a batch. */
export interface BatchRow extends RowUnderWay, RowGrant {
  /** What its account was charged for it so far, in windows. */
  charged: number;
}

export class RowBatch {
  readonly #engine: Engine;
  #generation: Generation | null = null;
  /** By their index in the generation. */
  readonly #rows = new Map<number, BatchRow>();
  /** What frees each row's window. */
  readonly #releases = new Map<BatchRow, () => void>();
  #isAdvancing = false;
  /** Windows of rows that were cancelled while the engine was at them. */
  readonly #released: (() => void)[] = [];

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Whether rows can be added to those under way. */
  get isOpen(): boolean {
    return this.#generation === null || this.#generation.add !== undefined;
  }

  get rows(): readonly BatchRow[] {
    return [...this.#rows.values()];
  }

  has(account: Account): boolean {
    return this.rows.some(({ call }) => call.account === account);
  }

  /**
   * Adds rows.
   *
   * @throws what the engine refuses the requests with; then none has been added
   */
  add(grants: readonly RowGrant[]): void {
    const windows = grants.map(({ call, index }) => call.audio.window(call.requests[index].window));
    const audio = this.#engine.combine(windows.map(({ batch, window }) => ({ audio: batch.state, window })));
    const requests = grants.map(({ call, index }, window) => ({ ...call.requests[index], window }));
    let first = 0;
    if (this.#generation === null) {
      this.#generation = (this.#engine.startGeneration as NonNullable<Engine["startGeneration"]>)(audio, requests);
    } else {
      first = (this.#generation.add as NonNullable<Generation["add"]>)(audio, requests);
    }
    let alive = grants.length;
    for (const [i, grant] of grants.entries()) {
      const { batch } = windows[i];
      batch.retain(); // its client may free it meanwhile
      const row: BatchRow = { ...grant, charged: 0, cancel: () => this.#cancel(first + i) };
      this.#rows.set(first + i, row);
      grant.call.account.rows.add(row);
      this.#releases.set(row, () => {
        if (--alive === 0) audio.dispose();
        batch.release();
      });
    }
  }

  /** Generates at most `steps` tokens of each row; gives those that ended. */
  async advance(steps: number): Promise<{ row: BatchRow; generated: Generated }[]> {
    this.#isAdvancing = true;
    try {
      const ended = await (this.#generation as Generation).advance(steps);
      return ended.flatMap(({ index, generated }) => {
        const row = this.#remove(index);
        return row === undefined ? [] : [{ row, generated }];
      });
    } finally {
      this.#isAdvancing = false;
      for (const release of this.#released.splice(0)) release();
    }
  }

  /** Gives up all rows. */
  dispose(): void {
    for (const index of [...this.#rows.keys()]) this.#remove(index);
    this.#generation?.dispose();
  }

  #cancel(index: number): void {
    if (this.#remove(index) !== undefined) this.#generation?.cancel(index);
  }

  #remove(index: number): BatchRow | undefined {
    const row = this.#rows.get(index);
    if (row === undefined) return undefined;
    this.#rows.delete(index);
    row.call.account.rows.delete(row);
    const release = this.#releases.get(row) as () => void;
    this.#releases.delete(row);
    if (this.#isAdvancing) this.#released.push(release);
    else release();
    return row;
  }
}
