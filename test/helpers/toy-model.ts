/**
 * A whole model of toy size with random weights, for tests of engines: real names and layout, small dims, and a vocabulary
 * of a few hundred ids with Whisper's order (text, endoftext, specials, timestamps).
 *
 * The weights are scaled so that the next token depends on the audio, on the position and on the tokens before: with plain
 * random weights the tied output head makes a network repeat its last token for ever.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CheckpointError } from "../../src/errors.ts";
import { parameterDims, windowFrames, type ModelDimensions, type ParameterSource } from "../../src/model/index.ts";
import {
  allFinite,
  BYTES_PER_ELEMENT,
  sizeOf,
  tensor,
  toFloat16,
  toFloat32,
  type StoredDType,
  type Tensor,
} from "../../src/tensor/index.ts";
import { seededNormal } from "./random.ts";

export interface ToyModelOptions {
  readonly dimensions?: Partial<ModelDimensions>;
  readonly seed?: number;
  readonly dtype?: StoredDType;
  /** Bytes before the first parameter: an odd number leaves every parameter unaligned, as some writers do. Default 0. */
  readonly leadingBytes?: number;
  /** Puts other numbers in the places of some. */
  readonly damage?: readonly (readonly [parameter: string, index: number, value: number])[] | undefined;
}

/** Special ids of a toy vocabulary, laid out like Whisper's (facts 0.6). */
export interface ToyTokens {
  readonly eot: number;
  readonly sot: number;
  readonly language: number;
  readonly transcribe: number;
  readonly sotPrev: number;
  readonly noSpeech: number;
  readonly noTimestamps: number;
  readonly timestampBegin: number;
}

export interface ToyModel extends ParameterSource {
  readonly tokens: ToyTokens;
  /** Deletes the file of the parameters. */
  remove(): void;
}

export const TOY_DIMENSIONS: ModelDimensions = {
  nMels: 80,
  nAudioCtx: 30,
  nAudioState: 128,
  nAudioHead: 2,
  nAudioLayer: 2,
  nVocab: 300,
  nTextCtx: 48,
  nTextState: 128,
  nTextHead: 2,
  nTextLayer: 2,
};

/** Whisper's real layout where the vocabulary is large enough, else 70 % text, 8 ids from endoftext on, timestamps. */
export function toyTokens(nVocab: number): ToyTokens {
  const [eot, timestampBegin] = nVocab > 50000 ? [50257, nVocab - 1501] : [Math.floor(0.7 * nVocab), 0];
  const begin = timestampBegin || eot + 8;
  return {
    eot,
    sot: eot + 1,
    language: eot + 2,
    transcribe: begin - 5,
    sotPrev: begin - 3,
    noSpeech: begin - 2,
    noTimestamps: begin - 1,
    timestampBegin: begin,
  };
}

/** Something like log-Mel windows [batch, nMels, 2 * nAudioCtx]: another one for each window and seed. */
export function toyMel(dimensions: ModelDimensions, batch: number, seed = 1): Tensor {
  const normal = seededNormal(seed);
  const dims = [batch, dimensions.nMels, windowFrames(dimensions)];
  return tensor(
    Float32Array.from({ length: sizeOf(dims) }, () => 0.5 * normal()),
    dims,
  );
}

/** Writes a model to a temporary file, since engines read parameters by file and offset. */
export function toyModel({
  dimensions: changes = {},
  seed = 7,
  dtype = "float32",
  leadingBytes = 0,
  damage = [],
}: ToyModelOptions = {}): ToyModel {
  const dimensions = { ...TOY_DIMENSIONS, ...changes };
  const normal = seededNormal(seed);
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "sotto-toy-")));
  const file = join(folder, "model.safetensors");

  const ranges = new Map<string, { byteOffset: number; byteLength: number; dims: readonly number[] }>();
  let byteOffset = leadingBytes;
  for (const [name, dims] of parameterDims(dimensions)) {
    const byteLength = sizeOf(dims) * BYTES_PER_ELEMENT[dtype];
    ranges.set(name, { byteOffset, byteLength, dims });
    byteOffset += byteLength;
  }
  const bytes = new Uint8Array(byteOffset);
  for (const [name, range] of ranges) {
    const [mean, deviation] = distribution(name, range.dims, dimensions);
    const values = Float32Array.from({ length: sizeOf(range.dims) }, () => mean + deviation * normal());
    for (const [parameter, index, value] of damage) if (parameter === name) values[index] = value;
    bytes.set(toBytes(values, dtype), range.byteOffset);
  }
  writeFileSync(file, bytes);

  const find = (name: string): { byteOffset: number; byteLength: number; dims: readonly number[] } => {
    const range = ranges.get(name);
    if (range === undefined) throw new Error(`The toy model has no parameter "${name}"`);
    return range;
  };
  return {
    dimensions,
    tokens: toyTokens(dimensions.nVocab),
    path: folder,
    fingerprint: createHash("sha256").update(JSON.stringify(dimensions)).update(bytes).digest("hex"),
    stored: (name) => ({ name, dtype, file, ...find(name) }),
    read: (name) => {
      const range = find(name);
      const values = toFloat32(bytes.slice(range.byteOffset, range.byteOffset + range.byteLength), dtype);
      return allFinite(values)
        ? Promise.resolve(values)
        : Promise.reject(new CheckpointError(folder, [`parameter "${name}" is not finite`]));
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Mean and deviation of a parameter's values. */
function distribution(name: string, dims: readonly number[], { nTextState }: ModelDimensions): [number, number] {
  // Random signs, so that the tied output head does not find the last token again. Logits of deviation 3: their spread
  // makes the timestamps' sum and the best text token compete (facts 2.4.7).
  if (name === "decoder.ln.weight") return [0, 3 / Math.sqrt(nTextState)];
  if (/(^|_|\.)(ln|ln_post)\.weight$/.test(name)) return [1, 0.1];
  if (name.endsWith(".bias")) return [0, 0.1];
  if (name === "decoder.positional_embedding") return [0, 2];
  if (name === "encoder.positional_embedding") return [0, 0.5];
  if (name === "decoder.token_embedding.weight") return [0, 1];
  const nIn = sizeOf(dims) / dims[0];
  const gain = /cross_attn\.(out|value)/.test(name) ? 2.5 : /attn\.(query|key)|mlp|conv/.test(name) ? 1.5 : 2;
  return [0, gain / Math.sqrt(nIn)];
}

function toBytes(values: Float32Array<ArrayBuffer>, dtype: StoredDType): Uint8Array {
  if (dtype === "float32") return new Uint8Array(values.buffer);
  const upperHalves = (): Uint16Array<ArrayBuffer> => Uint16Array.from(new Uint32Array(values.buffer), (x) => x >>> 16);
  return new Uint8Array((dtype === "float16" ? toFloat16(values) : upperHalves()).buffer);
}
