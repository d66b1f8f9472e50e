/**
 * What the stages hand to each other: a flat Float32Array and its dims, row-major. No maths here; engines have their own
 * tensors on their own devices.
 */
import { ShapeError } from "../errors.ts";

export interface Tensor {
  readonly data: Float32Array;
  /** Sizes, outermost first; their product is `data.length`. */
  readonly dims: readonly number[];
}

/** Number of elements of a tensor with these dims. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}

/**
 * Makes a tensor of existing data (not copied).
 *
 * @throws {ShapeError} if the data has another length than the dims say
 */
export function tensor(data: Float32Array, dims: readonly number[]): Tensor {
  if (data.length !== sizeOf(dims)) throw new ShapeError("data", `[${sizeOf(dims)}]`, `[${data.length}]`);
  return { data, dims };
}

/**
 * Checks dims against a pattern of numbers and names; a name stands for one size wherever it appears.
 *
 * @param sizes known names, for example `{ nMels: 80 }`; new names are bound by their first use and are not written back
 * @throws {ShapeError} naming `parameter`, the pattern and the dims found
 */
export function assertShape(
  parameter: string,
  value: { readonly dims: readonly number[] },
  pattern: readonly (number | string)[],
  sizes: Readonly<Record<string, number>> = {},
): void {
  const bound: Record<string, number> = { ...sizes };
  const fits =
    value.dims.length === pattern.length &&
    pattern.every((want, i) => {
      if (typeof want === "number") return value.dims[i] === want;
      bound[want] ??= value.dims[i];
      return bound[want] === value.dims[i];
    });
  if (!fits) {
    const wanted = pattern.map((want) => (typeof want === "string" && want in sizes ? `${want}=${sizes[want]}` : want));
    throw new ShapeError(parameter, `[${wanted.join(", ")}]`, `[${value.dims.join(", ")}]`);
  }
}
