/** Memory for what a run of the network makes on its way: allocated once, used by every run. */
import { windowFrames, type ModelDimensions } from "../../model/index.ts";
import { BYTES_PER_ELEMENT } from "../../tensor/index.ts";
import { Buffers } from "./buffers.ts";
import type { CudaDevice } from "./device.ts";
import type { CudaDType } from "./dtypes.ts";

/** For `windows` windows at a time. */
export class EncoderScratch extends Buffers {
  /** T [windows, 2 * nAudioCtx + 2, nMels]. */
  readonly mel: number;
  /** float32 [windows * nAudioCtx, state]. */
  readonly x: number;
  /** T, of the same dims. */
  readonly normed: number;
  /** T [windows * nAudioCtx, 4 * state]: the hidden layer; or queries, keys, values, and what was heard; or the first convolution. */
  readonly wide: number;
  readonly windows: number;

  constructor(device: CudaDevice, dtype: CudaDType, dimensions: ModelDimensions, windows: number) {
    super(device);
    const { nMels, nAudioCtx, nAudioState: state } = dimensions;
    const size = BYTES_PER_ELEMENT[dtype];
    const rows = windows * nAudioCtx;
    this.windows = windows;
    this.mel = this.alloc(windows * (windowFrames(dimensions) + 2) * nMels * size);
    this.x = this.alloc(rows * state * BYTES_PER_ELEMENT.float32);
    this.normed = this.alloc(rows * state * size);
    const convolved = windows * (windowFrames(dimensions) + 2) * state;
    this.wide = this.alloc(Math.max(rows * 4 * state, convolved) * size);
  }

  /** T [windows, 2 * nAudioCtx + 2, state]. */
  get convolved(): number {
    return this.wide;
  }

  /** Bytes that one window takes, about. */
  static bytesPerWindow(dtype: CudaDType, { nMels, nAudioCtx, nAudioState }: ModelDimensions): number {
    const size = BYTES_PER_ELEMENT[dtype];
    return nAudioCtx * (nAudioState * (4 + 5 * size) + 2 * nMels * size);
  }
}

/** For `rows` rows at a time, and the logits of some of them. */
export class DecoderScratch extends Buffers {
  readonly x: number;
  readonly normed: number;
  readonly wide: number;
  /** float32 [logitRows, nVocab]. */
  readonly logits: number;
  readonly rows: number;
  readonly logitRows: number;

  constructor(
    device: CudaDevice,
    dtype: CudaDType,
    { nTextState: state, nVocab }: ModelDimensions,
    rows: number,
    logitRows: number,
  ) {
    super(device);
    const size = BYTES_PER_ELEMENT[dtype];
    this.rows = rows;
    this.logitRows = logitRows;
    this.x = this.alloc(rows * state * BYTES_PER_ELEMENT.float32);
    this.normed = this.alloc(rows * state * size);
    this.wide = this.alloc(rows * 4 * state * size);
    this.logits = this.alloc(logitRows * nVocab * BYTES_PER_ELEMENT.float32);
  }
}
