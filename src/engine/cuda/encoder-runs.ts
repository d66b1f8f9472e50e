/** Runs of the audio encoder: from log-Mel or samples to the cross-attention caches of each window, some windows at a time. */
import { crossCaches, encoder, windowFrames, type ModelDimensions } from "../../model/index.ts";
import { BYTES_PER_ELEMENT, type Tensor } from "../../tensor/index.ts";
import { withBuffers } from "./buffers.ts";
import type { DeviceBuffer } from "./device.ts";
import { HEAD_SIZE, type Kernels } from "./kernels.ts";
import { DeviceLogMel } from "./log-mel.ts";
import { EncoderLaunches } from "./ops.ts";
import { EncoderScratch } from "./scratch.ts";
import type { DeviceWeights } from "./weights.ts";

/** Windows encoded at a time: enough to fill any GPU. */
export const ENCODER_WINDOWS = 32;

/** Share of the free memory that the scratch memory may take. */
const SCRATCH_SHARE = 0.1;

/** Windows whose encoding has been asked for. */
export interface EncodedWindows {
  /** The cross-attention caches: T [window][layer][2][nHead][nAudioCtx][64]. */
  readonly caches: DeviceBuffer;
  /** The encoder's output, where it is wanted. */
  readonly features: Float32Array | null;
  /** Kept when they are there. */
  readonly done: Promise<void>;
}

export class EncoderRuns {
  /** Bytes of a window's caches. */
  readonly windowBytes: number;
  readonly #kernels: Kernels;
  readonly #weights: DeviceWeights;
  readonly #dimensions: ModelDimensions;
  readonly #scratch: EncoderScratch;
  readonly #logMel: DeviceLogMel;

  constructor(kernels: Kernels, weights: DeviceWeights, dimensions: ModelDimensions) {
    const { device, dtype } = kernels;
    const { nTextLayer, nTextHead, nAudioCtx } = dimensions;
    this.#kernels = kernels;
    this.#weights = weights;
    this.#dimensions = dimensions;
    this.windowBytes = nTextLayer * 2 * nTextHead * nAudioCtx * HEAD_SIZE * BYTES_PER_ELEMENT[dtype];
    const bytes = EncoderScratch.bytesPerWindow(dtype, dimensions);
    const fitting = Math.floor((SCRATCH_SHARE * device.freeMemory) / bytes);
    this.#scratch = new EncoderScratch(device, dtype, dimensions, Math.max(1, Math.min(ENCODER_WINDOWS, fitting)));
    this.#logMel = new DeviceLogMel(kernels, dimensions);
  }

  /** Samples of a window. */
  get windowSamples(): number {
    return this.#logMel.windowSamples;
  }

  /** @param mel log-Mel [batch, nMels, 2 * nAudioCtx] */
  encodeMel(mel: Tensor, keepFeatures: boolean): Promise<EncodedWindows> {
    const { device } = this.#kernels;
    const { nMels } = this.#dimensions;
    const frames = windowFrames(this.#dimensions);
    const size = nMels * frames;
    return this.#encode(mel.dims[0], keepFeatures, async (first, count) => {
      // The copy waits for all work before it, and lets the process wait.
      await device.finished();
      await withBuffers(device, async (buffers) => {
        const floats = buffers.upload(mel.data.subarray(first * size, (first + count) * size));
        this.#kernels.importMel(floats, this.#scratch.mel, count, frames, nMels);
      });
    });
  }

  /** @param windows mono samples at 16 kHz, each at most `windowSamples` */
  encodeSamples(windows: readonly Float32Array[]): Promise<EncodedWindows> {
    return this.#encode(windows.length, false, (first, count) =>
      this.#logMel.compute(windows.slice(first, first + count), this.#scratch.mel),
    );
  }

  /** @param load puts the log-Mel spectrograms of some windows into the scratch memory */
  async #encode(
    batch: number,
    keepFeatures: boolean,
    load: (first: number, count: number) => Promise<void>,
  ): Promise<EncodedWindows> {
    const { device } = this.#kernels;
    const { nAudioCtx, nAudioState } = this.#dimensions;
    const caches = device.alloc(batch * this.windowBytes);
    const features = keepFeatures ? new Float32Array(batch * nAudioCtx * nAudioState) : null;
    try {
      for (let first = 0; first < batch; first += this.#scratch.windows) {
        const count = Math.min(this.#scratch.windows, batch - first);
        await load(first, count);
        const ops = this.#launches(count, caches.address + first * this.windowBytes);
        const encoded = encoder(ops, this.#dimensions, ops.mel);
        crossCaches(ops, this.#dimensions, encoded);
        if (features !== null) {
          features.set(await this.#read(encoded.address, count), first * nAudioCtx * nAudioState);
        }
      }
    } catch (error) {
      device.free(caches);
      throw error;
    }
    return { caches, features, done: device.finished() };
  }

  /** @param address where the caches of the first window go */
  #launches(batch: number, address: number): EncoderLaunches {
    const caches = { address, windowBytes: this.windowBytes };
    return new EncoderLaunches(this.#kernels, this.#weights, this.#dimensions, this.#scratch, batch, caches);
  }

  /** Encoded windows as float32. */
  async #read(address: number, count: number): Promise<Float32Array> {
    const { device, dtype } = this.#kernels;
    const { nAudioCtx, nAudioState } = this.#dimensions;
    const numbers = count * nAudioCtx * nAudioState;
    return withBuffers(device, (buffers) => {
      const floats = buffers.alloc(4 * numbers);
      this.#kernels.cast(address, dtype, floats, "float32", numbers);
      return device.download(floats, Float32Array, numbers);
    });
  }

  /** Frees everything; no call may be under way. */
  async free(): Promise<void> {
    await this.#logMel.free();
    this.#scratch.free();
  }
}
