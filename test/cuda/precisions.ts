/** The types that kernels come in, for their tests: how numbers are stored in each, and how far a result may be off. */
import type { TestContext } from "vitest";
import type { CudaDevice, DeviceBuffer } from "../../src/engine/cuda/device.ts";
import { toFloat16, toFloat32, type StoredDType } from "../../src/tensor/index.ts";
import { openTestDevice } from "../helpers/cuda.ts";

function toBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (x) =>
    (x & 0x7fffffff) > 0x7f800000 ? 0x7fff : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16,
  );
}

export class Precision {
  constructor(
    /** End of the kernels' names. */
    readonly suffix: "f32" | "f16" | "bf16",
    readonly dtype: StoredDType,
    readonly bytes: number,
    /**
     * Largest norm of a result's error over the result's norm: a rounding of the result is off by up to 2^-24, 2^-11, 2^-8 of it; the rest
     * is for the rounding of what a kernel keeps in the type on its way, and in float32 for the order of sums.
     */
    readonly tolerance: number,
  ) {}

  /** Values as the device stores them. */
  store(values: Float32Array): Float32Array | Uint16Array {
    if (this.suffix === "f32") return values;
    return this.suffix === "f16" ? toFloat16(values) : toBfloat16(values);
  }

  load(stored: ArrayBufferView): Float32Array {
    return toFloat32(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength), this.dtype);
  }

  /** What is left of values that have been stored. */
  round(values: Float32Array): Float32Array {
    return this.load(this.store(values));
  }

  async download(device: CudaDevice, buffer: DeviceBuffer, count: number): Promise<Float32Array> {
    return this.load(await device.download(buffer, Uint8Array, count * this.bytes));
  }
}

export const PRECISIONS: readonly Precision[] = [
  new Precision("f32", "float32", 4, 1e-5),
  new Precision("f16", "float16", 2, 2e-3),
  new Precision("bf16", "bfloat16", 2, 1.5e-2),
];

const opened = await openTestDevice();

/** The device to test on; skips the test where there is none. */
export function deviceFor(ctx: TestContext): CudaDevice {
  return "device" in opened ? opened.device : ctx.skip(opened.reason);
}

/** A buffer whose every number is NaN in all types, or -1. */
export function poisoned(device: CudaDevice, bytes: number): DeviceBuffer {
  const buffer = device.alloc(bytes);
  device.fill(buffer.address, 0xff, bytes);
  return buffer;
}

/** Norm of the error over the norm of what is expected; NaN if a value is. */
export function relativeError(actual: Float32Array, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values, expected ${expected.length}`);
  let [error, norm] = [0, 0];
  for (let i = 0; i < actual.length; i++) {
    error += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return Math.sqrt(error / norm);
}
