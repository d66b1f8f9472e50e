/**
 * Parameters of kernels as C lays them out: each on a multiple of its own size, structures as one parameter. The driver wants the address of
 * each, and copies them when a kernel is launched.
 */

/** One parameter: a device address, a number of C's type, or a structure of such. */
export type Argument =
  | { readonly type: "pointer" | "int64" | "int32" | "float32"; readonly value: number }
  | { readonly type: "struct"; readonly fields: readonly Argument[] };

/** A device address; of a buffer or as such. Null is 0. */
export const ptr = (to: { readonly address: number } | number | null): Argument => ({
  type: "pointer",
  value: to === null ? 0 : typeof to === "number" ? to : to.address,
});
export const i32 = (value: number): Argument => ({ type: "int32", value });
export const i64 = (value: number): Argument => ({ type: "int64", value });
export const f32 = (value: number): Argument => ({ type: "float32", value });
export const struct = (fields: readonly Argument[]): Argument => ({ type: "struct", fields });

const SIZES = { pointer: 8, int64: 8, int32: 4, float32: 4 } as const;

const alignUp = (offset: number, to: number): number => Math.ceil(offset / to) * to;

function alignmentOf(argument: Argument): number {
  return argument.type === "struct" ? Math.max(...argument.fields.map(alignmentOf)) : SIZES[argument.type];
}

/** More than any kernel takes. */
const MAX_BYTES = 1024;
const MAX_ARGUMENTS = 64;

/** The values of one launch, and their addresses: what cuLaunchKernel reads. Used again for each launch. */
export class ArgumentBlock {
  /** Addresses of the parameters. */
  readonly addresses = Buffer.alloc(8 * MAX_ARGUMENTS);
  readonly #values = Buffer.alloc(MAX_BYTES);
  readonly #base: number;

  /** @param addressOf where an array of this process lies */
  constructor(addressOf: (array: Uint8Array) => number) {
    this.#base = addressOf(this.#values);
  }

  /** Lays the arguments out in the block. */
  set(args: readonly Argument[]): void {
    let end = 0;
    args.forEach((argument, i) => {
      const begin = alignUp(end, 8);
      this.addresses.writeBigUInt64LE(BigInt(this.#base + begin), 8 * i);
      end = this.#put(argument, begin);
    });
  }

  /** @returns where the argument ends */
  #put(argument: Argument, at: number): number {
    if (argument.type === "struct") {
      let end = at;
      for (const field of argument.fields) end = this.#put(field, alignUp(end, alignmentOf(field)));
      return alignUp(end, alignmentOf(argument));
    }
    if (argument.type === "float32") this.#values.writeFloatLE(argument.value, at);
    else if (argument.type === "int32") this.#values.writeInt32LE(argument.value, at);
    else this.#values.writeBigInt64LE(BigInt(argument.value), at);
    return at + SIZES[argument.type];
  }
}
