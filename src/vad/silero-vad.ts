/**
 * Silero's voice activity network at 16 kHz: the probability of speech of each frame of 512 samples.
 *
 * Spectra of a frame and the 64 samples before it, four convolutions that leave one vector a frame, an LSTM cell from frame to frame,
 * and one output. Only the cell is recurrent, so everything before it is computed for several frames at once. Architecture and weights:
 * https://github.com/snakers4/silero-vad (version 6, MIT licence).
 */
import { assembleModule, PAGE_BYTES } from "../wasm/index.ts";
import { sigmoid, tanh } from "./activations.ts";
import { COLUMNS, CONTEXT_SAMPLES, FRAME_SAMPLES, HOP_SAMPLES, MIRRORED_SAMPLES, N_HIDDEN } from "./constants.ts";
import { matmulFunction, packWeights, type Matmul } from "./matmul-kernel.ts";
import { parseSileroWeights, type SileroWeights } from "./silero-weights.ts";
import { writeMagnitudes } from "./spectrum.ts";

/** Frames computed at once: their activations, 230 KB, and the weights, 1 MB, stay in the cache of a core. */
const BATCH = 32;

/** Inputs of a product that share its weights while they are in registers. */
const TILE = 4;

/** Vectors of outputs that a tile of inputs, or the one input of the LSTM cell, computes at once. */
const TILE_VECTORS = 2;
const CELL_VECTORS = 8;

/** Bins of a column, with zeros up to a multiple of the kernel's step. */
const PADDED_BINS = 132;

const INPUT_SAMPLES = CONTEXT_SAMPLES + FRAME_SAMPLES;
const FLOAT_BYTES = 4;
const GATES = 4 * N_HIDDEN;

/** What one stream carries from frame to frame. */
export interface SileroState {
  /** [128] */
  readonly hidden: Float32Array;
  /** [128] */
  readonly cell: Float32Array;
}

/** A convolution of 3 taps over columns of channels; what lies beyond a frame counts as zero. */
interface Convolution {
  /** Byte address. */
  readonly weights: number;
  readonly bias: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Columns of a frame that come in. */
  readonly columns: number;
  readonly stride: number;
}

const TAPS = 3;

/** The network with its weights. Streams may share one; each has a state of its own. */
export class SileroVad {
  private readonly tile: Matmul;
  private readonly single: Matmul;
  private readonly recur: Matmul;
  private readonly floats: Float32Array;

  private readonly convolutions: readonly Convolution[];
  /** Byte addresses of what the convolutions read and write: the spectra first, [BATCH, columns, channels]. */
  private readonly activations: readonly number[];
  private readonly inputWeights: number;
  private readonly inputBias: number;
  private readonly inputGates: number;
  private readonly hiddenWeights: number;
  private readonly hidden: number;
  private readonly gates: number;
  private readonly outputWeights: Float32Array;
  private readonly outputBias: number;
  private readonly frame = new Float32Array(INPUT_SAMPLES + MIRRORED_SAMPLES);

  constructor(weights: SileroWeights) {
    const layout = new Layout();
    const convolution = (
      name: "conv1" | "conv2" | "conv3" | "conv4",
      inputs: number,
      columns: number,
      stride: number,
    ): Convolution => {
      const bias = weights[`${name}.bias`];
      const values = weights[`${name}.weight`]; // [outputs, channels, taps]
      const channels = values.length / (bias.length * TAPS);
      const packed = packWeights(bias.length, TAPS * inputs, TILE_VECTORS, (output, input) => {
        const [tap, channel] = [Math.floor(input / inputs), input % inputs];
        return channel < channels ? values[(output * channels + channel) * TAPS + tap] : 0;
      });
      return { weights: layout.add(packed), bias: layout.add(bias), inputs, outputs: bias.length, columns, stride };
    };
    this.convolutions = [
      convolution("conv1", PADDED_BINS, COLUMNS, 1),
      convolution("conv2", 128, COLUMNS, 2),
      convolution("conv3", 64, 2, 2),
      convolution("conv4", 64, 1, 1),
    ];
    const inputWeights = weights["lstm_cell.weight_ih"];
    const hiddenWeights = weights["lstm_cell.weight_hh"];
    const hiddenBias = weights["lstm_cell.bias_hh"];
    this.inputWeights = layout.add(
      packWeights(GATES, N_HIDDEN, TILE_VECTORS, (output, input) => inputWeights[output * N_HIDDEN + input]),
    );
    this.inputBias = layout.add(weights["lstm_cell.bias_ih"].map((bias, gate) => bias + hiddenBias[gate]));
    this.hiddenWeights = layout.add(
      packWeights(GATES, N_HIDDEN, CELL_VECTORS, (output, input) => hiddenWeights[output * N_HIDDEN + input]),
    );
    this.outputWeights = weights["final_conv.weight"];
    this.outputBias = weights["final_conv.bias"][0];

    this.activations = [
      layout.reserve(BATCH * COLUMNS * PADDED_BINS),
      ...this.convolutions.map((one) => layout.reserve(BATCH * outputColumns(one) * one.outputs)),
    ];
    this.inputGates = layout.reserve(BATCH * GATES);
    this.hidden = layout.reserve(N_HIDDEN);
    this.gates = layout.reserve(GATES);

    const functions = [
      matmulFunction("tile", TILE, TILE_VECTORS),
      matmulFunction("single", 1, TILE_VECTORS),
      matmulFunction("recur", 1, CELL_VECTORS),
    ];
    const module = new WebAssembly.Module(assembleModule(functions, Math.ceil(layout.bytes / PAGE_BYTES)));
    const { exports } = new WebAssembly.Instance(module);
    this.tile = exports.tile as Matmul;
    this.single = exports.single as Matmul;
    this.recur = exports.recur as Matmul;
    this.floats = new Float32Array((exports.memory as WebAssembly.Memory).buffer);
    layout.write(this.floats);
  }

  /**
   * @param bytes of `silero_vad_16k.safetensors`
   * @param path for messages
   * @throws {CheckpointError} if it is another file, or damaged
   */
  static fromBytes(bytes: Uint8Array, path = "silero_vad_16k.safetensors"): SileroVad {
    return new SileroVad(parseSileroWeights(bytes, path));
  }

  /** The state before the first frame. */
  initialState(): SileroState {
    return { hidden: new Float32Array(N_HIDDEN), cell: new Float32Array(N_HIDDEN) };
  }

  /**
   * Probabilities of speech of frames that follow one another.
   *
   * @param samples at 16 kHz, [64 + 512 n]: the 64 before the first frame, zeros at the beginning of a stream, then the frames; not modified
   * @param state of the stream; advanced by the frames
   * @returns [n], from 0 to 1; not a bit different if the frames come in several calls
   */
  run(samples: Float32Array, state: SileroState): Float32Array {
    const probabilities: number[] = [];
    this.runStates(samples, [state], ([probability]) => probabilities.push(probability));
    return Float32Array.from(probabilities);
  }

  /**
   * The same frames heard by several states: what does not depend on them is computed once.
   *
   * @param samples as of `run`
   * @param states advanced by the frames
   * @param onFrame called after each frame with the probability by each state; it may change the states for the frames that follow
   */
  runStates(
    samples: Float32Array,
    states: readonly SileroState[],
    onFrame: (probabilities: readonly number[]) => void,
  ): void {
    const frames = (samples.length - CONTEXT_SAMPLES) / FRAME_SAMPLES;
    if (!Number.isInteger(frames) || frames < 0) {
      throw new RangeError(
        `Cannot compute voice activity of ${samples.length} samples, expected ${CONTEXT_SAMPLES} and a multiple of ${FRAME_SAMPLES}`,
      );
    }
    for (let first = 0; first < frames; first += BATCH) {
      const count = Math.min(BATCH, frames - first);
      this.encode(samples, first * FRAME_SAMPLES, count);
      for (let i = 0; i < count; i++) onFrame(states.map((state) => this.advance(i, state)));
    }
  }

  /** From samples to what the frames add to the gates of the cell. */
  private encode(samples: Float32Array, start: number, frames: number): void {
    const column = PADDED_BINS;
    const spectra = this.activations[0] / FLOAT_BYTES;
    for (let i = 0; i < frames; i++) {
      this.readFrame(samples, start + i * FRAME_SAMPLES);
      for (let t = 0; t < COLUMNS; t += 2) {
        const out = spectra + (i * COLUMNS + t) * column;
        writeMagnitudes(this.frame, t * HOP_SAMPLES, (t + 1) * HOP_SAMPLES, this.floats, out, out + column);
      }
    }
    for (const [i, convolution] of this.convolutions.entries()) {
      this.convolve(convolution, this.activations[i], this.activations[i + 1], frames);
    }
    const input = this.activations[this.convolutions.length];
    const stride = N_HIDDEN * FLOAT_BYTES;
    const { inputWeights, inputBias, inputGates } = this;
    this.multiply(frames, input, stride, stride, inputWeights, 0, inputBias, inputGates, GATES, GATES, -Infinity);
  }

  /** Copies a frame with its context, and mirrors the end of it. */
  private readFrame(samples: Float32Array, start: number): void {
    const { frame } = this;
    for (let i = 0; i < INPUT_SAMPLES; i++) frame[i] = samples[start + i];
    for (let i = 0; i < MIRRORED_SAMPLES; i++) frame[INPUT_SAMPLES + i] = frame[INPUT_SAMPLES - 2 - i];
  }

  /** Convolution and ReLU; taps that lie beyond the frame are left out. */
  private convolve(convolution: Convolution, input: number, output: number, frames: number): void {
    const { weights, bias, inputs, outputs, columns, stride } = convolution;
    const tapBytes = inputs * FLOAT_BYTES;
    const blockBytes = TILE_VECTORS * 4 * FLOAT_BYTES;
    const positions = outputColumns(convolution);
    for (let t = 0; t < positions; t++) {
      const from = t * stride - 1; // column of the first tap
      const skipped = Math.max(0, -from);
      const used = Math.min(TAPS, columns - from) - skipped;
      this.multiply(
        frames,
        input + (from + skipped) * tapBytes,
        columns * tapBytes,
        used * tapBytes,
        weights + skipped * inputs * blockBytes,
        (TAPS - used) * inputs * blockBytes,
        bias,
        output + t * outputs * FLOAT_BYTES,
        positions * outputs,
        outputs,
        0,
      );
    }
  }

  /** The same product for each frame: tiles of several, then the rest one by one. Strides of outputs are in floats. */
  private multiply(
    frames: number,
    input: number,
    inputStride: number,
    inputBytes: number,
    weights: number,
    weightsGap: number,
    bias: number,
    output: number,
    outputStride: number,
    outputs: number,
    floor: number,
  ): void {
    const outputBytes = outputs * FLOAT_BYTES;
    const stride = outputStride * FLOAT_BYTES;
    for (let i = 0; i < frames;) {
      const isTile = frames - i >= TILE;
      const kernel = isTile ? this.tile : this.single;
      const [from, to] = [input + i * inputStride, output + i * stride];
      kernel(from, inputStride, inputBytes, weights, weightsGap, bias, to, stride, outputBytes, floor);
      i += isTile ? TILE : 1;
    }
  }

  /** One step of the cell, with the gates of frame `i` of the batch, and the output. */
  private advance(i: number, state: SileroState): number {
    const { floats, hidden, gates } = this;
    const { cell } = state;
    const bytes = N_HIDDEN * FLOAT_BYTES;
    floats.set(state.hidden, hidden / FLOAT_BYTES);
    const bias = this.inputGates + i * GATES * FLOAT_BYTES;
    this.recur(hidden, 0, bytes, this.hiddenWeights, 0, bias, gates, 0, GATES * FLOAT_BYTES, -Infinity);
    const at = gates / FLOAT_BYTES;
    let sum = this.outputBias;
    for (let j = 0; j < N_HIDDEN; j++) {
      // PyTorch's order of gates: input, forget, cell, output.
      const kept = sigmoid(floats[at + N_HIDDEN + j]) * cell[j];
      cell[j] = kept + sigmoid(floats[at + j]) * tanh(floats[at + 2 * N_HIDDEN + j]);
      const value = sigmoid(floats[at + 3 * N_HIDDEN + j]) * tanh(cell[j]);
      state.hidden[j] = value;
      if (value > 0) sum += value * this.outputWeights[j];
    }
    return sigmoid(sum);
  }
}

function outputColumns({ columns, stride }: Convolution): number {
  return Math.ceil(columns / stride);
}

/** Places arrays one after another in a memory. */
class Layout {
  bytes = 0;
  private readonly parts: { readonly at: number; readonly values: Float32Array }[] = [];

  /** @returns the byte address of a copy of the values */
  add(values: Float32Array): number {
    const at = this.reserve(values.length);
    this.parts.push({ at, values });
    return at;
  }

  /** @returns the byte address of so many floats, zeros */
  reserve(floats: number): number {
    const at = this.bytes;
    this.bytes += Math.ceil((floats * FLOAT_BYTES) / 16) * 16;
    return at;
  }

  write(floats: Float32Array): void {
    for (const { at, values } of this.parts) floats.set(values, at / FLOAT_BYTES);
  }
}
