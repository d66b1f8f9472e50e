// The GPU as the benchmarks use it: timing by events on the engine's stream, and device memory full of random numbers that the host knows, so
// that any result can be checked at any place without the whole of it being computed twice.
import { randomFrom } from "../../dist/decoding/random.js";
import { CudaDevice } from "../../dist/engine/cuda/device.js";
import { CudaDriver } from "../../dist/engine/cuda/driver.js";
import { Kernels } from "../../dist/engine/cuda/kernels.js";
import { BYTES_PER_ELEMENT, toFloat32 } from "../../dist/tensor/index.js";
import { isSmall, median } from "./report.mjs";

/** Norm of the error that results may have over their norm: what rounding them and what leads to them costs, as in test/cuda. */
export const TOLERANCE = { float32: 1e-5, float16: 2e-3, bfloat16: 1.5e-2 };

/** Numbers of a block of random ones: a multiple of 16 bytes, and eight times a prime, so that rows of no width repeat soon. */
const BLOCK = 8 * (isSmall ? 509 : 524287);

/** Milliseconds that one kernel is timed for, and what one sample takes at least. */
const [TOTAL_MS, SAMPLE_MS] = isSmall ? [0, 0] : [250, 2];
const [MIN_SAMPLES, MAX_SAMPLES] = isSmall ? [1, 1] : [7, 60];
const MAX_REPEATS = 64;

/** Normally distributed numbers from a seed (Box-Muller). */
export function normals(count, deviation, seed, mean = 0) {
  const random = randomFrom(seed);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    values[i] = mean + radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = mean + radius * Math.sin(angle);
  }
  return values;
}

/** Opens a GPU; where there is none, says why and ends the process. */
export function openGpu(ordinal = 0) {
  const found = CudaDriver.load();
  if ("reason" in found) {
    console.error(`No GPU: ${found.reason}`);
    process.exit(3);
  }
  return new Gpu(found.driver, CudaDevice.open(ordinal));
}

class Gpu {
  constructor(driver, device) {
    this.driver = driver;
    this.device = device;
  }

  /** What is worth knowing about the machine. */
  get about() {
    const { info, multiprocessors, maxShared } = this.device;
    const driver = this.driver.get("cuDriverGetVersion");
    return { ...info, multiprocessors, maxShared, driver, node: process.version };
  }

  /**
   * Times launches, many of them as one graph, warmed up.
   *
   * @param work asks for the i-th launch: so many different ones as there are `sets` of data, so that none finds its own in the cache
   * @returns median milliseconds of one, and the spread of the samples
   */
  async measure(work, { sets = 1, capture = true } = {}) {
    const graphOf = (count) => {
      const all = () => {
        for (let i = 0; i < count; i++) work(i % sets);
      };
      return capture ? this.device.capture(all) : { launch: all, destroy: () => {} };
    };
    const first = graphOf(1);
    await this.device.time(() => first.launch());
    const one = await this.device.time(() => first.launch());
    first.destroy();
    const wanted = Math.max(Math.ceil(SAMPLE_MS / Math.max(one, 1e-3)), isSmall ? 1 : Math.min(sets, MAX_REPEATS));
    const repeats = Math.max(1, Math.min(MAX_REPEATS, wanted));
    const graph = graphOf(repeats);
    await this.device.time(() => graph.launch());
    const samples = [];
    for (let total = 0; samples.length < MIN_SAMPLES || (total < TOTAL_MS && samples.length < MAX_SAMPLES);) {
      const ms = await this.device.time(() => graph.launch());
      total += ms;
      samples.push(ms / repeats);
    }
    graph.destroy();
    return { ms: median(samples), least: Math.min(...samples), most: Math.max(...samples), repeats };
  }

  /** The numbers at some places of device memory. */
  values(dtype, address, indices) {
    const size = BYTES_PER_ELEMENT[dtype];
    const bytes = new Uint8Array(size * indices.length);
    indices.forEach((index, i) => this.device.read(address + size * index, bytes.subarray(i * size, (i + 1) * size)));
    return Array.from(toFloat32(bytes, dtype));
  }

  /** Consecutive numbers of device memory. */
  row(dtype, address, first, count) {
    const bytes = new Uint8Array(BYTES_PER_ELEMENT[dtype] * count);
    this.device.read(address + BYTES_PER_ELEMENT[dtype] * first, bytes);
    return toFloat32(bytes, dtype);
  }
}

/** Random numbers on the device: a block of them, repeated. The host knows them as the device has rounded them. */
export class RandomNumbers {
  static async make(gpu, dtype, deviation, seed = 1) {
    const numbers = new RandomNumbers();
    const { device } = gpu;
    const exact = normals(BLOCK, deviation, seed);
    const floats = device.upload(exact);
    numbers.gpu = gpu;
    numbers.dtype = dtype;
    numbers.size = BYTES_PER_ELEMENT[dtype];
    // Twice, so that a block may begin anywhere in it.
    numbers.pool = device.alloc(2 * BLOCK * numbers.size);
    const kernels = new Kernels(device, dtype);
    for (const half of [0, 1]) {
      kernels.cast(floats.address, "float32", numbers.pool.address + half * BLOCK * numbers.size, dtype, BLOCK);
    }
    await device.finished();
    kernels.dispose();
    device.free(floats);
    numbers.host = gpu.row(dtype, numbers.pool.address, 0, BLOCK);
    return numbers;
  }

  /** A buffer of so many: number i is `at(i, shift)`; shift is a multiple of 8. */
  buffer(count, shift = 0) {
    const buffer = this.gpu.device.alloc(count * this.size);
    this.fill(buffer.address, count, shift);
    return buffer;
  }

  fill(address, count, shift = 0) {
    const from = this.pool.address + (shift % BLOCK) * this.size;
    for (let done = 0; done < count; done += BLOCK) {
      this.gpu.device.copy(address + done * this.size, from, Math.min(BLOCK, count - done) * this.size);
    }
  }

  at(i, shift = 0) {
    return this.host[(i + shift) % BLOCK];
  }

  /** The numbers from i on. */
  slice(i, count, shift = 0) {
    return Float32Array.from({ length: count }, (_, j) => this.host[(i + j + shift) % BLOCK]);
  }

  free() {
    this.gpu.device.free(this.pool);
  }
}

/**
 * @returns norm of the error over the norm of what was expected
 * @throws {Error} if it is too large
 */
export function assertClose(what, actual, expected, tolerance) {
  let [error, norm] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  const relative = Math.sqrt(error / norm);
  if (!(relative < tolerance))
    throw new Error(`${what} is wrong: relative error ${relative}, expected below ${tolerance}`);
  return relative;
}
