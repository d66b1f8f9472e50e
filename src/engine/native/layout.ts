/**
 * The packed file of the native engine: every parameter in the form its kernels read, in the order in which native/addon.cc reads
 * them.
 */
import {
  decoderParameters,
  encoderParameters,
  type BlockParameters,
  type ConvParameters,
  type LinearParameters,
  type ModelDimensions,
  type NormParameters,
  type ParameterSource,
} from "../../model/index.ts";
import { sizeOf, toFloat16 } from "../../tensor/index.ts";
import type { PackedFile } from "../packed-file.ts";
import type { Kernels } from "./kernels.ts";

/** Changes when the same weights would be packed otherwise. */
export const LAYOUT_VERSION = 2;

/**
 * Adds all parts to the file.
 *
 * @returns the offset of each, in order
 */
export function addParts(file: PackedFile, source: ParameterSource, kernels: Kernels): number[] {
  const { dimensions } = source;
  const offsets: number[] = [];
  const add = (name: string, length: number, bytes: () => Promise<Uint8Array>): void => {
    offsets.push(file.add(name, length, bytes));
  };
  const floats = (name: string): void => {
    add(name, 4 * sizeOf(source.stored(name).dims), async () => bytesOf(await source.read(name)));
  };
  const norm = ({ weight, bias }: NormParameters): void => [weight, bias].forEach(floats);

  /** Outputs of several maps of one input, below each other. */
  const matrix = (names: readonly string[], nIn: number, nOut: number): void => {
    add(`${names.join("+")}.packed`, kernels.packedSize(nIn, nOut), async () => {
      const weights = await Promise.all(names.map((name) => source.read(name)));
      return kernels.packMatrix(joined(weights), nIn, nOut);
    });
  };
  const linear = (...maps: readonly LinearParameters[]): void => {
    const nOut = maps.reduce((sum, map) => sum + map.nOut, 0);
    matrix(
      maps.map((map) => map.weight),
      maps[0].nIn,
      nOut,
    );
    add(`${maps.map((map) => map.bias ?? `${map.weight}.no_bias`).join("+")}.joined`, 4 * nOut, async () => {
      const biases: Float32Array[] = [];
      for (const { bias, nOut: own } of maps)
        biases.push(bias === null ? new Float32Array(own) : await source.read(bias));
      return bytesOf(joined(biases));
    });
  };
  const conv = ({ weight, bias, nIn, nOut }: ConvParameters): void =>
    linear({ weight, bias, nIn: KERNEL_SIZE * nIn, nOut });
  const mlp = (p: BlockParameters): void => {
    norm(p.mlpNorm);
    linear(p.mlpIn);
    linear(p.mlpOut);
  };

  const encoder = encoderParameters(dimensions);
  conv(encoder.conv1);
  conv(encoder.conv2);
  floats(encoder.positionalEmbedding);
  for (const block of encoder.blocks) {
    norm(block.attnNorm);
    linear(block.attn.query, block.attn.key, block.attn.value);
    linear(block.attn.out);
    mlp(block);
  }
  norm(encoder.norm);

  const decoder = decoderParameters(dimensions);
  const { nVocab, nTextState } = dimensions;
  add(`${decoder.tokenEmbedding}.float16`, 2 * nVocab * nTextState, async () =>
    bytesOf(toFloat16(await source.read(decoder.tokenEmbedding))),
  );
  floats(decoder.positionalEmbedding);
  for (const block of decoder.blocks) {
    norm(block.attnNorm);
    linear(block.attn.query, block.attn.key, block.attn.value);
    linear(block.attn.out);
    norm(block.crossAttnNorm);
    linear(block.crossAttn.query);
    linear(block.crossAttn.key, block.crossAttn.value);
    linear(block.crossAttn.out);
    mlp(block);
  }
  norm(decoder.norm);
  matrix([decoder.tokenEmbedding], nTextState, nVocab);
  return offsets;
}

/** Taps of a convolution of the encoder. */
const KERNEL_SIZE = 3;

/** The numbers of native/model.h's Dimensions, in order. */
export function dimensionsOf(d: ModelDimensions): Int32Array {
  return Int32Array.of(
    ...[d.nMels, d.nAudioCtx, d.nAudioState, d.nAudioHead, d.nAudioLayer],
    ...[d.nVocab, d.nTextCtx, d.nTextState, d.nTextHead, d.nTextLayer],
  );
}

function joined(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0];
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
