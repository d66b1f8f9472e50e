/** Reads the weights of Silero's network at 16 kHz from its safetensors file (`silero_vad_16k.safetensors`, silero-vad 6). */
import { CheckpointError } from "../errors.ts";
import { parseHeaderLength, parseSafetensorsHeader } from "../safetensors/index.ts";
import { N_BINS, N_FFT, N_HIDDEN } from "./constants.ts";
import { HANN } from "./spectrum.ts";

/** Dims of every parameter. */
const DIMS = {
  "stft_conv.weight": [2 * N_BINS, 1, N_FFT],
  "conv1.weight": [128, N_BINS, 3],
  "conv1.bias": [128],
  "conv2.weight": [64, 128, 3],
  "conv2.bias": [64],
  "conv3.weight": [64, 64, 3],
  "conv3.bias": [64],
  "conv4.weight": [128, 64, 3],
  "conv4.bias": [128],
  "lstm_cell.weight_ih": [4 * N_HIDDEN, 128],
  "lstm_cell.weight_hh": [4 * N_HIDDEN, N_HIDDEN],
  "lstm_cell.bias_ih": [4 * N_HIDDEN],
  "lstm_cell.bias_hh": [4 * N_HIDDEN],
  "final_conv.weight": [1, N_HIDDEN, 1],
  "final_conv.bias": [1],
} as const satisfies Readonly<Record<string, readonly number[]>>;

export type SileroParameter = keyof typeof DIMS;

/** Values of each parameter, row-major. */
export type SileroWeights = Readonly<Record<SileroParameter, Float32Array>>;

/** The published file's windowed sines differ from exact ones by less than 1e-7, which is rounding. */
const BASIS_TOLERANCE = 1e-6;

/**
 * @param bytes the whole file
 * @param path for messages
 * @throws {CheckpointSyntaxError} if it breaks the safetensors format
 * @throws {CheckpointError} if parameters are missing, unknown, or of another shape or type, or the first convolution is no Fourier
 *   transform: the code computes it as one
 */
export function parseSileroWeights(bytes: Uint8Array, path: string): SileroWeights {
  const headerBytes = parseHeaderLength(bytes, bytes.length, path);
  const { entries } = parseSafetensorsHeader(bytes.subarray(8, 8 + headerBytes), bytes.length, path);
  const problems = [...entries.keys()]
    .filter((name) => !Object.hasOwn(DIMS, name))
    .map((name) => `parameter "${name}" is not part of Silero's network`);
  const weights: Partial<Record<SileroParameter, Float32Array>> = {};
  for (const [name, dims] of Object.entries(DIMS) as [SileroParameter, readonly number[]][]) {
    const entry = entries.get(name);
    if (entry === undefined) {
      problems.push(`parameter "${name}" is missing`);
    } else if (entry.dtype !== "F32" || entry.dims.join() !== dims.join()) {
      problems.push(
        `parameter "${name}" is ${entry.dtype} [${entry.dims.join(", ")}], expected F32 [${dims.join(", ")}]`,
      );
    } else {
      const { byteOffset, byteLength } = entry;
      const view = new DataView(bytes.buffer, bytes.byteOffset + byteOffset, byteLength);
      const values = new Float32Array(byteLength / 4);
      for (let i = 0; i < values.length; i++) values[i] = view.getFloat32(4 * i, true);
      weights[name] = values;
    }
  }
  const basis = weights["stft_conv.weight"];
  if (basis !== undefined && !isFourierBasis(basis)) {
    problems.push('parameter "stft_conv.weight" is not a Fourier transform under a Hann window');
  }
  if (problems.length > 0) throw new CheckpointError(path, problems);
  return weights as SileroWeights;
}

/** Whether rows are cosines, and then negative sines, of 0 to 128 periods under the Hann window. */
function isFourierBasis(basis: Float32Array): boolean {
  return basis.every((value, index) => {
    const [row, n] = [Math.floor(index / N_FFT), index % N_FFT];
    const angle = (2 * Math.PI * ((row % N_BINS) * n)) / N_FFT;
    const expected = HANN[n] * (row < N_BINS ? Math.cos(angle) : -Math.sin(angle));
    return Math.abs(value - expected) <= BASIS_TOLERANCE;
  });
}
