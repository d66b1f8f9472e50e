/**
 * A checkpoint's parameters in the GPU's memory: matrices in the numbers that the engine computes in, vectors in float32. Files are read piece by
 * piece into pinned memory, copied as they are, and cast on the GPU: no number passes through JavaScript.
 */
import { open, type FileHandle } from "node:fs/promises";
import {
  decoderParameters,
  encoderParameters,
  type BlockParameters,
  type ConvParameters,
  type LinearParameters,
  type NormParameters,
  type ParameterSource,
} from "../../model/index.ts";
import { BYTES_PER_ELEMENT, sizeOf } from "../../tensor/index.ts";
import { withBuffers } from "./buffers.ts";
import type { CudaDevice, DeviceBuffer } from "./device.ts";
import type { CudaDType } from "./dtypes.ts";
import type { Kernels } from "./kernels.ts";

/** Each part begins on a multiple of this, so that 16 bytes can be read at a time. */
const ALIGNMENT = 256;

/** Pieces that files are read in; a convolution's weights are one piece, because their axes are exchanged. */
const PIECE_BYTES = 16 << 20;

interface Part {
  readonly name: string;
  readonly offset: number;
  readonly dtype: CudaDType;
  /** [nOut, nIn, 3] is stored, [nOut, 3, nIn] is wanted. */
  readonly conv: ConvParameters | null;
}

/** What lies where: the outputs of maps of one input below each other, so that one product computes them all. */
class Layout {
  readonly parts: Part[] = [];
  readonly offsets = new Map<string, number>();
  bytes = 0;

  constructor(
    private readonly source: ParameterSource,
    private readonly dtype: CudaDType,
  ) {
    const { dimensions } = source;
    const encoder = encoderParameters(dimensions);
    this.#conv(encoder.conv1);
    this.#conv(encoder.conv2);
    this.#add(encoder.positionalEmbedding, "float32");
    for (const block of encoder.blocks) this.#block(block);
    this.#norm(encoder.norm);

    const decoder = decoderParameters(dimensions);
    this.#add(decoder.tokenEmbedding, dtype);
    this.#add(decoder.positionalEmbedding, "float32");
    for (const block of decoder.blocks) {
      this.#block(block);
      this.#norm(block.crossAttnNorm);
      this.#linears(block.crossAttn.query);
      this.#linears(block.crossAttn.key, block.crossAttn.value);
      this.#linears(block.crossAttn.out);
    }
    this.#norm(decoder.norm);
  }

  #align(): void {
    this.bytes = Math.ceil(this.bytes / ALIGNMENT) * ALIGNMENT;
  }

  /** Puts a parameter right after the one before, unless something was aligned between. */
  #append(name: string, dtype: CudaDType, conv: ConvParameters | null = null): void {
    this.parts.push({ name, offset: this.bytes, dtype, conv });
    this.offsets.set(name, this.bytes);
    this.bytes += sizeOf(this.source.stored(name).dims) * BYTES_PER_ELEMENT[dtype];
  }

  #add(name: string, dtype: CudaDType): void {
    this.#align();
    this.#append(name, dtype);
  }

  #norm({ weight, bias }: NormParameters): void {
    this.#add(weight, "float32");
    this.#add(bias, "float32");
  }

  #conv(p: ConvParameters): void {
    this.#align();
    this.#append(p.weight, this.dtype, p);
    this.#add(p.bias, "float32");
  }

  #linears(...maps: readonly LinearParameters[]): void {
    this.#align();
    for (const { weight } of maps) this.#append(weight, this.dtype);
    this.#align();
    for (const { weight, bias, nOut } of maps) {
      this.offsets.set(biasName(weight), this.bytes);
      // A map without a bias gets zeros beside its neighbours' biases.
      if (bias !== null) this.#append(bias, "float32");
      else this.bytes += nOut * BYTES_PER_ELEMENT.float32;
    }
  }

  #block(p: BlockParameters): void {
    this.#norm(p.attnNorm);
    this.#linears(p.attn.query, p.attn.key, p.attn.value);
    this.#linears(p.attn.out);
    this.#norm(p.mlpNorm);
    this.#linears(p.mlpIn);
    this.#linears(p.mlpOut);
  }
}

const biasName = (weight: string): string => `${weight} bias`;

export class DeviceWeights {
  readonly #device: CudaDevice;
  readonly #buffer: DeviceBuffer;
  readonly #offsets: ReadonlyMap<string, number>;

  private constructor(device: CudaDevice, buffer: DeviceBuffer, offsets: ReadonlyMap<string, number>) {
    this.#device = device;
    this.#buffer = buffer;
    this.#offsets = offsets;
  }

  /**
   * Copies and casts every parameter.
   *
   * @throws {CudaError} CUDA_ERROR_OUT_OF_MEMORY if they do not fit
   */
  static async load(source: ParameterSource, kernels: Kernels): Promise<DeviceWeights> {
    const layout = new Layout(source, kernels.dtype);
    const { device } = kernels;
    const buffer = device.alloc(layout.bytes);
    try {
      device.fill(buffer.address, 0, layout.bytes);
      await new Loading(source, kernels, layout, buffer.address).run();
    } catch (error) {
      device.free(buffer);
      throw error;
    }
    return new DeviceWeights(device, buffer, layout.offsets);
  }

  /** Device address of a parameter; of the first of several that are computed as one. */
  address(name: string): number {
    const offset = this.#offsets.get(name);
    if (offset === undefined) throw new Error(`The network has no parameter "${name}"`);
    return this.#buffer.address + offset;
  }

  /** Device address of the bias of a linear map: zeros where it has none. */
  bias({ weight }: Pick<LinearParameters, "weight">): number {
    return this.address(biasName(weight));
  }

  free(): void {
    this.#device.free(this.#buffer);
  }
}

/** The way of all parameters from their files: while one piece is copied and cast, the next is read. */
class Loading {
  readonly #files = new Map<string, FileHandle>();

  constructor(
    private readonly source: ParameterSource,
    private readonly kernels: Kernels,
    private readonly layout: Layout,
    private readonly base: number,
  ) {}

  async run(): Promise<void> {
    const { device } = this.kernels;
    const pieces = this.layout.parts.flatMap((part) => this.#pieces(part));
    const largest = Math.max(...pieces.map(({ byteLength }) => byteLength));
    await withBuffers(device, async (buffers) => {
      const pinned = [buffers.allocPinned(largest), buffers.allocPinned(largest)];
      const staged = [buffers.alloc(largest), buffers.alloc(largest)];
      const cast = [Promise.resolve(), Promise.resolve()];
      try {
        for (const [i, piece] of pieces.entries()) {
          const half = i % 2;
          await cast[half];
          const data = pinned[half].subarray(0, piece.byteLength);
          await this.#read(piece.file, data, piece.byteOffset);
          device.write(staged[half], data);
          piece.cast(staged[half]);
          cast[half] = device.finished();
          cast[half].catch(() => {}); // awaited when the half is used again, or at the end
        }
        await Promise.all(cast);
      } finally {
        await device.finished().catch(() => {});
        for (const file of this.#files.values()) await file.close();
      }
    });
  }

  #pieces({ name, offset, dtype, conv }: Part): Piece[] {
    const stored = this.source.stored(name);
    const { kernels, base } = this;
    const to = base + offset;
    const whole = { file: stored.file, byteOffset: stored.byteOffset, byteLength: stored.byteLength };
    if (conv !== null) {
      return [{ ...whole, cast: (from) => kernels.castConv(from, stored.dtype, to, conv.nOut, conv.nIn) }];
    }
    const size = BYTES_PER_ELEMENT[stored.dtype];
    const numbers = stored.byteLength / size;
    const step = PIECE_BYTES / size;
    return Array.from({ length: Math.ceil(numbers / step) }, (_, i) => {
      const first = i * step;
      const count = Math.min(step, numbers - first);
      return {
        file: stored.file,
        byteOffset: stored.byteOffset + first * size,
        byteLength: count * size,
        cast: (from: number) => kernels.cast(from, stored.dtype, to + first * BYTES_PER_ELEMENT[dtype], dtype, count),
      };
    });
  }

  async #read(path: string, into: Uint8Array, position: number): Promise<void> {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = await open(path, "r");
      this.#files.set(path, file);
    }
    for (let done = 0; done < into.length;) {
      const { bytesRead } = await file.read(into, done, into.length - done, position + done);
      if (bytesRead === 0)
        throw new Error(`"${path}" ended at byte ${position + done}: it has changed since it was opened`);
      done += bytesRead;
    }
  }
}

interface Piece {
  readonly file: string;
  readonly byteOffset: number;
  readonly byteLength: number;
  /** Asks for the cast of what was copied to this address. */
  readonly cast: (from: number) => void;
}
