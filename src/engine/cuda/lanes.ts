/**
 * Token sequences under way, on the device: as many slots as a batch has rows, each with its self-attention caches, its history and its results;
 * and the steps over them, captured as graphs, which hold addresses: so lanes are kept and lent again rather than made anew.
 */
import type { ModelDimensions } from "../../model/index.ts";
import { BYTES_PER_ELEMENT } from "../../tensor/index.ts";
import { Buffers, nextPowerOfTwo } from "./buffers.ts";
import type { CudaDevice, Graph } from "./device.ts";
import type { CudaDType } from "./dtypes.ts";
import { HEAD_SIZE, type StepRows } from "./kernels.ts";
import { RULES_BYTES } from "./token-rules.ts";

/** Bytes of kernels/rows.cuh's Slot, and the places of its fields in 32-bit words. */
const SLOT_BYTES = 64;
const SLOT_WORDS = SLOT_BYTES / 4;
const FIELD = { position: 0, token: 1, generated: 2, maxNewTokens: 3, rules: 4, penultimate: 6, last: 7, finished: 8 };

/** What becomes of a slot. */
export interface SlotState {
  readonly generated: number;
  readonly finished: "no" | "eot" | "length";
}

const FINISHED = ["no", "eot", "length"] as const;

/** Some arrays of 32-bit numbers in one buffer, written together. */
class Words {
  readonly #device: CudaDevice;
  readonly #address: number;
  readonly #lengths: readonly number[];

  constructor(device: CudaDevice, buffers: Buffers, lengths: readonly number[]) {
    this.#device = device;
    this.#lengths = lengths;
    this.#address = buffers.alloc(4 * lengths.reduce((sum, length) => sum + length, 0));
  }

  /** Device addresses of the arrays. */
  get addresses(): number[] {
    let address = this.#address;
    return this.#lengths.map((length) => {
      const own = address;
      address += 4 * length;
      return own;
    });
  }

  /** Writes all arrays, each as far as values are given. */
  write(arrays: readonly (readonly number[])[]): void {
    const all = new Int32Array(this.#lengths.reduce((sum, length) => sum + length, 0));
    let at = 0;
    arrays.forEach((values, i) => {
      all.set(values, at);
      at += this.#lengths[i];
    });
    this.#device.write(this.#address, all);
  }
}

/** One token to be run. */
export interface Row {
  readonly token: number;
  readonly position: number;
  readonly slot: number;
}

/** Most rows of a group of cross-attention. */
export const GROUP_SIZE = 8;

/** Rows that the host lays out: prompts, and steps of beams. */
export class HostRows implements StepRows {
  readonly #words: Words;
  readonly token: number;
  readonly position: number;
  readonly slot: number;
  readonly count: number;
  readonly groupFirst: number;
  readonly groupRows: number;
  readonly groupCount: number;
  /** How many groups the rows have that were written last. */
  groups = 0;

  /** @param capacity most rows */
  constructor(device: CudaDevice, buffers: Buffers, capacity: number) {
    this.#words = new Words(device, buffers, [capacity, capacity, capacity, capacity, capacity, 1, 1]);
    [this.token, this.position, this.slot, this.groupFirst, this.groupRows, this.count, this.groupCount] =
      this.#words.addresses;
  }

  /**
   * @param rows those that listen to one window lie together
   * @param windowOf the window that a slot listens to
   */
  write(rows: readonly Row[], windowOf: (slot: number) => number): void {
    const groupFirst: number[] = [];
    const groupRows: number[] = [];
    let window = -1;
    rows.forEach(({ slot }, i) => {
      const own = windowOf(slot);
      const last = groupRows.length - 1;
      if (own === window && groupRows[last] < GROUP_SIZE) {
        groupRows[last]++;
        return;
      }
      window = own;
      groupFirst.push(i);
      groupRows.push(1);
    });
    this.groups = groupFirst.length;
    this.#words.write([
      rows.map(({ token }) => token),
      rows.map(({ position }) => position),
      rows.map(({ slot }) => slot),
      groupFirst,
      groupRows,
      [rows.length],
      [groupFirst.length],
    ]);
  }
}

/** The slots of a batch. */
export class Lanes {
  readonly slots: number;
  /** Self-attention caches: T [layer][2][slots][nHead][nTextCtx][64]. */
  readonly cache: number;
  readonly layerBytes: number;
  /** int32 [slots][nTextCtx]: which slot wrote a position. */
  readonly places: number;
  readonly freshPlaces: number;
  /** uint64 [slots]: the window that a slot listens to. */
  readonly slotAudio: number;
  /** Slot [slots]. */
  readonly states: number;
  /** Rules [slots]: what each slot goes by. */
  readonly rules: number;
  /** int32 [slots]: slots that are generated, in the order of their rows. */
  readonly live: number;
  /** The rows of a step: those of the live slots, laid out on the device. */
  readonly rows: StepRows;
  /** int32, float32 [slots][nTextCtx]: what was generated. */
  readonly tokens: number;
  readonly logprobs: number;
  /** Steps over at most so many rows, by what they do. */
  readonly graphs = new Map<string, Graph>();
  /** Rows that the host lays out, one a slot: for graphs of beams, which hold its addresses. */
  readonly hostRows: HostRows;
  readonly #device: CudaDevice;
  readonly #dimensions: ModelDimensions;
  readonly #buffers: Buffers;
  readonly #status: readonly [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
  readonly #results: Uint8Array<ArrayBuffer>;

  /** @param buffers what the lanes lie in, which is freed with them */
  constructor(device: CudaDevice, buffers: Buffers, dtype: CudaDType, dimensions: ModelDimensions, slots: number) {
    const { nTextCtx, nTextLayer } = dimensions;
    this.#device = device;
    this.#dimensions = dimensions;
    this.#buffers = buffers;
    this.slots = slots;
    this.layerBytes = slots * Lanes.bytesPerSlot(dtype, { ...dimensions, nTextLayer: 1 });
    this.cache = buffers.alloc(nTextLayer * this.layerBytes);
    this.places = buffers.alloc(4 * slots * nTextCtx);
    this.freshPlaces = buffers.alloc(4 * slots * nTextCtx);
    this.slotAudio = buffers.alloc(8 * slots);
    this.states = buffers.alloc(SLOT_BYTES * slots);
    this.rules = buffers.alloc(RULES_BYTES * slots);
    this.live = buffers.alloc(4 * slots);
    this.tokens = buffers.alloc(4 * slots * nTextCtx);
    this.logprobs = buffers.alloc(4 * slots * nTextCtx);
    const count = buffers.alloc(4);
    const [token, position, slot, groupFirst, groupRows] = Array.from({ length: 5 }, () => buffers.alloc(4 * slots));
    this.rows = { token, position, slot, count, groupFirst, groupRows, groupCount: count };
    this.hostRows = new HostRows(device, buffers, slots);
    this.#status = [buffers.allocPinned(SLOT_BYTES * slots), buffers.allocPinned(SLOT_BYTES * slots)];
    this.#results = buffers.allocPinned(8 * slots * nTextCtx);
    // A place that was never written must still be a slot.
    device.fill(this.places, 0, 4 * slots * nTextCtx);
  }

  /** Bytes of the self-attention caches of one sequence. */
  static bytesPerSlot(dtype: CudaDType, { nTextLayer, nTextHead, nTextCtx }: ModelDimensions): number {
    return nTextLayer * 2 * nTextHead * nTextCtx * HEAD_SIZE * BYTES_PER_ELEMENT[dtype];
  }

  /** What DecoderLaunches needs to know. */
  get caches(): {
    address: number;
    layerBytes: number;
    places: number;
    slots: number;
    slotAudio: number;
  } {
    const { cache: address, layerBytes, places, slots, slotAudio } = this;
    return { address, layerBytes, places, slots, slotAudio };
  }

  /** @param windows device address of the window of each slot */
  listen(windows: readonly number[]): void {
    this.#device.write(this.slotAudio, BigInt64Array.from(windows, BigInt));
  }

  /**
   * Begins a sequence in a slot: after its prompt of `length` tokens, whose last one stands at length - 1.
   *
   * @param rules the record of DeviceRules
   */
  begin(slot: number, length: number, maxNewTokens: number, rules: Uint8Array): void {
    const words = new Int32Array(SLOT_WORDS);
    words[FIELD.position] = length - 1;
    words[FIELD.maxNewTokens] = maxNewTokens;
    words[FIELD.rules] = slot;
    words[FIELD.penultimate] = 1;
    words[FIELD.last] = -1;
    this.#device.write(this.states + slot * SLOT_BYTES, words);
    this.#device.write(this.rules + slot * RULES_BYTES, rules);
  }

  /** Names the slots that are generated, in order. */
  setLive(slots: readonly number[]): void {
    this.#device.write(this.live, Int32Array.from(slots));
    this.#device.write(this.rows.count, Int32Array.of(slots.length));
  }

  /** Asks for the states of the slots; there is room for two answers. */
  askStates(half: 0 | 1): void {
    this.#device.read(this.states, this.#status[half]);
  }

  /** The answer, when all that was asked for is done. */
  readStates(half: 0 | 1): SlotState[] {
    const bytes = this.#status[half];
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, SLOT_WORDS * this.slots);
    return Array.from({ length: this.slots }, (_, slot) => ({
      generated: words[slot * SLOT_WORDS + FIELD.generated],
      finished: FINISHED[words[slot * SLOT_WORDS + FIELD.finished]],
    }));
  }

  /**
   * What was generated, of all slots: [slots, nTextCtx]. Valid until the next call.
   *
   * Others may ask for work meanwhile, so it is read by copies that the process need not wait for.
   */
  async results(): Promise<{ tokens: Int32Array; logprobs: Float32Array }> {
    const count = this.slots * this.#dimensions.nTextCtx;
    const data = this.#results;
    this.#device.read(this.tokens, data.subarray(0, 4 * count));
    this.#device.read(this.logprobs, data.subarray(4 * count));
    await this.#device.finished();
    const { buffer, byteOffset } = data;
    return {
      tokens: new Int32Array(buffer, byteOffset, count),
      logprobs: new Float32Array(buffer, byteOffset + 4 * count, count),
    };
  }

  free(): void {
    for (const graph of this.graphs.values()) graph.destroy();
    this.graphs.clear();
    this.#buffers.free();
  }
}

/** Lanes that are lent, and come back with their graphs. */
export class LanePool {
  readonly #idle: Lanes[] = [];

  constructor(
    private readonly device: CudaDevice,
    private readonly dtype: CudaDType,
    private readonly dimensions: ModelDimensions,
  ) {}

  /** Lanes of at least so many slots: a power of two. @throws {CudaError} CUDA_ERROR_OUT_OF_MEMORY */
  take(slots: number): Lanes {
    const wanted = nextPowerOfTwo(slots);
    const index = this.#idle.findIndex((lanes) => lanes.slots === wanted);
    if (index >= 0) return this.#idle.splice(index, 1)[0];
    const buffers = new Buffers(this.device);
    try {
      return new Lanes(this.device, buffers, this.dtype, this.dimensions, wanted);
    } catch (error) {
      buffers.free();
      throw error;
    }
  }

  /** Takes lanes back. Of each size as many are kept as were in use at one time. */
  give(lanes: Lanes): void {
    this.#idle.push(lanes);
  }

  /** Frees what is not lent. */
  trim(): void {
    for (const lanes of this.#idle.splice(0)) lanes.free();
  }
}
