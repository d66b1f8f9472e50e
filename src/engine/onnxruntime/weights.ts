/**
 * Finds each weight's bytes for the graphs: in the checkpoint's own file where it already has the form that the kernels read, else in
 * a packed file that is written once and mapped by every session afterwards.
 *
 * float32 with a float32 checkpoint needs no packed file. All weights of a session lie in one folder, because onnxruntime
 * maps external data below one folder only; so a packed file holds every weight of its graphs.
 */
import { basename, dirname } from "node:path";

import type { LinearParameters, ParameterSource } from "../../model/index.ts";
import type { ElementType, GraphBuilder, Value } from "../../onnx/index.ts";
import { sizeOf, toFloat16 } from "../../tensor/index.ts";
import { checkWeights } from "../finite-weights.ts";
import { PackedFile } from "../packed-file.ts";
import { BLOCK_SIZE, quantizeBlocks, quantizeColumns } from "./quantize.ts";

/** Changes when the same weights would be packed otherwise. */
const PACK_VERSION = 2;

const ELEMENT_BYTES = { float32: 4, float16: 2, int8: 1, uint8: 1 } as const;

export class Weights {
  readonly #source: ParameterSource;
  readonly #quantized: boolean;
  /** The checkpoint's folder, if its files can be mapped as they are. */
  readonly #mapped: string | null;
  readonly #file: PackedFile;

  constructor(source: ParameterSource, quantized: boolean, names: Iterable<string>) {
    this.#source = source;
    this.#quantized = quantized;
    this.#mapped = quantized ? null : mappableFolder(source, names);
    this.#file = new PackedFile(`${PACK_VERSION} ${quantized ? "int8" : "float32"} ${source.fingerprint}`);
  }

  get quantized(): boolean {
    return this.#quantized;
  }

  /** Size of a weight's last axis. */
  width(name: string): number {
    return this.#source.stored(name).dims.at(-1) ?? 1;
  }

  /** A weight as float32, with its own dims. */
  float32(graph: GraphBuilder, name: string): Value {
    const { dims, file, byteOffset, byteLength } = this.#source.stored(name);
    if (this.#mapped !== null) {
      return graph.external(name, "float32", dims, {
        location: basename(file),
        offset: byteOffset,
        length: byteLength,
      });
    }
    return this.#pack(graph, name, "float32", dims, async () => bytesOf(await this.#source.read(name)));
  }

  /** An embedding table to gather rows from: float32, or float16 where the mode is not exact anyway. */
  embedding(graph: GraphBuilder, name: string): { table: Value; type: ElementType } {
    if (!this.#quantized) return { table: this.float32(graph, name), type: "float32" };
    const { dims } = this.#source.stored(name);
    const table = this.#pack(graph, `${name}.float16`, "float16", dims, async () => {
      return bytesOf(toFloat16(await this.#source.read(name)));
    });
    return { table, type: "float16" };
  }

  /** For MatMulIntegerToFloat: int8 [nIn, nOut] and one scale an output. */
  columns(graph: GraphBuilder, p: LinearParameters): { weight: Value; scales: Value } {
    const quantize = lazy(async () => {
      const quantized = new Int8Array(p.nOut * p.nIn);
      const scales = new Float32Array(p.nOut);
      quantizeColumns(await this.#source.read(p.weight), p.nOut, p.nIn, quantized, scales);
      return { quantized, scales };
    });
    return {
      weight: this.#pack(graph, `${p.weight}.columns`, "int8", [p.nIn, p.nOut], async () =>
        bytesOf((await quantize()).quantized),
      ),
      scales: this.#pack(graph, `${p.weight}.column_scales`, "float32", [p.nOut], async () =>
        bytesOf((await quantize()).scales),
      ),
    };
  }

  /**
   * For MatMulNBits: the rows of one or several weights of equal width, one below the other, as unsigned bytes
   * [nOut, nIn / 64, 64] with a scale a block.
   */
  blocks(graph: GraphBuilder, names: readonly string[], nOut: number, nIn: number): { weight: Value; scales: Value } {
    const perRow = nIn / BLOCK_SIZE;
    const quantize = lazy(async () => {
      const quantized = new Uint8Array(nOut * nIn);
      const scales = new Float32Array(nOut * perRow);
      let row = 0;
      for (const name of names) {
        const weight = await this.#source.read(name);
        const rows = weight.length / nIn;
        quantizeBlocks(
          weight,
          quantized.subarray(row * nIn, (row + rows) * nIn),
          scales.subarray(row * perRow, (row + rows) * perRow),
        );
        row += rows;
      }
      return { quantized, scales };
    });
    const key = names.join("+");
    return {
      weight: this.#pack(graph, `${key}.blocks`, "uint8", [nOut, perRow, BLOCK_SIZE], async () =>
        bytesOf((await quantize()).quantized),
      ),
      scales: this.#pack(graph, `${key}.block_scales`, "float32", [nOut, perRow], async () =>
        bytesOf((await quantize()).scales),
      ),
    };
  }

  /** Biases of several linear maps, one after the other; zeros where a map has none. */
  biases(graph: GraphBuilder, parameters: readonly LinearParameters[]): Value {
    const length = parameters.reduce((sum, p) => sum + p.nOut, 0);
    const name = parameters.map((p) => p.bias ?? `${p.weight}.no_bias`).join("+");
    return this.#pack(graph, name, "float32", [length], async () => {
      const joined = new Float32Array(length);
      let offset = 0;
      for (const p of parameters) {
        if (p.bias !== null) joined.set(await this.#source.read(p.bias), offset);
        offset += p.nOut;
      }
      return bytesOf(joined);
    });
  }

  #pack(
    graph: GraphBuilder,
    name: string,
    type: keyof typeof ELEMENT_BYTES,
    dims: readonly number[],
    bytes: () => Promise<Uint8Array>,
  ): Value {
    const length = sizeOf(dims) * ELEMENT_BYTES[type];
    const offset = this.#file.add(name, length, bytes);
    return graph.external(name, type, dims, { location: this.#file.name, offset, length });
  }

  /**
   * Makes sure that the packed file exists, and gives the folder of all weights. Call it after the graphs are recorded.
   *
   * @param cacheDir folder for packed files; default $SOTTO_CACHE, else sotto/ in the user's cache folder
   * @throws {EngineUnavailableError} if the weights can be written nowhere
   * @throws {CheckpointError} for weights that are not finite
   */
  async ready(cacheDir?: string): Promise<{ folder: string; bytes: number }> {
    if (this.#mapped !== null) {
      await checkWeights(this.#source, cacheDir);
      return { folder: this.#mapped, bytes: 0 };
    }
    return { folder: await this.#file.ready(cacheDir), bytes: this.#file.length };
  }
}

/** The one folder in which all weights lie as float32, or null. */
function mappableFolder(source: ParameterSource, names: Iterable<string>): string | null {
  let folder: string | null = null;
  for (const name of names) {
    const { dtype, file } = source.stored(name);
    folder ??= dirname(file);
    if (dtype !== "float32" || dirname(file) !== folder) return null;
  }
  return folder;
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Computes a value at its first use and keeps it until its second: the weight and its scales are written one after the
 * other, and holding every layer's would double the memory.
 */
function lazy<T>(compute: () => Promise<T>): () => Promise<T> {
  let pending: Promise<T> | null = null;
  return () => {
    if (pending !== null) {
      const result = pending;
      pending = null;
      return result;
    }
    return (pending = compute());
  };
}
