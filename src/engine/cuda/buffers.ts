/** Some of a GPU's memory that is given back together. */
import type { CudaDevice } from "./device.ts";

export class Buffers {
  readonly #device: CudaDevice;
  readonly #freed: (() => void)[] = [];

  constructor(device: CudaDevice) {
    this.#device = device;
  }

  /** @returns device address of so many bytes @throws {CudaError} CUDA_ERROR_OUT_OF_MEMORY */
  alloc(bytes: number): number {
    return this.#keep(this.#device.alloc(bytes));
  }

  /** @returns device address of a copy of the array @throws {CudaError} CUDA_ERROR_OUT_OF_MEMORY */
  upload(data: ArrayBufferView): number {
    return this.#keep(this.#device.upload(data));
  }

  /** Memory of the process for fast copies. @throws {CudaError} CUDA_ERROR_OUT_OF_MEMORY */
  allocPinned(bytes: number): Uint8Array<ArrayBuffer> {
    const pinned = this.#device.allocPinned(bytes);
    this.#freed.push(() => pinned.free());
    return pinned.data;
  }

  #keep(buffer: { readonly address: number; readonly bytes: number }): number {
    this.#freed.push(() => this.#device.free(buffer));
    return buffer.address;
  }

  /** Gives all back; work that was asked for before still has the GPU's. */
  free(): void {
    for (const free of this.#freed.splice(0)) free();
  }
}

/** Lends memory to a piece of work. */
export async function withBuffers<T>(device: CudaDevice, work: (buffers: Buffers) => Promise<T>): Promise<T> {
  const buffers = new Buffers(device);
  try {
    return await work(buffers);
  } finally {
    buffers.free();
  }
}

/** Sizes are rounded up to these, so that batches of any size get along with few. */
export const nextPowerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n));
