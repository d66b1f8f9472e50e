/** Runs of the text decoder: prompts, and steps captured as graphs. What is made of the logits is others' business. */
import { decoderStep, type ModelDimensions } from "../../model/index.ts";
import type { Graph } from "./device.ts";
import type { Kernels } from "./kernels.ts";
import { GROUP_SIZE, HostRows, type Lanes, type Row } from "./lanes.ts";
import { DecoderLaunches, type CrossQueryListener, type DecoderTarget } from "./ops.ts";
import { DecoderScratch } from "./scratch.ts";
import type { DeviceWeights } from "./weights.ts";

/** Rows that prompts are run in at a time: enough to fill a GPU, and few enough for the parts of their cross-attention (kernels.ts). */
const PROMPT_ROWS = 1024;
/** Rows of logits at a time; 53 MB. */
const LOGIT_ROWS = 256;

/** Rows that have been run, until others are. */
export interface RunRows {
  /**
   * Logits of some of the rows.
   *
   * @param indices at most `maxLogitRows`
   * @returns device address of float32 [indices.length, nVocab], valid until the next call
   */
  logits(indices: readonly number[]): number;
}

export class DecoderRuns {
  readonly kernels: Kernels;
  readonly dimensions: ModelDimensions;
  readonly #weights: DeviceWeights;
  readonly #scratch: DecoderScratch;
  readonly #promptRows: HostRows;
  /** Device address of int32 [LOGIT_ROWS]: which rows' logits are wanted. */
  readonly #wanted: number;

  constructor(kernels: Kernels, weights: DeviceWeights, dimensions: ModelDimensions) {
    const { device, dtype } = kernels;
    this.kernels = kernels;
    this.dimensions = dimensions;
    this.#weights = weights;
    this.#scratch = new DecoderScratch(device, dtype, dimensions, PROMPT_ROWS, LOGIT_ROWS);
    this.#promptRows = new HostRows(device, this.#scratch, PROMPT_ROWS);
    this.#wanted = this.#scratch.alloc(4 * LOGIT_ROWS);
  }

  /** Most rows of `RunRows.logits`, and of a step over live slots. */
  get maxLogitRows(): number {
    return this.#scratch.logitRows;
  }

  /** Most rows of `prompts`. */
  get maxRows(): number {
    return this.#scratch.rows;
  }

  /**
   * Runs tokens of some slots, each slot's in order, after those that it has.
   *
   * @param rows at most `maxRows`; those of slots that listen to one window lie together
   * @param windowOf any number that tells windows apart
   * @param listener is called with the query of each layer's cross-attention, T [rows, nTextState]
   */
  prompts(
    lanes: Lanes,
    rows: readonly Row[],
    windowOf: (slot: number) => number,
    listener: ((layer: number, query: number, slots: number) => void) | null = null,
  ): RunRows {
    const host = this.#promptRows;
    host.write(rows, windowOf);
    const heard: CrossQueryListener | null = listener && ((layer, query) => listener(layer, query, host.slot));
    return this.#run(targetOf(host, rows.length, lanes, false), heard);
  }

  /** Runs one token of each row of a slot of its own, laid out in `lanes.hostRows`. */
  step(lanes: Lanes, rows: readonly Row[], windowOf: (slot: number) => number): RunRows {
    const host = lanes.hostRows;
    host.write(rows, windowOf);
    const target = targetOf(host, rows.length, lanes, true);
    const key = `step of ${rows.length} rows in ${target.groups} groups`;
    const graph = this.#graph(lanes, key, () => this.#run(target, null));
    graph.launch();
    return this.#runRows(this.#launches(target, null));
  }

  /**
   * A step over the live slots, whose rows are laid out on the device.
   *
   * @param m most live slots
   * @param choose asks for what becomes of the logits: float32 [m, nVocab]
   */
  liveStep(lanes: Lanes, m: number, choose: (logits: number) => void): Graph {
    return this.#graph(lanes, `step of ${m} live rows`, () => {
      const { rows, caches } = lanes;
      this.kernels.beginStep({ slots: lanes.states, live: lanes.live, rows });
      const launches = this.#launches({ rows, m, groups: m, groupSize: 1, step: true, caches }, null);
      this.#forward(launches);
      choose(launches.logitsOf(m, null));
    });
  }

  #graph(lanes: Lanes, key: string, work: () => void): Graph {
    let graph = lanes.graphs.get(key);
    if (graph === undefined) {
      graph = this.kernels.device.capture(work);
      lanes.graphs.set(key, graph);
    }
    return graph;
  }

  #launches(target: DecoderTarget, listener: CrossQueryListener | null): DecoderLaunches {
    return new DecoderLaunches(this.kernels, this.#weights, this.dimensions, this.#scratch, target, listener);
  }

  #forward(launches: DecoderLaunches): void {
    const crossCaches = Array.from({ length: this.dimensions.nTextLayer }, () => []);
    decoderStep(launches, this.dimensions, launches.tokens, launches.selfCaches, crossCaches);
  }

  #run(target: DecoderTarget, listener: CrossQueryListener | null): RunRows {
    const launches = this.#launches(target, listener);
    this.#forward(launches);
    return this.#runRows(launches);
  }

  #runRows(launches: DecoderLaunches): RunRows {
    return {
      logits: (indices) => {
        this.kernels.device.write(this.#wanted, Int32Array.from(indices));
        return launches.logitsOf(indices.length, this.#wanted);
      },
    };
  }

  free(): void {
    this.#scratch.free();
  }
}

/** A run of rows that the host has laid out. */
function targetOf(rows: HostRows, m: number, { caches }: Lanes, step: boolean): DecoderTarget {
  const { groups } = rows;
  return { rows, m, groups, groupSize: groups === m ? 1 : GROUP_SIZE, step, caches };
}
