/**
 * NVIDIA's driver API through koffi: the few dozen functions the engine needs, each call checked, errors by their names.
 *
 * Nothing but the driver is needed: `libcuda.so.1` on Linux, `nvcuda.dll` on Windows. $SOTTO_LIBCUDA names another library with the same
 * functions, which is how the tests run the engine without a GPU (kernels/host).
 *
 * Handles and device addresses travel as numbers: the driver gives addresses below 2^53.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";

import { loadFault } from "../load-fault.ts";

/** A function of the driver failed. */
export class CudaError extends Error {
  override readonly name = "CudaError";
  constructor(
    /** The function: "cuMemAlloc". */
    readonly call: string,
    /** "CUDA_ERROR_OUT_OF_MEMORY". */
    readonly code: string,
    description: string,
    detail = "",
  ) {
    super(`${call} failed${detail === "" ? "" : ` ${detail}`}: ${code} (${description})`);
  }
}

const NOT_READY = 600;

/** C declarations, by name; `_v2` is left out of our names. */
const DECLARATIONS = {
  cuInit: "int cuInit(uint flags)",
  cuDriverGetVersion: "int cuDriverGetVersion(_Out_ int *version)",
  cuGetErrorName: "int cuGetErrorName(int error, _Out_ const char **name)",
  cuGetErrorString: "int cuGetErrorString(int error, _Out_ const char **text)",
  cuDeviceGetCount: "int cuDeviceGetCount(_Out_ int *count)",
  cuDeviceGet: "int cuDeviceGet(_Out_ int *device, int ordinal)",
  cuDeviceGetName: "int cuDeviceGetName(uint8_t *name, int length, int device)",
  cuDeviceGetAttribute: "int cuDeviceGetAttribute(_Out_ int *value, int attribute, int device)",
  cuDeviceTotalMem: "int cuDeviceTotalMem_v2(_Out_ uint64_t *bytes, int device)",
  cuDevicePrimaryCtxRetain: "int cuDevicePrimaryCtxRetain(_Out_ uint64_t *context, int device)",
  cuDevicePrimaryCtxRelease: "int cuDevicePrimaryCtxRelease_v2(int device)",
  cuCtxSetCurrent: "int cuCtxSetCurrent(uint64_t context)",
  cuMemGetInfo: "int cuMemGetInfo_v2(_Out_ uint64_t *free, _Out_ uint64_t *total)",
  cuMemAlloc: "int cuMemAlloc_v2(_Out_ uint64_t *address, uint64_t bytes)",
  cuMemFree: "int cuMemFree_v2(uint64_t address)",
  cuMemHostAlloc: "int cuMemHostAlloc(_Out_ uint64_t *address, uint64_t bytes, uint flags)",
  cuMemFreeHost: "int cuMemFreeHost(uint64_t address)",
  cuMemcpyHtoDAsync: "int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, uint64_t bytes, uint64_t stream)",
  cuMemcpyDtoHAsync: "int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, uint64_t bytes, uint64_t stream)",
  cuMemcpyDtoDAsync: "int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, uint64_t bytes, uint64_t stream)",
  cuMemsetD8Async: "int cuMemsetD8Async(uint64_t address, uint8_t value, uint64_t count, uint64_t stream)",
  cuMemsetD32Async: "int cuMemsetD32Async(uint64_t address, uint value, uint64_t count, uint64_t stream)",
  cuStreamCreate: "int cuStreamCreate(_Out_ uint64_t *stream, uint flags)",
  cuStreamDestroy: "int cuStreamDestroy_v2(uint64_t stream)",
  cuStreamSynchronize: "int cuStreamSynchronize(uint64_t stream)",
  cuEventCreate: "int cuEventCreate(_Out_ uint64_t *event, uint flags)",
  cuEventRecord: "int cuEventRecord(uint64_t event, uint64_t stream)",
  cuEventQuery: "int cuEventQuery(uint64_t event)",
  cuEventElapsedTime: "int cuEventElapsedTime(_Out_ float *milliseconds, uint64_t start, uint64_t end)",
  cuEventDestroy: "int cuEventDestroy_v2(uint64_t event)",
  cuModuleLoadData: "int cuModuleLoadData(_Out_ uint64_t *module, const uint8_t *image)",
  cuModuleUnload: "int cuModuleUnload(uint64_t module)",
  cuModuleGetFunction: "int cuModuleGetFunction(_Out_ uint64_t *function, uint64_t module, const char *name)",
  cuFuncSetAttribute: "int cuFuncSetAttribute(uint64_t function, int attribute, int value)",
  cuLaunchKernel:
    "int cuLaunchKernel(uint64_t function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint shared, uint64_t stream, const uint8_t *parameters, uint64_t extra)",
  cuStreamBeginCapture: "int cuStreamBeginCapture_v2(uint64_t stream, int mode)",
  cuStreamEndCapture: "int cuStreamEndCapture(uint64_t stream, _Out_ uint64_t *graph)",
  cuGraphInstantiate: "int cuGraphInstantiateWithFlags(_Out_ uint64_t *executable, uint64_t graph, uint64_t flags)",
  cuGraphLaunch: "int cuGraphLaunch(uint64_t executable, uint64_t stream)",
  cuGraphExecDestroy: "int cuGraphExecDestroy(uint64_t executable)",
  cuGraphDestroy: "int cuGraphDestroy(uint64_t graph)",
} as const;

type Call = keyof typeof DECLARATIONS;
type Bound = (...args: unknown[]) => number;

/** The part of koffi that is used here. */
interface Koffi {
  load(path: string): { func(declaration: string): Bound };
  address(value: ArrayBufferView): bigint;
  view(address: number | bigint, length: number): ArrayBuffer;
}

/** The driver, loaded and initialised. */
export class CudaDriver {
  readonly #functions: Readonly<Record<Call, Bound>>;
  readonly #koffi: Koffi;

  private constructor(koffi: Koffi, path: string) {
    const library = koffi.load(path);
    this.#koffi = koffi;
    this.#functions = Object.fromEntries(
      Object.entries(DECLARATIONS).map(([name, declaration]) => [name, library.func(declaration)]),
    ) as Record<Call, Bound>;
  }

  static #loaded: { readonly path: string; readonly driver: CudaDriver } | null = null;

  /**
   * Loads the driver: once in a process.
   *
   * @returns the driver, or why there is none
   */
  static load(): { readonly driver: CudaDriver } | { readonly reason: string } {
    const path = libraryPath();
    if (path === null) return { reason: "this machine has no NVIDIA driver" };
    if (CudaDriver.#loaded?.path === path) return CudaDriver.#loaded;
    let koffi: Koffi;
    try {
      koffi = createRequire(import.meta.url)("koffi") as Koffi;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const isAbsent = code === "MODULE_NOT_FOUND" && message.startsWith("Cannot find module 'koffi'");
      const what = isAbsent ? "is not installed" : `cannot be loaded: ${loadFault(error)}`;
      return { reason: `the optional package "koffi" ${what}` };
    }
    try {
      const driver = new CudaDriver(koffi, path);
      driver.call("cuInit", 0);
      CudaDriver.#loaded = { path, driver };
      return { driver };
    } catch (error) {
      return { reason: `the NVIDIA driver cannot be used: ${(error as Error).message}` };
    }
  }

  /** Calls a function that gives nothing but its error code. @throws {CudaError} */
  call(name: Call, ...args: readonly unknown[]): void {
    const status = this.#functions[name](...args);
    if (status !== 0) throw this.#error(name, status);
  }

  /** Calls a function with one result, which is a parameter: the first, or the one at `index`. @throws {CudaError} */
  get(name: Call, args: readonly unknown[] = [], index = 0): number {
    const result: [number | bigint | null] = [null];
    this.call(name, ...args.slice(0, index), result, ...args.slice(index));
    return Number(result[0]);
  }

  /** Free and total bytes of the current device. */
  memory(): { free: number; total: number } {
    const free: [number | null] = [null];
    const total: [number | null] = [null];
    this.call("cuMemGetInfo", free, total);
    return { free: Number(free[0]), total: Number(total[0]) };
  }

  /** Whether an event has happened. @throws {CudaError} for a fault in the work before it */
  happened(event: number): boolean {
    const status = this.#functions.cuEventQuery(event);
    if (status !== 0 && status !== NOT_READY) throw this.#error("cuEventQuery", status);
    return status === 0;
  }

  /** Where an array lies in this process's memory. */
  addressOf(array: ArrayBufferView): number {
    return Number(this.#koffi.address(array));
  }

  /** Memory of the process that the driver allocated, as an array. */
  bytesAt(address: number, length: number): Uint8Array {
    return new Uint8Array(this.#koffi.view(BigInt(address), length));
  }

  #error(name: string, status: number): CudaError {
    const text = (call: "cuGetErrorName" | "cuGetErrorString"): string | null => {
      const out: [string | null] = [null];
      this.#functions[call](status, out);
      return out[0];
    };
    return new CudaError(
      name,
      text("cuGetErrorName") ?? `error ${status}`,
      text("cuGetErrorString") ?? "unknown to this driver",
    );
  }
}

/** The driver's library, or null where there is certainly none: a look at the file system, so that other machines load nothing. */
function libraryPath(): string | null {
  const given = process.env["SOTTO_LIBCUDA"];
  if (given !== undefined && given !== "") return given;
  if (process.platform === "win32") return "nvcuda.dll";
  // WSL has the driver of Windows behind /dev/dxg.
  if (process.platform === "linux" && ["/dev/nvidiactl", "/dev/dxg"].some((file) => existsSync(file)))
    return "libcuda.so.1";
  return null;
}
