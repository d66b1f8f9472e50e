/**
 * One engine for many callers. Each gets a view that is an `Engine` itself, so that the pipeline and all below it run on it
 * unchanged; the scheduler takes the calls of all views apart, and gives the engine batches that hold windows of several callers.
 *
 * Order: start-time fair queueing (Goyal, Vin, Cheng 1996). Windows and rows are granted one by one, to the client that has had
 * least; one that comes new begins level with those that are being served, so that a short recording overtakes a long one, and
 * no number of short ones keeps a long one waiting for ever. The engine gets one call at a time, and rows are generated a few tokens
 * at a time where the engine can: whoever comes next never waits for more than the call at hand.
 */
import type { AudioState, DecoderState, Engine, Generated } from "../engine/engine.ts";
import { STEPS_PER_TURN } from "../engine/generation.ts";
import { Account, failEncode, failGenerate, windowCount, type EncodeCall, type ProbeCall } from "./account.ts";
import { EncodedBatch } from "./audio-view.ts";
import { EngineView, type Dispatcher, type WindowRef } from "./engine-view.ts";
import { RowBatch, type BatchRow, type RowGrant } from "./row-batch.ts";

/** A second window for each lane hides that lanes are not equally fast, and that calls have to be made; more would only make others wait. */
const WINDOWS_PER_LANE = 2;

/** Decoding so many tokens of a row among others costs about as much as encoding a window; from the bench of base on a CPU. */
const TOKENS_PER_WINDOW = 50;

export interface SchedulerOptions {
  /** Most windows of one encode call. Default: two for each that the engine computes side by side. */
  readonly maxWindows?: number;
  /** Most rows that are generated at a time. Default: the engine's `batchSize`. */
  readonly maxRows?: number;
}

export interface ClientOptions {
  /** A client of priority 4 gets four times the share of one of priority 1, which is the default. */
  readonly priority?: number | undefined;
  /** Aborted: what the client waits for is dropped and rejected with the signal's reason, as is whatever it asks later. */
  readonly signal?: AbortSignal | undefined;
}

/** What the scheduler has done and has to do. */
export interface SchedulerCounters {
  /** Calls of the engine's encode, and windows in them. */
  readonly encodeCalls: number;
  readonly windows: number;
  /** Calls of the engine's generate, and rows in them. */
  readonly generateCalls: number;
  readonly rows: number;
  /** Not yet granted. */
  readonly waitingWindows: number;
  readonly waitingRows: number;
}

/** The windows of a batch to be encoded: which one of which call. */
interface WindowGrant {
  readonly call: EncodeCall;
  readonly index: number;
}

/** A call of the engine, and how many rows it generates. */
interface Work {
  readonly run: () => Promise<void>;
  readonly rows: number;
}

export class EngineScheduler implements Dispatcher {
  readonly #maxWindows: number;
  readonly #maxRows: number;
  readonly #accounts = new Set<Account>();
  readonly #views = new Set<EngineView>();
  /** What the client served last had had before: where a new one begins. */
  #clock = 0;
  #order = 0;
  /** Windows encoded while rows waited for company. */
  #ahead = 0;
  #isBusy = false;
  /** The call at hand, or the last one. */
  #current: Promise<void> = Promise.resolve();
  /** Calls whose rows others join, and the number of their rows. */
  readonly #joined = new Set<Promise<void>>();
  #rowsJoined = 0;
  /** Rows that are generated a few tokens at a time, the oldest first. */
  readonly #batches: RowBatch[] = [];
  #isScheduled = false;
  #counters = { encodeCalls: 0, windows: 0, generateCalls: 0, rows: 0 };

  constructor(
    readonly engine: Engine,
    options: SchedulerOptions = {},
  ) {
    this.#maxWindows = options.maxWindows ?? WINDOWS_PER_LANE * engine.parallelism;
    this.#maxRows = options.maxRows ?? engine.batchSize;
  }

  get counters(): SchedulerCounters {
    let waitingWindows = 0;
    for (const { encodes } of this.#accounts)
      for (const call of encodes) waitingWindows += windowCount(call.windows) - call.next;
    return { ...this.#counters, waitingWindows, waitingRows: this.#waitingRows() };
  }

  /**
   * A view of the engine for one caller. Its `dispose` drops what waits and frees the states made through it; the engine stays.
   */
  client(options: ClientOptions = {}): Engine {
    const view = new EngineView(this.engine, this, new Account(options.priority ?? 1), options.signal, () =>
      this.#views.delete(view),
    );
    this.#views.add(view);
    return view;
  }

  /** Ends all clients and waits for the call at hand. The engine is the caller's to dispose. */
  async dispose(): Promise<void> {
    await Promise.all([...this.#views].map((view) => view.dispose()));
    await this.#current;
    await Promise.all(this.#joined);
    for (const batch of this.#batches.splice(0)) batch.dispose();
  }

  newOrder(): number {
    return this.#order++;
  }

  /** Takes notice of a call that was added to an account. */
  wake(account: Account): void {
    if (!this.#accounts.has(account)) {
      this.#accounts.add(account);
      account.served = Math.max(account.served, this.#clock);
    }
    this.#schedule();
  }

  /** Calls that are made in the same turn of the event loop, and those that follow from an answer, meet in one batch. */
  #schedule(): void {
    if (this.#isScheduled || this.#isBusy) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#serveNext();
    });
  }

  async #serveNext(): Promise<void> {
    for (const account of this.#accounts) if (!account.isWaiting) this.#accounts.delete(account);
    const work = this.#choose();
    if (work === null) return;
    if (work.rows > 0 && this.engine.joinsRows === true) {
      this.#join(work);
    } else {
      this.#isBusy = true;
      this.#current = work.run();
      await this.#current; // answers errors itself
      this.#isBusy = false;
    }
    this.#schedule();
  }

  /** Begins a call without waiting for it. */
  #join({ run, rows }: Work): void {
    this.#rowsJoined += rows;
    const call = run().finally(() => {
      this.#rowsJoined -= rows;
      this.#joined.delete(call);
      this.#schedule();
    });
    this.#joined.add(call);
  }

  get #rowsUnderWay(): number {
    return this.#batches.reduce((rows, { size }) => rows + size, this.#rowsJoined);
  }

  /** Whether another row of a client can be begun: those of one that has none are not kept waiting by those of others. */
  #hasRoom(account: Account): boolean {
    const rows = this.#rowsUnderWay;
    return rows < this.#maxRows || (this.#inTurns && account.rows.size === 0 && rows < 2 * this.#maxRows);
  }

  /** Whether rows are generated a few tokens at a time. */
  get #inTurns(): boolean {
    return this.engine.startGeneration !== undefined && this.engine.joinsRows !== true;
  }

  /** What the engine does next. */
  #choose(): Work | null {
    this.#dropEmptyBatches();
    const first = this.#least((account) => {
      const { encodes, probes, others, generates, rows } = account;
      const canGoOn = rows.size > 0 || (generates.length > 0 && this.#hasRoom(account));
      return canGoOn || encodes.length + probes.length + others.length > 0;
    });
    if (first === null) return null;
    this.#clock = Math.max(this.#clock, first.served);
    const [other] = first.others;
    if (other !== undefined) {
      first.others.shift();
      first.charge(other.cost);
      const run = async (): Promise<void> => {
        try {
          other.resolve(await other.run());
        } catch (error) {
          other.reject(error);
        }
      };
      return { run, rows: 0 };
    }
    // What is further on goes first: it frees memory when it is done.
    const batch = this.#batches.find((each) => each.has(first));
    const generates = this.#hasRoom(first) ? first.generates.length : 0;
    if (batch !== undefined && !(batch.isOpen && generates > 0)) return { run: () => this.#advance(batch), rows: 0 };
    if (first.probes.length + generates === 0) {
      const windows = this.#grantWindows(this.#maxWindows, () => true);
      return { run: () => this.#encode(windows), rows: 0 };
    }
    const open = this.#batches.find(({ isOpen }) => isOpen);
    const needsCompany = first.priority <= 1 && this.engine.joinsRows !== true && open === undefined;
    const company = needsCompany ? this.#grantCompany() : [];
    if (company.length > 0) return { run: () => this.#encode(company), rows: 0 };
    this.#ahead = 0;
    if (first.probes.length > 0) {
      const probes = this.#grantProbes();
      return { run: () => this.#probe(probes), rows: 0 };
    }
    const rows = this.#grantRows(first);
    if (this.#inTurns) return { run: () => this.#begin(rows, open), rows: 0 };
    return { run: () => this.#generate(rows), rows: rows.length };
  }

  /**
   * Windows that can become rows soon: those waiting are worth waiting for, as a step costs nearly the same for one row as for
   * several. Calls that need more than one call of the engine are left alone: a short recording does not wait for a long one.
   */
  #grantCompany(): WindowGrant[] {
    const room = Math.min(this.#maxWindows, this.#maxRows - Math.max(this.#waitingRows(), this.#ahead));
    if (room <= 0) return [];
    const fits = ({ windows, next }: EncodeCall): boolean => windowCount(windows) - next <= room;
    const windows = this.#grantWindows(room, fits);
    this.#ahead += windows.length;
    return windows;
  }

  #grantWindows(most: number, fits: (call: EncodeCall) => boolean): WindowGrant[] {
    const granted: WindowGrant[] = [];
    while (granted.length < most) {
      const account = this.#least(({ encodes }) => encodes.length > 0 && fits(encodes[0]));
      if (account === null) break;
      const [call] = account.encodes;
      granted.push({ call, index: call.next++ });
      if (call.next === windowCount(call.windows)) account.encodes.shift();
      account.charge(1);
    }
    return granted;
  }

  /** @param first whose rows there is room for */
  #grantRows(first: Account): RowGrant[] {
    const granted: RowGrant[] = [];
    const had = new Map<Account, number>();
    const free = this.#maxRows - this.#rowsUnderWay;
    const most =
      free > 0 ? free : Math.min(this.#maxRows, first.generates[0].requests.length - first.generates[0].next);
    while (granted.length < most) {
      // Rows are charged when it is known how long they are; meanwhile each counts, so that no client takes all places.
      const account = this.#least(
        (one) => one.generates.length > 0 && (free > 0 || one === first),
        (one) => (had.get(one) ?? 0) / one.priority,
      );
      if (account === null) break;
      const [call] = account.generates;
      granted.push({ call, index: call.next++ });
      if (call.next === call.requests.length) account.generates.shift();
      had.set(account, (had.get(account) ?? 0) + 1);
    }
    return granted;
  }

  #grantProbes(): ProbeCall[] {
    const granted: ProbeCall[] = [];
    let rows = 0;
    for (;;) {
      const account = this.#least(({ probes }) => probes.length > 0);
      if (account === null || (rows > 0 && rows + account.probes[0].rows.length > this.#maxRows)) return granted;
      const call = account.probes.shift() as ProbeCall;
      granted.push(call);
      rows += call.rows.length;
      account.charge(call.rows.length / TOKENS_PER_WINDOW);
    }
  }

  /** The client that has had least among some; `extra` counts as had. */
  #least(among: (account: Account) => boolean, extra?: (account: Account) => number): Account | null {
    let least: Account | null = null;
    for (const account of this.#accounts) {
      if (!account.isWaiting || !among(account)) continue;
      if (least === null) least = account;
      else if (extra === undefined) {
        if (account.isBefore(least)) least = account;
      } else {
        const difference = account.served + extra(account) - (least.served + extra(least));
        if (difference < 0 || (difference === 0 && account.isBefore(least))) least = account;
      }
    }
    return least;
  }

  #waitingRows(): number {
    let rows = 0;
    for (const { generates, probes } of this.#accounts) {
      for (const { requests, next } of generates) rows += requests.length - next;
      for (const call of probes) rows += call.rows.length;
    }
    return rows;
  }

  async #encode(grants: readonly WindowGrant[]): Promise<void> {
    const ofSamples = grants.filter(({ call }) => "samples" in call.windows);
    await this.#encodeAlike(grants.filter((grant) => !ofSamples.includes(grant)));
    await this.#encodeAlike(ofSamples);
  }

  /** @param grants all of log-Mel, or all of samples */
  async #encodeAlike(grants: readonly WindowGrant[]): Promise<void> {
    if (grants.length === 0) return;
    await together(
      grants,
      ({ call }) => call.account,
      async (part) => {
        const { batch, features } = await this.#encodeWindows(part);
        const size = features === null ? 0 : features.length / part.length;
        for (const [window, { call, index }] of part.entries()) {
          if (call.ended) {
            batch.release();
            continue;
          }
          call.encoded[index] = { batch, window };
          if (features !== null)
            call.features?.set(features.subarray(window * size, (window + 1) * size), index * size);
          if (--call.left > 0) continue;
          call.ended = true;
          call.resolve(call.encoded);
        }
      },
      (part, error) => {
        for (const { call } of part) {
          removeFrom(call.account.encodes, call);
          failEncode(call, error);
        }
      },
    );
  }

  async #encodeWindows(
    grants: readonly WindowGrant[],
  ): Promise<{ batch: EncodedBatch; features: Float32Array | null }> {
    let reported = 0;
    const onEncoded = (done: number): void => {
      while (reported < done) reportEncoded(grants[reported++]);
    };
    const state = await encodeTogether(this.engine, grants, onEncoded);
    onEncoded(grants.length); // of engines that tell of none before
    this.#counters.encodeCalls++;
    this.#counters.windows += grants.length;
    return { batch: new EncodedBatch(state), features: state.features?.data ?? null };
  }

  /** Begins rows, beside those under way where they can join, and runs them for the first time. */
  async #begin(grants: readonly RowGrant[], open: RowBatch | undefined): Promise<void> {
    const batch = open ?? new RowBatch(this.engine);
    await together(
      grants,
      ({ call }) => call.account,
      async (part) => {
        batch.add(part);
        this.#counters.generateCalls++;
        this.#counters.rows += part.length;
      },
      (part, error) => this.#failRows(part, error),
    );
    if (open === undefined) this.#batches.push(batch);
    if (batch.size > 0) await this.#advance(batch);
  }

  /** A few tokens more of each row of a batch. */
  async #advance(batch: RowBatch): Promise<void> {
    const { rows } = batch;
    for (const row of rows) {
      row.charged += STEPS_PER_TURN / TOKENS_PER_WINDOW;
      row.call.account.charge(STEPS_PER_TURN / TOKENS_PER_WINDOW);
    }
    try {
      for (const { row, generated } of await batch.advance(STEPS_PER_TURN)) {
        row.call.account.charge(generated.tokens.length / TOKENS_PER_WINDOW - row.charged);
        answerRow(row, generated);
      }
    } catch (error) {
      const left = batch.rows;
      batch.dispose();
      await this.#generateApart(left, error);
    }
    this.#dropEmptyBatches();
  }

  /** Batches whose rows have all ended or been cancelled. */
  #dropEmptyBatches(): void {
    for (const batch of this.#batches.filter(({ size }) => size === 0)) {
      batch.dispose();
      removeFrom(this.#batches, batch);
    }
  }

  /** Rows of a batch that failed, those of each client from their beginning: what one has asked wrong is its own failure. */
  async #generateApart(rows: readonly RowGrant[], error: unknown): Promise<void> {
    const clients = new Set(rows.map(({ call }) => call.account));
    if (clients.size <= 1) return this.#failRows(rows, error);
    for (const client of clients) await this.#generate(rows.filter(({ call }) => call.account === client));
  }

  #failRows(rows: readonly RowGrant[], error: unknown): void {
    for (const { call } of rows) {
      removeFrom(call.account.generates, call);
      for (const row of [...call.account.rows]) if ((row as BatchRow).call === call) row.cancel();
      failGenerate(call, error);
    }
  }

  /** Generates rows to their end. */
  async #generate(grants: readonly RowGrant[]): Promise<void> {
    await together(
      grants,
      ({ call }) => call.account,
      async (part) => {
        const answer = (i: number, generated: Generated): void => {
          if (answerRow(part[i], generated)) {
            part[i].call.account.charge(generated.tokens.length / TOKENS_PER_WINDOW);
          }
        };
        const results = await this.withWindows(
          part.map(({ call, index }) => ({ audio: call.audio, window: call.requests[index].window })),
          (audio) =>
            this.engine.generate(
              audio,
              part.map(({ call, index }, window) => ({ ...call.requests[index], window })),
              answer,
            ),
        );
        for (const [i, generated] of results.entries()) answer(i, generated); // of engines that tell of none before
        this.#counters.generateCalls++;
        this.#counters.rows += part.length;
      },
      (part, error) => this.#failRows(part, error),
    );
  }

  async #probe(calls: readonly ProbeCall[]): Promise<void> {
    await together(
      calls,
      ({ account }) => account,
      async (part) => {
        const rows = part.flatMap((call) => call.rows.map((row) => ({ call, row })));
        const { state, logits } = await this.withWindows(
          rows.map(({ call, row }) => ({ audio: call.audio, window: row.window })),
          (audio): Promise<{ state: DecoderState; logits: Float32Array }> =>
            this.engine.startDecoder(
              audio,
              rows.map(({ row }, window) => ({ window, prompt: row.prompt })),
            ),
        );
        state.dispose();
        const { nVocab } = this.engine.dimensions;
        let first = 0;
        for (const call of part) {
          const last = first + call.rows.length;
          call.resolve(logits.slice(first * nVocab, last * nVocab));
          first = last;
        }
      },
      (part, error) => part.forEach((call) => call.reject(error)),
    );
  }

  async withWindows<T>(windows: readonly WindowRef[], call: (audio: AudioState) => Promise<T>): Promise<T> {
    const encoded = windows.map(({ audio, window }) => audio.window(window));
    // A client may free its state while the engine reads it.
    for (const { batch } of encoded) batch.retain();
    try {
      const view = this.engine.combine(encoded.map(({ batch, window }) => ({ audio: batch.state, window })));
      try {
        return await call(view);
      } finally {
        view.dispose();
      }
    } finally {
      for (const { batch } of encoded) batch.release();
    }
  }
}

/**
 * Makes one call of several clients. If it fails, each client's part is tried alone: what one has asked wrong is its own
 * failure, not the others'.
 */
async function together<G>(
  grants: readonly G[],
  accountOf: (grant: G) => Account,
  call: (part: readonly G[]) => Promise<void>,
  fail: (part: readonly G[], error: unknown) => void,
): Promise<void> {
  try {
    await call(grants);
  } catch (error) {
    const parts = new Map<Account, G[]>();
    for (const grant of grants) {
      const account = accountOf(grant);
      const part = parts.get(account);
      if (part === undefined) parts.set(account, [grant]);
      else part.push(grant);
    }
    if (parts.size === 1) return fail(grants, error);
    for (const part of parts.values()) {
      try {
        await call(part);
      } catch (own) {
        fail(part, own);
      }
    }
  }
}

/** Tells a call that one more of its windows is encoded. */
function reportEncoded({ call }: WindowGrant): void {
  if (call.ended) return;
  try {
    call.onEncoded?.(++call.reported);
  } catch (error) {
    removeFrom(call.account.encodes, call);
    failEncode(call, error); // the caller's own, and nobody else's
  }
}

/**
 * Hands a row's result to its call, and answers the call with its last one.
 *
 * @returns whether the result was wanted: not of a call that was dropped, nor a second one
 */
function answerRow({ call, index }: RowGrant, generated: Generated): boolean {
  if (call.ended || call.results[index] !== undefined) return false;
  call.results[index] = generated;
  try {
    call.onGenerated?.(index, generated);
  } catch (error) {
    failGenerate(call, error); // the caller's own, and nobody else's
    return true;
  }
  if (--call.left === 0) {
    call.ended = true;
    call.resolve(call.results);
  }
  return true;
}

function removeFrom<T>(list: T[], item: T): void {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
}

/** @param grants at least one; all of log-Mel, or all of samples */
async function encodeTogether(
  engine: Engine,
  grants: readonly WindowGrant[],
  onEncoded: (windows: number) => void,
): Promise<AudioState> {
  const samples = grants.flatMap(({ call, index }) => ("samples" in call.windows ? [call.windows.samples[index]] : []));
  if (samples.length > 0 && engine.encodeSamples !== undefined) {
    return engine.encodeSamples(samples, { onEncoded });
  }

  const mels = grants.flatMap(({ call, index }) => ("mel" in call.windows ? [{ mel: call.windows.mel, index }] : []));
  const [, nMels, frames] = mels[0].mel.dims;
  const size = nMels * frames;
  const data = new Float32Array(mels.length * size);
  for (const [i, { mel, index }] of mels.entries()) {
    data.set(mel.data.subarray(index * size, (index + 1) * size), i * size);
  }
  const keepFeatures = grants.some(({ call }) => call.features !== null);
  return engine.encode({ data, dims: [mels.length, nMels, frames] }, { keepFeatures, onEncoded });
}
