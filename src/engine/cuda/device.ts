/**
 * One GPU: its context, stream, kernels and memory. Everything the engine does goes through one stream, so work and copies happen in the
 * order in which they are asked for, and a buffer that is given back may be used again at once.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EngineUnavailableError } from "../../errors.ts";
import { CudaDriver, CudaError } from "./driver.ts";
import { ArgumentBlock, type Argument } from "./arguments.ts";

/** Attributes of cuDeviceGetAttribute. */
const MULTIPROCESSORS = 16;
const COMPUTE_MAJOR = 75;
const COMPUTE_MINOR = 76;
const SHARED_OPT_IN = 97;
/** Attribute of cuFuncSetAttribute: most dynamic shared memory. */
const MAX_DYNAMIC_SHARED = 8;
/** What a kernel may have of it without asking. */
const DEFAULT_SHARED = 48 * 1024;

const STREAM_NON_BLOCKING = 1;
const CAPTURE_RELAXED = 2;
const EVENT_WITHOUT_TIMING = 2;

/** Milliseconds of asking at every turn of the event loop; after that a timer asks. */
const EAGER_MS = 2;

/** A buffer may be used again for something half its size: batches of any number of windows get along with few sizes. */
const MOST_WASTE = 2;

/** Some of a GPU's memory. */
export interface DeviceBuffer {
  readonly address: number;
  readonly bytes: number;
}

/** Memory of the process that copies to and from the GPU need no detour for. */
export interface PinnedBuffer {
  readonly data: Uint8Array<ArrayBuffer>;
  free(): void;
}

/** What is known of a GPU before anything is done with it. */
export interface DeviceInfo {
  readonly ordinal: number;
  readonly name: string;
  /** 90 for compute capability 9.0. */
  readonly computeCapability: number;
  readonly totalMemory: number;
}

/** How many blocks of how many threads, and their dynamic shared memory in bytes. */
export interface LaunchShape {
  readonly grid: readonly [x: number, y: number, z: number];
  readonly block: number;
  readonly shared?: number;
}

/** A captured sequence of launches. */
export interface Graph {
  launch(): void;
  destroy(): void;
}

/** Oldest GPUs that the kernels run on: they copy asynchronously and multiply bfloat16 matrices. */
const OLDEST = 80;

/** "9.0". */
export function versionOf({ computeCapability }: Pick<DeviceInfo, "computeCapability">): string {
  return (computeCapability / 10).toFixed(1);
}

/** The GPUs of this machine, in the driver's order. */
export function listDevices(driver: CudaDriver): DeviceInfo[] {
  const count = driver.get("cuDeviceGetCount");
  return Array.from({ length: count }, (_, ordinal) => {
    const device = driver.get("cuDeviceGet", [ordinal]);
    const name = new Uint8Array(256);
    driver.call("cuDeviceGetName", name, name.length, device);
    const attribute = (id: number): number => driver.get("cuDeviceGetAttribute", [id, device]);
    return {
      ordinal,
      name: new TextDecoder().decode(name.subarray(0, name.indexOf(0))),
      computeCapability: 10 * attribute(COMPUTE_MAJOR) + attribute(COMPUTE_MINOR),
      totalMemory: driver.get("cuDeviceTotalMem", [device]),
    };
  });
}

/**
 * Where the kernels of this package lie; this file is three folders below the package, in src/ and in dist/. One module has machine code for some GPUs
 * and PTX for all others; drivers before the toolkit that made the machine code get PTX alone (scripts/build-kernels.mjs).
 */
const MODULES = new URL("../../../prebuilt/cuda/", import.meta.url);
const MACHINE_CODE_SINCE = 13000;
const MACHINE_CODE_FOR = [80, 90];

export class CudaDevice {
  readonly info: DeviceInfo;
  readonly multiprocessors: number;
  /** Most dynamic shared memory of a block, in bytes. */
  readonly maxShared: number;
  /** Whether the kernels are machine code for this very GPU, with what only its own compute capability has. */
  readonly hasOwnCode: boolean;
  readonly #driver: CudaDriver;
  readonly #arguments: ArgumentBlock;
  readonly #device: number;
  readonly #context: number;
  readonly #stream: number;
  readonly #module: number;
  readonly #functions = new Map<string, { readonly handle: number; shared: number }>();
  /** Addresses of buffers in use, and by size of those that wait to be used again. */
  readonly #inUse = new Set<number>();
  readonly #idle = new Map<number, number[]>();
  readonly #events: number[] = [];
  readonly #reclaimers: (() => void)[] = [];
  /** Whether launches only make sure that their kernels are there. */
  #isLoading = false;
  #closed = false;

  private constructor(driver: CudaDriver, info: DeviceInfo) {
    this.info = info;
    this.#driver = driver;
    this.#arguments = new ArgumentBlock((array) => driver.addressOf(array));
    this.#device = driver.get("cuDeviceGet", [info.ordinal]);
    this.#context = driver.get("cuDevicePrimaryCtxRetain", [this.#device]);
    this.#enter();
    this.multiprocessors = driver.get("cuDeviceGetAttribute", [MULTIPROCESSORS, this.#device]);
    this.maxShared = driver.get("cuDeviceGetAttribute", [SHARED_OPT_IN, this.#device]);
    this.#stream = driver.get("cuStreamCreate", [STREAM_NON_BLOCKING]);
    const takesMachineCode = driver.get("cuDriverGetVersion") >= MACHINE_CODE_SINCE;
    this.hasOwnCode = takesMachineCode && MACHINE_CODE_FOR.includes(info.computeCapability);
    const file = new URL(takesMachineCode ? "sotto.fatbin" : "sotto-ptx.fatbin", MODULES);
    this.#module = driver.get("cuModuleLoadData", [readFileSync(fileURLToPath(file))]);
  }

  /**
   * Opens a GPU.
   *
   * @param ordinal its number in the driver's order
   * @throws {EngineUnavailableError} if there is no driver, no such GPU, or it is too old
   */
  static open(ordinal = 0): CudaDevice {
    const found = CudaDriver.load();
    if ("reason" in found) {
      throw new EngineUnavailableError("cuda", found.reason, { hint: 'device "cpu" needs no GPU' });
    }
    const devices = listDevices(found.driver);
    const info = devices[ordinal];
    if (info === undefined) {
      const list = devices.map(({ name }, i) => `cuda:${i} ${name}`).join(", ");
      throw new EngineUnavailableError("cuda", `there is no GPU ${ordinal}, found ${list === "" ? "none" : list}`);
    }
    const fault = CudaDevice.faultOf(info);
    if (fault !== null) {
      throw new EngineUnavailableError("cuda", `GPU ${ordinal}, ${info.name}, ${fault}`, { hint: 'use device "cpu"' });
    }
    try {
      return new CudaDevice(found.driver, info);
    } catch (error) {
      throw new EngineUnavailableError("cuda", (error as Error).message, { cause: error });
    }
  }

  /** Why a GPU cannot be used; null if it can. */
  static faultOf(info: DeviceInfo): string | null {
    if (info.computeCapability >= OLDEST) return null;
    return `has compute capability ${versionOf(info)}, expected ${versionOf({ computeCapability: OLDEST })} or more`;
  }

  /** The device that the driver's calls mean now. */
  static #current: CudaDevice | null = null;

  /** Makes this GPU the one that the driver's calls mean. */
  #enter(): void {
    if (CudaDevice.#current === this) return;
    this.#driver.call("cuCtxSetCurrent", this.#context);
    CudaDevice.#current = this;
  }

  /** Free bytes of memory, those included that wait to be used again. */
  get freeMemory(): number {
    this.#enter();
    let idle = 0;
    for (const [bytes, addresses] of this.#idle) idle += bytes * addresses.length;
    return this.#driver.memory().free + idle;
  }

  /** Names what gives memory back when there is none left. */
  onPressure(reclaim: () => void): void {
    this.#reclaimers.push(reclaim);
  }

  /** @throws {CudaError} CUDA_ERROR_OUT_OF_MEMORY with what was asked and what is free */
  alloc(bytes: number): DeviceBuffer {
    const size = Math.max(1, bytes);
    this.#enter();
    const buffer = this.#takeIdle(size) ?? { address: this.#allocate(size), bytes: size };
    this.#inUse.add(buffer.address);
    return buffer;
  }

  /** The smallest buffer that waits to be used again, if it is not much too large. */
  #takeIdle(size: number): DeviceBuffer | null {
    let best = Infinity;
    for (const bytes of this.#idle.keys()) {
      if (bytes >= size && bytes <= MOST_WASTE * size && bytes < best) best = bytes;
    }
    const addresses = this.#idle.get(best);
    const address = addresses?.pop();
    if (address === undefined) return null;
    if (addresses?.length === 0) this.#idle.delete(best);
    return { address, bytes: best };
  }

  #allocate(size: number): number {
    try {
      return this.#driver.get("cuMemAlloc", [size]);
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
    }
    // What is given back may still be at work.
    this.#driver.call("cuStreamSynchronize", this.#stream);
    for (const reclaim of this.#reclaimers) reclaim();
    this.trim();
    try {
      return this.#driver.get("cuMemAlloc", [size]);
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      const { free, total } = this.#driver.memory();
      throw new CudaError(
        "cuMemAlloc",
        "CUDA_ERROR_OUT_OF_MEMORY",
        `${mebibytes(size)} asked of ${this.info.name}, ${mebibytes(free)} of ${mebibytes(total)} free`,
      );
    }
  }

  /** Gives a buffer back; work that was asked for before still has it. */
  free(buffer: DeviceBuffer): void {
    if (!this.#inUse.delete(buffer.address)) return;
    const idle = this.#idle.get(buffer.bytes);
    if (idle === undefined) this.#idle.set(buffer.bytes, [buffer.address]);
    else idle.push(buffer.address);
  }

  /** Returns to the driver what waits to be used again. */
  trim(): void {
    this.#enter();
    this.#driver.call("cuStreamSynchronize", this.#stream);
    for (const addresses of this.#idle.values()) {
      for (const address of addresses) this.#driver.call("cuMemFree", address);
    }
    this.#idle.clear();
  }

  /** Memory of the process for fast copies. */
  allocPinned(bytes: number): PinnedBuffer {
    this.#enter();
    const address = this.#driver.get("cuMemHostAlloc", [bytes, 0]);
    return {
      data: this.#driver.bytesAt(address, bytes) as Uint8Array<ArrayBuffer>,
      free: () => {
        if (!this.#closed) this.#enter();
        this.#driver.call("cuMemFreeHost", address);
      },
    };
  }

  /** Copies an array into a buffer; from memory that is not pinned, the array may be changed when this returns. */
  write(address: number, data: ArrayBufferView): void {
    if (data.byteLength === 0) return;
    this.#enter();
    this.#driver.call("cuMemcpyHtoDAsync", address, data, data.byteLength, this.#stream);
  }

  /**
   * Copies into an array. Into pinned memory, it is there when `finished()` says so; into other memory when this returns, which
   * is when all work before it is done.
   */
  read(address: number, into: ArrayBufferView): void {
    if (into.byteLength === 0) return;
    this.#enter();
    this.#driver.call("cuMemcpyDtoHAsync", into, address, into.byteLength, this.#stream);
  }

  copy(to: number, from: number, bytes: number): void {
    this.#enter();
    this.#driver.call("cuMemcpyDtoDAsync", to, from, bytes, this.#stream);
  }

  /** Sets every byte. */
  fill(address: number, value: number, bytes: number): void {
    if (bytes === 0) return;
    this.#enter();
    this.#driver.call("cuMemsetD8Async", address, value, bytes, this.#stream);
  }

  /** Sets every 32-bit word. */
  fillWords(address: number, value: number, words: number): void {
    if (words === 0) return;
    this.#enter();
    this.#driver.call("cuMemsetD32Async", address, value >>> 0, words, this.#stream);
  }

  /** A new buffer that holds an array. */
  upload(data: ArrayBufferView): DeviceBuffer {
    const buffer = this.alloc(data.byteLength);
    this.write(buffer.address, data);
    return buffer;
  }

  /** What a buffer holds, or what lies at an address. */
  async download<A extends ArrayBufferView>(
    from: DeviceBuffer | number,
    type: new (length: number) => A,
    count: number,
  ): Promise<A> {
    const into = new type(count);
    await this.finished();
    this.read(typeof from === "number" ? from : from.address, into);
    return into;
  }

  #find(name: string): { readonly handle: number; shared: number } {
    const known = this.#functions.get(name);
    if (known !== undefined) return known;
    try {
      const found = { handle: this.#driver.get("cuModuleGetFunction", [this.#module, name]), shared: DEFAULT_SHARED };
      this.#functions.set(name, found);
      return found;
    } catch (error) {
      if (!(error instanceof CudaError) || error.code !== "CUDA_ERROR_NOT_FOUND") throw error;
      throw new Error(`There is no kernel "${name}" for ${this.info.name}`, { cause: error });
    }
  }

  /**
   * Asks for a kernel to be run after all that was asked before.
   *
   * @throws {CudaError} for a launch that this GPU cannot make
   */
  launch(name: string, { grid, block, shared = 0 }: LaunchShape, args: readonly Argument[]): void {
    this.#enter();
    const kernel = this.#find(name);
    if (shared > kernel.shared) {
      this.#driver.call("cuFuncSetAttribute", kernel.handle, MAX_DYNAMIC_SHARED, shared);
      kernel.shared = shared;
    }
    if (this.#isLoading) return;
    this.#arguments.set(args);
    const { addresses } = this.#arguments;
    try {
      this.#driver.call("cuLaunchKernel", kernel.handle, ...grid, block, 1, 1, shared, this.#stream, addresses, 0);
    } catch (error) {
      if (!(error instanceof CudaError)) throw error;
      const shape = `${grid.join("x")} blocks of ${block} threads, ${shared} bytes shared`;
      throw new CudaError("cuLaunchKernel", error.code, `${error.message}; kernel ${name}, ${shape}`);
    }
  }

  /**
   * Records what `work` asks for instead of doing it: to be done as often as wanted, at the cost of one call.
   *
   * @param work asks for launches alone. It is called twice: the driver loads a kernel when it is first asked for, and may wait for the GPU or
   * allocate memory then, which a stream that records forbids
   */
  capture(work: () => void): Graph {
    const driver = this.#driver;
    this.#enter();
    this.#isLoading = true;
    try {
      work();
    } finally {
      this.#isLoading = false;
    }
    driver.call("cuStreamBeginCapture", this.#stream, CAPTURE_RELAXED);
    try {
      work();
    } catch (error) {
      // The stream must leave the capture, whatever has become of it.
      try {
        driver.call("cuGraphDestroy", this.#endCapture());
      } catch {
        // The first error says more.
      }
      throw error;
    }
    const graph = this.#endCapture();
    const executable = driver.get("cuGraphInstantiate", [graph, 0]);
    driver.call("cuGraphDestroy", graph);
    return {
      launch: () => {
        this.#enter();
        driver.call("cuGraphLaunch", executable, this.#stream);
      },
      destroy: () => {
        if (this.#closed) return;
        this.#enter();
        driver.call("cuGraphExecDestroy", executable);
      },
    };
  }

  #endCapture(): number {
    return this.#driver.get("cuStreamEndCapture", [this.#stream], 1);
  }

  /** Kept when all that has been asked for until now is done. @throws {CudaError} for a fault in it */
  finished(): Promise<void> {
    this.#enter();
    const event = this.#events.pop() ?? this.#driver.get("cuEventCreate", [EVENT_WITHOUT_TIMING]);
    this.#driver.call("cuEventRecord", event, this.#stream);
    return this.#reached(event);
  }

  async #reached(event: number): Promise<void> {
    const since = performance.now();
    for (;;) {
      this.#enter();
      if (this.#driver.happened(event)) break;
      const eager = performance.now() - since < EAGER_MS;
      await new Promise<void>((resolve) => {
        if (eager) setImmediate(resolve);
        else setTimeout(resolve, 1);
      });
    }
    this.#events.push(event);
  }

  /** Milliseconds that the GPU takes for what `work` asks for. */
  async time(work: () => void): Promise<number> {
    this.#enter();
    const [start, end] = [0, 1].map(() => this.#driver.get("cuEventCreate", [0]));
    this.#driver.call("cuEventRecord", start, this.#stream);
    work();
    this.#driver.call("cuEventRecord", end, this.#stream);
    await this.finished();
    const ms = this.#driver.get("cuEventElapsedTime", [start, end]);
    for (const event of [start, end]) this.#driver.call("cuEventDestroy", event);
    return ms;
  }

  /** Frees everything. Safe to call twice, and after a fault. */
  close(): void {
    if (this.#closed) return;
    const frees: (() => void)[] = [
      () => this.trim(),
      ...[...this.#inUse].map((address) => () => this.#driver.call("cuMemFree", address)),
      ...this.#events.map((event) => () => this.#driver.call("cuEventDestroy", event)),
      () => this.#driver.call("cuModuleUnload", this.#module),
      () => this.#driver.call("cuStreamDestroy", this.#stream),
      () => this.#driver.call("cuDevicePrimaryCtxRelease", this.#device),
    ];
    for (const free of frees) {
      try {
        free();
      } catch (error) {
        // After a fault every call says so again; whoever asked for the work that failed has been told.
        if (!(error instanceof CudaError)) throw error;
      }
    }
    this.#inUse.clear();
    this.#closed = true;
    CudaDevice.#current = null;
  }
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof CudaError && error.code === "CUDA_ERROR_OUT_OF_MEMORY";
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
